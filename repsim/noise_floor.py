"""How far apart a metric finds sets that are the same: the floor beneath its distances.

    floor(kind) = median d(set, its copy) / median d(set, another set)

self      the set and itself
units     its odd units and its even units: the same trials, seen by two halves of the population
trials    its odd trials and its even trials: as much as two recordings of one system differ
rotated   the set and itself in randomly rotated coordinates of its units

A good metric of shared structure has all four well below 1. A metric that compares samples needs
the same ones in both sets, and shows by its floor over halves of trials how much it needs them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from repsim.contract import Metric
from repsim.errors import RepsimError
from repsim.rules import blocks
from repsim.testcase import TestCase

N_SETS = 3
KINDS = ("self", "split half of units", "split half of trials", "rotated copy")


def measure_floor(metric: Metric, sets: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """One row a kind of copy: median distance, the same relative to different sets, or the reason.

    sets     different ones; the first N_SETS are used
    returns  columns kind, distance, between, relative (nan where sets are not told apart), reason
    """
    sets = dict(list(sets.items())[:N_SETS])
    rng = np.random.default_rng(0)
    between, reason = _median(metric, sets, [(i, j) for j in range(len(sets)) for i in range(j)])
    lines = []
    for kind, copies in zip(KINDS, (_same, _units, _trials, _rotated), strict=True):
        distance, why = _to_copies(metric, {name: copies(one, rng) for name, one in sets.items()})
        relative = distance / between if between > 0 else np.nan
        lines.append((kind, distance, between, relative, why or reason))
    return pd.DataFrame(lines, columns=["kind", "distance", "between", "relative", "reason"])


def example_sets(
    cases: Sequence[TestCase], seed: int, protocol: str, quick: bool
) -> tuple[str, dict[str, xr.DataArray]]:
    """Sets of the first block of a case, of different labels first, and the name of the case.

    The case is the first about dynamics that has the protocol, else the first that has it.
    """
    able = [case for case in cases if protocol in case.protocols]
    case = next((case for case in able if case.axis == "dynamics"), able[0])
    sets, truth = case.make(seed, protocol, quick)
    first = truth.iloc[next(iter(blocks(truth).values()))]
    repeated = first["label"].duplicated() if "label" in first else pd.Series(False, first.index)
    return case.name, {name: sets[name] for name in repeated.sort_values(kind="stable").index}


def _to_copies(
    metric: Metric, copies: Mapping[str, tuple[xr.DataArray, xr.DataArray]]
) -> tuple[float, str]:
    """The median distance between the two of each pair, or the reason why there is none."""
    few = next((name for name, pair in copies.items() if not pair[0].size), None)
    if few is not None:
        return np.nan, f"{few} has a single trial or unit, and no halves."
    doubled = {f"{name}, {i}": pair[i] for name, pair in copies.items() for i in (0, 1)}
    return _median(metric, doubled, [(2 * i, 2 * i + 1) for i in range(len(copies))])


def _median(
    metric: Metric, sets: Mapping[str, xr.DataArray], pairs: Sequence[tuple[int, int]]
) -> tuple[float, str]:
    rng = np.random.default_rng(0)
    try:
        prepared = metric.prepare_sets(sets, rng)
        values = [float(metric.compare_prepared(prepared, i, j, rng)) for i, j in pairs]
    except RepsimError as error:
        return np.nan, str(error)
    return float(metric.oriented(np.median(values))) if values else np.nan, ""


def _same(one: xr.DataArray, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    return one, one


def _units(one: xr.DataArray, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    return _halves(one, "unit")


def _trials(one: xr.DataArray, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    return _halves(one, "trial")


def _halves(one: xr.DataArray, axis: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Every second one along an axis, from the first and from the second, as many of each."""
    even = one.sizes[axis] // 2 * 2
    return one.isel({axis: slice(0, even, 2)}), one.isel({axis: slice(1, even, 2)})


def _rotated(one: xr.DataArray, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    n_units = one.sizes["unit"]
    turn = np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
    return one, one.copy(data=one.values @ turn)
