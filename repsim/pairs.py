"""All pairs of several sets: each set prepared once, pairs in one batch where the metric can."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from repsim.arrays import Sets
from repsim.contract import Metric
from repsim.errors import RepsimError
from repsim.plugins import get_metric


def compare(
    sets: Mapping[str, Any] | Sequence[Any],
    metric: Any = "linear_cka",
    names: Sequence[str] | None = None,
    *,
    rng: np.random.Generator | int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> xr.DataArray:
    """Distances between all pairs of sets, with the metric's id and facts as attributes.

    sets      two or more sets, (trial, time, unit) or (sample, unit): numpy, torch or DataArray
    metric    a name, "dsa(delays=10)", "file.py:function", a Metric or a function, which counts as
              a distance
    names     one a set; taken from a mapping's keys or DataArray names when left out
    rng       for metrics that draw; a generator or a seed
    progress  called with (pairs done, pairs in all)
    returns   (x, y) matrix; smaller = closer, whatever the metric's own orientation
    raises    InputError, MetricError
    """
    metric = get_metric(metric)
    named = _named(sets, names)
    rng = np.random.default_rng(rng)
    prepared = metric.prepare_sets(named, rng)
    matrix = distances(metric, prepared, rng, progress)
    labels = list(named)
    attrs = {"metric": metric.id, "version": metric.version, "kind": "distance"} | prepared.chosen
    return xr.DataArray(matrix, {"x": labels, "y": labels}, ("x", "y"), "distance", attrs)


def distances(
    metric: Metric,
    prepared: Sets,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
    blocks: Iterable[np.ndarray] | None = None,
) -> np.ndarray:
    """The matrix of distances between prepared sets; symmetric metrics are asked once a pair.

    blocks  positions of the sets to compare among themselves; NaN between blocks
    """
    n_sets = len(prepared.read)
    blocks = [np.arange(n_sets)] if blocks is None else list(blocks)
    matrix = np.full((n_sets, n_sets), np.nan)
    pairs = [
        (i, j)
        for members in blocks
        for k, i in enumerate(members)
        for j in members[k if metric.symmetric else 0 :]
    ]
    if metric.compare_pairs is not None:
        values = metric.compare_prepared_pairs(prepared, *zip(*pairs, strict=True))
    else:
        values = _one_by_one(metric, prepared, pairs, rng, progress)
    for (i, j), value in zip(pairs, values, strict=True):
        matrix[i, j] = metric.oriented(float(value))
        if metric.symmetric:
            matrix[j, i] = matrix[i, j]
    return matrix


def _one_by_one(
    metric: Metric,
    prepared: Sets,
    pairs: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None,
) -> Iterator[float]:
    for done, (i, j) in enumerate(pairs, 1):
        yield metric.compare_prepared(prepared, i, j, rng)
        if progress is not None:
            progress(done, len(pairs))


def _named(sets: Mapping[str, Any] | Sequence[Any], names: Sequence[str] | None) -> dict[str, Any]:
    if not isinstance(sets, Iterable):
        raise RepsimError(f"sets are of type {type(sets).__name__}; give two or more in a list.")
    if isinstance(sets, Mapping):
        sets, names = sets.values(), names or list(sets)
    sets = list(sets)
    if names is None:
        names = [str(getattr(one, "name", None) or f"set {i}") for i, one in enumerate(sets)]
    names = [str(name) for name in names]
    if len(sets) < 2:
        raise RepsimError(f"compare needs at least 2 sets; {len(sets)} given.")
    if len(names) != len(sets):
        raise RepsimError(f"{len(names)} names for {len(sets)} sets. Give one name a set.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RepsimError(f"Two sets are called {twice!r}. Give each its own name with names=.")
    return dict(zip(names, sets, strict=True))
