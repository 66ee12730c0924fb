"""Where a metric stands among the others of a results folder, and which of them is better.

Only rows on the very same sets count: the same case and version, protocol, size and seed, and the
same fingerprint of the inputs. Nothing is run here.

A metric is shown to be better on an axis where all of this holds:

    above chance   its own 95% interval lies above 0
    ahead          the 95% interval of the paired difference lies above 0 (repsim.ranking)
    by no chance   the paired difference passes a one-sided t-test at LEVEL (over the cases, with
                   Welch and Satterthwaite's degrees of freedom) after Holm's correction for all
                   metrics and axes of the card

Without the last, the more metrics and axes a card has, the more often it would name an equal as
better; with it, of cards whose metrics are all equal, about LEVEL or fewer name one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from repsim.leaderboard import Leaderboard
from repsim.ranking import rank
from repsim.report_scores import mean_and_interval

Row = dict[str, Any]
LEVEL = 0.05  # share of cards of equals that name one as better
CELL = ("case", "case_version", "protocol", "size", "seed")


@dataclass(frozen=True)
class Place:
    """A rank among `of` metrics with its 95% interval (None with one seed).

    rank   None where the metric has no place
    why    in words: why it has none, or that it is a place on a part of the cases only
    table  the ranked metrics, as in Leaderboard.table
    """

    rank: int | None
    low: int | None
    high: int | None
    of: int
    why: str
    table: pd.DataFrame


@dataclass(frozen=True)
class Better:
    """A metric that is shown to be better on an axis; score and own on the same cells.

    score  0 at chance, 1 at the ceiling
    own    the score of the metric it beats; NaN where that one has no value at all
    only_matched  with trials of their own its interval is known and not above chance
    """

    metric: str
    score: float
    own: float
    only_matched: bool


@dataclass(frozen=True)
class Rivals:
    """How many other metrics have values on the cells of an axis, and the best that is better."""

    n: int
    best: Better | None


def same_sets(rows: Iterable[Row], own: Sequence[Row]) -> tuple[list[Row], int]:
    """The rows of other metrics and controls on the sets of a metric's own rows, each once.

    returns  these, and how many were left out because they are of other sets
    """
    inputs = {_cell(row): row["inputs"] for row in own}
    kept, different = {}, set()
    for row in rows:
        if row["id"] == own[0]["id"] or _cell(row) not in inputs:
            continue
        wanted = inputs[_cell(row)] or row["inputs"]  # a row ended from outside names none
        inputs[_cell(row)] = wanted
        if row["inputs"] in (wanted, None):
            kept[row["row"]] = row
        else:
            different.add(row["row"])
    return list(kept.values()), len(different)


def _cell(row: Row) -> tuple:
    return tuple(row[name] for name in CELL)


def place(board: Leaderboard, metric: str) -> Place:
    """The rank of a metric on a board that holds its rows.

    One with gaps is ranked over the cells where it has a value, and `why` says so.
    """
    if metric not in set(board.unranked["metric"]):
        return _place(board.table, metric, board_command(board.rows))
    line = board.unranked.set_index("metric").loc[metric]
    n_ok = line["cells"] - line["missing"] - line["failed"] - line["not_applicable"]
    if not n_ok:
        return Place(None, None, None, len(board.table), "No rank: it has no value.", board.table)
    done = {_cell(row) for row in board.rows if row["id"] == metric and row["status"] == "ok"}
    rows = [row for row in board.rows if _cell(row) in done]
    part = Leaderboard(rows, protocol=board.protocol, size=board.size)
    found = _place(part.table, metric, board_command(board.rows))
    words = f"Counted are the {n_ok} of {line['cells']} evaluations that gave it a value; a "
    words += "leaderboard of all sets it below the line."
    return replace(found, why=f"{found.why} {words}".strip())


def _place(table: pd.DataFrame, metric: str, command: str) -> Place:
    nowhere = {"rank": None, "low": None, "high": None, "of": len(table), "table": table}
    own = table[table["metric"] == metric]
    if not len(own):
        return Place(**nowhere, why="A control is not ranked.")
    if len(table) == 1:
        words = "No rank: no other metric has been scored on all of these cases and seeds."
        return Place(**nowhere, why=f"{words} Run {command} first.")
    ends = [None if pd.isna(own[name].iloc[0]) else int(own[name].iloc[0]) for name in _ENDS]
    return Place(ends[0], ends[1], ends[2], len(table), "", table)


_ENDS = ("rank", "rank_low", "rank_high")


def board_command(run: Sequence[Row]) -> str:
    """The command that scores all metrics on the cases, seeds and size of these rows."""
    cases = sorted({row["case"] for row in run})
    suite = run[0]["suite"] if len(cases) > 1 else cases[0]
    words = ["repsim board", f"--suite {suite}", f"--seeds {max(row['seed'] for row in run) + 1}"]
    words += ["--quick"] if run[0]["size"] == "quick" else []
    protocol = run[0]["protocol"]
    return " ".join(words + ([f"--protocol {protocol}"] if protocol != "controlled" else []))


def rivals_by_axis(
    rows: Sequence[Row], metric: str, independent: Sequence[Row] = ()
) -> dict[str, Rivals]:
    """For each axis of a metric the others scored there, and the best of those shown to be better
    by the rule at the head of this file.

    Where the metric has no value on the whole axis, being above chance is enough, by the same
    correction. With one seed nothing is shown.

    rows         of one protocol and size, all metrics
    independent  the same with independent trials
    """
    axes = dict.fromkeys(row["axis"] for row in rows if row["id"] == metric)
    compared = {
        axis: _compared([row for row in rows if row["axis"] == axis], metric) for axis in axes
    }
    limit = _holm_limit([p for found in compared.values() for _, p in found])
    rivals = {}
    for axis, found in compared.items():
        shown = [one for one, p in found if p <= limit]
        best = max(shown, key=lambda one: (one.score, one.metric), default=None)
        if best:
            beside = [row for row in independent if row["axis"] == axis]
            best = replace(best, only_matched=_falls(beside, best.metric))
        rivals[axis] = Rivals(len(found), best)
    return rivals


def rule_in_words(rivals: Iterable[Rivals]) -> list[str]:
    """When a card names another metric as better; nothing where there is none to name."""
    n = sum(one.n for one in rivals)
    if not n:
        return []
    return [
        "A metric is named as better than this one where a paired t-test over the same seeds says"
        f" so after Holm's correction for {n} comparison{'s' if n > 1 else ''} (metrics on axes):"
        f" of cards whose metrics are all equal, about {LEVEL:.0%} or fewer name one."
    ]


def _compared(rows: Sequence[Row], metric: str) -> list[tuple[Better, float]]:
    """The others on the rows of one axis, each with the P-value of its being better; 1 where its
    interval or that of its lead does not show it.
    """
    values: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    for row in rows:
        if row["status"] == "ok" and (row["id"] == metric or not row["control"]):
            scaled = (row["value"] - row["chance"]) / (row["ceiling"] - row["chance"])
            values[row["id"]][row["case"], row["seed"]] = scaled
    own = values.pop(metric, {})
    tried = {(row["case"], row["seed"]) for row in rows if row["id"] == metric}
    cells = sorted(own) or sorted(tried)
    found = []
    for name, theirs in values.items():
        if set(cells) <= set(theirs):
            grids = _grids([one for one in (theirs, own) if one], cells)
            result = rank(grids)
            shown = result.score_interval is not None and result.score_interval[0][0] > 0
            ahead = shown and (not own or result.rank[1] > 1)
            p = _p_value([one[0] - one[1] if own else one[0] for one in grids]) if ahead else 1.0
            score, mine = float(result.score[0]), _mean(result.score[1:])
            found.append((Better(name, score, mine, only_matched=False), p))
    return found


def _p_value(differences: Sequence[np.ndarray]) -> float:
    """One-sided, of the mean over cases of the means over seeds; differences is one array a case.

    Two seeds a case or more; 0 where nothing scatters, as only leads are tested.
    """
    freedom = np.array([len(one) - 1 for one in differences])
    variance = np.array([one.var(ddof=1) / len(one) for one in differences])
    if not variance.any():
        return 0.0
    t = sum(one.mean() for one in differences) / np.sqrt(variance.sum())
    return float(stdtr(variance.sum() ** 2 / (variance**2 / freedom).sum(), -t))


def _holm_limit(p_values: Sequence[float]) -> float:
    """The largest P-value that Holm's procedure rejects at LEVEL; -1 where it rejects none."""
    ordered = np.sort(p_values)
    passed = ordered <= LEVEL / np.arange(len(ordered), 0, -1)
    n = int(np.logical_and.accumulate(passed).sum())
    return float(ordered[n - 1]) if n else -1.0


def _falls(independent: Sequence[Row], metric: str) -> bool:
    """Whether the interval of a metric with independent trials is known and not above chance."""
    own = [row for row in independent if row["id"] == metric]
    cases = dict.fromkeys(row["case"] for row in own)
    _, low, _ = mean_and_interval([row for row in own if row["case"] == case] for case in cases)
    return low <= 0


def _mean(scores: np.ndarray) -> float:
    return float(scores.mean()) if len(scores) else np.nan


def _grids(
    metrics: Sequence[dict[tuple[str, int], float]], cells: Sequence[tuple[str, int]]
) -> list[np.ndarray]:
    """For each case the (metrics, seeds) values, as repsim.ranking takes them."""
    return [
        np.array([[values[cell] for cell in cells if cell[0] == case] for values in metrics])
        for case in dict.fromkeys(case for case, _ in cells)
    ]
