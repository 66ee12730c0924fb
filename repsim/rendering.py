"""A leaderboard in words, as plain text, markdown, a rich table and a web page."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from jinja2 import Template
    from rich.console import Console
    from rich.table import Table

    from repsim.leaderboard import Leaderboard

WIDE, NARROW = 110, 70  # columns of a terminal that shows every case, and whole words
LONG = ("metric", "control", "case", "copy", "reason", "why")  # columns of words, not of numbers
CELL, FEW_CASES = 24, 4  # columns for the name of a case; cases whose controls are all listed


def headline(board: Leaderboard) -> str:
    """What the board shows, in one to five sentences."""
    table = board.table
    first = list(table["metric"][table["rank"] == 1])
    if not first:
        sentences = ["No metric is ranked."]
    elif not board.has_intervals:
        sentences = [f"{listed(first)} scored highest; one seed cannot say by how much."]
    elif len(table) == 1:
        sentences = [f"{first[0]} is the only metric here."]
    elif len(first) == 1:
        sentences = [f"{first[0]} ranks first of {len(table)}, alone."]
    else:
        sentences = [f"{listed(first)} share rank 1: these seeds cannot tell them apart."]
    at_chance = int((table["score_low"] <= 0).sum())
    if at_chance:
        verb = "is" if at_chance == 1 else "are"
        sentences.append(f"{at_chance} of {len(table)} {verb} not shown to beat chance.")
    if len(board.unranked):
        verb = "stands" if len(board.unranked) == 1 else "stand"
        sentences.append(f"{listed(list(board.unranked['metric']))} {verb} below the line.")
    if board.broken:
        cases = f"{listed(list(board.broken))} {'is' if len(board.broken) == 1 else 'are'} broken"
        sentences.append(f"{cases}: a control misses the value it must have.")
    elif set(board.controls["verdict"]) - {"no known value"} == {"agrees"}:
        sentences.append("The controls hold.")
    return " ".join(sentences)


def tables(board: Leaderboard) -> dict[str, pd.DataFrame]:
    """The board as people read it: tables of rounded text by title, empty ones left out."""
    ranked = board.table
    cases = [case for case in board.cases.index if case in ranked]
    axes = axes_shown(board)
    shown = {
        "rank": ranked["rank"].map(str),
        "95% ranks": list(map(_span, ranked["rank_low"], ranked["rank_high"])),
        "metric": ranked["metric"],
        "score": ranked["score"].map(number),
        "95% interval": list(map(interval, ranked["score_low"], ranked["score_high"])),
        **({"independent": ranked["independent"].map(number)} if "independent" in ranked else {}),
        **{name: ranked[name].map(number) for name in axes or cases},
        "per pair": ranked["seconds_per_pair"].map(duration),
    }
    by_case = {"metric": ranked["metric"]} | {case: ranked[case].map(number) for case in cases}
    controls = board.controls.assign(
        mean=board.controls["mean"].map(number),
        expected=board.controls["expected"].map(number),
    )
    found = {
        "Ranked": pd.DataFrame(shown),
        "Case by case": pd.DataFrame(by_case if axes else {}),
        "Below the line": board.unranked,
        "Controls": controls,
    }
    return {title: table.map(str) for title, table in found.items() if len(table)}


def axes_shown(board: Leaderboard) -> list[str]:
    """The axes as columns; none where they would say no more than the cases."""
    axes = sorted(set(board.cases["axis"][board.cases["seeds"] > 0]))
    return axes if len(axes) > 1 else []


def title(board: Leaderboard) -> str:
    """One line that says which board this is."""
    return f"repsim leaderboard · {board.protocol} protocol · {board.size} size"


def text(board: Leaderboard) -> str:
    """The board in plain text."""
    parts = [title(board), headline(board)]
    parts += [f"{name}\n{table.to_string(index=False)}" for name, table in tables(board).items()]
    parts.append("\n".join(_remarks(board)))
    return "\n\n".join(parts)


def notebook_html(board: Leaderboard) -> str:
    """The board's tables as a fragment for notebooks."""
    parts = [f"<p><b>{title(board)}</b><br>{escape(headline(board))}</p>"]
    parts += [f"<h4>{name}</h4>{t.to_html(index=False)}" for name, t in tables(board).items()]
    return "".join([*parts, *(f"<p>{escape(remark)}</p>" for remark in _remarks(board))])


def print_rich(board: Leaderboard, console: Console | None = None) -> None:
    """Prints the board to a rich console, names as they are.

    Tables that do not fit are left to the page: cases where they are many or the console is narrow,
    and the controls of many cases unless one is off. On a narrow one reasons stand underneath.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    console.print(Text(title(board), style="bold"), Text(headline(board)), sep="\n")
    shown, narrow = tables(board), console.width < WIDE
    if len(board.cases) * CELL > console.width:
        shown.pop("Case by case", None)
    if len(board.cases) > FEW_CASES and not board.broken:
        shown.pop("Controls", None)
    for name, texts in shown.items():
        if narrow:
            unfit = [*board.cases.index, *axes_shown(board), "case", "reason"]
            texts = texts.drop(columns=unfit, errors="ignore")
        console.print("", rich_table(name, texts, console.width))
    absent = board.unranked[["metric", "reason"]].to_numpy() if narrow else ()
    reasons = [f"{metric}: {reason}" for metric, reason in absent]
    console.print("", *(Text(x, style="dim") for x in (*reasons, *_remarks(board))), sep="\n")


def rich_table(name: str, texts: pd.DataFrame, width: int) -> Table:
    """A table for a terminal of so many columns; what is long goes on in the next line."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=name, title_justify="left", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip
    for column in texts.columns:
        whole = column not in LONG and width >= NARROW
        table.add_column(Text(column), overflow="fold", no_wrap=whole)
    for line in texts.to_numpy():
        table.add_row(*map(Text, line))
    return table


def markdown(board: Leaderboard) -> str:
    """The board as GitHub-flavoured markdown; every name stands in a code span."""
    parts = [f"# {title(board)}", _literal(headline(board))]
    for name, texts in tables(board).items():
        for column in texts.columns.intersection(["metric", "control", "case", "reason"]):
            texts[column] = texts[column].map(_code)
        heads = map(_literal, texts.columns)
        lines = [list(heads), ["---"] * texts.shape[1], *texts.to_numpy().tolist()]
        parts.append(f"## {name}")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    parts.append("\n".join(f"- {_literal(remark)}" for remark in _remarks(board)))
    foot = [f"{name} {_code(value)}" for name, value in board.provenance.items()]
    return "\n\n".join([*parts, " · ".join(foot)]) + "\n"


def page(board: Leaderboard) -> str:
    """One self-contained web page, all names escaped, figures inside."""
    from repsim import plotting

    lowest = min(-0.1, board.table["score_low"].min(), board.table["score"].min())
    return template("leaderboard.html.j2").render(
        board=board,
        title=title(board),
        cases=[case for case in board.cases.index if case in board.table],
        axes=axes_shown(board),
        axis=lambda score: 100 * (min(score, 1.0) - lowest) / (1.02 - lowest),  # percent of a track
        figures=plotting.page_figures(board),
    )


def template(name: str) -> Template:
    """A page's template, strict about names and safe against markup in values."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("repsim", ""), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"number": number, "duration": duration, "interval": interval}
    environment.tests["missing"] = pd.isna
    return environment.get_template(name)


def number(value: float) -> str:
    """Three decimals; a dash where there is no value."""
    return "–" if pd.isna(value) else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Micro-, milli- or whole seconds; a dash where there is no value."""
    if pd.isna(seconds):
        return "–"
    factor, unit = (1e6, "µs") if seconds < 1e-3 else (1e3, "ms") if seconds < 1 else (1, "s")
    return f"{seconds * factor:.{1 if seconds * factor < 10 else 0}f} {unit}"


def interval(low: float, high: float) -> str:
    """Both ends, or a dash where there is no interval."""
    return "–" if pd.isna(low) else f"{low:.2f} to {high:.2f}"


def listed(names: list[str]) -> str:
    """a, b and c; more than four are counted."""
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _span(low: int, high: int) -> str:
    if pd.isna(low):
        return "–"
    return str(low) if low == high else f"{low}–{high}"


def _remarks(board: Leaderboard) -> list[str]:
    """What stands under the tables: what is broken, the notes, and which board this is."""
    broken = [f"{case} is broken: {why}" for case, why in board.broken.items()]
    return [*broken, *board.notes, f"Board {board.id} of {len(board.rows)} rows."]


def _literal(sentence: str) -> str:
    """Markdown that shows the sentence as it is."""
    return re.sub(r"([\\`*_\[\]<>&|~])", r"\\\1", sentence)


def _code(name: str) -> str:
    """A code span that shows the name as it is, in a table cell too."""
    name = " ".join(name.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", name)), default=0))
    padding = " " if "`" in name else ""
    return fence + padding + name.replace("|", "\\|") + padding + fence if name else ""
