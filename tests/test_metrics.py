"""METRICS x checks: what is declared holds, what is not declared breaks, nothing goes uncounted."""

from collections import Counter

import pytest

from repsim.checks import CHECKS, check, declared_sides, run_check
from repsim.contract import SIDES, TRANSFORMATIONS, metric
from repsim.metrics import METRICS
from repsim.plugins import get_metric

SAME_RNG = "drawn from one seeded generator, whatever the sets"
SHUFFLED = "each set is shuffled by its own draw"
EXCEPTIONS = {
    ("constant", "self_is_closest"): "every pair is equally close",
    ("random", "self_is_closest"): SAME_RNG,
    ("random", "self_is_best"): "x with itself is a draw like any other",
    ("random", "symmetric"): SAME_RNG,
    **{("random", f"invariance_{name}"): SAME_RNG for name in TRANSFORMATIONS},
    ("shuffled_trials", "self_is_best"): SHUFFLED,
    ("shuffled_trials", "symmetric"): SHUFFLED,
    ("shuffled_trials", "order_does_not_matter"): SHUFFLED,
    ("shuffled_time", "self_is_closest"): SHUFFLED,
    ("shuffled_time", "self_is_best"): SHUFFLED,
    ("shuffled_time", "symmetric"): SHUFFLED,
}
NO_TRIANGLE, NO_COMMON_SAMPLES = {"triangle"}, {"refuses_unequal_samples"}
NOT_APPLICABLE = {
    "linear_cka": NO_TRIANGLE,
    "debiased_cka": NO_TRIANGLE,
    "rbf_cka": NO_TRIANGLE,
    "procrustes": set(),
    "angular_procrustes": set(),
    "delay_cka": NO_TRIANGLE,
    "delay_procrustes": set(),
    "dsa": NO_TRIANGLE | NO_COMMON_SAMPLES,
    "dsa_spectrum": NO_COMMON_SAMPLES,
    "constant": set(),
    "random": NO_TRIANGLE,
    "shuffled_trials": NO_TRIANGLE | NO_COMMON_SAMPLES,
    "shuffled_time": NO_TRIANGLE | NO_COMMON_SAMPLES,
    "relative_speed": NO_COMMON_SAMPLES | {"torch_agrees"},
    "radial_profile": NO_COMMON_SAMPLES | {"torch_agrees"},
    "oracle": set(CHECKS),
}
PAIRS = [(metric_name, name) for metric_name in METRICS for name in CHECKS]
RIGID = {"permutation", "orthogonal"}
INVARIANT = {
    "linear_cka": RIGID | {"translation", "isotropic_scaling"},
    "debiased_cka": RIGID | {"translation", "isotropic_scaling"},
    "rbf_cka": RIGID | {"translation", "isotropic_scaling"},
    "procrustes": RIGID | {"translation"},
    "angular_procrustes": RIGID | {"translation", "isotropic_scaling"},
    "delay_cka": RIGID | {"translation", "isotropic_scaling"},
    "delay_procrustes": RIGID | {"translation", "isotropic_scaling"},
    "dsa": RIGID | {"isotropic_scaling"},
    "dsa_spectrum": RIGID | {"isotropic_scaling"},
    "constant": set(TRANSFORMATIONS),
    "random": set(),
    "shuffled_trials": RIGID | {"translation", "isotropic_scaling"},
    "shuffled_time": RIGID | {"isotropic_scaling"},
    "relative_speed": RIGID | {"translation", "isotropic_scaling"},
    "radial_profile": RIGID | {"translation", "isotropic_scaling"},
    "oracle": set(),
}
STRICT = {"procrustes", "angular_procrustes", "delay_procrustes", "dsa_spectrum", "constant"}
STRICT |= {"relative_speed", "radial_profile"}
SIMILARITIES = {"linear_cka", "debiased_cka", "rbf_cka", "delay_cka"}
PARAMETERS = {
    **dict.fromkeys(("dsa", "dsa_spectrum", "shuffled_time"), "(delays=10, rank=20)"),
    **dict.fromkeys(("delay_cka", "delay_procrustes"), "(delays=10)"),
}
YARDSTICKS = {"relative_speed", "radial_profile"}
CONTROLS = {"constant", "random", "shuffled_trials", "shuffled_time", "oracle"} | YARDSTICKS


def expected(metric_name, name):
    if name in NOT_APPLICABLE[metric_name]:
        return "not applicable"
    return "fail" if (metric_name, name) in EXCEPTIONS else "pass"


@pytest.mark.parametrize(("metric_name", "name"), PAIRS, ids=lambda part: part)
def test_check(metric_name, name):
    found = get_metric(metric_name)
    result = run_check(found, name)
    assert result.status == expected(metric_name, name), result.message
    assert (result.metric, result.check) == (found.id, name)
    assert (result.status == "pass") == (result.message == "")


def test_every_pair_is_counted():
    assert len(METRICS) == 16
    assert len(CHECKS) == 20
    assert len(PAIRS) == len(set(PAIRS)) == len(METRICS) * len(CHECKS)
    assert Counter(expected(*pair) for pair in PAIRS) == {
        "pass": 269,
        "fail": 15,
        "not applicable": 36,
    }


def test_the_tables_name_only_what_exists():
    assert set(EXCEPTIONS) <= set(PAIRS)
    assert set(NOT_APPLICABLE) == set(INVARIANT) == set(METRICS)
    assert all(names <= set(CHECKS) for names in NOT_APPLICABLE.values())
    assert not any(name in NOT_APPLICABLE[metric_name] for metric_name, name in EXCEPTIONS)
    assert {metric_name for metric_name, _ in EXCEPTIONS} <= CONTROLS


@pytest.mark.parametrize("name", METRICS)
def test_declared_facts(name):
    found = get_metric(name)
    invariant = {name for name in TRANSFORMATIONS if declared_sides(found, name) == set(SIDES)}
    assert invariant == INVARIANT[name]
    assert found.triangle == (name in STRICT)
    assert found.kind == ("similarity" if name in SIMILARITIES else "distance")
    assert found.control == (name in CONTROLS)
    assert found.name == name
    assert found.id == name + PARAMETERS.get(name, "")
    assert found.version >= 1
    assert found.range[0] <= found.best <= found.range[1]
    assert found.control or found.source


def test_check_runs_the_whole_list_on_a_bare_function():
    def mean_gap(x, y):
        return float(abs(x.mean(axis=0) - y.mean(axis=0)).sum())

    results = {result.check: result for result in check(mean_gap)}
    assert list(results) == list(CHECKS)
    told = {name for name, result in results.items() if result.status == "not applicable"}
    assert told == {
        "self_is_best",
        "stays_in_range",
        "symmetric",
        "triangle",
        "unequal_units",
        "torch_agrees",
        *(f"invariance_{name}" for name in TRANSFORMATIONS),
    }
    assert "measured: symmetric" in results["symmetric"].message
    assert "both alike" in results["invariance_translation"].message


def test_invariances_imply_others_and_sides_add_up():
    def sides(*promises):
        found = metric(lambda x, y: 0.0, invariant_to=promises)
        return {name: declared_sides(found, name) for name in TRANSFORMATIONS}

    assert sides("invertible_linear")["permutation"] == set(SIDES)
    assert sides("invertible_linear")["translation"] == set()
    assert sides("orthogonal:y")["permutation"] == {"y"}
    assert sides("translation:x", "translation:y")["translation"] == set(SIDES)
    assert sides("translation:both")["translation"] == {"both"}
