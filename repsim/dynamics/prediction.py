"""Predictions of an operator in observation space, and how good they are.

x_{t+h} ~ readout matrix^h basis' h_t
MASE = mean |x_{t+h} - prediction| / mean |x_{t+h} - x_t|   over h = 1..n_steps, windows, units
AIC  = N ln(RSS / N) + 2 (rank^2 + rank units)                 N one-step predicted values
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from repsim.activations import as_numpy
from repsim.arrays import held_fixed
from repsim.dynamics.trials import Trials, as_float64, as_stack, delay_embed, one_trial, whole
from repsim.errors import InputError

if TYPE_CHECKING:
    from repsim.dynamics.operator import Operator


def following(operator: "Operator", trajectories: Any, n_steps: int) -> Any:
    """The n_steps samples after the end of each trial.

    trajectories  as in fit_operator, of the same units, at least one window long
    returns       (trial, n_steps, unit) in the library of the trajectories; a list of
                  (n_steps, unit) for a list of trials
    raises        InputError for shorter trials, or another number of units
    """
    n_steps, stack = whole("n_steps", n_steps), as_stack(trajectories)
    if stack is not None:
        return _after_the_last(operator, stack, n_steps, "the trials have")
    return [
        _after_the_last(operator, one_trial(trial, i)[None], n_steps, f"trial {i} has")[0]
        for i, trial in enumerate(trajectories)
    ]


def _after_the_last(operator: "Operator", stack: Any, n_steps: int, who: str) -> Any:
    """The samples that follow the last window of each trial: (trial, n_steps, unit)."""
    _check_units(operator, stack.shape[2], who)
    reach = (operator.delays - 1) * operator.interval
    if stack.shape[1] <= reach:
        raise InputError(
            f"a window of {operator.delays} delays at interval {operator.interval} spans "
            f"{reach + 1} time steps; {who} {stack.shape[1]}. Give longer trials."
        )
    last = as_float64(stack[:, -reach - 1 :])
    xp = array_namespace(last)
    window = xp.concat(
        [last[:, reach - j * operator.interval] for j in range(operator.delays)], axis=-1
    )
    basis, matrix, readout = (
        _beside(last, part) for part in (operator.basis, operator.matrix, operator.readout)
    )
    coordinates = window @ basis
    samples = []
    for _ in range(n_steps):
        coordinates = coordinates @ matrix.T
        samples.append(coordinates @ readout.T)
    return xp.stack(samples, axis=1)


def scaled_error(operator: "Operator", trajectories: Any, n_steps: int) -> float:
    """Mean absolute error of 1..n_steps-step predictions, over that of persistence.

    returns  in [0, inf]; 1 is as good as saying that nothing moves
    raises   InputError for trials too short, that do not move, or of another number of units
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
    _check_units(operator, trials.n_units, "the trials have")
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
        coordinates = as_numpy(held_fixed(windows @ _beside(windows, operator.basis)))
        yield np.stack(ahead, axis=2), samples[:, :n_windows], coordinates


def _beside(data: Any, part: Any) -> Any:
    """A part of the operator in the library and on the device of the data."""
    if is_torch_array(data) and is_torch_array(part):
        return part.to(data.device)
    return array_namespace(data).asarray(as_numpy(held_fixed(part)), device=data.device)


def _check_units(operator: "Operator", n_units: int, who: str) -> None:
    fitted = operator.basis.shape[0] // operator.delays
    if n_units != fitted:
        raise InputError(
            f"the operator was fitted to {fitted} units; {who} {n_units}. "
            "Give trials of the units it was fitted to."
        )


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
