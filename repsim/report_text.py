"""A report card in words: as plain text and on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from repsim.rendering import duration, interval, number, rich_table

if TYPE_CHECKING:
    from rich.console import Console

    from repsim.report import Report

SCALE = "Scores: 0 at chance, 1 at the ceiling; 95% intervals over seeds."
NARROW = 100  # columns of a terminal that leave room for the independent trials


def text(report: Report) -> str:
    """The card in plain text."""
    parts = ["\n".join([report.metric, *report.sentences, *remarks(report)])]
    parts += [f"{name}\n{table.to_string(index=False)}" for name, table in tables(report).items()]
    return "\n\n".join([*parts, "\n".join(facts(report))])


def print_rich(report: Report, console: Console | None = None) -> None:
    """Prints the card to a rich console, names as they are."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    console.print(Text(f"{report.metric}\n", style="bold"))
    for sentence in report.sentences:
        console.print(Text(f"• {sentence}"))
    for remark in remarks(report):
        console.print(Text(remark, style="red"))
    for name, texts in tables(report).items():
        if console.width < NARROW:
            texts = texts.drop(
                columns=["independent interval", "chance", "reason"], errors="ignore"
            )
        console.print("", rich_table(name, texts, console.width))
    console.print()
    for fact in facts(report):
        console.print(Text(fact, style="dim"))


def remarks(report: Report) -> list[str]:
    """What a reader must know before trusting the card: broken cases and failures, each once."""
    broken = [f"BROKEN: {case}: {why}" for case, why in report.broken.items()]
    return [*broken, *(f"Not scored: {reason}" for reason in report.reasons)]


def facts(report: Report) -> list[str]:
    """Rank, cost, controls and notes, a line each."""
    return [rank_in_words(report), cost_in_words(report), *_controls(report), *report.notes, SCALE]


def rank_in_words(report: Report) -> str:
    """The rank with its interval, or why there is none."""
    place = report.rank
    if place.rank is None:
        return place.why
    span = f"{place.low}" if place.low == place.high else f"{place.low} to {place.high}"
    how = "by one seed" if place.low is None else f"95% interval {span}"
    return f"Rank {place.rank} of {place.of} ({how}), on the same sets. {place.why}".strip()


def cost_in_words(report: Report) -> str:
    """Seconds for one pair."""
    return f"Cost: {duration(report.seconds_per_pair)} a pair, the median."


def tables(report: Report) -> dict[str, pd.DataFrame]:
    """The card as people read it: tables of rounded text by title, empty ones left out."""
    found = {
        "By axis": axes_shown(report),
        "Case by case": cases_shown(report),
        "Level at which it falls to .75": thresholds_shown(report),
        "Noise floor": floor_shown(report),
        "Chosen from the data": chosen_shown(report),
        "Without a value": report.failures,
    }
    return {title: table.map(str) for title, table in found.items() if len(table)}


def axes_shown(report: Report) -> pd.DataFrame:
    """Score, interval and verdict of each axis."""
    axes = report.axes
    return pd.DataFrame(
        {"axis": axes["axis"], **_scores(axes, "score"), "verdict": axes["verdict"]}
        | _beside(axes)
        | {"cases": axes["n_cases"]}
    )


def cases_shown(report: Report) -> pd.DataFrame:
    """Raw value and interval of each case."""
    cases = report.summary
    done = [f"{ok} of {n}" for ok, n in zip(cases["n_ok"], cases["n_seeds"], strict=True)]
    return pd.DataFrame(
        {"case": cases["case"], **_scores(cases, "value")}
        | _beside(cases)
        | {"chance": cases["chance"].map("{:g}".format), "seeds": done}
        | {"per pair": cases["seconds_per_pair"].map(duration)}
    )


def thresholds_shown(report: Report) -> pd.DataFrame:
    """The level at which the fit of each curve crosses the threshold: a row a case and metric."""
    lines = [
        (one.case, one.metric, str(one.threshold))
        for one in report.curves
        if one.fitted is not None
    ]
    return pd.DataFrame(lines, columns=["case", "metric", "level (95% interval)"])


def floor_shown(report: Report) -> pd.DataFrame:
    """Distances to copies, relative to that between different sets."""
    if report.floor is None:
        return pd.DataFrame()
    floor = report.floor
    relative = ["–" if pd.isna(value) else f"{max(value, 0):.1%}" for value in floor["relative"]]
    shown = pd.DataFrame(
        {"copy": floor["kind"], "of the distance between different sets": relative}
    )
    return shown.assign(why=floor["reason"]) if floor["reason"].any() else shown


def chosen_shown(report: Report) -> pd.DataFrame:
    """What was chosen, as a median and a range or as a list."""
    lines = []
    for one in report.chosen.itertuples():
        span = f"{one.median:g}"
        if one.lowest != one.highest:
            span += f" ({one.lowest:g} to {one.highest:g})"
        lines.append((one.case, one.parameter, one.choices or span))
    return pd.DataFrame(lines, columns=["case", "parameter", "chosen, median and range"])


def _scores(table: pd.DataFrame, name: str) -> dict[str, list[str]]:
    spans = list(map(interval, table["low"], table["high"]))
    return {name: list(map(number, table["score"])), "95% interval": spans}


def _beside(table: pd.DataFrame) -> dict[str, list[str]]:
    """The same with independent trials; no columns where nothing was run."""
    start = "independent" if "independent" in table else "independent_score"
    if table[start].isna().all():
        return {}
    low, high = table["independent_low"], table["independent_high"]
    spans = list(map(interval, low, high))
    return {"independent": list(map(number, table[start])), "independent interval": spans}


def _controls(report: Report) -> list[str]:
    """One line a control: its mean over cases, and the worst of its verdicts."""
    lines = []
    known = report.controls[report.controls["expected"].notna()]
    for name, cases in known.groupby("control", sort=False):
        verdicts = list(dict.fromkeys(cases["verdict"]))
        verdict = "broken" if "broken" in verdicts else ", ".join(verdicts).replace("_", " ")
        lines.append(f"control {name}: {number(cases['mean'].mean())}, {verdict}")
    return lines
