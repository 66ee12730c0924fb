"""Textbook formulae, closed forms, another library's linear algebra, and published values."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial.distance import pdist, squareform

from repsim.metrics.linear_cka import linear_cka
from repsim.metrics.procrustes import procrustes
from repsim.metrics.rbf_cka import median_distance, squared_distances
from repsim.plugins import get_metric

SIZES = [(60, 8, 8), (40, 5, 17), (20, 33, 45), (12, 30, 4)]
CKAS = ("linear_cka", "debiased_cka", "rbf_cka")
SCALE_FREE = (*CKAS, "angular_procrustes")


def random_pair(n_samples=60, n_x=8, n_y=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_samples, n_x))
    return x, x @ rng.standard_normal((n_x, n_y)) * 0.5 + rng.standard_normal((n_samples, n_y))


def centred(x):
    return x - x.mean(axis=0)


def turn_slightly(x, angle):
    """x turned by one angle in the plane of its first two units."""
    turn = np.eye(x.shape[1])
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return x @ turn


@pytest.fixture(params=SIZES, ids=lambda size: "x".join(map(str, size)))
def pair(request):
    return random_pair(*request.param)


# Values of this pair on which rsatoolbox, netrep, Brain-Score and others agree.
@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("linear_cka", 0.6449689642178887, 1e-10),
        ("debiased_cka", 0.6058840432511845, 1e-10),
        ("rbf_cka", 0.66172291, 5e-9),  # eight digits are known
        ("procrustes", 24.71966946308495, 1e-10),
        ("angular_procrustes", 0.7313667366230407, 1e-10),
    ],
)
def test_published_values(name, value, tolerance):
    assert get_metric(name)(*random_pair()) == pytest.approx(value, abs=tolerance, rel=0)


def test_published_similarity_and_normalised_distance():
    x, y = random_pair()
    similarity = np.cos(get_metric("angular_procrustes")(x, y))
    assert similarity == pytest.approx(0.7442623, abs=5e-8)  # seven digits are known
    x, y = (centred(a) / np.linalg.norm(centred(a)) for a in (x, y))
    normalised = get_metric("procrustes")(x, y)
    assert normalised == pytest.approx(0.7151751233167437, abs=1e-10)
    assert normalised**2 == pytest.approx(2 - 2 * similarity, abs=1e-12)
    assert normalised**2 == pytest.approx(0.5114754570, abs=1e-10)


def song_hsic(k, ell):
    """The U-statistic of Song et al. 2012, eq. 5, with diagonals set to zero."""
    n = len(k)
    k, ell = k - np.diag(np.diag(k)), ell - np.diag(np.diag(ell))
    one = np.ones(n)
    trace = np.trace(k @ ell)
    sums = (one @ k @ one) * (one @ ell @ one) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * (one @ k @ ell @ one)) / (n * (n - 3))


@pytest.mark.parametrize("shift", [0, 5])
def test_debiased_cka_is_the_u_statistic(pair, shift):
    x, y = (a + shift for a in pair)
    k, ell = x @ x.T, y @ y.T
    song = song_hsic(k, ell) / np.sqrt(song_hsic(k, k) * song_hsic(ell, ell))
    assert get_metric("debiased_cka")(x, y) == pytest.approx(song, abs=1e-11)


def test_u_statistic_averages_over_all_quadruples():
    """HSIC as an expectation over four different samples: no formula with matrices involved."""
    x, y = random_pair(7, 2, 3)
    k, ell = x @ x.T, y @ y.T
    terms = [
        k[i, j] * ell[i, j] + k[i, j] * ell[q, r] - 2 * k[i, j] * ell[i, q]
        for i, j, q, r in itertools.permutations(range(7), 4)
    ]
    assert song_hsic(k, ell) == pytest.approx(np.mean(terms), abs=1e-11)


def test_linear_cka_from_samples_and_from_units(pair):
    x, y = map(centred, pair)
    covariance = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    k, ell = x @ x.T, y @ y.T
    gram = np.sum(k * ell) / (np.linalg.norm(k) * np.linalg.norm(ell))
    assert covariance == pytest.approx(gram, abs=1e-13)
    assert get_metric("linear_cka")(*pair) == pytest.approx(gram, abs=1e-13)


@pytest.mark.parametrize("name", ["linear_cka", "debiased_cka", "procrustes", "angular_procrustes"])
def test_units_that_are_silent_change_nothing(name, pair):
    """Padding with silent units turns the covariance side into the Gram side."""
    x, y = pair
    padded = [np.pad(a, ((0, 0), (0, 70 - a.shape[1]))) for a in pair]
    assert get_metric(name)(*padded) == pytest.approx(get_metric(name)(x, y), rel=1e-12)


def test_the_smaller_side_is_formed():
    tall, wide = np.random.default_rng(0).standard_normal((2, 30, 30))
    assert linear_cka.prepare(tall[:, :20])[1] is None
    assert linear_cka.prepare(wide[:20])[1].shape == (20, 20)
    assert procrustes.prepare(wide[:20]).shape == (20, 20)


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 4.0])
def test_rbf_cka_is_the_loop_over_centred_kernels(pair, bandwidth):
    def centred_kernel(x):
        width = bandwidth * np.median(pdist(x))
        n = len(x)
        centring = np.eye(n) - 1 / n
        kernel = np.empty((n, n))
        for i, j in itertools.product(range(n), repeat=2):
            kernel[i, j] = np.exp(-np.sum((x[i] - x[j]) ** 2) / (2 * width**2))
        return centring @ kernel @ centring

    k, ell = map(centred_kernel, pair)
    value = np.sum(k * ell) / (np.linalg.norm(k) * np.linalg.norm(ell))
    found = get_metric("rbf_cka", bandwidth=bandwidth)(*pair)
    assert found == pytest.approx(value, abs=1e-12)


def test_wide_rbf_cka_tends_to_linear_cka():
    x, y = random_pair()
    wide = get_metric("rbf_cka", bandwidth=300.0)(x, y)
    assert wide == pytest.approx(get_metric("linear_cka")(x, y), abs=1e-4)


def test_squared_distances_and_their_median(pair):
    x, _ = pair
    squared = squared_distances(x)
    assert np.allclose(squared, squareform(pdist(x, "sqeuclidean")), atol=1e-12)
    assert np.all(np.diag(squared) == 0)
    assert median_distance(squared) == pytest.approx(np.median(pdist(x)), abs=1e-12)


def test_procrustes_is_scipys_after_padding(pair):
    x, y = pair
    width = max(x.shape[1], y.shape[1])
    padded = [np.pad(centred(a), ((0, 0), (0, width - a.shape[1]))) for a in pair]
    turn, _ = scipy.linalg.orthogonal_procrustes(*padded)
    residual = np.linalg.norm(padded[0] @ turn - padded[1])
    assert get_metric("procrustes")(x, y) == pytest.approx(residual, abs=1e-11)


def test_procrustes_closed_form(pair):
    x, y = map(centred, pair)
    nuclear = np.linalg.svd(x.T @ y, compute_uv=False).sum()
    squared = np.linalg.norm(x) ** 2 + np.linalg.norm(y) ** 2 - 2 * nuclear
    assert get_metric("procrustes")(*pair) ** 2 == pytest.approx(squared, rel=1e-12)
    similarity = nuclear / (np.linalg.norm(x) * np.linalg.norm(y))
    assert get_metric("angular_procrustes")(*pair) == pytest.approx(
        np.arccos(similarity), abs=1e-13
    )


@pytest.mark.parametrize("angle", [1e-2, 1e-5, 1e-7, 1e-9])
def test_small_angles_keep_their_digits(angle):
    """A stretch of one unit is no rotation; the arccos of the similarity would lose it."""
    x = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) / 2
    y = x * [1, 1 + angle]
    exact = np.arctan2(angle, 2 + angle)  # between (1, 1) and (1, 1 + angle)
    found = get_metric("angular_procrustes")(x, y)
    assert found == pytest.approx(exact, rel=1e-6)
    if angle <= 1e-9:
        similarity = np.linalg.svd(x.T @ y, compute_uv=False).sum()
        lost = np.arccos(min(1, similarity / (np.linalg.norm(x) * np.linalg.norm(y))))
        assert lost == 0 or lost > 10 * exact


@pytest.mark.parametrize("angle", [1e-9, 1e-3, 1.0])
@pytest.mark.parametrize("name", [*CKAS, "procrustes", "angular_procrustes"])
def test_rotations_cost_nothing(name, angle):
    x, _ = random_pair()
    assert abs(get_metric(name).distance(x, turn_slightly(x, angle))) < 2e-13


@pytest.mark.parametrize("name", [*CKAS, "procrustes", "angular_procrustes"])
def test_distance_to_itself_is_zero(name, pair):
    x, y = pair
    size = np.linalg.norm(x) if name == "procrustes" else 1
    assert abs(get_metric(name).distance(x, x)) < 1e-14 * size
    assert get_metric(name).distance(x, y) > 1e-2


@pytest.mark.parametrize("scale", [1e-120, 1e-9, 1e9, 1e120])
@pytest.mark.parametrize("name", SCALE_FREE)
def test_any_scale_gives_the_same_value(name, scale):
    x, y = random_pair()
    found = get_metric(name)
    assert found(scale * x, y) == pytest.approx(found(x, y), rel=1e-12)


def test_orthogonal_directions_are_a_right_angle_apart():
    x = np.array([[1.0], [-1], [0], [0]])
    y = np.array([[0.0], [0], [1], [-1]])
    assert get_metric("angular_procrustes")(x, y) == pytest.approx(np.pi / 2, abs=1e-15)
    assert get_metric("linear_cka")(x, y) == 0
    assert get_metric("procrustes")(x, y) == pytest.approx(2, abs=1e-15)
    assert get_metric("procrustes")(3 * x, y) == pytest.approx(np.sqrt(20), abs=1e-14)


def test_unrelated_sets_with_many_units():
    """With more units than samples the biased estimate finds noise alike."""
    values = {"linear_cka": [], "debiased_cka": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((2, 30, 300))
        for name, found in values.items():
            found.append(get_metric(name)(*noise))
    assert np.mean(values["linear_cka"]) > 0.85
    assert abs(np.mean(values["debiased_cka"])) < 0.02


def test_two_samples_leave_nothing_to_compare():
    x, y = random_pair(2, 3, 4)
    assert get_metric("linear_cka")(x, y) == pytest.approx(1)
    assert get_metric("angular_procrustes")(x, y) == pytest.approx(0, abs=1e-15)
