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

protocol="independent": the same, but every set starts from points of its own.
"""

import numpy as np
import pandas as pd
import xarray as xr

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.observe import add_noise, cosine_tuning, standardised
from testcases.attractor.systems import euler, integrate, lorenz, runge_kutta

REGIMES = {
    "fixed point": (0.25, 0.5, 0.75),
    "two fixed points": (5.0, 10.0, 15.0),
    "chaos": (30.0, 40.0, 50.0),
}
SIGNAL_TO_NOISE = 2500.0  # noise of 0.02 of a unit's standard deviation


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Nine sets named by their r, and their regimes."""
    rows = [(f"r={r:g}", regime, r) for regime, values in REGIMES.items() for r in values]
    truth = pd.DataFrame(rows, columns=["name", "label", "r"]).set_index("name")
    r_values = truth["r"].to_numpy()
    if protocol == "published":
        sets = published_sets(r_values, rng, quick)
    else:
        sets = seen_sets(r_values, rng, quick, matched=protocol == "controlled")
    return dict(zip(truth.index, sets, strict=True)), truth


def published_sets(
    r_values: np.ndarray, rng: np.random.Generator, quick: bool
) -> list[xr.DataArray]:
    """As the authors made them; quick takes 50 trajectories in place of 200."""
    sets = []
    for r in r_values:
        start = rng.random((50 if quick else 200, 3))
        states = integrate(lorenz(r).flow, start, 200, 0.01, method=euler)
        low, high = states.min((1, 2), keepdims=True), states.max((1, 2), keepdims=True)
        sets.append(as_activations((states - low) / (high - low), dt=0.01, r=r))
    return sets


def seen_sets(
    r_values: np.ndarray, rng: np.random.Generator, quick: bool, matched: bool
) -> list[xr.DataArray]:
    """Every set through its own random units; starting points are shared where matched."""
    n_trials, n_steps, most_units = (10, 80, 20) if quick else (20, 120, 30)
    start = lorenz().start(rng, n_trials)
    sets = []
    for r, n_units in zip(r_values, most_units - rng.permutation(len(r_values)), strict=True):
        if not matched:
            start = lorenz().start(rng, n_trials)
        states = standardised(integrate(lorenz(r).flow, start, n_steps, 0.02, method=runge_kutta))
        sets.append(as_activations(seen(states, n_units, rng), dt=0.02, r=r))
    return sets


def seen(states: np.ndarray, n_units: int, rng: np.random.Generator) -> np.ndarray:
    """Cosine tuning to random directions of turned and stretched states, with private noise.

    Turning and stretching each axis by 1/4 to 4 gives every set a geometry of its own.
    """
    n_dims = states.shape[-1]
    turn = np.linalg.qr(rng.standard_normal((n_dims, n_dims)))[0]
    stretch = np.exp(rng.uniform(-np.log(4), np.log(4), n_dims))
    tuned = cosine_tuning(rng, n_dims, n_units)(states @ (turn * stretch))
    return add_noise(tuned, SIGNAL_TO_NOISE, rng)


CASE = TestCase(
    name="attractor/lorenz_regimes",
    question="Do two recordings share a regime of the Lorenz system, whatever units see it?",
    generate=generate,
    rule=SEPARATION,
    axis="dynamics",
    protocols=("controlled", "independent", "published"),
)
