"""Small related sets to try a metric on, and transformations of their units."""

from collections.abc import Callable

import numpy as np

from repsim.contract import Metric


def example(metric: Metric, seed: int, n_units: tuple[int, int] = (8, 8)) -> tuple:
    """Two related sets in the metric's view, float64."""
    rng = np.random.default_rng(seed)
    if metric.view == "samples":
        x = rng.standard_normal((60, n_units[0]))
        y = x @ rng.standard_normal((n_units[0], n_units[1])) * 0.3
        return x, y + rng.standard_normal(y.shape)
    return tuple(trajectories(rng, 14, 50, n) for n in n_units)


def trajectories(rng: np.random.Generator, n_trials: int, n_steps: int, n_units: int) -> np.ndarray:
    """Noisy rotations and decays of random speed, mixed into units: (trial, time, unit)."""
    blocks = [rng.uniform(0.9, 0.99) * _rotation(rng.uniform(0.1, 0.8)) for _ in range(3)]
    state = rng.standard_normal((n_trials, 6)) * 3
    states = []
    for _ in range(n_steps):
        state = np.concatenate(
            [state[:, 2 * i : 2 * i + 2] @ block.T for i, block in enumerate(blocks)], axis=1
        )
        state = state + 0.3 * rng.standard_normal(state.shape)
        states.append(np.tanh(state / 2) + 0.2)
    mixed = np.stack(states, axis=1) @ rng.standard_normal((6, n_units))
    return mixed + 0.05 * rng.standard_normal(mixed.shape)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def random_transformation(
    name: str, n: int, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """A random transformation of n units, by its name among contract.TRANSFORMATIONS."""
    if name == "translation":
        shift = 3 * rng.standard_normal(n)
        return lambda a: a + shift
    if name == "isotropic_scaling":
        return lambda a: 3.7 * a
    if name == "permutation":
        order = np.roll(np.arange(n), 1 + rng.integers(n - 1))
        return lambda a: a[..., order]
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    if name == "invertible_linear":
        turn = turn * np.linspace(0.2, 3, n)
    return lambda a: a @ turn
