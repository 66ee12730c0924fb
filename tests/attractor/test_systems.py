import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from testcases.attractor import systems

STRICT = {"rtol": 1e-12, "atol": 1e-12}
ALL = [
    systems.point_attractor((1.0, 2.0)),
    systems.line_attractor(),
    systems.plane_attractor(),
    systems.ring_attractor(),
    systems.van_der_pol(),
    systems.stuart_landau(1.0, 3.0, 0.5),
    systems.hopf(),
    systems.double_well(),
    systems.duffing(),
    systems.lorenz(),
    systems.roessler(),
]
each_system = pytest.mark.parametrize("system", ALL, ids=lambda system: system.name)


def jacobian(flow, point, step=1e-6):
    """Central differences, (dim, dim): row i the gradient of velocity i."""
    moves = step * np.eye(len(point))
    return np.stack([(flow(point + move) - flow(point - move)) / (2 * step) for move in moves], 1)


def eigenvalues(flow, point):
    return np.sort_complex(np.linalg.eigvals(jacobian(flow, np.asarray(point, dtype=float))))


def exact(flow, start, times):
    """Trajectories by an adaptive solver, (trial, time, dim)."""
    runs = [
        solve_ivp(lambda t, state: flow(state), (0, times[-1]), one, "DOP853", times, **STRICT)
        for one in start
    ]
    return np.stack([run.y.T for run in runs])


def slope(steps, errors):
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


@each_system
def test_a_start_is_in_the_box_and_trials_follow_an_adaptive_solver(system):
    start = system.start(np.random.default_rng(0), 5)
    assert start.shape == (5, system.n_dims)
    assert (start >= system.low).all()
    assert (start <= system.high).all()
    states = systems.integrate(system.flow, start, 21, system.dt)
    assert states.shape == (5, 21, system.n_dims)
    np.testing.assert_array_equal(states[:, 0], start)
    np.testing.assert_allclose(
        states, exact(system.flow, start, np.arange(21) * system.dt), atol=2e-3
    )


@each_system
def test_the_flow_takes_states_of_any_shape(system):
    states = np.random.default_rng(0).uniform(system.low, system.high, (2, 3, system.n_dims))
    velocities = system.flow(states)
    assert velocities.shape == states.shape
    np.testing.assert_allclose(velocities[1, 2], system.flow(states[1, 2]), rtol=1e-14)


@pytest.mark.parametrize(("method", "order"), [(systems.runge_kutta, 4), (systems.euler, 1)])
def test_order_of_convergence(method, order):
    flow, start = systems.van_der_pol(2.0).flow, np.array([[1.0, 0.5], [-2.0, 1.0]])
    end, steps = exact(flow, start, np.array([0.0, 1.0]))[:, -1], (0.02, 0.01, 0.005, 0.0025)
    errors = [
        abs(systems.integrate(flow, start, round(1 / dt) + 1, dt, method=method)[:, -1] - end).max()
        for dt in steps
    ]
    assert slope(steps, errors) == pytest.approx(order, abs=0.15)


def test_substeps_are_smaller_steps():
    flow, start = systems.lorenz().flow, np.array([[1.0, 2.0, 3.0]])
    fine = systems.integrate(flow, start, 41, 0.005)
    coarse = systems.integrate(flow, start, 11, 0.02, substeps=4)
    np.testing.assert_allclose(coarse, fine[:, ::4], rtol=1e-12)


def test_a_constant_drive_moves_the_fixed_point():
    system, drive = systems.point_attractor((2.0, 4.0)), np.array([[[1.0, 3.0]], [[-1.0, 0.0]]])
    drive = np.repeat(drive, 200, axis=1)
    for states in (
        systems.integrate(system.flow, np.ones((2, 2)), 200, 0.1, drive=drive),
        systems.integrate_noisy(
            system.flow, np.ones((2, 2)), 200, 0.1, 0.0, np.random.default_rng(0), drive=drive
        ),
    ):
        np.testing.assert_allclose(states[:, -1], [[0.5, 0.75], [-0.5, 0]], atol=1e-9)


def test_a_drive_holds_over_the_step_it_begins():
    still = np.zeros((1, 4, 1))
    still[0, 1] = 5.0
    states = systems.integrate(np.zeros_like, np.zeros((1, 1)), 4, 0.1, 3, drive=still)
    np.testing.assert_allclose(states[0, :, 0], [0, 0, 0.5, 0.5])


def ornstein_uhlenbeck(rate, dt, n_trials, n_steps, rng):
    """Brownian steps and the exact solution at noise 1 along the same path, from 0.

    Over one step the pair (step of W, noise of the solution) is Gaussian with known covariance.
    """
    decay = np.exp(-rate * dt)
    both = (1 - decay) / rate
    covariance = [[dt, both], [both, (1 - decay**2) / (2 * rate)]]
    pairs = rng.multivariate_normal([0, 0], covariance, (n_steps, n_trials))
    states = np.zeros(n_trials)
    for step in pairs:
        states = decay * states + step[:, 1]
    return pairs[..., 0], states


def test_strong_order_of_stochastic_heun():
    steps, states = ornstein_uhlenbeck(1.5, 1 / 256, 400, 256, np.random.default_rng(0))
    sizes, errors = (1 / 8, 1 / 16, 1 / 32, 1 / 64), []
    for size in sizes:
        coarse = steps.reshape(round(1 / size), -1, 400).sum(1)
        found = np.zeros(400)
        for increment in coarse:
            found = systems.heun(lambda x: -1.5 * x, found, size, increment)
        errors.append(abs(found - states).mean())
    assert slope(sizes, errors) == pytest.approx(1, abs=0.15)


def test_weak_order_of_stochastic_heun():
    """The variance after a second, propagated through the linear step without sampling."""
    rate, sizes = 1.5, np.array([1 / 4, 1 / 8, 1 / 16, 1 / 32])
    errors = []
    for size in sizes:

        def step(state, increment, size=size):
            return systems.heun(lambda x: -rate * x, state, size, increment)

        factor, gain = step(1.0, 0.0), step(0.0, 1.0)
        n = round(1 / size)
        variance = size * gain**2 * (factor ** (2 * np.arange(n))).sum()
        errors.append(abs(variance - (1 - np.exp(-2 * rate)) / (2 * rate)))
    assert slope(sizes, errors) == pytest.approx(2, abs=0.2)


def test_stationary_variance_and_correlation_of_an_ornstein_uhlenbeck_process():
    rates, noise, dt = np.array([1.0, 4.0]), np.array([0.5, 2.0]), 0.05
    system, rng = systems.point_attractor(tuple(rates)), np.random.default_rng(0)
    states = systems.integrate_noisy(
        system.flow, np.zeros((4000, 2)), 101, dt, noise, rng, substeps=2
    )[:, 60:]
    np.testing.assert_allclose(states.var((0, 1)), noise**2 / (2 * rates), rtol=0.05)
    lagged = (states[:, 10:] * states[:, :-10]).mean((0, 1)) / states.var((0, 1))
    np.testing.assert_allclose(lagged, np.exp(-rates * 10 * dt), atol=0.03)
    assert abs(np.corrcoef(states[:, -1].T)[0, 1]) < 0.06


def test_noise_of_zero_is_no_noise_and_seeds_repeat():
    flow, start = systems.hopf().flow, np.array([[0.5, 0.0]])
    runs = [
        systems.integrate_noisy(flow, start, 30, 0.01, noise, np.random.default_rng(seed))
        for noise, seed in ((0.0, 0), (0.1, 0), (0.1, 0), (0.1, 1))
    ]
    np.testing.assert_allclose(runs[0], systems.integrate(flow, start, 30, 0.01), atol=1e-4)
    np.testing.assert_array_equal(runs[1], runs[2])
    assert (runs[3][:, 1:] != runs[2][:, 1:]).all()


@pytest.mark.parametrize(
    ("system", "point", "expected"),
    [
        (systems.point_attractor((1.0, 2.0)), (0, 0), (-2, -1)),
        (systems.line_attractor(3.0, 3), (0.7, 0, 0), (-3, -3, 0)),
        (systems.plane_attractor(2.0, 3), (0.7, -0.4, 0), (-2, 0, 0)),
        (systems.ring_attractor(3.0), (0.6, 0.8), (-3, 0)),
        (systems.ring_attractor(3.0), (0, 0), (1.5, 1.5)),
        (systems.double_well(4.5, -4.8, 3.5), ((4.5 / 4.8) ** 0.5, 0), (-9, -3.5)),
        (systems.double_well(4.5, -4.8, 3.5), (-((4.5 / 4.8) ** 0.5), 0), (-9, -3.5)),
        (systems.double_well(4.5, -4.8, 3.5), (0, 0), (-3.5, 4.5)),
        (systems.duffing(0.3), (1, 0), -0.15 + np.array([-1j, 1j]) * (2 - 0.15**2) ** 0.5),
        (systems.duffing(0.3), (-1, 0), -0.15 + np.array([-1j, 1j]) * (2 - 0.15**2) ** 0.5),
        (systems.van_der_pol(1.0), (0, 0), 0.5 + np.array([-1j, 1j]) * 0.75**0.5),
        (systems.hopf(-0.2, 3.0), (0, 0), -0.2 + np.array([-3j, 3j])),
        (systems.lorenz(0.5), (0, 0, 0), (-5.5 - 25.25**0.5, -2.667, -5.5 + 25.25**0.5)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_fixed_points_and_their_eigenvalues(system, point, expected):
    np.testing.assert_allclose(system.flow(np.array(point, dtype=float)), 0, atol=1e-12)
    np.testing.assert_allclose(
        eigenvalues(system.flow, point), np.sort_complex(np.array(expected, complex)), atol=1e-6
    )


@pytest.mark.parametrize(("r", "stable"), [(5.0, True), (15.0, True), (28.0, False)])
def test_the_two_lorenz_points_lose_stability(r, stable):
    flow, side = systems.lorenz(r).flow, (2.667 * (r - 1)) ** 0.5
    for point in ((side, side, r - 1), (-side, -side, r - 1)):
        np.testing.assert_allclose(flow(np.array(point)), 0, atol=1e-12)
        found = eigenvalues(flow, point)
        assert (found.real.max() < 0) == stable
        # Characteristic polynomial of Lorenz 1963, equation 32.
        by_hand = [1, 10 + 1 + 2.667, 2.667 * (r + 10), 2 * 10 * 2.667 * (r - 1)]
        np.testing.assert_allclose(found, np.sort_complex(np.roots(by_hand)), atol=1e-5)


def test_a_flat_direction_keeps_what_it_is_given_and_the_rest_decays():
    for system, n_flat in (
        (systems.line_attractor(2.0, 4), 1),
        (systems.plane_attractor(2.0, 4), 2),
    ):
        start = system.start(np.random.default_rng(0), 6)
        end = systems.integrate(system.flow, start, 101, 0.05)[:, -1]
        np.testing.assert_array_equal(end[:, :n_flat], start[:, :n_flat])
        np.testing.assert_allclose(end[:, n_flat:], start[:, n_flat:] * np.exp(-10), rtol=1e-4)


def test_the_ring_keeps_the_angle():
    system = systems.ring_attractor()
    start = system.start(np.random.default_rng(0), 20)
    end = systems.integrate(system.flow, start, 401, 0.1)[:, -1]
    np.testing.assert_allclose(end, start / np.linalg.norm(start, axis=1, keepdims=True), atol=1e-9)


@pytest.mark.parametrize(("growth", "frequency", "shear"), [(1.0, 3.0, 0.0), (2.0, 5.0, 0.75)])
def test_radius_and_frequency_of_the_limit_cycle(growth, frequency, shear):
    system, dt = systems.stuart_landau(growth, frequency, shear), 0.02
    start = system.start(np.random.default_rng(0), 8)
    states = systems.integrate(system.flow, start, 801, dt)[:, 600:]
    np.testing.assert_allclose(np.linalg.norm(states, axis=-1), growth**0.5, rtol=1e-4)
    turned = np.unwrap(np.arctan2(states[..., 1], states[..., 0]), axis=1)
    np.testing.assert_allclose(
        (turned[:, -1] - turned[:, 0]) / (200 * dt), frequency - shear * growth, rtol=1e-4
    )


def test_hopf_is_stuart_landau_without_shear_and_dies_below_zero():
    states = np.random.default_rng(0).standard_normal((4, 2))
    np.testing.assert_array_equal(
        systems.hopf(2.0, 3.0).flow(states), systems.stuart_landau(2.0, 3.0).flow(states)
    )
    end = systems.integrate(systems.hopf(-1.0).flow, states, 301, 0.05)[:, -1]
    assert abs(end).max() < 1e-5


def test_van_der_pol_swings_to_two_with_its_known_period():
    states = systems.integrate(systems.van_der_pol(0.1).flow, np.array([[0.5, 0.0]]), 20001, 0.01)
    x = states[0, 10000:, 0]
    assert abs(x).max() == pytest.approx(2, abs=1e-3)
    crossings = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
    period = np.diff(crossings).mean() * 0.01
    assert period == pytest.approx(2 * np.pi * (1 + 0.1**2 / 16), abs=2e-3)  # Poincare-Lindstedt


def test_roessler_stays_bounded_and_near_states_part():
    start = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1e-6]])
    states = systems.integrate(systems.roessler().flow, start, 8001, 0.05)
    assert abs(states).max() < 30
    assert np.linalg.norm(states[0] - states[1], axis=-1)[-2000:].max() > 1


def test_fixed_points_of_a_low_rank_network_solve_its_mean_field_equation():
    rng, n = np.random.default_rng(0), 300
    left = rng.standard_normal((n, 1))
    right = 2.0 * left + 0.5 * rng.standard_normal((n, 1))
    system = systems.low_rank_network(left, right)

    def overlap(k):
        return (right[:, 0] * np.tanh(k * left[:, 0])).mean() - k

    known = brentq(overlap, 0.1, 10)
    for sign in (1, -1):
        np.testing.assert_allclose(system.flow(sign * known * left[:, 0]), 0, atol=1e-12)
    np.testing.assert_allclose(system.flow(np.zeros(n)), 0, atol=0)
    end = systems.integrate(system.flow, system.start(rng, 10), 401, system.dt)[:, -1]
    reached = end @ left[:, 0] / (left**2).sum()
    np.testing.assert_allclose(abs(reached), known, rtol=1e-6)
    np.testing.assert_allclose(end, reached[:, None] * left[:, 0], atol=1e-6)
    growth = eigenvalues(system.flow, np.zeros(n)).real
    assert growth.max() == pytest.approx((right * left).mean() - 1, abs=1e-5)
    np.testing.assert_allclose(growth[:-1], -1, atol=1e-5)
