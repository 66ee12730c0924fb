"""How far apart a metric finds sets that are the same: the floor beneath its distances.

    floor(kind) = median d(set, its copy) / median d(set, another set)

self      the set and itself
split     its odd units and its even units: the same trials, seen by two halves of the population
rotated   the set and itself in randomly rotated coordinates of its units

A good metric of shared structure has all three well below 1. Trials are not split: a metric that
compares samples needs the same ones in both sets.
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
KINDS = ("self", "split half of units", "rotated copy")


def measure_floor(metric: Metric, sets: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """One row a kind of copy: median distance, the same relative to different sets, or the reason.

    sets     different ones; the first N_SETS are used
    returns  columns kind, distance, between, relative (nan where sets are not told apart), reason
    """
    sets = dict(list(sets.items())[:N_SETS])
    rng = np.random.default_rng(0)
    between, reason = _median(metric, sets, [(i, j) for j in range(len(sets)) for i in range(j)])
    lines = []
    for kind, copies in zip(KINDS, (_same, _split, _rotated), strict=True):
        pairs = [copies(one, rng) for one in sets.values()]
        doubled = {
            f"{name}, {i}": one[i] for name, one in zip(sets, pairs, strict=True) for i in (0, 1)
        }
        places = [(2 * i, 2 * i + 1) for i in range(len(pairs))]
        distance, why = _median(metric, doubled, places)
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


def _split(one: xr.DataArray, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    return one.isel(unit=slice(0, None, 2)), one.isel(unit=slice(1, None, 2))


def _rotated(one: xr.DataArray, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    n_units = one.sizes["unit"]
    turn = np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
    return one, one.copy(data=one.values @ turn)
