"""Predictions of an operator in observation space, and how good they are.

x_{t+h} ~ readout matrix^h basis' h_t
MASE = mean |x_{t+h} - prediction| / mean |x_{t+h} - x_t|   over h = 1..n_steps, windows, units
AIC  = N ln(RSS / N) + 2 (rank^2 + rank units)                 N one-step predicted values
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from repsim.activations import as_numpy
from repsim.arrays import held_fixed
from repsim.dynamics.trials import Trials, delay_embed, whole
from repsim.errors import InputError

if TYPE_CHECKING:
    from repsim.dynamics.operator import Operator


def following(operator: "Operator", trajectories: Any, n_steps: int) -> Any:
    """The n_steps samples after the end of each trial.

    trajectories  as in fit_operator, at least one window long
    returns       (trial, n_steps, unit); a list of (n_steps, unit) for a list of trials
    """
    whole("n_steps", n_steps)
    if not hasattr(trajectories, "ndim"):
        arrays = (trial() if callable(trial) else trial for trial in trajectories)
        return [following(operator, array[None], n_steps)[0] for array in arrays]
    xp = array_namespace(trajectories)
    reach = (operator.delays - 1) * operator.interval
    if trajectories.shape[1] <= reach:
        raise InputError(
            f"a window of {operator.delays} delays at interval {operator.interval} spans "
            f"{reach + 1} time steps; the trials have {trajectories.shape[1]}. Give longer trials."
        )
    last = xp.astype(trajectories[:, -reach - 1 :], xp.float64)
    window = xp.concat(
        [last[:, reach - j * operator.interval] for j in range(operator.delays)], axis=-1
    )
    coordinates = window @ operator.basis
    samples = []
    for _ in range(n_steps):
        coordinates = coordinates @ operator.matrix.T
        samples.append(coordinates @ operator.readout.T)
    return xp.stack(samples, axis=1)


def scaled_error(operator: "Operator", trajectories: Any, n_steps: int) -> float:
    """Mean absolute error of 1..n_steps-step predictions, over that of persistence.

    returns  in [0, inf]; 1 is as good as saying that nothing moves
    raises   InputError for trials too short, or that do not move
    """
    return scaled_errors([operator], trajectories, n_steps)[0]


def scaled_errors(
    operators: Sequence["Operator"], trajectories: Any, n_steps: int, first: int = 0
) -> list[float]:
    """The same for operators that differ in rank alone, the last of the highest.

    first    time step of the earliest window used, so that operators with other delays are judged
             on the same samples
    """
    errors, baseline = np.zeros(len(operators)), 0.0
    for actual, now, coordinates in _windows(operators[-1], trajectories, n_steps, first):
        baseline += float(np.abs(actual - now[:, :, None]).sum())
        for i, operator in enumerate(operators):
            predicted = _onward(operator, coordinates[..., : operator.rank], n_steps)
            errors[i] += np.abs(predicted - actual).sum()
    if not baseline > 0:
        raise InputError(
            "the trajectories do not move, so persistence predicts them exactly. "
            "Give trajectories that change."
        )
    return [error / baseline if math.isfinite(error) else math.inf for error in errors.tolist()]


def information_criterion(operator: "Operator", trajectories: Any) -> float:
    """N ln(RSS / N) + 2 k for one-step predictions, k = rank^2 + rank units."""
    count, squares = 0, 0.0
    for actual, _, coordinates in _windows(operator, trajectories, 1, 0):
        count += actual.size
        squares += float(((actual - _onward(operator, coordinates, 1)) ** 2).sum())
    n_units = operator.basis.shape[0] // operator.delays
    mean_square = max(squares / count, np.finfo(float).tiny)
    return count * math.log(mean_square) + 2 * operator.rank * (operator.rank + n_units)


def _windows(
    operator: "Operator", trajectories: Any, n_steps: int, first: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Future samples (trial, window, n_steps, unit), present ones, and coordinates, by chunks."""
    n_steps = whole("n_steps", n_steps)
    trials = Trials(trajectories, operator.delays, operator.interval)
    start = max(first, trials.reach)
    if min(trials.lengths) <= start + n_steps:
        raise InputError(
            f"{n_steps}-step predictions from windows of {start + 1} time steps need trials of at "
            f"least {start + n_steps + 1}; the shortest has {min(trials.lengths)}. "
            "Predict fewer steps, or give longer trials."
        )
    for chunk in trials.raw():
        n_windows = chunk.shape[1] - start - n_steps
        embedded = delay_embed(held_fixed(chunk), operator.delays, operator.interval)
        windows = embedded[:, start - trials.reach :][:, :n_windows]
        samples = as_numpy(held_fixed(chunk))[:, start:]
        ahead = [samples[:, h : h + n_windows] for h in range(1, n_steps + 1)]
        coordinates = as_numpy(held_fixed(windows @ operator.basis))
        yield np.stack(ahead, axis=2), samples[:, :n_windows], coordinates


def _onward(operator: "Operator", coordinates: np.ndarray, n_steps: int) -> np.ndarray:
    """Predicted samples 1..n_steps after each window: (trial, window, n_steps, unit)."""
    matrix, onward = (as_numpy(held_fixed(x)) for x in (operator.matrix, operator.readout))
    maps = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(n_steps):
            onward = onward @ matrix
            maps.append(onward.T)
        flat = coordinates @ np.concatenate(maps, axis=1)
    return flat.reshape(*coordinates.shape[:-1], n_steps, -1)
