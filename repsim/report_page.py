"""A report card as one self-contained web page, in the look of the leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from repsim import report_figures, report_text
from repsim.rendering import duration, number, template

if TYPE_CHECKING:
    from repsim.report import Report

LEADS = ("Trust", "Do not trust", "Instead")


def page(report: Report) -> str:
    """The page; all names escaped, figures inside."""
    return template("report.html.j2").render(
        report=report,
        title=f"{report.metric} · {report.title}",
        sentences=list(zip(LEADS, report.sentences, strict=True)),
        facts=_facts(report),
        axis=track(_scores(report)),
        axes=report.axes.to_dict("records"),
        cases=report.summary.to_dict("records"),
        curves=report_figures.curve_pictures(report),
        maps=report_figures.case_maps(report),
        thresholds=_thresholds(report),
        tables=_tables(report),
        controls=_controls(report),
        ranked=[_ranked(line, report) for line in report.rank.table.to_dict("records")],
    )


def track(scores: np.ndarray) -> Callable[[float], float]:
    """Where a score stands on a track that holds all of them, in percent."""
    lowest = min(-0.1, np.nanmin(scores, initial=-0.1))
    return lambda score: 100 * (min(score, 1.0) - lowest) / (1.02 - lowest)


def _scores(report: Report) -> np.ndarray:
    names = ["score", "low", "independent_score", "independent_low"]
    board = report.rank.table[["score", "score_low"]].to_numpy(float)
    return np.concatenate([report.axes[names].to_numpy(float).ravel(), board.ravel()])


def _facts(report: Report) -> dict[str, str]:
    """What stands under the sentences in a row."""
    place = report.rank
    seeds = sorted(set(report.summary["n_seeds"]))
    return {
        "rank": "–" if place.rank is None else f"{place.rank} of {place.of}",
        "cost of a pair": duration(report.seconds_per_pair),
        "cases": str(len(report.summary)),
        "seeds a case": ", ".join(map(str, seeds)),
        "rows without a value": str(int(report.failures["rows"].sum())),
    }


def _ranked(line: dict[str, Any], report: Report) -> dict[str, Any]:
    """A line of the board, and whether it is the metric's own."""
    return line | {"own": line["metric"] == report.metric}


def _tables(report: Report) -> dict[str, tuple[str, pd.DataFrame]]:
    """The plain tables at the end by title, each with its caption; empty ones left out."""
    where = "" if report.floor is None else next(iter(report.floor["where"]), "")
    floor = (
        "Median distance of a set to a copy of itself, as a share of the median distance between "
        f"different sets. Sets of {where}. Split half: odd units against even units, in the same "
        "trials. Rotated: in random coordinates of the units."
    )
    chosen = "Parameters that the metric chose from the data, over the seeds of a case."
    failures = "Evaluations that gave no value, and why. They are not counted as chance."
    found = {
        "Noise floor": (floor, report_text.floor_shown(report)),
        "What it chose": (chosen, report_text.chosen_shown(report)),
        "Without a value": (failures, report.failures),
    }
    return {title: one for title, one in found.items() if len(one[1])}


def _thresholds(report: Report) -> pd.DataFrame:
    """One row a case, one column a metric, the level and its interval in words."""
    shown = report_text.thresholds_shown(report)
    wide = shown.pivot(index="case", columns="metric", values="level (95% interval)").fillna("–")
    metrics = [one for one in dict.fromkeys(shown["metric"]) if one in wide]
    return (
        wide.loc[list(dict.fromkeys(shown["case"])), metrics]
        .rename_axis(columns=None)
        .reset_index()
    )


def _controls(report: Report) -> pd.DataFrame:
    """One row a case, one column a control with a known value."""
    known = report.controls[report.controls["expected"].notna()]
    shown = known.assign(shown=[f"{number(one.mean)}, {one.verdict}" for one in known.itertuples()])
    wide = shown.pivot(index="case", columns="control", values="shown").fillna("–")
    return wide.rename_axis(columns=None).reset_index()
