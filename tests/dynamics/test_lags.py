"""The lag route: Grams without the embedding, the rule that leaves it, ragged and chunked data."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repsim.dynamics import trials as reading
from repsim.dynamics import whitening
from repsim.dynamics.lags import lag_grams
from repsim.dynamics.operator import delay_embed, fit_operator
from repsim.dynamics.ranks import hard_threshold, marchenko_pastur_median, rank_by_rule
from repsim.dynamics.trials import Trials
from repsim.errors import RepsimError

LIBRARIES = pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])


def walks(lengths=(30, 41, 25), n_units=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((length, n_units)).cumsum(axis=0) for length in lengths]


def ladder(weakest, n_units=25):
    """Independent decays, the 20th singular value `weakest` of the first."""
    rng = np.random.default_rng(0)
    rates = np.linspace(0.3, 0.9, n_units)
    states = [rng.standard_normal((40, n_units))]
    for _ in range(60):
        states.append(states[-1] * rates + rng.standard_normal((40, n_units)))
    rows = np.stack(states, axis=1).reshape(-1, n_units)
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    values = np.concatenate([np.geomspace(1, weakest, 20), np.full(n_units - 20, weakest / 30)])
    return (left * values @ right).reshape(40, 61, n_units)


def explicit(trials, delays, interval, rank, ridge=1e-8):
    """Matrix and singular values from the tall embedding and its SVD."""
    embedded = [delay_embed(trial[None], delays, interval)[0] for trial in trials]
    left, values, _ = np.linalg.svd(np.concatenate(embedded), full_matrices=False)
    parts = np.split(left[:, :rank], np.cumsum([len(part) for part in embedded])[:-1])
    before = np.concatenate([part[:-1] for part in parts])
    after = np.concatenate([part[1:] for part in parts])
    gram = before.T @ before + ridge * np.eye(rank)
    return np.linalg.solve(gram, before.T @ after).T, values


def assert_same_matrix(found, expected, tolerance):
    """Equal but for the signs of the coordinates."""
    worst = np.abs(np.abs(np.asarray(found)) - np.abs(expected)).max()
    assert worst < tolerance
    moments = [np.trace(np.linalg.matrix_power(np.asarray(m), 3)) for m in (found, expected)]
    assert abs(moments[0] - moments[1]) < 10 * len(expected) * tolerance


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    delays=st.integers(1, 6),
    interval=st.integers(1, 4),
    n_units=st.integers(1, 3),
    spare=st.lists(st.integers(2, 30), min_size=1, max_size=4),
)
def test_grams_equal_those_of_the_embedding(delays, interval, n_units, spare):
    lengths = [(delays - 1) * interval + more for more in spare]
    trials = Trials(walks(lengths, n_units), delays, interval)
    embedded = [part[0] for part in trials.embedded()]
    found = lag_grams(trials)
    expected = (
        sum(part.T @ part for part in embedded),
        sum(np.outer(part[-1], part[-1]) for part in embedded),
        sum(part[:-1].T @ part[1:] for part in embedded),
    )
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 1e-12 * np.abs(expected[0]).max()


@LIBRARIES
@pytest.mark.parametrize(("delays", "interval"), [(1, 1), (5, 1), (3, 4)])
def test_lag_route_agrees_with_the_svd(monkeypatch, library, delays, interval):
    def refuse(self):
        raise AssertionError("the embedding was formed")

    monkeypatch.setattr(Trials, "embedded", refuse)
    trials = walks((40, 40, 40))
    found = fit_operator(library(np.stack(trials)), delays, 3, interval=interval)
    matrix, values = explicit(trials, delays, interval, 3)
    assert found.route == "lags"
    assert_same_matrix(found.matrix, matrix, 1e-8)
    assert np.allclose(found.singular_values, values[:3], rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("weakest", "route", "tolerance"),
    [
        (0.1, "lags", 1e-9),
        (2e-2, "lags", 1e-9),
        (5e-3, "gram", 1e-8),
        (2e-4, "gram", 1e-6),
        (5e-5, "svd", 1e-8),
        (1e-8, "svd", 1e-6),
    ],
)
def test_conditioning_decides_the_route(weakest, route, tolerance):
    trajectories = ladder(weakest)
    found = fit_operator(trajectories, 1, 20)
    assert found.route == route
    assert found.singular_values[-1] / found.singular_values[0] == pytest.approx(weakest, rel=1e-6)
    assert_same_matrix(found.matrix, explicit(list(trajectories), 1, 1, 20)[0], tolerance)


def test_the_rule_is_needed(monkeypatch):
    """Without it the 20th coordinate drowns in the rounding of the squares."""
    monkeypatch.setattr(whitening, "WELL_CONDITIONED", 1e-300)
    monkeypatch.setattr(whitening, "FAIRLY_CONDITIONED", 1e-300)
    trajectories = ladder(1e-8)
    found = fit_operator(trajectories, 1, 20)
    assert found.route == "lags"
    expected = explicit(list(trajectories), 1, 1, 20)[0]
    assert not np.abs(np.abs(found.matrix) - np.abs(expected)).max() < 1e-3


def test_lower_rank_of_the_same_data_needs_no_svd():
    assert fit_operator(ladder(1e-8), 1, 5).route == "lags"


def test_fewer_rows_than_columns_take_the_svd():
    trials = walks((12, 9), 4)
    found = fit_operator(trials, 6, 5)
    assert found.route == "svd"
    assert_same_matrix(found.matrix, explicit(trials, 6, 1, 5)[0], 1e-9)


@LIBRARIES
@pytest.mark.parametrize("weakest", [0.1, 1e-6])
def test_chunks_do_not_matter(monkeypatch, library, weakest):
    trajectories = library(ladder(weakest))
    whole = fit_operator(trajectories, 2, 20)
    monkeypatch.setattr(reading, "CHUNK_ENTRIES", 10_000)
    assert sum(1 for _ in Trials(trajectories, 2).chunks()) > 9
    pieces = fit_operator(trajectories, 2, 20)
    assert pieces.route == whole.route
    assert_same_matrix(pieces.matrix, np.asarray(whole.matrix), 1e-9 if weakest == 0.1 else 1e-7)


@LIBRARIES
def test_a_list_of_equal_trials_is_the_array(library):
    trials = walks((30, 30, 30))
    array = fit_operator(library(np.stack(trials)), 4, 6, interval=2)
    ragged = fit_operator([library(trial) for trial in trials], 4, 6, interval=2)
    assert_same_matrix(ragged.matrix, np.asarray(array.matrix), 1e-11)


@pytest.mark.parametrize("rank", [3, 12])
def test_ragged_trials(rank):
    trials = walks((30, 9, 55, 14))
    found = fit_operator(trials, 4, rank, interval=2)
    matrix, values = explicit(trials, 4, 2, rank)
    assert_same_matrix(found.matrix, matrix, 1e-8)
    assert np.allclose(found.singular_values, values[:rank], rtol=1e-8)


@pytest.mark.parametrize(("rank", "route", "most_calls"), [(4, "lags", 2), (20, "svd", 4)])
def test_trials_read_on_demand_are_held_one_at_a_time(rank, route, most_calls):
    """300 trials, 24 MB in all; the last 12 delay coordinates are weak by construction."""
    calls = []

    def trial(seed):
        calls.append(seed)
        rng = np.random.default_rng(seed)
        return rng.standard_normal((2000, 5)) * [1, 1, 1e-5, 1e-5, 1e-5]

    tracemalloc.start()
    found = fit_operator([lambda i=i: trial(i) for i in range(300)], 4, rank)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.route == route
    assert len(calls) <= most_calls * 300
    assert peak < 4e6


def test_memory_maps(tmp_path):
    trials = walks((30, 41))
    for i, trial in enumerate(trials):
        np.save(tmp_path / f"{i}.npy", trial)
    maps = [np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(2)]
    found, expected = fit_operator(maps, 3, 5), fit_operator(trials, 3, 5)
    assert np.array_equal(found.matrix, expected.matrix)


def test_gradients_flow_through_both_routes():
    trajectories = torch.tensor(np.stack(walks((9, 9))), requires_grad=True)
    for rank, route in ((2, "lags"), (6, "svd")):
        weights = torch.tensor([1.0, 1.0, 1e-6]) if route == "svd" else torch.ones(3)

        def traces(x, rank=rank, weights=weights):
            matrix = fit_operator(x * weights, 2, rank).matrix
            return torch.stack([torch.trace(matrix), torch.trace(matrix @ matrix)])

        assert fit_operator(trajectories * weights, 2, rank).route == route
        assert torch.autograd.gradcheck(traces, trajectories, eps=1e-7, atol=1e-4, rtol=1e-3)


REFUSED = {
    "a short trial": (walks((30, 4)), r"need at least 5 time steps; trial 1 has 4"),
    "other units": ([*walks(), *walks((20,), 2)], "trial 3 has 2 units and those before it have 3"),
    "nothing": ([], "there are no trials"),
    "NaN": ([*walks(), np.full((20, 3), math.nan)], "hold NaN or infinite values"),
    "infinity": (np.full((2, 20, 3), math.inf), "hold NaN or infinite values"),
    "a matrix": (walks()[0], r"shape \(30, 3\); give \(trial, time, unit\)"),
    "trials of trials": ([np.ones((2, 20, 3))], r"trial 0 has shape \(2, 20, 3\)"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals(case):
    with pytest.raises(RepsimError, match=case[1]):
        fit_operator(case[0], 4, 2)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.9999999])
def test_rank_by_explained_variance(share):
    trials = walks((60, 60))
    values = explicit(trials, 3, 1, 1)[1]
    found = fit_operator(trials, 3, share).rank
    assert np.sum(values[:found] ** 2) >= share * np.sum(values**2)
    assert np.sum(values[: found - 1] ** 2) < share * np.sum(values**2)


def test_rules_keep_to_what_the_data_carry():
    one_direction = np.outer(np.sin(np.arange(20.0) ** 2), [1, 2, 3])[None]
    assert fit_operator(one_direction, 1, "gavish-donoho").rank == 1
    assert fit_operator(one_direction, 1, 1 - 1e-16 * 2).rank == 1
    assert fit_operator(walks((5, 4)), 3, 0.9999999999).rank <= 3


@pytest.mark.parametrize("share", [np.float32(0.9), np.float64(0.9), Fraction(9, 10)])
def test_shares_of_any_kind_of_number(share):
    trials = walks()
    assert fit_operator(trials, 2, share).rank == fit_operator(trials, 2, 0.9).rank


@pytest.mark.parametrize(
    "rank", [0.0, 1.0, -0.5, "gavish", True, None, np.float32(2), np.array([1, 2]), [1]]
)
def test_other_ranks_are_refused(rank):
    with pytest.raises(RepsimError, match="give a whole number of at least 1, a share of variance"):
        fit_operator(walks(), 2, rank)


def test_hard_threshold_of_the_paper():
    assert hard_threshold(1.0) == pytest.approx(2.858, abs=5e-4)
    assert marchenko_pastur_median(1.0) == pytest.approx(0.6528, abs=5e-4)
    for beta in np.linspace(0.05, 1, 20):
        cubic = 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
        assert hard_threshold(float(beta)) == pytest.approx(cubic, abs=0.02)
    with pytest.raises(RepsimError, match="beta is 2"):
        hard_threshold(2.0)


@pytest.mark.parametrize("shape", [(400, 30), (30, 400), (60, 60)])
def test_hard_threshold_finds_a_planted_rank(shape):
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((shape[0], 4)) @ rng.standard_normal((4, shape[1]))
    values = np.linalg.svd(signal + rng.standard_normal(shape) / 2, compute_uv=False)
    assert rank_by_rule("gavish-donoho", values, *shape) == 4
    noise = np.linalg.svd(rng.standard_normal(shape), compute_uv=False)
    assert rank_by_rule("gavish-donoho", noise, *shape) == 1  # none, and one is the least


def test_hard_threshold_agrees_with_optht():
    optht = pytest.importorskip("optht")
    rng = np.random.default_rng(1)
    for n_columns in (5, 20, 50):
        trajectories = rng.standard_normal((1, 60, n_columns)).cumsum(axis=1)
        values = np.linalg.svd(trajectories[0], compute_uv=False)
        expected = max(optht.optht(n_columns / 60, sv=values, sigma=None), 1)
        assert fit_operator(trajectories, 1, "gavish-donoho").rank == expected
