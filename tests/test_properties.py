"""Properties of the metrics on sets of any shape: symmetry, range, self, invariances, triangle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repsim.checks import declared_sides
from repsim.contract import SIDES, TRANSFORMATIONS
from repsim.examples import random_transformation
from repsim.metrics import METRICS
from repsim.plugins import get_metric

SAMPLES = [name for name in METRICS if get_metric(name).view == "samples"]
STEADY = [name for name in SAMPLES if name != "random"]
STRICT = [name for name in STEADY if get_metric(name).triangle]
PROMISES = [
    (name, transformation)
    for name in STEADY
    for transformation in TRANSFORMATIONS
    if declared_sides(get_metric(name), transformation) == set(SIDES)
]
few = settings(derandomize=True, deadline=None, max_examples=15)
kinds = st.sampled_from(["normal", "low rank", "far", "one unit alone", "heavy tails"])
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(6, 25), st.integers(2, 40), st.integers(2, 40))


def one_set(rng, kind, n_samples, n_units):
    x = rng.standard_normal((n_samples, n_units))
    if kind == "low rank":
        return x[:, :2] @ rng.standard_normal((2, n_units))
    if kind == "far":
        return x + 100 * rng.standard_normal(n_units)
    if kind == "one unit alone":
        return x * (np.arange(n_units) == 0)
    if kind == "heavy tails":
        return x / abs(rng.standard_normal((n_samples, n_units)))
    return x


@st.composite
def pairs(draw):
    rng = np.random.default_rng(draw(seeds))
    n_samples, n_x, n_y = draw(shapes)
    x = one_set(rng, draw(kinds), n_samples, n_x)
    y = one_set(rng, draw(kinds), n_samples, n_y)
    mixing = draw(st.sampled_from([0, 0.3, 3]))
    return x, y + mixing * x @ rng.standard_normal((n_x, n_y))


def size(name, *sets):
    """What a distance is small or large against: procrustes has units, the others have not."""
    return max(np.linalg.norm(x) for x in sets) if name == "procrustes" else 1


def digits(name):
    """debiased_cka divides by what may nearly vanish, an angle near zero is a square root."""
    return {"debiased_cka": 1e-6, "angular_procrustes": 1e-7}.get(name, 1e-9)


@pytest.mark.parametrize("name", STEADY)
@few
@given(pair=pairs())
def test_symmetric(name, pair):
    found = get_metric(name)
    x, y = pair
    tolerance = 1e-12 * size(name, x, y)
    assert found(x, y) == pytest.approx(found(y, x), rel=1e-9, abs=tolerance)


@pytest.mark.parametrize("name", SAMPLES)
@few
@given(pair=pairs())
def test_in_range(name, pair):
    found = get_metric(name)
    low, high = found.range
    assert low - 1e-12 <= found(*pair) <= high + 1e-12


@pytest.mark.parametrize("name", STEADY)
@few
@given(pair=pairs())
def test_nothing_is_closer_than_itself(name, pair):
    found = get_metric(name)
    x, y = pair
    own = found.distance(x, x)
    assert abs(own) <= 1e-7 * size(name, x)
    assert own <= found.distance(x, y) + 1e-12 * size(name, x)


@pytest.mark.parametrize(("name", "transformation"), PROMISES)
@few
@given(pair=pairs(), seed=seeds)
def test_invariance(name, transformation, pair, seed):
    found = get_metric(name)
    x, y = pair
    rng = np.random.default_rng(seed)
    move_x, move_y = (random_transformation(transformation, a.shape[1], rng) for a in pair)
    before = found(x, y)
    tolerance = digits(name) * size(name, x, y)
    for moved in ((move_x(x), y), (x, move_y(y)), (move_x(x), move_y(y))):
        assert found(*moved) == pytest.approx(before, abs=tolerance)


@pytest.mark.parametrize("name", STRICT)
@few
@given(pair=pairs(), third=seeds, share=st.floats(0, 1))
def test_triangle(name, pair, third, share):
    found = get_metric(name)
    x, y = pair
    rng = np.random.default_rng(third)
    width = max(x.shape[1], y.shape[1])
    wide = [np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in pair]
    between = share * wide[0] + (1 - share) * wide[1] + 0.01 * rng.standard_normal(wide[0].shape)
    for a, b, c in ((x, between, y), (x, y, between), (between, x, y)):
        detour = found(a, b) + found(b, c)
        assert found(a, c) <= detour * (1 + 1e-9) + 1e-9 * size(name, x, y)


@pytest.mark.parametrize("name", STEADY)
@few
@given(pair=pairs(), seed=seeds)
def test_order_of_the_samples_does_not_matter(name, pair, seed):
    found = get_metric(name)
    x, y = pair
    order = np.random.default_rng(seed).permutation(len(x))
    tolerance = digits(name) * size(name, x, y)
    assert found(x[order], y[order]) == pytest.approx(found(x, y), abs=tolerance)
