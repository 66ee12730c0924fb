import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

from repsim.errors import RepsimError
from repsim.rules import (
    SENSITIVITY,
    SEPARATION,
    Rule,
    concordance,
    different_label,
    dose_response,
    signal_above_noise,
)

DOSES = np.logspace(-1, 2, 10)


def symmetric(n, rng):
    matrix = rng.random((n, n))
    return matrix + matrix.T


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 9])
def test_separation_is_the_area_under_the_curve(seed, decimals):
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame({"label": list("aabbbcc")})
    matrix = (rng.random((7, 7)) + 0.2 * different_label(truth)).round(decimals)
    off = ~np.eye(7, dtype=bool)
    expected = roc_auc_score(different_label(truth)[off], matrix[off])
    assert SEPARATION.judge(matrix, truth) == pytest.approx(expected, abs=1e-12)


def test_separation_by_hand_with_ties():
    truth = pd.DataFrame({"label": list("aab")})
    matrix = np.array([[9.0, 1.0, 2.0], [1.0, 9.0, 1.0], [0.0, 3.0, 9.0]])
    # within: 1, 1; between: 2 (above both), 1 (two ties), 0 (below both), 3 (above both)
    assert SEPARATION.judge(matrix, truth) == (2 + 1 + 0 + 2) / 8


@pytest.mark.parametrize("seed", range(5))
def test_concordance_is_kendalls_tau_where_nothing_ties(seed):
    rng = np.random.default_rng(seed)
    ideal, found = symmetric(8, rng), symmetric(8, rng)
    pairs = np.triu_indices(8, 1)
    tau = kendalltau(ideal[pairs], found[pairs]).statistic
    assert 2 * concordance(found, ideal) - 1 == pytest.approx(tau, abs=1e-12)


def test_concordance_counts_pairs_of_pairs_with_several_ideal_answers():
    rng = np.random.default_rng(0)
    ideal = np.triu(rng.integers(0, 3, (6, 6)).astype(float), 1)
    ideal[1, 2] = np.nan
    found = rng.integers(0, 4, (6, 6)).astype(float)
    asked = [(i, j) for i in range(6) for j in range(6) if i != j and not np.isnan(ideal[i, j])]
    agreed = [
        (found[p] > found[q]) + 0.5 * (found[p] == found[q])
        for p in asked
        for q in asked
        if ideal[p] > ideal[q]
    ]
    assert concordance(found, ideal) == pytest.approx(np.mean(agreed), abs=1e-12)


@pytest.mark.parametrize("rule", [SEPARATION, SENSITIVITY], ids=lambda rule: rule.name)
def test_the_ideal_is_the_ceiling_its_reverse_the_floor_and_no_answer_is_chance(rule):
    labels = ["base", "signal", "noise"] * 2
    truth = pd.DataFrame({"label": labels, "block": [1.0] * 3 + [2.0] * 3})
    if rule is SEPARATION:
        truth["block"] = 1
    ideal = rule.ideal(truth)
    assert rule.judge(ideal, truth) == rule.ceiling
    assert rule.judge(-ideal, truth) == 0
    assert rule.judge(np.zeros((6, 6)), truth) == rule.chance


def test_answers_without_looking_score_chance_on_average():
    rng = np.random.default_rng(0)
    truth = pd.DataFrame({"label": list("aabbb") * 2, "block": [0] * 5 + [1] * 5})
    values = [SEPARATION.judge(symmetric(10, rng), truth) for _ in range(2000)]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / 2000**0.5)


def test_blocks_count_alike_and_nothing_between_them_counts():
    truth = pd.DataFrame({"label": list("aab") + list("aabb"), "block": ["x"] * 3 + ["y"] * 4})
    truth["level"] = [2.0] * 3 + [1.0] * 4
    matrix = np.full((7, 7), np.nan)
    matrix[:3, :3] = different_label(truth)[:3, :3]
    matrix[3:, 3:] = -different_label(truth)[3:, 3:]
    found = SEPARATION.by_block(matrix, truth)
    assert found.to_dict("list") == {"block": ["x", "y"], "level": [2, 1], "value": [1, 0]}
    assert SEPARATION.judge(matrix, truth) == 0.5


def test_sensitivity_asks_two_distances_of_each_block():
    truth = pd.DataFrame({"label": ["noise", "base", "signal"]})
    asked = signal_above_noise(truth)
    assert np.nansum(asked) == 2
    assert np.isnan(asked).sum() == 5
    matrix = np.array([[0.0, 0.3, 9.0], [0.3, 0.0, 0.2], [9.0, 0.2, 0.0]])
    assert SENSITIVITY.judge(matrix, truth) == 0


def test_a_missing_distance_or_a_truth_without_a_difference_is_refused():
    truth = pd.DataFrame({"label": list("aab")})
    with pytest.raises(RepsimError, match="6 of 6 distances are missing"):
        SEPARATION.judge(np.full((3, 3), np.nan), truth)
    with pytest.raises(RepsimError, match="All pairs are alike"):
        SEPARATION.judge(np.zeros((2, 2)), truth[:2])


def test_a_fit_of_a_monotone_curve_is_the_curve_and_crosses_where_it_does():
    level = DOSES[::-1]
    value = 0.5 + 0.5 * level / (1 + level)  # crosses 0.75 at a level of 1
    found = dose_response(level, value)
    np.testing.assert_array_equal(found.level, DOSES)
    np.testing.assert_allclose(found.fitted, value[::-1], rtol=1e-12)
    step = np.log10(DOSES[1] / DOSES[0])
    assert abs(np.log10(found.threshold)) < 0.1 * step


def test_a_fit_pools_what_falls_and_weighs_repeated_levels():
    found = dose_response([1, 2, 4, 4, 4], [0.5, 0.9, 0.6, 0.6, 0.6])
    np.testing.assert_allclose(found.fitted, [0.5, 0.675, 0.675])  # (0.9 + 3 * 0.6) / 4


@pytest.mark.parametrize("value", [0.6, 0.9])
def test_a_curve_that_never_crosses_has_no_threshold(value):
    assert np.isnan(dose_response(DOSES, np.full(10, value)).threshold)


def test_a_rule_of_ones_own_needs_an_ideal_only():
    rule = Rule("ordering", lambda truth: truth["x"].to_numpy()[:, None] * np.ones(3))
    assert rule.chance == 0.5
    assert rule.judge(np.arange(9.0).reshape(3, 3), pd.DataFrame({"x": [0, 1, 2]})) == 1
