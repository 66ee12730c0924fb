"""Distances between spectra: closed forms, unequal sizes, axioms and gradients."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from repsim.dynamics.spectra import spectral_distance, transport_plan
from repsim.errors import RepsimError

ORDERS = [1, 2, 3.5]
few = settings(derandomize=True, deadline=None, max_examples=40)


def eigenvalues():
    part = st.floats(-2, 2, allow_subnormal=False)
    values = st.builds(complex, part, part)
    return st.integers(1, 5).flatmap(lambda n: arrays.arrays(complex, n, elements=values))


def random_spectrum(n, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, n) * np.exp(1j * rng.uniform(-np.pi, np.pi, n))


def test_closed_form():
    first, second = np.array([0.9, 0.5, 0.2]), np.array([0.8, 0.1, 0.2])
    assert spectral_distance(first, second) == pytest.approx(np.sqrt(0.11 / 3), abs=1e-15)
    assert spectral_distance(first, second) == pytest.approx(0.19149, abs=1e-5)
    assert spectral_distance(first, second, 1) == pytest.approx(0.5 / 3, abs=1e-15)


def test_two_points_of_the_circle():
    first, second = np.array([1, -1 + 0j]), np.array([1j, -1j])
    for order in ORDERS:
        assert spectral_distance(first, second, order) == pytest.approx(np.sqrt(2), abs=1e-14)


def test_unequal_sizes_by_hand():
    """0 and 3 against 0, 1, 2: each of the two sends 1/3 to its neighbour and 1/6 to the middle."""
    first, second = np.array([0.0, 3.0]), np.array([0.0, 1.0, 2.0])
    assert spectral_distance(first, second, 1) == pytest.approx(1 / 6 + 2 / 6 + 1 / 3, abs=1e-12)
    squared = 1 / 6 + 4 / 6 + 1 / 3
    assert spectral_distance(first, second, 2) == pytest.approx(np.sqrt(squared), abs=1e-12)


def test_one_against_many_is_the_mean():
    many = random_spectrum(6, 0)
    gaps = abs(many - 0.3)
    assert spectral_distance(np.array([0.3 + 0j]), many, 1) == pytest.approx(gaps.mean())
    assert spectral_distance(np.array([0.3 + 0j]), many, 2) == pytest.approx(
        np.sqrt((gaps**2).mean())
    )


@pytest.mark.parametrize("order", ORDERS)
def test_best_of_all_assignments(order):
    first, second = random_spectrum(5, 0), random_spectrum(5, 1)
    costs = [
        np.mean(abs(first - second[list(chosen)]) ** order)
        for chosen in itertools.permutations(range(5))
    ]
    assert spectral_distance(first, second, order) == pytest.approx(min(costs) ** (1 / order))


@pytest.mark.parametrize("order", ORDERS)
def test_repeating_every_eigenvalue_changes_nothing(order):
    """Weights are shares: the programme for unequal sizes meets the assignment for equal ones."""
    first, second = random_spectrum(4, 0), random_spectrum(6, 1)
    unequal = spectral_distance(first, second, order)
    equal = spectral_distance(np.repeat(first, 3), np.repeat(second, 2), order)
    assert unequal == pytest.approx(equal, rel=1e-9)


@pytest.mark.parametrize("size", [1e12, 1e-4, 1e-8])
def test_unequal_sizes_at_any_scale(size):
    """Near one another on the circle, as the spectra of slow and finely sampled systems are."""
    for seed in range(10):
        first, second = (
            1 + size * random_spectrum(6, seed),
            1 + size * random_spectrum(9, seed + 50),
        )
        equal = spectral_distance(np.repeat(first, 3), np.repeat(second, 2))
        assert spectral_distance(first, second) == pytest.approx(equal, rel=1e-12)


def test_points_that_nearly_agree_but_for_how_often_they_stand_there():
    rng = np.random.default_rng(0)
    for _ in range(10):
        points = rng.standard_normal(3) + 1j * rng.standard_normal(3)
        first, second = (np.repeat(points, k) + 1e-5 * rng.standard_normal(3 * k) for k in (2, 3))
        equal = spectral_distance(np.repeat(first, 3), np.repeat(second, 2))
        assert equal < 1e-4
        assert spectral_distance(first, second) == pytest.approx(equal, rel=1e-3)


def test_whole_numbers_and_lists_count_as_what_they_say():
    exact = pytest.approx(np.sqrt(2.5), rel=1e-15)
    assert spectral_distance(np.array([1, 2]), np.array([2, 4])) == exact
    assert spectral_distance([1, 2], np.array([2.0, 4.0])) == exact
    for pair in ((torch.tensor([1, 2]), np.array([2, 4])), ([1, 2], torch.tensor([2.0, 4.0]))):
        distance = spectral_distance(*pair)
        assert isinstance(distance, torch.Tensor)
        assert distance.item() == pytest.approx(np.sqrt(2.5), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"a has shape \(0,\); give the eigenvalues of one operator"),
        (np.ones((2, 2)), r"a has shape \(2, 2\)"),
        (None, r"a has shape \(\)"),
        ([1, np.nan], "a holds NaN or infinite eigenvalues"),
        (["1", "2"], "a holds <U1; eigenvalues are numbers"),
    ],
)
def test_what_is_no_spectrum_is_refused(values, message):
    with pytest.raises(RepsimError, match=message):
        spectral_distance(values, np.ones(2))


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5), (1, 7)])
def test_plan_has_uniform_margins(n, m):
    plan = transport_plan(np.random.default_rng(0).uniform(size=(n, m)))
    assert plan.shape == (n, m)
    assert np.all(plan >= 0)
    assert np.allclose(plan.sum(axis=1), 1 / n, atol=1e-12)
    assert np.allclose(plan.sum(axis=0), 1 / m, atol=1e-12)


def test_larger_orders_are_larger():
    first, second = random_spectrum(6, 0), random_spectrum(6, 1)
    distances = [spectral_distance(first, second, order) for order in (1, 2, 4)]
    assert distances == sorted(distances)


@few
@given(eigenvalues(), eigenvalues(), eigenvalues(), st.sampled_from(ORDERS))
def test_triangle_inequality(a, b, c, order):
    direct = spectral_distance(a, c, order)
    detour = spectral_distance(a, b, order) + spectral_distance(b, c, order)
    assert direct <= detour + 1e-9


@few
@given(eigenvalues(), eigenvalues(), st.sampled_from(ORDERS))
def test_symmetric_and_not_negative(a, b, order):
    distance = spectral_distance(a, b, order)
    assert distance >= 0
    assert distance == pytest.approx(spectral_distance(b, a, order), abs=1e-9)


@few
@given(eigenvalues(), st.randoms(use_true_random=False), st.sampled_from(ORDERS))
def test_order_of_the_eigenvalues_does_not_matter(a, random, order):
    shuffled = list(a)
    random.shuffle(shuffled)
    assert spectral_distance(a, np.array(shuffled), order) == 0


@few
@given(eigenvalues(), eigenvalues(), st.floats(0, 2 * np.pi), st.floats(0.1, 10))
def test_turning_and_stretching_the_plane(a, b, angle, stretch):
    turned = stretch * np.exp(1j * angle)
    expected = stretch * spectral_distance(a, b)
    assert spectral_distance(turned * a, turned * b) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5)])
@pytest.mark.parametrize("order", [1, 2])
def test_gradient_matches_finite_differences(n, m, order):
    first = torch.tensor(random_spectrum(n, 0), requires_grad=True)
    second = torch.tensor(random_spectrum(m, 1), requires_grad=True)
    distance = spectral_distance(first, second, order)
    assert isinstance(distance, torch.Tensor)
    assert distance.item() == pytest.approx(
        spectral_distance(random_spectrum(n, 0), random_spectrum(m, 1), order)
    )
    assert torch.autograd.gradcheck(
        lambda a, b: spectral_distance(a, b, order), (first, second), atol=1e-6
    )


def test_gradient_at_equal_spectra_is_finite():
    first = torch.tensor(random_spectrum(4, 0), requires_grad=True)
    distance = spectral_distance(first, first.detach().clone())
    assert distance.item() == 0
    (gradient,) = torch.autograd.grad(distance, first)
    assert torch.isfinite(torch.view_as_real(gradient)).all()


@pytest.mark.parametrize("order", [0, 0.5, -1, float("nan"), float("inf"), "2", None])
def test_order_below_one_is_refused(order):
    with pytest.raises(RepsimError, match=r"order is .*; a Wasserstein distance needs order >= 1"):
        spectral_distance(np.ones(2), np.ones(2), order)
