"""Which way a metric points, and what may stand in for one: a function, a lambda, a declaration."""

import numpy as np
import pytest

import repsim
from repsim.checks import check_direction
from repsim.errors import RepsimError
from repsim.metrics import METRICS
from repsim.plugins import get_metric

NEEDS_ACTIVATIONS = [name for name in METRICS if name != "oracle"]


def samples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 5))
    return x, x + rng.standard_normal(x.shape)


def overlap(x, y):
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def gap(x, y):
    return np.linalg.norm(x - y)


def test_a_similarity_taken_for_a_distance_is_told():
    with pytest.raises(RepsimError) as told:
        check_direction(get_metric(overlap))
    sentence = str(told.value)
    assert "overlap(x, x) = 1 is larger than overlap(x, y) = 0." in sentence
    assert "it looks like a similarity" in sentence
    assert 'Declare it: repsim.metric(kind="similarity")(overlap).' in sentence


def test_a_distance_declared_a_similarity_is_told():
    with pytest.raises(RepsimError) as told:
        check_direction(repsim.metric(gap, kind="similarity"))
    sentence = str(told.value)
    assert "gap(x, x) = 0 is smaller than gap(x, y) = " in sentence
    assert "it looks like a distance" in sentence
    assert 'repsim.metric(kind="distance")(gap)' in sentence


def test_the_advice_mends_it():
    check_direction(repsim.metric(kind="similarity")(overlap))
    check_direction(repsim.metric(kind="distance")(gap))


@pytest.mark.parametrize("name", NEEDS_ACTIVATIONS)
def test_ours_point_the_right_way(name):
    check_direction(get_metric(name))


@pytest.mark.parametrize("name", NEEDS_ACTIVATIONS)
def test_distance_turns_a_similarity(name):
    x = np.random.default_rng(0).standard_normal((7, 20, 3))
    y = np.random.default_rng(1).standard_normal((7, 20, 3))
    found = get_metric(name)
    if "rank" in found.parameters:
        found = found.with_parameters(delays=3, rank=4)
    value = found(x, y, rng=np.random.default_rng(0))
    distance = found.distance(x, y, rng=np.random.default_rng(0))
    assert distance == (1 - value if found.kind == "similarity" else value)


def test_a_lambda_is_a_metric():
    x, y = samples()
    found = get_metric(lambda a, b: abs(a - b).mean())
    assert found(x, y) == pytest.approx(abs(x - y).mean())
    assert isinstance(found(x, y), float)
    assert found.invariant_to is None
    assert found.symmetric is None
    assert found.code


def test_compare_takes_a_lambda():
    x, y = samples()
    table = repsim.compare({"one": x, "two": y}, metric=lambda a, b: (a - b).mean())
    assert table.attrs["metric"] == "metric"
    assert float(table.sel(x="one", y="two")) == pytest.approx((x - y).mean())
    assert float(table.sel(x="two", y="one")) == pytest.approx((y - x).mean())
    assert np.all(np.diag(table) == 0)


def test_two_lambdas_have_two_codes():
    first = get_metric(lambda a, b: abs(a - b).mean())
    second = get_metric(lambda a, b: abs(a - b).max())
    assert first.code != second.code


def test_a_changed_default_or_closure_changes_the_code():
    def power(default, factor):
        def found(x, y, *, exponent=default):
            return factor * gap(x, y) ** exponent

        return get_metric(found)

    assert power(1, 1).code == power(1, 1).code
    assert power(1, 1).code != power(2, 1).code
    assert power(1, 1).code != power(1, 2).code


def test_the_decorator_with_and_without_facts():
    @repsim.metric
    def plain(x, y):
        return gap(x, y)

    @repsim.metric(kind="similarity", invariant_to="translation", name="alike")
    def declared(x, y, *, power=1):
        return overlap(x, y) ** power

    assert (plain.name, plain.kind, plain.best, plain.range) == (
        "plain",
        "distance",
        0,
        (0, np.inf),
    )
    assert (declared.name, declared.best, declared.range) == ("alike", 1, (-np.inf, 1))
    assert declared.invariant_to == {"translation"}
    x, y = samples()
    assert declared.with_parameters(power=2)(x, y) == pytest.approx(declared(x, y) ** 2)
    assert declared.with_parameters(power=2).id == "alike(power=2)"
    assert declared.with_parameters(power=1).id == "alike"


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"kind": "closeness"}, "gap: kind is 'closeness'; it is one of distance, similarity."),
        ({"view": "images"}, "gap: view is 'images'; it is one of samples, trajectories"),
        ({"invariant_to": {"rotation"}}, "gap: invariant_to holds 'rotation'; use translation, "),
        ({"invariant_to": "translation:z"}, "holds 'translation:z'.*:x, :y or :both"),
    ],
)
def test_wrong_facts_are_refused(facts, sentence):
    with pytest.raises(RepsimError, match=sentence):
        repsim.metric(gap, **facts)


def test_unknown_parameters_and_things_are_refused():
    with pytest.raises(RepsimError, match=r"rbf_cka has no parameter 'width'. It has: bandwidth."):
        get_metric("rbf_cka", width=2)
    with pytest.raises(RepsimError, match="3 is no metric"):
        get_metric(3)
    with pytest.raises(RepsimError, match=r"needs weight; write pulled\(weight=...\)"):
        get_metric(pulled)(*samples())


def pulled(x, y, *, weight):
    return weight * gap(x, y)
