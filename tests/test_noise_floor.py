"""The floor of metrics whose floor is known."""

import numpy as np
import pytest
from test_report import noisy_case
from test_run import tiny_case

import repsim
from repsim.noise_floor import KINDS, example_sets, measure_floor


@pytest.fixture(scope="module")
def sets():
    return example_sets([noisy_case()], 0, "controlled", False)[1]


def floor(metric, sets):
    return measure_floor(repsim.get_metric(metric), sets).set_index("kind")


def first_unit(x, y):
    return float(np.linalg.norm(x[:, 0] - y[:, 0]))


def test_what_is_invariant_has_no_floor(sets):
    found = floor("procrustes", sets)
    assert found.relative[["self", "rotated copy"]].to_numpy() == pytest.approx(0, abs=1e-6)
    assert found.relative["split half of units"] > 0.05
    assert (found.reason == "").all()


def test_what_sees_single_units_has_one(sets):
    found = floor(first_unit, sets)
    assert found.distance["self"] == 0
    assert found.relative["rotated copy"] > 0.3
    names = list(sets)[:3]
    x = [sets[name].values.reshape(-1, 5) for name in names]
    halves = np.median([np.linalg.norm(one[:, 0] - one[:, 1]) for one in x])
    between = np.median(
        [np.linalg.norm(x[i][:, 0] - x[j][:, 0]) for i, j in ((0, 1), (0, 2), (1, 2))]
    )
    assert found.relative["split half of units"] == pytest.approx(halves / between)


def test_halves_of_trials_are_other_samples(sets):
    def last_trial(x, y):
        return float(abs(x[-1, 0, 0] - y[-1, 0, 0]))

    found = floor(repsim.metric(view="trajectories")(last_trial), sets)
    values = [one.values[:, 0, 0] for one in list(sets.values())[:3]]
    halves = np.median([abs(x[-2] - x[-1]) for x in values])
    assert len(values[0]) % 2 == 0
    assert found.distance["split half of trials"] == pytest.approx(halves)
    assert floor("procrustes", sets).relative["split half of trials"] > 0.3


def test_a_lone_trial_has_no_halves(sets):
    found = floor("dsa(delays=2, rank=2)", {name: x[:1] for name, x in sets.items()})
    assert "single trial" in found.reason["split half of trials"]
    assert found.reason["self"] == ""


def test_a_similarity_is_turned_into_a_distance(sets):
    found = floor("linear_cka", sets)
    assert found.distance["self"] == pytest.approx(0, abs=1e-9)
    assert found.between.iloc[0] > 0


def test_no_share_where_sets_are_not_told_apart(sets):
    assert floor("constant", sets).relative.isna().all()


def test_a_metric_that_fails_says_why(sets):
    def fails(x, y):
        if x.shape[1] < 5:
            raise ValueError("too few units")
        return first_unit(x, y)

    found = floor(fails, sets)
    assert list(found.index) == list(KINDS)
    assert "too few units" in found.reason["split half of units"]
    assert np.isnan(found.relative["split half of units"])
    assert found.reason["self"] == ""
    assert "truth" in floor("oracle", sets).reason["self"]


def test_examples_are_of_one_block_and_of_different_labels_first():
    case, sets = example_sets([noisy_case()], 0, "controlled", False)
    assert case == "tiny/noise"
    assert list(sets) == ["0.01 0", "0.01 2", "0.01 1", "0.01 3"]
    dynamics = tiny_case("tiny/b", axis="dynamics")
    assert example_sets([noisy_case(), dynamics], 0, "controlled", False)[0] == "tiny/b"
