import numpy as np
import pytest
from scipy.spatial.distance import cdist

from repsim.scaling import classical_scaling


@pytest.mark.parametrize("n", [2, 3, 9])
def test_points_of_a_plane_are_found_again(n):
    points = np.random.default_rng(n).standard_normal((n, 2))
    found, kept = classical_scaling(cdist(points, points))
    np.testing.assert_allclose(cdist(found, found), cdist(points, points), atol=1e-7)
    assert kept == pytest.approx(1)


def test_what_is_kept_is_the_share_of_two_axes():
    points = np.diag([3.0, 2.0, 1.0])
    points = np.concatenate([points, -points])  # variances 9 : 4 : 1
    _, kept = classical_scaling(cdist(points, points))
    assert kept == pytest.approx(13 / 14)


def test_the_same_distances_give_the_same_points_in_any_orientation():
    points = np.random.default_rng(0).standard_normal((6, 2))
    turned = points @ np.array([[0.6, -0.8], [-0.8, -0.6]])
    found = [classical_scaling(cdist(one, one))[0] for one in (points, turned)]
    np.testing.assert_allclose(*found, atol=1e-9)


def test_both_directions_count_alike_and_the_diagonal_does_not():
    upper = np.array([[0.0, 3.0, 4.0], [1.0, 0.0, 5.0], [2.0, 1.0, 0.0]])
    plain = (upper + upper.T) / 2
    noisy = upper + np.diag([0.3, 0.2, 0.1])
    np.testing.assert_allclose(classical_scaling(noisy)[0], classical_scaling(plain)[0], atol=1e-12)


@pytest.mark.parametrize("n", [1, 4])
def test_sets_that_are_not_told_apart_are_one_point(n):
    points, kept = classical_scaling(np.zeros((n, n)))
    assert (points == 0).all()
    assert kept == 1
