"""What the intervals and ranks of a board promise, held to it by simulation."""

import numpy as np
import pytest

from repsim import ranking

ONE_NOISY_CASE = [0.2] + 11 * [0.01]  # standard deviations over seeds


def drawn_at_zero(rng, deviations, n_metrics, n_seeds):
    """Scaled values of metrics that are all equal: for each case (metrics, seeds)."""
    return [one * rng.standard_normal((n_metrics, n_seeds)) for one in deviations]


@pytest.mark.parametrize(("n_seeds", "least"), [(2, 0.86), (3, 0.91), (8, 0.93)])
def test_an_interval_covers_the_truth_where_one_case_scatters_more(n_seeds, least):
    """Pooled degrees of freedom cover .73, .83 and .91; two seeds are few, .89 at best."""
    scaled = drawn_at_zero(np.random.default_rng(5), ONE_NOISY_CASE, 4000, n_seeds)
    draws = np.mean([values.mean(axis=1) for values in scaled], axis=0)
    low, high = np.quantile(
        draws + ranking.deviations(scaled), [ranking.TAIL, 1 - ranking.TAIL], axis=0
    )
    assert least < ((low <= 0) & (high >= 0)).mean() < 0.97


def test_equals_are_told_apart_as_rarely_where_one_case_scatters_more():
    """Pooled degrees of freedom tell 15 in 100 apart."""
    rng = np.random.default_rng(1)
    found = [
        ranking.rank(drawn_at_zero(rng, ONE_NOISY_CASE, 2, 3)).rank.max() > 1 for _ in range(400)
    ]
    assert np.mean(found) < 0.09


def test_of_ten_equal_metrics_some_are_told_apart_on_most_boards_but_none_is_first_alone():
    """What the module says about ranks: they are not corrected for the number of comparisons."""
    rng = np.random.default_rng(7)
    found = [ranking.rank(drawn_at_zero(rng, 12 * [1], 10, 8)).rank for _ in range(100)]
    assert 0.5 < np.mean([ranks.max() > 1 for ranks in found]) < 0.75
    assert np.mean([(ranks == 1).sum() == 1 for ranks in found]) <= 0.02


def test_an_interval_of_equal_seeds_has_no_width():
    found = ranking.rank([np.full((2, 3), 0.5), np.full((2, 4), 0.7)])
    np.testing.assert_allclose(found.score_interval, 0.6, atol=1e-12)
    assert found.rank.tolist() == [1, 1]


def test_a_case_that_does_not_scatter_gives_no_degrees_of_freedom():
    """One noisy case beside constant ones: its own Student's t, an eleventh of its width."""
    noisy = np.random.default_rng(2).normal(size=(1, 3))
    alone = ranking.deviations([noisy])
    beside = ranking.deviations([noisy, *(np.zeros((1, 3)) for _ in range(10))])
    np.testing.assert_allclose(beside, alone / 11, atol=1e-12)
