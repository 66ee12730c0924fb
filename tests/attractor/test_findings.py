import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import repsim
from repsim.report_curves import threshold_of
from testcases.attractor import noise

DOCS = str(Path(__file__).resolve().parents[2] / "docs")


@pytest.fixture(scope="module")
def docs():
    sys.path.insert(0, DOCS)
    yield importlib.import_module("findings_attractor")
    sys.path.remove(DOCS)


@pytest.fixture
def verdicts(docs):
    return importlib.import_module("verdicts")


def found(verdicts, mean, spread=0.01):
    return verdicts.Found(mean + spread * np.array([-1.0, 0.0, 1.0]))


def test_intervals_are_students(verdicts):
    from scipy import stats

    values = np.random.default_rng(0).standard_normal(12)
    ours = verdicts.Found(values)
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx((low, high))
    n = 12
    wider = ours.half_width(more=1) / ours.half_width()
    assert wider == pytest.approx(np.sqrt(n + 1))


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((0.9, 0.5), (0.9, 0.5), "holds"),
        ((0.9, 0.5), (0.5, 0.9), "depends on the condition: holds for a"),
        ((0.5, 0.9), (0.51, 0.5), "does not hold"),
    ],
)
def test_best_holds_depends_or_does_not(verdicts, first, second, verdict):
    conditions = {
        name: {"DSA": found(verdicts, dsa), "CKA": found(verdicts, cka)}
        for name, (dsa, cka) in (("a", first), ("b", second))
    }
    assert verdicts.claim_of_best(conditions, "DSA") == verdict


def test_a_tuned_form_is_judged_apart_and_not_against_its_own_method(verdicts):
    values = {"DSA": 0.6, "CKA": 0.5, "DSA tuned": 0.9}
    first = {name: found(verdicts, value) for name, value in values.items()}
    second = first | {"CKA": found(verdicts, 0.7)}
    answer = verdicts.claim_of_best({"a": first, "b": second}, "DSA")
    assert answer == "depends on the condition: holds for a. Tuned: holds"


def test_what_was_not_run_has_no_verdict(verdicts):
    lone = {"a": {"CKA": found(verdicts, 0.9)}, "b": {}}
    assert verdicts.claim_of_best(lone, "DSA") == "not run"
    assert verdicts.chance_verdicts({"a": {}}) == "not run"


@pytest.mark.parametrize(("mean", "word"), [(0.9, "above"), (0.1, "below"), (0.51, "at")])
def test_chance(verdicts, mean, word):
    assert verdicts.against_chance(found(verdicts, mean)) == f"{word} chance"


def test_a_printed_number_is_reproduced_up_to_its_last_digit(verdicts):
    exact = verdicts.Found(np.full(5, 0.3))
    assert verdicts.reproduced(exact, ".3004") is False
    assert verdicts.reproduced(exact, ".300")
    assert verdicts.reproduced(verdicts.Found(np.array([0.28, 0.3, 0.32])), ".36")
    assert not verdicts.reproduced(verdicts.Found(np.array([0.299, 0.3, 0.301])), ".36")


def test_thresholds_say_where_the_mean_curve_crosses(verdicts):
    def curve(values):
        return pd.DataFrame({"level": [10.0, 1.0, 0.1], "value": values})

    assert verdicts.threshold([curve([1.0, 1.0, 0.5])] * 3) == "0.32 [0.32, 0.32]"
    assert verdicts.threshold([curve([1.0, 1.0, 0.8])] * 3).startswith("below 0.1")
    assert verdicts.threshold([curve([0.5, 0.5, 0.5])] * 3).startswith("above 10")


def test_the_threshold_has_the_interval_of_a_report_card(verdicts):
    level = np.array([0.1, 1.0, 10.0])
    values = np.clip(
        [0.55, 0.7, 0.95] + 0.1 * np.random.default_rng(0).standard_normal((3, 3)), 0, 1
    )
    tables = [pd.DataFrame({"level": level[::-1], "value": one[::-1]}) for one in values]
    card = threshold_of(level, values)
    assert card.low < card.level < card.high < np.inf
    low = f"{card.low:.2g}" if card.low else "below 0.1"
    assert verdicts.threshold(tables) == f"{card.level:.2g} [{low}, {card.high:.2g}]"


def test_an_interval_of_scores_ends_at_the_ceiling_and_one_of_ratios_does_not(verdicts):
    values = np.array([0.98, 1.0, 1.0, 1.0])
    facts = {"case": "attractor/topology", "protocol": "controlled", "size": "full"}
    facts |= {"status": "ok", "id": verdicts.METRICS["CKA"]}
    rows = [facts | {"seed": seed, "value": value} for seed, value in enumerate(values)]
    scores = verdicts.scores(rows, "topology", "controlled")
    assert str(scores["CKA"]) == "0.995 [0.979, 1.000]"
    assert verdicts.Found(values).high > 1
    assert verdicts.Found(1 + values).high > (1 + values).mean()


@pytest.fixture(scope="module")
def some_rows():
    metrics = ["linear_cka", "angular_procrustes"]
    rows = repsim.evaluate(metrics, noise.OBSERVATION, seeds=2, quick=True)
    return [row | {"size": "full"} for row in rows]


def test_the_page_is_a_function_of_the_rows(docs, verdicts, some_rows):
    rows = some_rows
    page = docs.page(rows)
    mean = np.mean([row["value"] for row in rows if row["id"] == "linear_cka"])
    assert f"observation noise, controlled: CKA {mean:.3f} [" in page
    robust = next(line for line in page.splitlines() if line.startswith("| DSA is the most robust"))
    assert robust.endswith("| not run |")
    changed = [row | {"value": row["value"] / 2} for row in rows]
    assert docs.page(changed) != page == docs.page(rows)
    assert docs.COMMANDS in page


def test_dsa_ahead_of_the_others_turns_the_verdict(docs, verdicts, some_rows):
    rows = some_rows
    dsa = repsim.get_metric("dsa").id
    shift = {"linear_cka": 0.2, "angular_procrustes": 0.3, dsa: 0.9}
    twice = rows + [row | {"id": dsa} for row in rows if row["id"] == "linear_cka"]
    told = [row | {"value": shift[row["id"]] + 0.001 * row["seed"]} for row in twice]
    assert docs.noise_robustness(told).verdict == "holds"
    told = [row | {"value": 0.9 - shift[row["id"]] + 0.001 * row["seed"]} for row in twice]
    assert docs.noise_robustness(told).verdict == "does not hold"
