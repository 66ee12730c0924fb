"""Scores, ranked: a pure function of rows that never runs anything.

A metric's score is 0 at chance and 1 at the ceiling, averaged over cases. What the seeds cannot
tell apart shares a rank; a metric with missing cells stands below the line with the reason;
controls are checked, not ranked. How rows are chosen and intervals drawn: `repsim.ranking`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from repsim import ranking, rendering
from repsim.board_controls import broken_cases, control_table
from repsim.errors import RepsimError
from repsim.results import sorted_matrices

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

FEW_SEEDS = 5
BESIDE = "independent"
FIRST = ("rank", "rank_low", "rank_high", "metric", "score", "score_low", "score_high")
TAKEN = {*FIRST, BESIDE, "seconds_per_pair", "95% ranks", "95% interval", "per pair"}
METRIC, CASE = ("id", "metric_version", "code"), ("case", "case_version")
UNCORRECTED = (
    "Ranks are not corrected for the number of comparisons: of ten equal metrics (12 cases, 8"
    " seeds) some is ranked below another on six boards in ten, though one stands alone at rank 1"
    " on fewer than one in a hundred."
)


class Leaderboard:
    """Metrics ranked over the cases and seeds of one protocol and one size.

    table      one row a ranked metric: rank and score with 95% intervals, the mean score of each
               axis, the raw mean over seeds of each case, median seconds for one pair
    unranked   one row a metric with missing cells: how many, and the first reason
    controls   one row a control and case: its mean, the value it must have, the verdict
    cases      one row a case: version, axis, chance, ceiling, number of seeds
    independent  the board of the same metrics where every set draws its own trials, or None; its
               scores stand in the column "independent" of a controlled board's table; of metrics
               and cases of the same versions, over the cases that have it, which a note counts
    broken     case -> the sentence that says which control is off
    notes      what a careful reader has to know
    raises     RepsimError if nothing is left to rank, rows were scored on different inputs, or an
               axis or a case is called like another column
    """

    def __init__(
        self, rows: Iterable[dict], *, protocol: str = "controlled", size: str | None = None
    ) -> None:
        rows = list(rows)
        selection = ranking.select(rows, protocol, size)
        self.rows, self.protocol, self.size = selection.rows, selection.protocol, selection.size
        hashes = "\n".join(sorted(row["row"] for row in self.rows))
        self.id = hashlib.sha256(hashes.encode()).hexdigest()[:12]
        self._cells = {(row["id"], row["case"], row["seed"]): row for row in self.rows}
        self._rows_of = defaultdict(list)
        for row in self.rows:
            self._rows_of[row["id"], row["case"]].append(row)
        self._required = ranking.cells_to_fill(self.rows)
        self.cases = self._case_table()
        _refuse_shared_columns(self.cases["axis"])
        self.independent, notes_beside = self._board_beside(rows)
        self.unranked = self._unranked_table()
        self.table = self._ranked_table()
        self.controls = control_table(self.rows)
        self.broken = broken_cases(self.controls)
        self.notes = [*selection.notes, *self._notes()]
        if self.has_intervals and len(self.table) > 2:
            self.notes.append(UNCORRECTED)
        self.notes += [f"{BESIDE} trials: {note}" for note in notes_beside]
        if self.independent is not None:
            self.broken |= {f"{c}, {BESIDE} trials": w for c, w in self.independent.broken.items()}

    def values(self, metric: str, case: str) -> np.ndarray:
        """Raw values of a metric or control in a case, one for each seed that succeeded."""
        return np.array([row["value"] for row in self._successes(metric, case)])

    def distances(self, metric: str, case: str) -> xr.DataArray | None:
        """Distances between the sets of a case, mean over seeds and over blocks that hold the
        same labels; dims (x, y), sorted by label, named as in the first block.
        """
        import xarray as xr

        found = [one for row in self._successes(metric, case) for one in sorted_matrices(row)]
        if not found:
            return None
        names, labels, _ = found[0]
        mean = np.mean([matrix for _, others, matrix in found if others == labels], axis=0)
        coordinates = {"x": names, "y": names, "label": ("x", labels)}
        return xr.DataArray(mean, coordinates, ("x", "y"), attrs={"metric": metric})

    @property
    def has_intervals(self) -> bool:
        """Whether seeds were many enough, two or more in every case, to draw intervals from."""
        return len(self.table) > 0 and bool(self.table["score_low"].notna().all())

    @property
    def headline(self) -> str:
        """What the board shows, in plain words."""
        return rendering.headline(self)

    @property
    def provenance(self) -> dict[str, str]:
        """Where the rows come from: versions, machines, commits, dates, how many."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            origin = {key: row[key] for key in ("python", "platform", "commit")}
            for name, version in {**row["versions"], **origin}.items():
                found.setdefault(name, set()).add(version or "unknown")
        dates = sorted({row["date"][:10] for row in self.rows})
        return {
            "board": self.id,
            "protocol": self.protocol,
            "size": self.size,
            "rows": str(len(self.rows)),
            "seeds a case": ", ".join(map(str, sorted(set(self.cases["seeds"])))),
            "dates": " to ".join(sorted({dates[0], dates[-1]})),
            **{name: ", ".join(sorted(versions)) for name, versions in found.items()},
        }

    def __str__(self) -> str:
        return rendering.text(self)

    def _repr_html_(self) -> str:
        return rendering.notebook_html(self)

    def print(self, console: Console | None = None) -> None:
        """Prints the board to a rich console, names as they are."""
        rendering.print_rich(self, console)

    def to_markdown(self) -> str:
        """The board as GitHub-flavoured markdown; every name stands in a code span."""
        return rendering.markdown(self)

    def to_csv(self) -> str:
        """The table of ranked metrics with all digits."""
        return self.table.to_csv(index=False)

    def to_html(self) -> str:
        """One self-contained page: no request to any network, light and dark, desk and phone."""
        return rendering.page(self)

    def save(self, folder: str | os.PathLike) -> list[Path]:
        """Writes index.html, leaderboard.md and leaderboard.csv, each whole or not at all."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        texts = {"index.html": self.to_html(), "leaderboard.md": self.to_markdown()}
        paths = []
        for name, text in (texts | {"leaderboard.csv": self.to_csv()}).items():
            unfinished = folder / f".{name}.{os.getpid()}.tmp"
            unfinished.write_text(text, encoding="utf-8", newline="")
            os.replace(unfinished, folder / name)
            paths.append(folder / name)
        return paths

    def _successes(self, metric: str, case: str) -> list[dict]:
        return [row for row in self._rows_of[metric, case] if row["status"] == "ok"]

    def _board_beside(self, rows: list[dict]) -> tuple[Leaderboard | None, list[str]]:
        """The same metrics and cases in the same versions with independent trials, and what of
        these metrics it lacks.
        """
        if self.protocol != "controlled":
            return None, []
        ids, wanted = {row["id"] for row in self.rows}, (BESIDE, self.size)
        rows = [r for r in rows if (r["protocol"], r["size"]) == wanted and r["id"] in ids]
        metrics, cases = ({_picked(r, keys) for r in self.rows} for keys in (METRIC, CASE))
        same = [r for r in rows if _picked(r, METRIC) in metrics and _picked(r, CASE) in cases]
        notes = []
        if n := len(rows) - len(same):
            notes.append(f"{n} rows of other cases or versions than on this board are left out.")
        if not same:
            return None, notes
        board = Leaderboard(same, protocol=BESIDE, size=self.size)
        lacking = list(self._counted_cases().difference(board._counted_cases()))
        if lacking:
            n = len(self._counted_cases())
            part = f"{n - len(lacking)} of {n} cases, without {rendering.listed(lacking)}"
            notes.append(f"the score is over {part}: do not compare it with the score beside it.")
        return board, notes + [note for note in board.notes if note != UNCORRECTED]

    def _counted_cases(self) -> pd.Index:
        return self.cases.index[self.cases["seeds"] > 0]

    def _case_table(self) -> pd.DataFrame:
        facts = {}
        for row in self.rows:
            seeds = sum(case == row["case"] for case, _ in self._required)
            keys = ("axis", "chance", "ceiling")
            version = {"version": row["case_version"]}
            facts[row["case"]] = version | {key: row[key] for key in keys} | {"seeds": seeds}
        return pd.DataFrame.from_dict(facts, orient="index").rename_axis("case").sort_index()

    def _unranked_table(self) -> pd.DataFrame:
        columns = ["metric", "missing", "failed", "not_applicable", "cells", "reason"]
        lines = []
        for metric in sorted({row["id"] for row in self.rows if not row["control"]}):
            rows = {cell: self._cells.get((metric, *cell)) for cell in self._required}
            states = Counter(row["status"] if row else "missing" for row in rows.values())
            if states["ok"] < len(rows) or not rows:
                counts = [states[state] for state in columns[1:4]]
                reasons = [row["reason"] for row in rows.values() if row and row["reason"]]
                gap = next((cell for cell, row in rows.items() if not row), None)
                absent = f"not run on {gap[0]} seed {gap[1]}" if gap else "no cell succeeded"
                lines.append([metric, *counts, len(rows), (reasons or [absent])[0]])
        return pd.DataFrame(lines, columns=columns)

    def _ranked_table(self) -> pd.DataFrame:
        everyone = {row["id"] for row in self.rows if not row["control"]}
        metrics = sorted(everyone - set(self.unranked["metric"]))
        cases = self.cases[self.cases["seeds"] > 0]
        raw = {case: self._grid(metrics, case) for case in cases.index}
        table = pd.DataFrame({"metric": pd.Series(metrics, dtype=object)})
        scaled = {
            case: (raw[case] - facts.chance) / (facts.ceiling - facts.chance)
            for case, facts in cases.iterrows()
        }
        for name in ("rank", "rank_low", "rank_high", "score", "score_low", "score_high"):
            table[name] = pd.Series(dtype="Int64" if name.startswith("rank") else float)
        if metrics:
            found = ranking.rank(list(scaled.values()))
            table["rank"], table["score"] = found.rank, found.score
            if found.score_interval:
                table["score_low"], table["score_high"] = found.score_interval
                table["rank_low"], table["rank_high"] = found.rank_interval
        for axis, members in cases.groupby("axis").groups.items():
            table[axis] = np.mean([scaled[case].mean(axis=1) for case in members], axis=0)
        if self.independent is not None:
            beside = self.independent.table.set_index("metric")["score"]
            table[BESIDE] = table["metric"].map(beside).astype(float)
        for case in cases.index:
            table[case] = raw[case].mean(axis=1)
        table["seconds_per_pair"] = [self._seconds_per_pair(metric) for metric in metrics]
        table = table[[*FIRST, *table.columns.difference(FIRST, sort=False)]]
        by = ["rank", "score", "metric"]
        return table.sort_values(by, ascending=[True, False, True], ignore_index=True)

    def _grid(self, metrics: list[str], case: str) -> np.ndarray:
        seeds = [seed for where, seed in self._required if where == case]
        values = [self._cells[metric, case, seed]["value"] for metric in metrics for seed in seeds]
        return np.array(values, dtype=float).reshape(len(metrics), len(seeds))

    def _seconds_per_pair(self, metric: str) -> float:
        rows = [row for row in self.rows if row["id"] == metric and row["status"] == "ok"]
        seconds = [row["seconds_per_pair"] for row in rows if row["seconds_per_pair"] is not None]
        return float(np.median(seconds)) if seconds else np.nan

    def _notes(self) -> list[str]:
        seeds = self.cases["seeds"][self.cases["seeds"] > 0]
        few, notes = seeds[seeds < FEW_SEEDS], []
        for n, cases in few.groupby(few):
            where = list(cases.index)
            what = (
                f"Intervals from {n} seeds are widened for their number and still rough:"
                " take 8 or more before quoting a rank."
            )
            if n == 1:
                where = [f"{case} (seed {seed})" for case, seed in self._required if case in where]
                what = (
                    "One seed gives no interval, so the whole board is ordered by score alone:"
                    " take two or more."
                )
            notes.append(f"{rendering.listed(where)}: {what}")
        tried = {row["case"] for row in self.rows if not row["control"]}
        for case in self.cases.index[self.cases["seeds"] == 0]:
            why = "and no control succeeded" if case in tried else "was run on it"
            notes.append(f"{case}: no metric {why}; it does not count.")
        checked = self.controls[self.controls["verdict"].isin(["agrees", "broken"])]
        notes += [
            f"{case}: no control with a known value was assessed, so nobody knows if it is broken."
            for case in self.cases.index.difference(checked["case"])
        ]
        return notes


def _picked(row: dict, keys: Iterable[str]) -> tuple:
    return tuple(row[key] for key in keys)


def _refuse_shared_columns(axes: pd.Series) -> None:
    """Every axis and every case has a column of its own, beside those of all boards."""
    for case, axis in axes.items():
        for name, what, taken in ((case, "case", TAKEN), (axis, "axis", TAKEN | set(axes.index))):
            if name in taken:
                raise RepsimError(
                    f"Cannot rank {case!r} of the axis {axis!r}: the board has another column"
                    f" {name!r}. Give the {what} another name and score it again."
                )
