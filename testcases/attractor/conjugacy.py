"""Are two recordings one flow through two smooth invertible maps, or two flows?

    d angle_i = w_i dt + sqrt(2 D) dW_i, i = 1, 2    w = 3 (cos a, sin a) rad/s, D = 1.5 rad^2/s

Three directions a on a torus, 10, 25 and 40 degrees, each through four maps. The flows have the
same speed and fill the torus evenly, so cloud, marginals, and all that can be said without time are
equal in distribution; every set has a random smooth invertible map of its own (smooth_embedding).
Rotation vectors are conjugate only by a matrix of whole numbers, and none takes one of these to
another. A good metric finds sets of one flow closer, whatever the maps.

protocol="controlled": all sets share starting angles and Brownian motion W; "independent": each
set has its own.

Phases diffuse because without it two recordings of one flow keep from beginning to end whatever
phase they happen to have, and of two flows do not. That is enough for metrics that match samples:
with D = 0 linear_cka has 0.91 and angular_procrustes 0.92 in independent trials (20 seeds), by the
clock, without seeing geometry or dynamics. At this D they are at chance.

Found, mean and standard deviation of 20 seeds, controlled and independent: linear_cka 1.00 and 0.50
(0.11), angular_procrustes 1.00 and 0.49 (0.11): with matched trials they know the flow by its
phases, else not at all. With ten delays and rank 20 dsa_spectrum has 0.62 (0.08) and 0.49 (0.05),
dsa 0.66 (0.09) and 0.58 (0.07) (12 seeds); dsa_spectrum(delays=2, rank=8) has 0.98 (0.03) and 0.92
(0.04): the flow is there to be seen, but only by an operator of the right size. Held-out prediction
finds it: delays and rank "auto" have 0.99 and 0.96 (5 seeds).
"""

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.observe import add_noise, smooth_embedding

SPEED = 3.0  # rad/s
DIRECTIONS = (10.0, 25.0, 40.0)  # degrees
DIFFUSION = 1.5  # rad^2/s
N_MAPS = 4
DT = 0.2
SIGNAL_TO_NOISE = 1000.0


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Each flow through maps of its own."""
    n_trials, n_steps, most_units = (16, 24, 15) if quick else (28, 34, 22)
    rows = [(f"{a:g} degrees {i}", f"{a:g}", a) for a in DIRECTIONS for i in range(N_MAPS)]
    truth = pd.DataFrame(rows, columns=["name", "label", "direction"]).set_index("name")
    wandering, sets = drawn_trials(n_trials, n_steps, rng), {}
    n_units = most_units - rng.permutation(len(truth))
    for (name, row), n in zip(truth.iterrows(), n_units, strict=True):
        if protocol == "independent":
            wandering = drawn_trials(n_trials, n_steps, rng)
        turned = DT * np.arange(n_steps)[:, None] * velocity(row["direction"])
        states = on_torus(wandering + turned)
        seen = smooth_embedding(rng, 4, n)(states)
        sets[name] = as_activations(add_noise(seen, SIGNAL_TO_NOISE, rng), dt=DT)
    return sets, truth


def drawn_trials(n_trials: int, n_steps: int, rng: np.random.Generator) -> np.ndarray:
    """Angles of a Brownian motion on the torus from uniform starts, (trial, time, 2)."""
    steps = (2 * DIFFUSION * DT) ** 0.5 * rng.standard_normal((n_trials, n_steps, 2))
    steps[:, 0] = rng.uniform(0, 2 * np.pi, (n_trials, 2))
    return steps.cumsum(1)


def velocity(direction: float) -> np.ndarray:
    """Angular velocities, (2,), in rad/s."""
    return SPEED * np.array([np.cos(np.radians(direction)), np.sin(np.radians(direction))])


def on_torus(angles: np.ndarray) -> np.ndarray:
    """Angles (..., 2) as points of unit variance in each of four dimensions, (..., 4)."""
    return 2**0.5 * np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)


CASE = TestCase(
    name="attractor/conjugacy",
    question="Are two recordings one flow through two smooth invertible maps, or two flows?",
    generate=generate,
    rule=SEPARATION,
    axis="dynamics",
    defeats={
        "linear_cka": "independent trials: the cloud of states has the same distribution",
        "angular_procrustes": "independent trials: the cloud of states has the same distribution",
    },
)
