"""Delays and rank by held-out prediction: one pair for all sets of a comparison, blind to it.

error(delays, rank) = mean over sets and folds of MASE on the fold left out
chosen              = the smallest model whose error is within one standard error of the least

Folds are every fifth trial; a lone trial is cut into pieces of time. Each set is judged in its own
units; of many sets, six evenly spaced ones are. Nothing here sees labels or distances.
"""

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repsim.activations import as_numpy
from repsim.arrays import held_fixed, read_set
from repsim.dynamics.operator import Operator, fit_operator
from repsim.dynamics.prediction import scaled_errors
from repsim.dynamics.ranks import check_rank
from repsim.dynamics.trials import Trials, whole
from repsim.dynamics.whitening import whiten
from repsim.errors import InputError, RepsimError

AUTO = "auto"
DELAYS = (1, 2, 3, 5, 8, 12, 20, 30)
RANKS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 50)
MOST_SETS = 6
MOST_FOLDS = 5
MOST_STEPS = 10  # predicted ahead
MOST_COLUMNS = 400  # delay coordinates tried, unless one delay already has more
NEGLIGIBLE = 1e-10  # a coordinate this much weaker than the first is taken for rounding

_answered: dict[tuple, dict[str, int]] = {}  # the last choice: dsa and dsa_spectrum share theirs


def choose(
    arrays: Sequence[Any],
    *,
    delays: int | str | None = None,
    rank: int | float | str | None = None,
    interval: int = 1,
    ridge: float = 1e-8,
    operator: Any = None,
    **others: Any,
) -> dict[str, int]:
    """Metric.choose of the operator metrics: whole numbers for what is "auto" or a rule.

    A rule for the rank (a fraction, "gavish-donoho") gives the largest of the sets' own ranks, or
    what every set can carry, where that is less.
    """
    if operator is not None:
        return {}
    if AUTO in (delays, rank):
        asked = (_digest(arrays), delays, rank, interval, ridge)
        if asked not in _answered:
            chosen, _ = choose_delays_and_rank(arrays, delays, rank, interval=interval, ridge=ridge)
            _answered.clear()
            _answered[asked] = chosen
        return dict(_answered[asked])
    if isinstance(check_rank(rank), int):
        return {}
    plain = [held_fixed(x) for x in arrays]
    own = [fit_operator(x, delays, rank, interval=interval).rank for x in plain]
    return {"rank": min(_most(x, delays, max(own), interval) for x in plain)}


def choose_delays_and_rank(
    sets: Sequence[Any],
    delays: int | str = AUTO,
    rank: int | str = AUTO,
    *,
    interval: int = 1,
    ridge: float = 1e-8,
) -> tuple[dict[str, int], Any]:
    """Delays and rank shared by all sets, by held-out multi-step prediction.

    sets     (trial, time, unit) each: numpy, torch or DataArray; any numbers of trials, steps and
             units. Of more than 6, prediction is tried on 6 evenly spaced ones
    delays, rank  "auto", or a number that stays as it is; interval and ridge as in fit_operator
    returns  {"delays": ..., "rank": ...} and the grid, a DataFrame with one row a combination that
             every set can carry: delays, rank, error, standard_error, chosen
    raises   InputError when no combination suits every set, or a set does not move; folds that do
             not move are left out
    cost     at most 8 x 5 fits a set tried, each of all ranks at once, and 8 for each other set;
             columns stop at 400
    """
    if not (rank == AUTO or isinstance(check_rank(rank), int)):
        raise RepsimError(f'rank is {rank!r} and delays "auto". Give rank="auto" or a number.')
    interval = whole("interval", interval)
    read = _read(sets)
    every = [_in_pieces(x) for x in read]
    shortest = min(len(trial) for trials in every for trial in trials)
    n_steps = min(MOST_STEPS, max(1, shortest // 5))
    candidates = _delays(delays, interval, shortest - n_steps, max(x.shape[2] for x in read))
    first = (max(candidates, default=1) - 1) * interval
    ranks = RANKS if rank == AUTO else (whole("rank", rank),)
    tried = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST_SETS)).astype(int))
    tables = [
        _set_errors(every[i], candidates, ranks, interval, ridge, n_steps, first) for i in tried
    ]
    untried = [read[i] for i in range(len(read)) if i not in tried]
    carried = [
        {(d, r) for d in candidates for r in _whitened(x, d, ranks, interval)[1]} for x in untried
    ]
    shared = sorted(set.intersection(*map(set, tables), *carried))
    if not shared:
        raise InputError(
            f"no combination of delays {delays} and rank {rank} suits every set; the shortest "
            f"trial or piece of one has {shortest} steps. Give smaller numbers, or longer trials."
        )
    grid = _grid({pair: [table[pair] for table in tables] for pair in shared})
    chosen = grid[grid["chosen"]].iloc[0]
    return {"delays": int(chosen["delays"]), "rank": int(chosen["rank"])}, grid


def sensitivity(
    sets: Any,
    delays: Iterable[int],
    ranks: Iterable[int],
    *,
    metric: Any = "dsa_spectrum",
    names: Sequence[str] | None = None,
    **parameters: Any,
) -> Any:
    """Distances between all pairs over a grid of delays and ranks.

    sets     as in repsim.compare; parameters go to the metric (interval, ridge, order)
    metric   as in repsim.compare
    returns  DataArray (delays, rank, x, y); NaN where some set cannot carry the combination; the
             attribute metric names the metric with its other parameters
    raises   InputError when no combination can be fitted
    """
    import xarray as xr

    from repsim.pairs import compare
    from repsim.plugins import get_metric

    delays, ranks = list(delays), list(ranks)
    judge = get_metric(metric, **parameters)
    kept = {k: v for k, v in judge.parameters.items() if k not in ("delays", "rank")}
    layers: list[Any] = []
    refusal: Exception = RepsimError("the grid is empty. Give at least one of delays and ranks.")
    for d, rank in itertools.product(delays, ranks):
        chosen = judge.with_parameters(delays=d, rank=rank)
        try:
            layers.append(compare(sets, chosen, names))
        except InputError as error:
            refusal = error
            layers.append(None)
    one = next((layer for layer in layers if layer is not None), None)
    if one is None:
        raise refusal
    blank = np.full(one.shape, math.nan)
    values = np.stack([blank if layer is None else layer.values for layer in layers])
    coords = {"delays": list(delays), "rank": list(ranks), "x": one["x"].data, "y": one["y"].data}
    values = values.reshape(len(delays), len(ranks), *one.shape)
    attrs = {"metric": replace(judge, parameters=kept).id}
    return xr.DataArray(values, coords, tuple(coords), "distance", attrs)


def _most(trajectories: Any, delays: int, rank: int, interval: int) -> int:
    """The highest rank up to one asked for that the data carry."""
    trials = Trials(trajectories, delays, interval)
    rank = min(rank, trials.n_columns, trials.n_transitions)
    return len(whiten(trials, rank, strict=False).singular_values)


def _read(sets: Sequence[Any]) -> list[np.ndarray]:
    """Each set as (trial, time, unit), whatever the order of a DataArray's dims."""
    if getattr(sets, "ndim", None) == 3:
        raise InputError(f"sets is one array of shape {tuple(sets.shape)}. Give a list: [x].")
    me = "choose_delays_and_rank"
    read = [read_set(f"set {i}", x, "trajectories", me).array for i, x in enumerate(sets)]
    if not read:
        raise InputError("there are no sets. Give at least one.")
    return [as_numpy(held_fixed(x)) for x in read]


def _digest(arrays: Sequence[Any]) -> bytes:
    """What tells one list of sets from another: shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        values = np.ascontiguousarray(as_numpy(held_fixed(array)))
        digest.update(f"{values.shape}{values.dtype}".encode() + values.tobytes())
    return digest.digest()


def _delays(delays: int | str, interval: int, n_steps: int, n_units: int) -> list[int]:
    """Windows of at most half of what is not predicted, or the one number that was given."""
    if delays != AUTO:
        reach = (whole("delays", delays) - 1) * interval
        return [delays] if reach < n_steps - 1 else []
    return [
        d
        for d in DELAYS
        if (d - 1) * interval < n_steps // 2 and (d == 1 or d * n_units <= MOST_COLUMNS)
    ]


def _in_pieces(trajectories: np.ndarray) -> list[np.ndarray]:
    """The trials of a set; a lone trial is cut into pieces of time instead."""
    if len(trajectories) > 1:
        return list(trajectories)
    return np.array_split(trajectories[0], MOST_FOLDS)


def _stacked(trials: list[np.ndarray]) -> Any:
    """One array where the trials are of one length, which is faster."""
    return np.stack(trials) if len({len(trial) for trial in trials}) == 1 else trials


def _set_errors(
    trials: list[np.ndarray],
    candidates: Sequence[int],
    ranks: Sequence[int],
    interval: int,
    ridge: float,
    n_steps: int,
    first: int,
) -> dict[tuple[int, int], list[float]]:
    """(delays, rank) -> MASE of each fold that moves, for what every one of them can carry."""
    n_folds = min(MOST_FOLDS, len(trials))
    moving = {i % n_folds for i, trial in enumerate(trials) if np.diff(trial[first:], axis=0).any()}
    folds = sorted(moving) or range(n_folds)  # where nothing moves, the error says so
    found: dict[tuple[int, int], list[float]] = {}
    for d, fold in itertools.product(candidates, folds):
        kept = [trial for i, trial in enumerate(trials) if i % n_folds != fold]
        left_out = _stacked(trials[fold::n_folds])
        operators = _operators(_stacked(kept), d, ranks, interval, ridge)
        errors = scaled_errors(operators, left_out, n_steps, first) if operators else []
        for operator, error in zip(operators, errors, strict=True):
            found.setdefault((d, operator.rank), []).append(error)
    return {pair: errors for pair, errors in found.items() if len(errors) == len(folds)}


def _operators(
    trajectories: Any, delays: int, ranks: Sequence[int], interval: int, ridge: float
) -> list[Operator]:
    """Operators of several ranks from one whitening."""
    whitened, carried = _whitened(trajectories, delays, ranks, interval)
    return [
        Operator(
            whitened.matrix(rank, ridge),
            whitened.basis[:, :rank],
            whitened.singular_values[:rank],
            delays,
            interval,
        )
        for rank in carried
    ]


def _whitened(
    trajectories: Any, delays: int, ranks: Sequence[int], interval: int
) -> tuple[Any, list[int]]:
    """Whitened coordinates, and those of some ranks that they can carry."""
    trials = Trials(trajectories, delays, interval)
    most = min(trials.n_columns, trials.n_transitions)
    possible = [rank for rank in ranks if rank <= most]
    if not possible:
        return None, []
    whitened = whiten(trials, possible[-1], strict=False)
    values = whitened.singular_values
    carried = int(np.sum(values > NEGLIGIBLE * values[0]))
    return whitened, [rank for rank in possible if rank <= carried]


def _summary(errors: list[list[float]]) -> tuple[float, float]:
    """Mean over sets and folds, and the standard error over folds; a lone fold adds nothing."""
    if not np.isfinite(np.concatenate(errors)).all():
        return math.inf, math.inf
    means = [np.mean(folds) for folds in errors]
    variances = [np.var(folds, ddof=1) / len(folds) for folds in errors if len(folds) > 1]
    return float(np.mean(means)), float(np.sqrt(np.sum(variances)) / len(errors))


def _grid(errors: dict[tuple[int, int], list[list[float]]]) -> Any:
    """One row a combination; chosen is the smallest within one standard error of the best."""
    import pandas as pd

    rows = [(*pair, *_summary(values)) for pair, values in errors.items()]
    grid = pd.DataFrame(rows, columns=["delays", "rank", "error", "standard_error"])
    best = grid.loc[grid["error"].idxmin()]
    near = grid[grid["error"] <= best["error"] + best["standard_error"]]
    grid["chosen"] = grid.index == near.sort_values(["rank", "delays"]).index[0]
    return grid
