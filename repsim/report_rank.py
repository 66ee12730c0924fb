"""Where a metric stands among the others of a results folder, and which of them is better.

Only rows on the very same sets count: the same case and version, protocol, size and seed, and the
same fingerprint of the inputs. Nothing is run here.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repsim.leaderboard import Leaderboard
from repsim.ranking import rank

Row = dict[str, Any]
CELL = ("case", "case_version", "protocol", "size", "seed")


@dataclass(frozen=True)
class Place:
    """A rank among `of` metrics with its 95% interval (None with one seed).

    rank   None where the metric has no place; then why says it in words
    table  the board's ranked metrics, as in Leaderboard.table
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
    """

    metric: str
    score: float
    own: float


def same_inputs(rows: Iterable[Row], run: Sequence[Row]) -> tuple[list[Row], int]:
    """The rows of other metrics on the sets of this run, and how many were on different sets."""
    ids = {row["id"] for row in run}
    inputs: dict[tuple, str | None] = {}
    for row in run:
        cell = tuple(row[name] for name in CELL)
        inputs[cell] = inputs.get(cell) or row["inputs"]
    kept, n_different = [], 0
    for row in rows:
        cell = tuple(row[name] for name in CELL)
        if row["id"] in ids or cell not in inputs:
            continue
        if row["inputs"] and inputs[cell] and row["inputs"] != inputs[cell]:
            n_different += 1
            continue
        kept.append(row)
    return kept, n_different


def place(board: Leaderboard, metric: str) -> Place:
    """The rank of a metric on a board that holds its rows."""
    table = board.table
    nowhere = {"rank": None, "low": None, "high": None, "of": len(table), "table": table}
    own = table[table["metric"] == metric]
    if not len(own):
        lost = board.unranked[board.unranked["metric"] == metric]
        if not len(lost):
            return Place(**nowhere, why="A control is not ranked.")
        line = lost.iloc[0]
        n_lost = line["missing"] + line["failed"] + line["not_applicable"]
        return Place(**nowhere, why=f"No rank: {n_lost} of {line['cells']} cells have no value.")
    if len(table) == 1:
        words = "No rank: no other metric has been scored on all of these cases and seeds."
        return Place(**nowhere, why=f"{words} Run {board_command(board.rows)} first.")
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


def better_metrics(rows: Sequence[Row], metric: str) -> dict[str, Better | None]:
    """For each axis the best of the metrics shown to be better, or None.

    Shown: above chance by its own interval, and its difference to the metric above 0 in the whole
    95% interval of the paired bootstrap (repsim.ranking). Where the metric has no value on the
    whole axis, being above chance is enough. With one seed nothing is shown.

    rows  of one protocol and size, all metrics
    """
    axes = dict.fromkeys(row["axis"] for row in rows if row["id"] == metric)
    return {axis: _best([row for row in rows if row["axis"] == axis], metric) for axis in axes}


def _best(rows: Sequence[Row], metric: str) -> Better | None:
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
        if not set(cells) <= set(theirs):
            continue
        grids = _grids([one for one in (theirs, own) if one], cells)
        result = rank(grids)
        shown = result.score_interval is not None and result.score_interval[0][0] > 0
        if shown and (not own or result.rank[1] > 1):
            found.append(Better(name, float(result.score[0]), _mean(result.score[1:])))
    return max(found, key=lambda one: (one.score, one.metric), default=None)


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
