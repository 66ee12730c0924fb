"""One metric's report card: what it scored on every case, beside its controls."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repsim.checks import check_direction
from repsim.contract import Metric
from repsim.plugins import METRICS, get_metric
from repsim.ranking import control_verdict, rank
from repsim.run import evaluate, with_beside

CONTROLS = ("oracle", "random", "constant")


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
    on_row: Callable[[dict, int, int], None] | None = None,
) -> "Report":
    """Score one metric on test cases with known truth, beside the controls.

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
    rows = evaluate(
        [metric, *(METRICS[name] for name in CONTROLS if name != metric.name)],
        suite,
        seeds=seeds,
        protocol=with_beside(protocol),
        quick=quick,
        results=results,
        workers=workers,
        timeout=timeout,
        on_row=on_row,
    )
    return Report(rows, metric.id)


def assert_direction(metric: Metric, timeout: float | None) -> None:
    """Refuse a metric that is the wrong way round; in a worker where time is limited.

    A metric that fails on the small example is let through: its rows will say why it fails.
    """
    from repsim.errors import InputError, MetricError
    from repsim.workers import Worker

    if metric.view == "truth":
        return
    worker = Worker()
    try:
        if timeout is None:
            check_direction(metric)
        else:
            worker.call(check_direction, metric, timeout=timeout)
    except (InputError, MetricError):
        return
    finally:
        worker.stop()


class Report:
    """Rows of one metric and its controls.

    rows      the scores, as in the results folder
    summary   one row a case: mean, 95% interval, chance, ceiling, scaled score, seeds done and
              failed
    controls  one row a control and case: what it scored, what it must score, and the verdict
    reasons   why rows failed or do not apply, each once
    """

    def __init__(self, rows: list[dict], metric: str) -> None:
        self.rows, self.metric = rows, metric
        own = [row for row in rows if row["id"] == metric]
        cases = list(dict.fromkeys(row["case"] for row in own))
        self.summary = pd.DataFrame(
            [_case_summary(case, [row for row in own if row["case"] == case]) for case in cases]
        )
        self.controls = pd.DataFrame(_control_rows(rows))
        self.reasons = list(dict.fromkeys(row["reason"] for row in own if row["reason"]))

    def __str__(self) -> str:
        lines = [f"{self.metric} on {len(self.summary)} test case(s)", ""]
        for one in self.summary.to_dict("records"):
            lines.append(f"{one['case']}: {_sentence(one)}")
        lines += [
            f"BROKEN: {one['case']}, where {one['metric']} scored {one['mean']:.3f}, "
            f"not {one['expected']:g}."
            for one in self.controls.to_dict("records")
            if one["verdict"] == "broken"
        ]
        lines += [f"Not scored: {reason}" for reason in self.reasons]
        return "\n".join(lines)

    def print(self, console: Any = None) -> None:
        """The report card on the terminal."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = console or Console()
        table = Table("case", "score", "95% interval", "chance", "scaled", "seeds", box=None)
        for one in self.summary.to_dict("records"):
            table.add_row(
                Text(one["case"]), _number(one["score"]), _interval(one), _number(one["chance"]),
                _number(one["scaled"]), f"{one['n_ok']} of {one['n_seeds']}",
            )  # fmt: skip
        console.print(Text(f"\n{self.metric}\n", style="bold"))
        console.print(table)
        for one in self.summary.to_dict("records"):
            console.print(Text(_sentence(one)))
        for one in self.controls.to_dict("records"):
            console.print(
                Text(f"control {one['metric']}: {_number(one['mean'])}, {one['verdict']}"),
                style="red bold" if one["verdict"] == "broken" else "dim",
            )
        for reason in self.reasons:
            console.print(Text(f"Not scored: {reason}"), style="red")

    def figure(self) -> Any:
        """Scores by case and seed, with chance: a matplotlib Figure."""
        from repsim.plotting import report_figure

        return report_figure(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.json (rows), report.csv (summary) and report.png into a folder."""
        import json

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"report.{kind}" for kind in ("json", "csv", "png")]
        paths[0].write_text(json.dumps(self.rows, indent=1))
        self.summary.to_csv(paths[1], index=False)
        self.figure().savefig(paths[2], dpi=150)
        return paths


def _case_summary(case: str, rows: list[dict]) -> dict[str, Any]:
    values = np.array([row["value"] for row in rows if row["status"] == "ok"], dtype=float)
    chance, ceiling = rows[0]["chance"], rows[0]["ceiling"]
    mean = values.mean() if len(values) else np.nan
    interval = rank([values[None, :]]).score_interval if len(values) > 1 else None
    low, high = (float(one[0]) for one in interval) if interval else (np.nan, np.nan)
    return {
        "case": case,
        "axis": rows[0]["axis"],
        "score": mean,
        "low": low,
        "high": min(high, max(ceiling, mean)),
        "chance": chance,
        "ceiling": ceiling,
        "scaled": (mean - chance) / (ceiling - chance),
        "n_ok": len(values),
        "n_seeds": len(rows),
        "seconds_per_pair": np.nanmedian([row["seconds_per_pair"] or np.nan for row in rows])
        if len(values)
        else np.nan,
    }


def _control_rows(rows: list[dict]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        if row["expected"] is not None and row["status"] == "ok":
            found.setdefault((row["metric"], row["case"]), []).append(row)
    return [
        {
            "metric": metric,
            "case": case,
            "mean": float(np.mean([row["value"] for row in group])),
            "expected": group[0]["expected"],
            "verdict": control_verdict([row["value"] for row in group], group[0]["expected"]),
        }
        for (metric, case), group in found.items()
    ]


def _sentence(one: dict[str, Any]) -> str:
    """What a score says, in plain words."""
    if not one["n_ok"]:
        return "could not be scored."
    if np.isnan(one["low"]):
        return f"{one['score']:.3f} from one seed: no interval, run more seeds."
    if one["low"] > one["chance"]:
        return (
            f"{one['score']:.3f}, above chance ({one['chance']:g}): it answers the question, "
            f"{one['scaled']:.0%} of the way to the ceiling."
        )
    if one["high"] < one["chance"]:
        return f"{one['score']:.3f}, below chance ({one['chance']:g}): like sets are found farther."
    return f"{one['score']:.3f}, not told apart from chance ({one['chance']:g})."


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _interval(one: dict[str, Any]) -> str:
    return "-" if np.isnan(one["low"]) else f"{one['low']:.3f} to {one['high']:.3f}"
