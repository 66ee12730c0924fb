import functools

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

import repsim
from repsim.ranking import control_verdict
from repsim.results import distances_of
from repsim.run import Cell, Setting
from testcases.attractor import surrogates

N = 600


@pytest.fixture(scope="module")
def run():
    return surrogates.long_runs(1, N, np.random.default_rng(0))[0]


def made(kind, run):
    return surrogates.SURROGATES[kind](run, np.random.default_rng(1))


def test_runs_are_on_the_attractor(run):
    assert run.shape == (surrogates.FINE * N, 3)
    assert 20 < run[:, 2].mean() < 27
    assert np.abs(run[:, 0]).max() < 22
    assert (run[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.35)


def test_backwards_is_the_run_in_the_other_order(run):
    np.testing.assert_array_equal(made("backwards", run), surrogates.as_it_was(run)[::-1])


def test_slower_is_the_same_path_at_two_thirds_of_the_speed(run):
    slow, usual = made("slower", run), surrogates.as_it_was(run)
    assert slow.shape == usual.shape
    np.testing.assert_array_equal(slow[::3], usual[: 2 * N // 3 : 2])
    speeds = [np.linalg.norm(np.diff(one[:300], axis=0), axis=1).mean() for one in (slow, usual)]
    assert speeds[0] / speeds[1] == pytest.approx(2 / 3, rel=0.05)


def test_shuffled_phases_keep_values_and_spectrum_and_lose_the_rest(run):
    shuffled, usual = made("shuffled phases", run), surrogates.as_it_was(run)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(usual, axis=0))
    sizes = [np.abs(np.fft.rfft(one - one.mean(0), axis=0)) for one in (shuffled, usual)]
    assert np.linalg.norm(sizes[0] - sizes[1]) / np.linalg.norm(sizes[1]) < 0.1
    assert np.abs(np.corrcoef(shuffled[:, 2], usual[:, 2])[0, 1]) < 0.3
    # On the attractor z follows from x and y closely enough for a neighbour to tell it.
    errors = [
        np.abs(one[nearest(one[:, :2])[:, 0], 2] - one[:, 2]).mean() for one in (usual, shuffled)
    ]
    assert errors[1] > 2 * errors[0]


def nearest(points, n_neighbors=1):
    found = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(points)
    return found.kneighbors(points, return_distance=False)[:, 1:]


def test_an_operator_and_that_of_the_reversed_run_have_one_spectrum(run):
    """C1 C0^-1 and C1' C0^-1 have equal eigenvalues; slowing down moves them."""
    usual = surrogates.as_it_was(run)[None]
    apart = {
        kind: repsim.METRICS["dsa_spectrum"].with_parameters(delays=3, rank=6)(
            usual, made(kind, run)[None]
        )
        for kind in ("backwards", "slower")
    }
    assert apart["backwards"] < 0.1 * apart["slower"]


def arrow_of_time(x, y):
    """How much faster neighbours part forwards than backwards; hardly moved by smooth maps."""

    def parting(states):
        before, after = (
            one.reshape(-1, states.shape[-1]) for one in (states[:, :-2], states[:, 2:])
        )
        neighbours = nearest(before, 4)
        then, now = (np.linalg.norm(a[neighbours] - a[:, None], axis=-1) for a in (before, after))
        return np.log(now / then).mean()

    return abs(np.subtract(*(parting(one) - parting(one[:, ::-1]) for one in (x, y))))


@functools.cache
def made_once(seed, protocol):
    return Cell(Setting(surrogates.CASE, seed, protocol, quick=False))


def by_kind(metric, protocol, n_seeds):
    """Scores of each kind of surrogate, one a seed."""
    metric, rows = repsim.get_metric(metric), []
    for seed in range(n_seeds):
        distances = distances_of(made_once(seed, protocol).score(metric))
        rows.append(
            surrogates.CASE.rule.by_block(distances, made_once(seed, protocol).truth).set_index(
                "block"
            )["value"]
        )
    return {kind: [float(row[kind]) for row in rows] for kind in surrogates.SURROGATES}


@pytest.mark.parametrize("protocol", surrogates.CASE.protocols)
def test_spectra_see_all_but_the_arrow_of_time(protocol):
    found = by_kind("dsa_spectrum", protocol, 6)
    assert control_verdict(found["backwards"], 0.5) == "agrees"
    assert np.mean(found["slower"]) > 0.9
    assert np.mean(found["shuffled phases"]) > 0.9


@pytest.mark.parametrize("protocol", surrogates.CASE.protocols)
def test_the_arrow_of_time_is_there_to_be_seen(protocol):
    metric = repsim.metric(arrow_of_time, view="trajectories")
    assert np.mean(by_kind(metric, protocol, 2)["backwards"]) > 0.9


def test_geometry_does_not_see_the_arrow_of_time_in_trials_of_its_own():
    for metric in ("linear_cka", "angular_procrustes"):
        assert control_verdict(by_kind(metric, "independent", 12)["backwards"], 0.5) == "agrees"
