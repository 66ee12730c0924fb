import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import repsim
from repsim.errors import RepsimError
from repsim.ranking import control_verdict
from repsim.rules import SEPARATION, blocks
from repsim.run import Cell, Setting
from repsim.testcase import fingerprint_sets

CASES = [case for suite in repsim.SUITES for case in repsim.SUITES[suite]]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_protocol = pytest.mark.parametrize(
    ("case", "protocol"),
    [(c, p) for c in CASES for p in c.protocols],
    ids=lambda value: getattr(value, "name", value),
)
each_ranked = pytest.mark.parametrize(
    ("case", "protocol"),
    [(c, p) for c in CASES for p in c.protocols if p != "published"],
    ids=lambda value: getattr(value, "name", value),
)


def control_value(case, protocol, name, seed):
    return Cell(Setting(case, seed, protocol, quick=True)).score(repsim.METRICS[name])["value"]


@each_protocol
def test_a_seed_gives_the_same_bits_every_time(case, protocol):
    prints = [fingerprint_sets(case.make(seed, protocol, True)[0]) for seed in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]


@each_case
def test_a_seed_gives_the_same_bits_in_another_process(case):
    code = (
        "import repsim; from repsim.testcase import fingerprint_sets\n"
        f"case = [c for c in repsim.SUITES[{case.suite!r}] if c.name == {case.name!r}][0]\n"
        "print(fingerprint_sets(case.make(0, quick=True)[0]))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == fingerprint_sets(case.make(0, quick=True)[0])


@each_ranked
@pytest.mark.parametrize("quick", [True, False])
def test_trial_time_and_unit_counts_all_differ(case, protocol, quick):
    sets, truth = case.make(0, protocol, quick)
    assert list(sets) == list(truth.index)
    shapes = [one.shape for one in sets.values()]
    assert all(len(set(shape)) == 3 for shape in shapes)
    for members in blocks(truth).values():
        assert len({shapes[i][:2] for i in members}) == 1  # trials can be matched


@each_case
def test_sets_are_activations_with_a_time_axis(case):
    for one in case.make(0, quick=True)[0].values():
        assert one.dims == ("trial", "time", "unit")
        assert np.isfinite(one).all()
        assert (np.diff(one.time) > 0).all()


@each_ranked
def test_the_oracle_is_at_the_ceiling_and_the_constant_at_chance(case, protocol):
    for seed in range(3):
        oracle, constant = (control_value(case, protocol, m, seed) for m in ("oracle", "constant"))
        assert oracle == case.rule.ceiling
        assert constant == case.rule.chance


@each_ranked
def test_random_distances_score_chance(case, protocol):
    values = [control_value(case, protocol, "random", seed) for seed in range(20)]
    assert len(set(values)) > 10
    assert control_verdict(values, case.rule.chance) == "agrees"


@each_case
def test_a_case_states_its_facts(case):
    assert not case.__test__
    assert case.question.endswith("?")
    assert case.suite in repsim.SUITES
    assert case.version >= 1
    with pytest.raises(RepsimError, match="no protocol 'guessed'"):
        case.make(0, "guessed")


def test_a_case_whose_truth_does_not_fit_is_refused():
    truth = pd.DataFrame({"label": [0, 1]}, index=["a", "c"])
    sets = dict.fromkeys("ab", repsim.as_activations(np.ones((2, 3))))
    case = repsim.TestCase("a/b", "?", lambda *_: (sets, truth), SEPARATION, "test")
    with pytest.raises(RepsimError, match=r"sets \['a', 'b'\] and truth \['a', 'c'\] differ"):
        case.make(0)


def test_the_generator_depends_on_case_seed_and_purpose():
    case, other = CASES[0], repsim.TestCase("a/b", "?", None, SEPARATION, "test")
    drawn = [
        rng.random()
        for rng in (case.rng(0), case.rng(1), case.rng(0, "dsa"), other.rng(0), case.rng(0))
    ]
    assert drawn[0] == drawn[4]
    assert len(set(drawn)) == 4
