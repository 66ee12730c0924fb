"""What a metric of somebody else's may do wrong, and that no other metric notices."""

import numpy as np
import pytest
import torch
from test_run import sorted_values, tiny_case

import repsim
from repsim.errors import RepsimError


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (float("nan"), "; a metric returns a finite number"),
        (np.zeros(3), r"an array of shape (3,)"),
        (None, "returned None"),
        (1j, "a real number"),
        ("far", "returned 'far'"),
        ({"d": 1.0}, "returned {'d': 1.0} on"),
        ({1.0}, "returned {1.0} on"),
        ([[1.0], [1.0, 2.0]], "returned [[1.0], [1.0, 2.0]] on"),
        (10**400, "returned 1000"),
        (len, "returned <built-in function len> on"),
        (np.array(None), "returned array(None, dtype=object) on"),
        (np.array(True), "returned array(True) on"),
        (np.array([0.5]), "an array of shape (1,)"),
    ],
    ids=str,
)
def test_an_answer_of_no_use_is_a_row_with_the_reason(answer, reason):
    rows = repsim.evaluate([lambda x, y: answer, "constant"], tiny_case(), seeds=1)
    assert [row["status"] for row in rows] == ["failed", "ok"]
    assert rows[0]["value"] is None
    assert reason in rows[0]["reason"]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_metric_that_changes_its_input_fails_and_the_others_see_clean_sets():
    def greedy(x, y):
        x -= x.mean(0)
        return 0.0

    def sly(x, y):
        torch.from_numpy(x).mul_(2)  # which does not heed that x is read-only
        return 0.0

    expected = repsim.evaluate(["linear_cka"], tiny_case(), seeds=1)
    rows = repsim.evaluate([greedy, sly, "linear_cka"], tiny_case(), seeds=1)
    assert "greedy modifies its input" in rows[0]["reason"]
    assert "sly modifies its input" in rows[1]["reason"]
    assert sorted_values(rows[2:]) == sorted_values(expected)


def test_what_a_metric_prepared_is_the_same_for_every_pair():
    metric = repsim.metric(prepare=lambda x: {"centred": [x - x.mean(0)]})

    @metric
    def greedy(x, y):
        y["centred"][0] -= 1
        return 0.0

    (row,) = repsim.evaluate([greedy], tiny_case(), seeds=1)
    assert "greedy modifies its input" in row["reason"]


def test_an_error_of_a_function_of_ours_that_a_metric_calls_is_a_row():
    def zero(x, y):
        return repsim.dynamics.conjugacy(np.zeros((2, 2)), np.eye(2)).angle

    (row,) = repsim.evaluate([zero], tiny_case(), seeds=1)
    assert row["status"] == "failed"
    assert row["reason"].startswith("zero, '")
    assert ": a holds a zero operator" in row["reason"]


def test_metrics_of_one_name_are_refused_and_one_given_twice_runs_once():
    def linear_cka(x, y):
        return 0.0

    def named(name, value):
        return repsim.metric(lambda x, y: value, name=name)

    for pair in ([linear_cka], [named("mine", 0.0), named("mine", 1.0)]):
        with pytest.raises(RepsimError, match=r"Two different metrics are called .*Rename one"):
            repsim.evaluate(pair, tiny_case(), seeds=1)
    for given in (["linear_cka", "linear_cka"], "linear_cka", repsim.get_metric("linear_cka")):
        (row,) = repsim.evaluate(given, tiny_case(), seeds=1)
        assert row["id"] == "linear_cka"
