"""Dynamical systems of known kind, and integrators that follow many trials at once.

    dx/dt = f(x) + u(t)              runge_kutta, order 4; euler, order 1
    dx = (f(x) + u(t)) dt + s dW     heun, for additive noise: strong order 1, weak order 2

f the flow, u a drive held constant over each step, s the noise in state units per square root of
a second, W independent Brownian motions. States are (..., dim), trajectories (trial, time, dim);
times are in seconds of the system.

Sources: Strogatz 2015, Nonlinear Dynamics and Chaos (flows); Kloeden & Platen 1992, section 15.1
(stochastic Heun); Mastrogiuseppe & Ostojic 2018, Neuron 99:609 (low-rank networks).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Flow = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class System:
    """A flow and where its trials start.

    flow       states (..., dim) -> velocities (..., dim)
    low, high  box of starting points, one number a dimension
    dt         a time step at which one Runge-Kutta step is accurate, seconds
    """

    name: str
    flow: Flow
    low: tuple[float, ...]
    high: tuple[float, ...]
    dt: float = 0.05

    @property
    def n_dims(self) -> int:
        """How many numbers a state has."""
        return len(self.low)

    def start(self, rng: np.random.Generator, n_trials: int) -> np.ndarray:
        """Uniform starting points of the box, (trial, dim)."""
        return rng.uniform(self.low, self.high, (n_trials, self.n_dims))


def integrate(
    flow: Flow,
    start: np.ndarray,
    n_steps: int,
    dt: float,
    substeps: int = 1,
    *,
    drive: np.ndarray | None = None,
    method: Callable[[Flow, np.ndarray, float], np.ndarray] | None = None,
) -> np.ndarray:
    """Trajectories from (trial, dim) starting points: (trial, time, dim), the start included.

    substeps  integration steps between two time steps
    drive     (trial or 1, time, dim) added to the flow; the last time step drives nothing
    method    a step, (flow, states, dt) -> states; runge_kutta when left out
    """
    method, states = method or runge_kutta, [start]
    for step in range(n_steps - 1):
        driven = _driven(flow, drive, step)
        state = states[-1]
        for _ in range(substeps):
            state = method(driven, state, dt / substeps)
        states.append(state)
    return np.stack(states, axis=1)


def integrate_noisy(
    flow: Flow,
    start: np.ndarray,
    n_steps: int,
    dt: float,
    noise: float | np.ndarray,
    rng: np.random.Generator,
    substeps: int = 1,
    *,
    drive: np.ndarray | None = None,
) -> np.ndarray:
    """The same with additive noise: a number, or one a dimension, in units per sqrt(second)."""
    states = [start]
    for step in range(n_steps - 1):
        driven = _driven(flow, drive, step)
        state = states[-1]
        for _ in range(substeps):
            increment = noise * (dt / substeps) ** 0.5 * rng.standard_normal(start.shape)
            state = heun(driven, state, dt / substeps, increment)
        states.append(state)
    return np.stack(states, axis=1)


def euler(flow: Flow, states: np.ndarray, dt: float) -> np.ndarray:
    """One explicit Euler step."""
    return states + dt * flow(states)


def runge_kutta(flow: Flow, states: np.ndarray, dt: float) -> np.ndarray:
    """One classical fourth-order Runge-Kutta step."""
    k1 = flow(states)
    k2 = flow(states + dt / 2 * k1)
    k3 = flow(states + dt / 2 * k2)
    k4 = flow(states + dt * k3)
    return states + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def heun(flow: Flow, states: np.ndarray, dt: float, increment: np.ndarray) -> np.ndarray:
    """One stochastic Heun step; increment is the noise times the step of the Brownian motion."""
    k1 = flow(states)
    k2 = flow(states + dt * k1 + increment)
    return states + dt / 2 * (k1 + k2) + increment


def _driven(flow: Flow, drive: np.ndarray | None, step: int) -> Flow:
    return flow if drive is None else lambda states: flow(states) + drive[:, step]


def point_attractor(rates: tuple[float, ...]) -> System:
    """dx_i/dt = -rate_i x_i: one stable fixed point at the origin."""
    decay, n_dims = -np.asarray(rates, dtype=float), len(rates)
    return System("point", lambda states: decay * states, (-1.0,) * n_dims, (1.0,) * n_dims)


def line_attractor(rate: float = 1.0, n_dims: int = 2) -> System:
    """The first axis is a line of fixed points, the other directions decay at `rate`."""
    return _flat("line", point_attractor((0.0,) + (rate,) * (n_dims - 1)))


def plane_attractor(rate: float = 1.0, n_dims: int = 3) -> System:
    """The first two axes span a plane of fixed points, the other directions decay at `rate`."""
    return _flat("plane", point_attractor((0.0, 0.0) + (rate,) * (n_dims - 2)))


def _flat(name: str, system: System) -> System:
    return System(name, system.flow, system.low, system.high)


def ring_attractor(rate: float = 1.0) -> System:
    """dx/dt = rate x (1 - |x|^2) / 2 in the plane: the unit circle is a ring of fixed points.

    Distance from the ring decays at `rate`; the origin repels.
    """

    def flow(states: np.ndarray) -> np.ndarray:
        return rate / 2 * states * (1 - (states**2).sum(-1, keepdims=True))

    return System("ring", flow, (-1.0, -1.0), (1.0, 1.0))


def van_der_pol(mu: float = 1.0) -> System:
    """dx/dt = y, dy/dt = mu (1 - x^2) y - x: a limit cycle that x swings along between -2 and 2."""

    def flow(states: np.ndarray) -> np.ndarray:
        x, y = states[..., 0], states[..., 1]
        return np.stack([y, mu * (1 - x**2) * y - x], axis=-1)

    return System("van der Pol", flow, (-2.0, -2.0), (2.0, 2.0))


def stuart_landau(growth: float = 1.0, frequency: float = 1.0, shear: float = 0.0) -> System:
    """dz/dt = (growth + i frequency) z - (1 + i shear) |z|^2 z for z = x + iy, rates per second.

    Above growth 0 a limit cycle of radius sqrt(growth) and angular frequency
    frequency - shear growth; distance from it decays at 2 growth. Below 0 a stable spiral.
    """

    def flow(states: np.ndarray) -> np.ndarray:
        x, y = states[..., 0], states[..., 1]
        squared = x**2 + y**2
        inward, turning = growth - squared, frequency - shear * squared
        return np.stack([inward * x - turning * y, turning * x + inward * y], axis=-1)

    size = 1.5 * max(abs(growth), 0.1) ** 0.5
    return System("Stuart-Landau", flow, (-size, -size), (size, size))


def hopf(growth: float = 1.0, frequency: float = 1.0) -> System:
    """The normal form of the supercritical Hopf bifurcation: Stuart-Landau without shear."""
    system = stuart_landau(growth, frequency)
    return System("Hopf", system.flow, system.low, system.high)


def double_well(linear: float = 1.0, cubic: float = -1.0, rate: float = 1.0) -> System:
    """dx/dt = linear x + cubic x^3, dy/dt = -rate y: two stable points for linear > 0 > cubic.

    They are at x = +-sqrt(-linear / cubic), y = 0, and attract at 2 linear along x; the origin
    repels at linear.
    """

    def flow(states: np.ndarray) -> np.ndarray:
        x, y = states[..., 0], states[..., 1]
        return np.stack([linear * x + cubic * x**3, -rate * y], axis=-1)

    size = 1.5 * (-linear / cubic) ** 0.5
    return System("double well", flow, (-size, -size), (size, size))


def duffing(damping: float = 0.3, linear: float = -1.0, cubic: float = 1.0) -> System:
    """dx/dt = y, dy/dt = -damping y - linear x - cubic x^3, unforced.

    For linear < 0 < cubic two stable spirals, at x = +-sqrt(-linear / cubic).
    """

    def flow(states: np.ndarray) -> np.ndarray:
        x, y = states[..., 0], states[..., 1]
        return np.stack([y, -damping * y - linear * x - cubic * x**3], axis=-1)

    return System("Duffing", flow, (-1.5, -1.5), (1.5, 1.5))


def lorenz(r: float = 28.0, sigma: float = 10.0, beta: float = 2.667) -> System:
    """Lorenz 1963: one stable point below r = 1, two until about 24.7, chaos above.

    The two are at x = y = +-sqrt(beta (r - 1)), z = r - 1.
    """

    def flow(states: np.ndarray) -> np.ndarray:
        x, y, z = states[..., 0], states[..., 1], states[..., 2]
        return np.stack([sigma * (y - x), x * (r - z) - y, x * y - beta * z], axis=-1)

    return System("Lorenz", flow, (-10.0, -10.0, 0.0), (10.0, 10.0, 20.0), dt=0.01)


def roessler(a: float = 0.2, b: float = 0.2, c: float = 5.7) -> System:
    """Roessler 1976: dx/dt = -y - z, dy/dt = x + a y, dz/dt = b + z (x - c); chaos as it stands."""

    def flow(states: np.ndarray) -> np.ndarray:
        x, y, z = states[..., 0], states[..., 1], states[..., 2]
        return np.stack([-y - z, x + a * y, b + z * (x - c)], axis=-1)

    return System("Roessler", flow, (-6.0, -6.0, 0.0), (6.0, 6.0, 1.0))


def low_rank_network(left: np.ndarray, right: np.ndarray) -> System:
    """dx/dt = -x + M N' tanh(x) / n_units, a recurrent network of known fixed points.

    left, right  M and N, (unit, rank)

    Fixed points are x = M k with k = N' tanh(M k) / n_units, a set of `rank` equations; what lies
    outside the span of M decays at rate 1.
    """
    n_units = len(left)

    def flow(states: np.ndarray) -> np.ndarray:
        return np.tanh(states) @ right @ left.T / n_units - states

    return System("low-rank network", flow, (-1.0,) * n_units, (1.0,) * n_units, dt=0.1)
