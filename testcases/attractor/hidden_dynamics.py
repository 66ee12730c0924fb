"""Bistable, line or point attractor: can recordings with equal condition averages be told apart?

    bistable  dx/dt = a x^3 + b x + u_1   dy/dt = c y + u_2    a -5 to -4, b 4 to 5, c -4 to -3
    line      dx/dt = u_1                 dy/dt = -r y + u_2   r 2 to 3
    point     dx/dt = -q x + u_1          dy/dt = -r y + u_2   q 4 to 5, r 8 to 9

Three draws of each; two conditions, the mirror image of one another. The path of the averages is
that of a bistable system in the middle of its ranges under u = +-0.1 and noise 0.05. Every set gets
the common input that keeps the average of a large ensemble of its trials on this path, and noise of
such size that its trials spread about the path as much as those of that system, in x and in y. All
are seen through random rotations into units, with a little private noise. So averages and spread
agree; what differs is how a trial that has left the average goes on: it settles, stays or returns.

A good metric finds sets of one kind closer than sets of two. Metrics that compare sample by sample
should not, because trials that belong together have nothing in common but the average. That is no
proof of dynamics: how spread grows in time and the shape of the cloud are not matched, and simple
statistics of them see the kinds, too (below). Design: Galgali et al. 2023, Nature Neuroscience
26:326; parameters: Ostrow et al. 2023, arXiv:2306.10168, figure 3.

protocol="controlled": conditions in one order for all sets, the noise of each its own.
protocol="independent": conditions in an order of its own for every set.

Simple statistics, 20 seeds, controlled and independent: relative_speed 0.87 (0.06) and 0.86 (0.05),
radial_profile 0.87 (0.09) and 0.84 (0.09).

Found, mean and standard deviation of 20 seeds, controlled and independent: linear_cka 0.50 (0.08)
and 0.56 (0.12), angular_procrustes 0.50 (0.09) and 0.56 (0.12); dsa_spectrum 0.64 and 0.64, dsa
0.73 and 0.75 (12 seeds) with ten delays and rank 20, where noise of the units takes most of the
rank, but dsa_spectrum(delays=1, rank=2) 0.88 and 0.87, and with both "auto" 0.82 and 0.79 (5
seeds). Independent CKA is 0.53 (standard error
0.014) over 60 seeds, not quite chance: trials that stay where they are resemble one another by
chance more than trials that return.
"""

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.observe import add_noise, random_orthogonal
from testcases.attractor.systems import Flow, double_well, heun, point_attractor

INPUT, NOISE = 0.1, 0.05
DT, SUBSTEPS = 0.04, 4
N_ENSEMBLE = 400
SIGNAL_TO_NOISE = 100.0


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Nine sets, three of each kind."""
    n_trials, n_steps, most_units = (20, 30, 19) if quick else (24, 40, 22)
    path, spread = reference(n_steps, rng)
    scale = (spread**2 + (path**2).mean(0)) ** 0.5
    truth = pd.DataFrame(
        [(f"{kind} {i}", kind) for kind in ("bistable", "line", "point") for i in (1, 2, 3)],
        columns=["name", "label"],
    ).set_index("name")
    signs, sets = conditions(n_trials, rng), {}
    n_units = most_units - rng.permutation(len(truth))
    for (name, kind), n in zip(truth["label"].items(), n_units, strict=True):
        if protocol == "independent":
            signs = conditions(n_trials, rng)
        states = kept_on(path, *drawn(kind, spread, n_steps, rng), rng)[:n_trials]
        seen = random_orthogonal(rng, 2, n)(states / scale * signs[:, None, None])
        sets[name] = as_activations(add_noise(seen, SIGNAL_TO_NOISE, rng), dt=DT)
    return sets, truth


def conditions(n_trials: int, rng: np.random.Generator) -> np.ndarray:
    """As many trials of +1 as of -1, in random order."""
    return rng.permutation(np.repeat([1.0, -1.0], n_trials // 2))


def reference(n_steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The average path (time, 2) and the spread about it (2,) of the middle bistable system."""
    flow = double_well(4.5, -4.5, 3.5).flow
    states = kept_on(None, lambda x: flow(x) + INPUT, np.full(2, NOISE), n_steps, rng)
    return states.mean(0), spread_about_average(states)


def spread_about_average(states: np.ndarray) -> np.ndarray:
    """Root mean square over trials and time of the distance from the average, (dim,)."""
    return ((states - states.mean(0)) ** 2).mean((0, 1)) ** 0.5


def drawn(
    kind: str, spread: np.ndarray, n_steps: int, rng: np.random.Generator
) -> tuple[Flow, np.ndarray, int]:
    """A flow of a kind and noise that spreads its trials as told."""
    if kind == "bistable":
        flow = double_well(rng.uniform(4, 5), -rng.uniform(4, 5), rng.uniform(3, 4)).flow
        return flow, np.full(2, NOISE), n_steps
    rates = (0.0, rng.uniform(2, 3)) if kind == "line" else (rng.uniform(4, 5), rng.uniform(8, 9))
    flow = point_attractor(rates).flow
    at_unit_noise = kept_on(None, flow, np.ones(2), n_steps, rng)
    return flow, spread / spread_about_average(at_unit_noise), n_steps


def kept_on(
    path: np.ndarray | None, flow: Flow, noise: np.ndarray, n_steps: int, rng: np.random.Generator
) -> np.ndarray:
    """An ensemble from the origin, its average kept on the path: (trial, time, 2).

    path  (time, 2), kept by a common input; None: no input
    """
    dt, states = DT / SUBSTEPS, [np.zeros((N_ENSEMBLE, 2))]
    for step in range(1, n_steps):
        state = states[-1]
        for _ in range(SUBSTEPS):
            state = heun(flow, state, dt, noise * dt**0.5 * rng.standard_normal(state.shape))
        states.append(state if path is None else state + path[step] - state.mean(0))
    return np.stack(states, axis=1)


CASE = TestCase(
    name="attractor/hidden_dynamics",
    question="Are recordings with equal condition averages told apart by how single trials move?",
    generate=generate,
    rule=SEPARATION,
    axis="dynamics",
    defeats={
        "linear_cka": "averages and spread are the same; single trials share nothing else",
        "angular_procrustes": "averages and spread are the same; single trials share nothing else",
    },
)
