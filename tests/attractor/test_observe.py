import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from repsim.errors import InputError
from testcases.attractor import observe

MAPS = [
    observe.random_orthogonal,
    observe.linear,
    observe.smooth_embedding,
    observe.relu_population,
    observe.cosine_tuning,
]
INJECTIVE = MAPS[:3]
each_map = pytest.mark.parametrize("draw", MAPS, ids=lambda draw: draw.__name__)
each_injective = pytest.mark.parametrize("draw", INJECTIVE, ids=lambda draw: draw.__name__)
STATES = np.random.default_rng(9).standard_normal((20, 30, 3))


def jacobian(see, point, step=1e-5):
    """(unit, dim) by central differences."""
    moves = step * np.eye(len(point))
    return np.stack([(see(point + move) - see(point - move)) / (2 * step) for move in moves], 1)


@each_map
def test_a_map_is_a_fixed_function_of_states_drawn_by_its_seed(draw):
    see, again, other = (draw(np.random.default_rng(seed), 3, 11) for seed in (0, 0, 1))
    seen = see(STATES)
    assert seen.shape == (20, 30, 11)
    np.testing.assert_array_equal(seen, again(STATES))
    np.testing.assert_allclose(seen[2, 5], see(STATES[2, 5]), atol=1e-12)
    assert not np.allclose(seen, other(STATES))


@each_injective
@pytest.mark.parametrize("n_units", [3, 15])
def test_distinct_states_stay_distinct_and_no_direction_is_lost(draw, n_units):
    points = STATES.reshape(-1, 3)
    for seed in range(5):
        see = draw(np.random.default_rng(seed), 3, n_units)
        stretch = pdist(see(points)) / pdist(points)
        conditions = [np.linalg.cond(jacobian(see, point)) for point in points[:50]]
        assert stretch.min() > 1e-3
        assert max(conditions) < 300


def test_the_orthogonal_map_keeps_distances_and_the_linear_map_straight_lines():
    points = STATES.reshape(-1, 3)
    turned = observe.random_orthogonal(np.random.default_rng(0), 3, 7)(points)
    np.testing.assert_allclose(pdist(turned), pdist(points), rtol=1e-12)
    see = observe.linear(np.random.default_rng(0), 3, 7)
    np.testing.assert_allclose(see(points[0] + 2 * points[1]), see(points[0]) + 2 * see(points[1]))
    weights = jacobian(observe.linear(np.random.default_rng(0), 3, 20000), np.zeros(3))
    assert weights.var() == pytest.approx(1 / 3, rel=0.03)


def test_orthogonal_maps_are_uniformly_distributed():
    """One unit's weight on one of 3 dimensions, 3 units: uniform in [-1, 1] (Archimedes)."""
    rng = np.random.default_rng(0)
    weights = [observe.random_orthogonal(rng, 3, 3)(np.eye(3))[0, 0] for _ in range(500)]
    assert kstest(weights, "uniform", (-1, 2)).pvalue > 0.01


def test_the_smooth_embedding_inverts_layer_by_layer():
    """Undone by Newton's method on each monotone bend and by the transposed rotations."""
    rng, n_units, leak = np.random.default_rng(3), 6, 0.2
    seen = observe.smooth_embedding(np.random.default_rng(3), 3, n_units)(STATES)
    enter = observe._orthonormal(rng, 3, n_units)
    layers = [(rng.standard_normal(n_units), observe._orthonormal(rng, 6, 6)) for _ in range(2)]
    for shift, rotation in reversed(layers):
        wanted = seen @ rotation.T
        low, high = np.full_like(wanted, -50), np.full_like(wanted, 50)
        for _ in range(70):
            middle = (low + high) / 2
            below = leak * middle + np.tanh(middle + shift) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        seen = middle
    np.testing.assert_allclose(seen @ enter.T / (n_units / 3) ** 0.5, STATES, atol=1e-6)


def explained_by_a_line(seen):
    flat = np.column_stack([STATES.reshape(-1, 3), np.ones(600)])
    target = seen.reshape(600, -1)
    left = target - flat @ np.linalg.lstsq(flat, target, rcond=None)[0]
    return 1 - left.var(0).sum() / target.var(0).sum()


def test_more_layers_bend_more():
    curves = [
        np.mean([
            explained_by_a_line(
                observe.smooth_embedding(np.random.default_rng(seed), 3, 15, layers)(STATES)
            )
            for seed in range(5)
        ])
        for layers in (0, 1, 2, 4)
    ]  # fmt: skip
    assert curves[0] == pytest.approx(1)
    assert curves[0] > curves[1] > curves[2] > curves[3]
    assert curves[2] < 0.9


def test_rates_rise_along_a_preferred_direction_or_are_silent():
    see = observe.relu_population(np.random.default_rng(0), 3, 40)
    assert see(STATES).min() == 0
    slopes = np.linalg.norm(jacobian(see, STATES[0, 0]), axis=1)
    silent = see(STATES[0, 0]) == 0
    assert 5 < silent.sum() < 35
    np.testing.assert_allclose(slopes, ~silent, atol=1e-8)


def test_cosines_have_mean_square_one_half():
    """The phase is uniform, whatever the state."""
    seen = observe.cosine_tuning(np.random.default_rng(0), 3, 5000)(STATES[0])
    assert abs(seen).max() <= 1
    np.testing.assert_allclose((seen**2).mean(-1), 0.5, atol=0.03)


def test_bumps_keep_angles_apart_and_sharpen_from_a_circle_to_boxes():
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    energy = {}
    for sharpness in (0.1, 3.0, 1000.0):
        seen = observe.bump_tuning(np.random.default_rng(0), 20, sharpness)(angles)
        assert seen.shape == (200, 20)
        np.testing.assert_allclose(seen.mean(), 0.5, atol=0.01)  # a bump and its opposite make 1
        values = np.linalg.svd(seen - seen.mean(0), compute_uv=False) ** 2
        energy[sharpness] = values[:2].sum() / values.sum()
    assert pdist(observe.bump_tuning(np.random.default_rng(0), 20, 3.0)(angles)).min() > 0.01
    assert energy[0.1] > 0.9999
    # A box has (4 / pi k)^2 / 2 of its variance at odd harmonics k: 8 / pi^2 at the first.
    assert energy[1000.0] == pytest.approx(8 / np.pi**2, abs=0.02)
    assert energy[0.1] > energy[3.0] > energy[1000.0]


def test_more_dimensions_than_units_are_refused():
    for draw in (observe.random_orthogonal, observe.smooth_embedding):
        with pytest.raises(InputError, match="3 dimensions do not fit into 2 units"):
            draw(np.random.default_rng(0), 3, 2)


def test_standardised_states_have_mean_nought_and_deviation_one():
    states = observe.standardised(STATES * [1, 5, 0.1] + [3, -2, 0])
    np.testing.assert_allclose(states.mean((0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(states.std((0, 1)), 1)


def test_mean_and_variance_of_poisson_counts_are_the_rate():
    rates = np.array([0.2, 1.0, 9.0])
    counts = observe.poisson_counts(np.tile(rates, (200, 100, 1)), np.random.default_rng(0))
    assert counts.dtype == float
    np.testing.assert_array_equal(counts, counts.round())
    np.testing.assert_allclose(counts.mean((0, 1)), rates, rtol=0.03)
    np.testing.assert_allclose(counts.var((0, 1)), rates, rtol=0.05)
    with pytest.raises(InputError, match=r"rate of -0\.5"):
        observe.poisson_counts(np.array([1.0, -0.5]), np.random.default_rng(0))


@pytest.mark.parametrize("snr", [100.0, 1.0, 0.1])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_noise_has_the_stated_size_and_shared_part(snr, shared):
    activity = np.tile(STATES, (10, 1, 1)) * [1.0, 10.0, 0.1]
    noise = observe.add_noise(activity, snr, np.random.default_rng(0), shared) - activity
    np.testing.assert_allclose(activity.var((0, 1)) / noise.var((0, 1)), snr, rtol=0.05)
    correlations = np.corrcoef(noise.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(correlations, shared, atol=0.04)
    across_time = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]
    assert abs(across_time) < 0.04
