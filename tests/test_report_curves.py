"""Dose-response curves against hand computation and against the rules they are made of."""

import numpy as np
import pytest
from test_leaderboard import row, scores
from test_report import LEVELS, noisy_case

import repsim
from repsim.report import Report
from repsim.report_curves import by_level, crossing, dose_curves
from repsim.results import distances_of
from repsim.rules import dose_response

SNR = (0.1, 1.0, 10.0, 100.0)


def block_rows(metric, *values, levels=SNR, axis="noise robustness", case="suite/noise"):
    """Rows whose blocks of three sets have these values, one list of values a seed.

    A block asks whether d(a, c) and d(b, c) exceed d(a, b): none, one or both give 0, 1/2, 1.
    """
    rows = []
    for seed, by_block in enumerate(values):
        far = [[2.0 if value > place / 2 else 0.5 for place in (0, 1)] for value in by_block]
        matrices = [[[0, 1, one[0]], [1, 0, one[1]], [*one, 0]] for one in far]
        facts = {"distances": matrices, "labels": ["p", "p", "q"] * len(levels), "axis": axis}
        facts |= {"names": [f"{b}{i}" for b in levels for i in "abc"]}
        facts |= {"blocks": [str(b) for b in levels for _ in "abc"]}
        facts |= {"levels": [float(b) for b in levels for _ in "abc"]}
        rows.append(row(metric, seed, float(np.mean(by_block)), case=case, **facts))
    return rows


def curves(*rows, metrics=("mine",)):
    return dose_curves([one for some in rows for one in some], ["suite/noise"], metrics)


def ideal(n_seeds, **changes):
    return block_rows("oracle", *[[1] * 4] * n_seeds, **changes)


def test_the_curve_is_the_mean_over_seeds_at_each_level():
    rows = block_rows("mine", [0, 0.5, 1, 1], [0.5, 0.5, 0.5, 1])
    (curve,) = curves(rows, ideal(2))
    assert curve.level.tolist() == list(SNR)
    assert curve.value.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.fitted.tolist() == curve.value.tolist()
    assert curve.threshold.level == pytest.approx(10)
    assert curve.n_seeds == 2
    assert (curve.low <= curve.value).all()
    assert (curve.value <= curve.high).all()
    assert curve.high[1] == curve.low[1] == 0.5  # no seed differs there


def test_a_row_is_judged_block_by_block_as_its_case_judges_it():
    rows = repsim.evaluate(["linear_cka", "oracle"], noisy_case(), seeds=3)
    by_seed = {(one["id"], one["seed"]): one for one in rows}
    for seed in range(3):
        own, wanted = by_seed["linear_cka", seed], by_seed["oracle", seed]
        values = by_level(own, wanted)
        assert values.index.tolist() == list(LEVELS)
        assert values.mean() == pytest.approx(own["value"], abs=1e-12)
        _, truth = noisy_case().make(seed)
        judged = noisy_case().rule.by_block(distances_of(own), truth)
        assert values.tolist() == judged.sort_values("level")["value"].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_crossing_is_that_of_the_rule(seed):
    rng = np.random.default_rng(seed)
    value = np.clip(np.linspace(0.4, 1.1, 9) + 0.2 * rng.standard_normal(9), 0, 1)
    level = np.geomspace(0.1, 100, 9)
    assert crossing(level, value) == pytest.approx(dose_response(level, value).threshold)


@pytest.mark.parametrize(
    ("values", "level", "words"),
    [([1, 1, 1, 1], 0.0, "below 0.1"), ([0, 0.5, 0.5, 0.5], np.inf, "above 100")],
)
def test_a_threshold_outside_all_levels_is_said_so(values, level, words):
    (curve,) = curves(block_rows("mine", values, values), ideal(2))
    assert (curve.threshold.level, str(curve.threshold)) == (level, words)


def test_the_interval_of_the_threshold_holds_it_and_shrinks_with_seeds():
    patterns = [[0, 0.5, 1, 1], [0.5, 0.5, 0.5, 1], [0, 0, 1, 1], [0.5, 1, 1, 1]]
    few, many = (
        curves(block_rows("mine", *patterns * n), ideal(4 * n))[0].threshold for n in (1, 16)
    )
    assert few.level == many.level
    for one in (few, many):
        assert one.low <= one.level <= one.high
    assert many.high / many.low < few.high / max(few.low, few.lowest)


def test_one_seed_has_no_interval_and_no_levels_no_curve():
    (curve,) = curves(block_rows("mine", [0, 0.5, 1, 1]), ideal(1))
    assert np.isnan([curve.threshold.low, curve.low[0]]).all()
    assert "(" not in str(curve.threshold)
    assert curves(scores("mine", 0.9, case="suite/noise"), ideal(1)) == []
    assert curves(block_rows("mine", [1, 1, 1, 1])) == []  # nothing says what is ideal


@pytest.mark.parametrize("change", [{"axis": "topology"}, {"levels": (0.0, 1.0, 2.0, 3.0)}])
def test_no_fit_where_the_level_is_no_dose_or_not_positive(change):
    (curve,) = curves(block_rows("mine", [0, 0.5, 1, 1], **change), ideal(1, **change))
    assert curve.fitted is None
    assert str(curve.threshold) == "–"
    assert curve.table()["value"].tolist() == [0, 0.5, 1, 1]


def test_the_card_shows_thresholds_in_words():
    report = Report(block_rows("mine", [0, 0.5, 1, 1]) + ideal(1), "mine")
    (found,) = report.to_dict()["thresholds"]
    assert found["threshold"] == "3.16"  # half-way from 0.5 at 1 to 1 at 10, in the logarithm
    assert "3.16" in str(report)
