"""Trajectories as Guilhot et al. 2024 made them (arXiv:2410.24070), for the published protocols.

Lorenz systems by explicit Euler steps of 0.01, 200 trajectories of 200 steps from uniform points of
the unit cube, drawn anew for every simulation; each trajectory scaled by its own least and greatest
number over coordinates and times. Taken from the authors' code (github qglht/RepAL).
"""

import numpy as np

from testcases.attractor.systems import euler, integrate, lorenz

N_TRIALS, N_STEPS, DT = 200, 200, 0.01


def lorenz_trajectories(r: float, n_trials: int, rng: np.random.Generator) -> np.ndarray:
    """Scaled trajectories of one simulation, (trial, time, 3)."""
    states = integrate(lorenz(r).flow, rng.random((n_trials, 3)), N_STEPS, DT, method=euler)
    return scaled(states)


def scaled(states: np.ndarray) -> np.ndarray:
    """Every trajectory of (trial, time, dim) between 0 and 1."""
    low, high = states.min((1, 2), keepdims=True), states.max((1, 2), keepdims=True)
    return (states - low) / (high - low)
