"""How a metric's value falls with the dose: noise, missing data, a weaker signal.

A case in blocks with levels (repsim.rules) is judged block by block. The ideal distances stand in
the rows of the control `oracle`, so that rows alone are enough: nothing is generated again.

    curve      value at a level: mean over seeds of the mean over the blocks of that level
    threshold  the level at which the isotonic fit of the curve crosses THRESHOLD

Intervals, 95%: seeds are drawn again, all levels of a seed together, and the deviations widened for
few seeds as in repsim.ranking; the threshold is found anew in every draw.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repsim.ranking import TAIL, deviations
from repsim.results import distances_of
from repsim.rules import THRESHOLD, concordance, dose_response

DRAWS = 200
FITTED = ("noise robustness", "sampling")  # axes whose level is a dose: more of it is easier
Row = dict[str, Any]


@dataclass(frozen=True)
class Threshold:
    """A level, or on which side of all levels tried it lies.

    level  0 where the fit lies above at all levels, inf where it lies below, nan without a fit
    low, high  95% interval in the same terms, nan with one seed
    """

    level: float
    low: float
    high: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        if np.isnan(self.level):
            return "–"
        level = self._worded(self.level)
        if np.isnan(self.low):
            return level
        low, high = self._worded(self.low), self._worded(self.high)
        return level if low == high == level else f"{level} ({low} to {high})"

    def _worded(self, level: float) -> str:
        if level < self.lowest:
            return f"below {self.lowest:.3g}"
        return f"above {self.highest:.3g}" if level > self.highest else f"{level:.3g}"


@dataclass(frozen=True)
class Curve:
    """Values of one metric over the levels of one case; arrays have one entry a level.

    fitted  the isotonic fit; None where the level is no dose or not positive
    """

    case: str
    axis: str
    metric: str
    level: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fitted: np.ndarray | None
    threshold: Threshold
    n_seeds: int

    def table(self) -> pd.DataFrame:
        """One row a level."""
        columns = {name: getattr(self, name) for name in ("level", "value", "low", "high")}
        fitted = np.full(len(self.level), np.nan) if self.fitted is None else self.fitted
        return pd.DataFrame({"case": self.case, "metric": self.metric, **columns, "fitted": fitted})


def dose_curves(rows: Iterable[Row], cases: Sequence[str], metrics: Sequence[str]) -> list[Curve]:
    """The curves of some metrics in those of the cases that have levels, in the orders given.

    rows  of one protocol and size, with those of the control oracle
    """
    rows = [row for row in rows if row["status"] == "ok"]
    ideals = {(row["case"], row["seed"]): row for row in rows if row["id"] == "oracle"}
    found = []
    for case in cases:
        for metric in metrics:
            own = [
                row
                for row in rows
                if (row["id"], row["case"]) == (metric, case)
                and row.get("levels")
                and (case, row["seed"]) in ideals
            ]
            if own:
                tables = [by_level(row, ideals[case, row["seed"]]) for row in own]
                found.append(_curve(own[0], tables))
    return found


def by_level(row: Row, ideal: Row) -> pd.Series:
    """The value at each level of a row, given the oracle's row of the same case and seed."""
    distances, wanted = distances_of(row), distances_of(ideal)
    blocks, levels = np.array(row["blocks"]), np.array(row["levels"])
    values = []
    for block in dict.fromkeys(blocks.tolist()):
        members = np.flatnonzero(blocks == block)
        inside = np.ix_(members, members)
        values.append((levels[members[0]], concordance(distances[inside], wanted[inside])))
    return pd.DataFrame(values, columns=["level", "value"]).groupby("level")["value"].mean()


def _curve(row: Row, tables: Sequence[pd.Series]) -> Curve:
    together = pd.DataFrame(tables).dropna(axis=1)  # (seed, level), levels ascending
    level, values = together.columns.to_numpy(float), together.to_numpy()
    mean, draws = values.mean(axis=0), _draws(values)
    low, high = _interval(draws, len(level))
    is_dose = row["axis"] in FITTED and len(level) > 1 and level[0] > 0 and np.isfinite(level).all()
    fitted = dose_response(level, mean).fitted if is_dose else None
    return Curve(
        row["case"], row["axis"], row["id"], level, mean,
        np.maximum(low, 0), np.minimum(high, 1), fitted,
        _threshold(level, mean, draws, is_dose), len(values),
    )  # fmt: skip


def _draws(values: np.ndarray) -> np.ndarray:
    """Bootstrap draws of the mean over seeds, (draw, level); none for one seed."""
    n = len(values)
    if n < 2:
        return np.empty((0, values.shape[1]))
    return values.mean(axis=0) + deviations([values.T])[:DRAWS]


def _interval(draws: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    if not len(draws):
        return np.full(n, np.nan), np.full(n, np.nan)
    low, high = np.quantile(draws, [TAIL, 1 - TAIL], axis=0)
    return low, high


def _threshold(level: np.ndarray, mean: np.ndarray, draws: np.ndarray, is_dose: bool) -> Threshold:
    if not is_dose:
        return Threshold(np.nan, np.nan, np.nan, level[0], level[-1])
    low = high = np.nan
    if len(draws):
        found = [crossing(level, one) for one in draws]
        low = float(np.quantile(found, TAIL, method="lower"))
        high = float(np.quantile(found, 1 - TAIL, method="higher"))
    return Threshold(crossing(level, mean), low, high, level[0], level[-1])


def threshold_of(level: np.ndarray, values: np.ndarray) -> Threshold:
    """Where the mean over seeds crosses the threshold, with its interval.

    level   positive, ascending
    values  (seed, level)
    """
    return _threshold(level, values.mean(axis=0), _draws(values), is_dose=True)


def crossing(level: np.ndarray, value: np.ndarray) -> float:
    """The threshold of rules.dose_response for ascending levels, fast enough for a bootstrap.

    returns  0 where the fit lies above the threshold at all levels, inf where below at all
    """
    from scipy.optimize import isotonic_regression

    fitted = isotonic_regression(value).x
    right = int(np.searchsorted(fitted, THRESHOLD))  # the first that is not below
    if right in (0, len(level)):
        return np.inf if right else 0.0
    ends = [right - 1, right]
    return float(np.exp(np.interp(THRESHOLD, fitted[ends], np.log(level[ends]))))
