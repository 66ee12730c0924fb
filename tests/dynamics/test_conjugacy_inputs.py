"""What conjugacy takes for an operator, and what it refuses."""

import numpy as np
import pytest
import torch

from repsim.dynamics import conjugacy
from repsim.errors import RepsimError


@pytest.fixture(scope="module")
def pairs():
    return np.random.default_rng(0).standard_normal((2, 3, 6, 6))


@pytest.mark.parametrize("dtype", [">f8", np.longdouble])
def test_other_floats_count_as_what_they_hold(pairs, dtype):
    a, b = pairs
    assert conjugacy(a.astype(dtype), b).angle.tobytes() == conjugacy(a, b).angle.tobytes()


@pytest.mark.parametrize("scale", [2.0**1000, 2.0**-900])
def test_squares_too_large_or_small_for_a_float_are_no_hindrance(pairs, scale):
    a, b = pairs
    assert conjugacy(scale * a, b).angle.tobytes() == conjugacy(a, b).angle.tobytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_default_precision_of_torch_changes_nothing(pairs, dtype):
    expected = conjugacy(*pairs).angle.tobytes()
    torch.set_default_dtype(dtype)
    try:
        assert conjugacy(*pairs).angle.tobytes() == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_seed_is_a_whole_number(pairs):
    assert conjugacy(*pairs, seed=np.int64(0)).angle.tobytes() == conjugacy(*pairs).angle.tobytes()
    with pytest.raises(RepsimError, match=r"seed is 3\.5; give a whole number"):
        conjugacy(*pairs, seed=3.5)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((3, 3)), np.eye(3), "a holds a zero operator"),
        (np.eye(3), np.full((3, 3), np.nan), "b holds NaN"),
        (np.ones((3, 4)), np.eye(3), r"a has shape \(3, 4\)"),
        (np.eye(3) * 1j, np.eye(3), "a is complex"),
        (np.ones((2, 3, 3)), np.ones((4, 3, 3)), "a holds 2 operators and b holds 4"),
        ([["1", "2"], ["3", "4"]], np.eye(2), "a holds <U1; operators are arrays of numbers"),
        (np.eye(2), None, "b holds object"),
        ([[1, 2], [3]], np.eye(2), "a cannot be read as an array"),
    ],
)
def test_what_is_no_operator_is_refused(a, b, message):
    with pytest.raises(RepsimError, match=message):
        conjugacy(a, b)
