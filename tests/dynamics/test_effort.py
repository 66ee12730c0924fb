"""How thoroughly conjugacy searches, and that threads change no bit of what it finds."""

import numpy as np
import pytest
import torch

import repsim
from repsim.dynamics import alignment, conjugacy, fit_operator
from repsim.dynamics.search import SEARCHES
from repsim.errors import RepsimError
from repsim.examples import trajectories
from repsim.plugins import METRICS


@pytest.fixture(scope="module")
def pairs():
    sets = [trajectories(np.random.default_rng(seed), 14, 50, 6) for seed in range(8)]
    operators = np.stack([fit_operator(one, 5, 12).matrix for one in sets])
    return operators[:4], operators[4:]


def test_thorough_is_no_worse(pairs):
    found = {effort: conjugacy(*pairs, effort=effort).residual for effort in SEARCHES}
    assert (found["balanced"] <= found["fast"] + 1e-6).all()
    assert (found["thorough"] <= found["balanced"] + 1e-6).all()


def test_an_unknown_effort_is_refused(pairs):
    with pytest.raises(RepsimError, match="it is one of fast, balanced, thorough"):
        conjugacy(*pairs, effort="most")


def test_dsa_hands_its_effort_on(pairs, monkeypatch):
    asked = []
    real = alignment.conjugacy
    monkeypatch.setattr(
        alignment, "conjugacy", lambda a, b, effort: asked.append(effort) or real(a, b)
    )
    x, y = (trajectories(np.random.default_rng(seed), 14, 50, 6) for seed in range(2))
    repsim.get_metric("dsa(delays=5, rank=8)")(x, y)
    repsim.compare([x, y], 'dsa(delays=5, rank=8, effort="thorough")')
    assert asked == ["fast", "thorough"]


def test_an_operator_is_not_searched_against_itself(pairs, monkeypatch):
    sizes = []
    real = alignment.conjugacy
    monkeypatch.setattr(
        alignment, "conjugacy", lambda a, b, effort: sizes.append(len(a)) or real(a, b)
    )
    found = METRICS["dsa"].compare_pairs(list(pairs[0]), [0, 0, 1, 2], [0, 1, 2, 2])
    assert sizes == [2]
    assert (found == 0).tolist() == [True, False, False, True]
    assert METRICS["dsa"].compare_pairs(list(pairs[0]), [3], [3]).tolist() == [0]


def test_operators_of_unequal_size_are_compared_as_each_pair_alone(pairs):
    operators = [x[:n, :n] for x, n in zip(pairs[0], (12, 9, 12, 9), strict=True)]
    first, second = np.triu_indices(4, 1)
    together = METRICS["dsa"].compare_pairs(operators, first, second)
    alone = [
        conjugacy(operators[i], operators[j], effort="fast").angle
        for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-10)


def test_threads_and_batches_change_no_bit(pairs, monkeypatch):
    monkeypatch.setattr(alignment, "BATCH_ENTRIES", 18 * 12 * 12)  # one pair a batch
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            found.append(conjugacy(*pairs).transform)
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)
