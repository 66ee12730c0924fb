"""One metric's report card: where it can be trusted, where not, and what to use instead."""

import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repsim import report_rank, report_scores
from repsim.checks import check_direction
from repsim.contract import Metric
from repsim.errors import InputError, MetricError, RepsimError
from repsim.leaderboard import Leaderboard
from repsim.plugins import METRICS, get_metric
from repsim.report_curves import Curve, dose_curves
from repsim.report_words import three_sentences
from repsim.results import FILE, read_rows
from repsim.run import evaluate, get_cases, with_beside

CONTROLS = ("oracle", "random", "constant")
COMPANIONS = ("dsa", "linear_cka", "angular_procrustes")
NOISE = "noise robustness"
OnRow = Callable[[dict, int, int], None]


def score(
    metric: Any,
    suite: Any = "attractor",
    seeds: int | Sequence[int] = 8,
    quick: bool = False,
    *,
    protocol: str = "controlled",
    results: str | Path | None = None,
    workers: int = 0,
    timeout: float | None = None,
    on_row: OnRow | None = None,
) -> "Report":
    """Score one metric on test cases with known truth, beside the controls.

    On the noise cases dsa, linear_cka and angular_procrustes are scored too; any other metric whose
    rows stand in the results folder is compared with, not run.

    metric    a name, "dsa(delays=10)", "file.py:function", a Metric or a bare function of two
              arrays
    suite     a suite, one case, or a TestCase
    seeds     how many, or which
    quick     smaller sets
    results   folder of rows; what is finished there is not run again
    workers, timeout, on_row   as in repsim.evaluate
    raises    RepsimError for an unknown name, or a metric whose direction is the wrong way round
    """
    metric = get_metric(metric)
    assert_direction(metric, timeout)
    cases = get_cases(suite)
    run = functools.partial(
        evaluate, seeds=seeds, quick=quick, results=results, workers=workers, timeout=timeout
    )
    noise = [case for case in cases if case.axis == NOISE and protocol in case.protocols]
    companions = [one for one in _companions() if one.id != metric.id] if noise else []
    controls = [METRICS[name] for name in CONTROLS if name != metric.name]
    n_seeds = seeds if isinstance(seeds, int) else len(set(seeds))
    n_more = len(companions) * len(noise) * n_seeds
    shown = _counted(on_row, 0, n_more)
    rows = run([metric, *controls], cases, protocol=with_beside(protocol), on_row=shown)
    beside = []
    if companions:
        shown = _counted(on_row, len(rows), 0)
        beside = run(companions, noise, protocol=protocol, on_row=shown)
    if results is not None and (Path(results) / FILE).exists():
        beside = read_rows(results)
    order = {case.name: place for place, case in enumerate(cases)}
    rows.sort(key=lambda row: (order[row["case"]], row["protocol"], row["seed"]))
    floor = _floor(metric, cases, seeds, protocol, quick, timeout)
    return Report(rows, metric.id, protocol=protocol, beside=beside, floor=floor)


def _counted(on_row: OnRow | None, before: int, after: int) -> OnRow | None:
    """Counts the rows of one of two runs as rows of both together."""
    if on_row is None:
        return None
    return lambda row, done, total: on_row(row, before + done, before + total + after)


def assert_direction(metric: Metric, timeout: float | None) -> None:
    """Refuse a metric that is the wrong way round; in a worker where time is limited.

    A metric that fails on the small example is let through: its rows will say why it fails.
    """
    if metric.view == "truth":
        return
    try:
        _limited(timeout, check_direction, metric)
    except (InputError, MetricError):
        return


class Report:
    """What rows say about one metric; a pure function of them, but for the floor.

    rows       the scores of the metric and its controls, as given; what is counted is of one size
               and once each, and notes say what is not
    summary    one row a case: mean, 95% interval, chance, ceiling, scaled score, seeds done; the
               same mean with independent trials
    axes       one row an axis: score, 95% interval, verdict, with independent trials beside
    rank       the place among the metrics scored on the same sets (repsim.report_rank.Place)
    curves     value over dose (repsim.report_curves.Curve) of the metric and its companions
    floor      distance to copies of a set, relative to that between different sets, or None
    sentences  where to trust it, where not, what to use instead
    better     axis -> the metric shown to be better there, or None; None where a case is broken
    chosen     what the metric chose from the data
    failures   reasons why rows have no value; reasons lists each once
    controls   one row a control and case: what it scored, what it must score, and the verdict
    board      the leaderboard of all rows on the same sets
    raises     RepsimError where the metric has no row of this protocol
    """

    def __init__(
        self,
        rows: list[dict],
        metric: str,
        *,
        protocol: str = "controlled",
        beside: Iterable[dict] = (),
        floor: pd.DataFrame | None = None,
    ) -> None:
        self.rows, self.metric, self.protocol, self.floor = rows, metric, protocol, floor
        own = [row for row in rows if row["id"] == metric]
        if not any(row["protocol"] == protocol for row in own):
            held = ", ".join(sorted({f"{row['id']} ({row['protocol']})" for row in rows})) or "none"
            raise RepsimError(f"No rows of {metric} ({protocol}). There are rows of: {held}.")
        own, notes = report_scores.counted_rows(own, protocol)
        others, n_different = report_rank.same_sets([*rows, *beside], own)
        self.board = Leaderboard([*own, *others], protocol=protocol, size=own[0]["size"])
        self.controls, self.broken = self.board.controls, self.board.broken
        self.summary = report_scores.case_table(own, protocol)
        broken, independent = {protocol: self.broken}, []
        if side := self.board.independent:
            broken[side.protocol] = side.broken
            independent = [row for row in side.rows if row["case"] not in side.broken]
        self.axes = report_scores.axis_table(own, protocol, broken)
        self.failures = report_scores.failure_table(own)
        self.chosen = report_scores.chosen_table(own)
        self.seconds_per_pair = report_scores.seconds_per_pair(own)
        self.reasons = list(dict.fromkeys(row["reason"] for row in own if row["reason"]))
        self.rank = report_rank.place(self.board, metric)
        sound = set(self.axes["axis"][self.axes["verdict"] != "broken"])
        ranked = [row for row in self.board.rows if row["axis"] in sound]
        rivals = report_rank.rivals_by_axis(ranked, metric, independent)
        self.better = dict.fromkeys(self.axes["axis"])
        self.better |= {axis: one.best for axis, one in rivals.items()}
        command = report_rank.board_command([row for row in own if row["protocol"] == protocol])
        self.sentences = three_sentences(metric, self.axes, rivals, command)
        words = f"{n_different} rows of the results folder are left out: they are of other sets."
        self.notes = [*notes, *([words] if n_different else [])]
        self.notes += report_rank.rule_in_words(rivals.values())

    @functools.cached_property
    def curves(self) -> list[Curve]:
        """Of the metric, then of its companions, in every case with levels."""
        others = [one.id for one in _companions() if one.id != self.metric]
        cases = list(self.summary["case"])
        return dose_curves(self.board.rows, cases, [self.metric, *others])

    @property
    def title(self) -> str:
        """One line that says which card this is."""
        return f"repsim report card · {self.protocol} protocol · {self.board.size} size"

    @property
    def folder_name(self) -> str:
        """The metric's id with nothing in it that a file system might mind."""
        return re.sub(r"[^\w.=-]+", "-", self.metric).strip("-.") or "metric"

    def __str__(self) -> str:
        from repsim.report_text import text

        return text(self)

    def print(self, console: Any = None) -> None:
        """The report card on the terminal."""
        from repsim.report_text import print_rich

        print_rich(self, console)

    def figure(self) -> Any:
        """Scores, dose-response curves and distances: a matplotlib Figure."""
        from repsim.report_figures import card_figure

        return card_figure(self)

    def to_html(self) -> str:
        """One self-contained page: no request to any network, light and dark, desk and phone."""
        from repsim.report_page import page

        return page(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON knows it: None for what has no value or is infinite."""
        thresholds = [
            {"case": one.case, "metric": one.metric, "threshold": str(one.threshold)}
            | vars(one.threshold)
            for one in self.curves
        ]
        return _plain(
            {
                "metric": self.metric, "protocol": self.protocol, "size": self.board.size,
                "sentences": self.sentences, "axes": self.axes, "summary": self.summary,
                "rank": vars(self.rank), "seconds_per_pair": self.seconds_per_pair,
                "curves": [one.table() for one in self.curves], "thresholds": thresholds,
                "floor": self.floor, "chosen": self.chosen, "failures": self.failures,
                "controls": self.controls, "broken": self.broken, "notes": self.notes,
                "rows": self.rows,
            }
        )  # fmt: skip

    def save(self, folder: str | Path) -> list[Path]:
        """Writes report.html, report.png, report.json (all) and report.csv (cases)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"report.{kind}" for kind in ("html", "png", "json", "csv")]
        paths[0].write_text(self.to_html(), encoding="utf-8")
        self.figure().savefig(paths[1], dpi=150)
        paths[2].write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False))
        self.summary.to_csv(paths[3], index=False)
        return paths


def _companions() -> list[Metric]:
    return [METRICS[name] for name in COMPANIONS]


def _floor(
    metric: Metric, cases: list, seeds: int | Sequence[int], protocol: str, quick: bool,
    timeout: float | None,
) -> pd.DataFrame:  # fmt: skip
    from repsim.noise_floor import KINDS, example_sets, measure_floor

    seed = 0 if isinstance(seeds, int) else min(seeds)
    try:
        where, sets = example_sets(cases, seed, protocol, quick)
        return _limited(timeout, measure_floor, metric, sets).assign(where=where)
    except RepsimError as error:
        empty = {"distance": np.nan, "between": np.nan, "relative": np.nan}
        return pd.DataFrame({"kind": KINDS, **empty, "reason": str(error), "where": ""})


def _limited(timeout: float | None, function: Callable, *arguments: Any) -> Any:
    """In a worker where time is limited, here where it is not."""
    if timeout is None:
        return function(*arguments)
    from repsim.workers import Worker

    worker = Worker()
    try:
        return worker.call(function, *arguments, timeout=timeout)
    finally:
        worker.stop()


def _plain(value: Any) -> Any:
    """For strict JSON: tables as records, numbers of numpy as Python's, no NaN."""
    if isinstance(value, pd.DataFrame):
        return _plain(value.to_dict("records"))
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one) for one in value]
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
