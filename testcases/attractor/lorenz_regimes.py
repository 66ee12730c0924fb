"""Do two recordings share a regime of the Lorenz system: one fixed point, two, or chaos?

    dx/dt = s (y - x)    dy/dt = x (r - z) - y    dz/dt = x y - b z        s = 10, b = 2.667

Three values of r in each regime give nine sets; a good metric finds sets of one regime closer than
sets of two.

protocol="published" (Guilhot et al. 2024, arXiv:2410.24070, first attractor test): Euler steps of
0.01, 200 trajectories of 200 steps from uniform points of the unit cube, drawn anew for every set,
so that sample i of one set starts elsewhere than sample i of another; each trajectory scaled by its
own minimum and maximum.

protocol="controlled": all sets start from the same points, in the same order. Each is seen through
units of its own: the standardised state is turned and stretched at random, then seen through random
smooth tuning with private noise. Two maps of one system are then 0.85 rad apart in angular
Procrustes distance, two regimes through one map 1.27. Geometry is scrambled, not removed: with
matched trials the time course of a regime stays visible to any metric. Trial, time and unit counts
all differ.
"""

import numpy as np
import pandas as pd
import xarray as xr

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase

REGIMES = {
    "fixed point": (0.25, 0.5, 0.75),
    "two fixed points": (5.0, 10.0, 15.0),
    "chaos": (30.0, 40.0, 50.0),
}
SIGMA, BETA = 10.0, 2.667
NOISE = 0.02


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Nine sets named by their r, and their regimes."""
    make = published_sets if protocol == "published" else controlled_sets
    rows = [(f"r={r:g}", regime, r) for regime, values in REGIMES.items() for r in values]
    truth = pd.DataFrame(rows, columns=["name", "label", "r"]).set_index("name")
    return dict(zip(truth.index, make(truth["r"].to_numpy(), rng, quick), strict=True)), truth


def published_sets(
    r_values: np.ndarray, rng: np.random.Generator, quick: bool
) -> list[xr.DataArray]:
    """As the authors made them; quick takes 50 trajectories in place of 200."""
    sets = []
    for r in r_values:
        start = rng.random((50 if quick else 200, 3))
        states = integrate(start, r, n_steps=200, dt=0.01, method=euler)
        low, high = states.min((1, 2), keepdims=True), states.max((1, 2), keepdims=True)
        sets.append(as_activations((states - low) / (high - low), dt=0.01, r=r))
    return sets


def controlled_sets(
    r_values: np.ndarray, rng: np.random.Generator, quick: bool
) -> list[xr.DataArray]:
    """Matched starting points, every set through its own random units."""
    n_trials, n_steps, most_units = (10, 80, 20) if quick else (20, 120, 30)
    start = rng.uniform([-10, -10, 0], [10, 10, 20], (n_trials, 3))
    sets = []
    for r, n_units in zip(r_values, most_units - rng.permutation(len(r_values)), strict=True):
        states = integrate(start, r, n_steps=n_steps, dt=0.02, method=runge_kutta)
        states = (states - states.mean((0, 1))) / states.std((0, 1))
        sets.append(as_activations(observe(states, n_units, rng), dt=0.02, r=r))
    return sets


def observe(states: np.ndarray, n_units: int, rng: np.random.Generator) -> np.ndarray:
    """Cosine tuning to random directions of turned and stretched states, with private noise.

    Turning and stretching each axis by 1/4 to 4 gives every set a geometry of its own.
    """
    n_dims = states.shape[-1]
    turn = np.linalg.qr(rng.standard_normal((n_dims, n_dims)))[0]
    stretch = np.exp(rng.uniform(-np.log(4), np.log(4), n_dims))
    weights = rng.standard_normal((n_dims, n_units)) / n_dims**0.5
    clean = np.cos(states @ (turn * stretch) @ weights + rng.uniform(0, 2 * np.pi, n_units))
    return clean + NOISE * clean.std((0, 1)) * rng.standard_normal(clean.shape)


def integrate(start: np.ndarray, r: float, n_steps: int, dt: float, method: object) -> np.ndarray:
    """Trajectories from (trial, 3) starting points: (trial, time, 3), the start included."""
    states = [start]
    for _ in range(n_steps - 1):
        states.append(method(states[-1], r, dt))
    return np.stack(states, axis=1)


def euler(state: np.ndarray, r: float, dt: float) -> np.ndarray:
    """One explicit Euler step."""
    return state + dt * flow(state, r)


def runge_kutta(state: np.ndarray, r: float, dt: float) -> np.ndarray:
    """One classical fourth-order Runge-Kutta step."""
    k1 = flow(state, r)
    k2 = flow(state + dt / 2 * k1, r)
    k3 = flow(state + dt / 2 * k2, r)
    k4 = flow(state + dt * k3, r)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def flow(state: np.ndarray, r: float) -> np.ndarray:
    """The Lorenz equations at (..., 3) states."""
    x, y, z = state[..., 0], state[..., 1], state[..., 2]
    return np.stack([SIGMA * (y - x), x * (r - z) - y, x * y - BETA * z], axis=-1)


CASE = TestCase(
    name="attractor/lorenz_regimes",
    question="Do two recordings share a regime of the Lorenz system, whatever units see it?",
    generate=generate,
    rule=SEPARATION,
    axis="dynamics",
    protocols=("controlled", "published"),
    controls={"oracle": 1.0, "random": 0.5, "constant": 0.5},
)
