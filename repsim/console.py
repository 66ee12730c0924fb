"""What the command line shows: listings, tables, matrices, progress and JSON."""

import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from repsim.errors import RepsimError

GAP = 2  # columns between those of a table
WHOLE_LINES = 1000  # columns of what is no terminal: nothing is broken or left out for its width


def _console(stderr: bool = False) -> Console:
    """As wide as the terminal, or as COLUMNS says; a file or a pipe gets whole lines."""
    known = (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, highlight=False, width=None if known else WHOLE_LINES)


out, err = _console(), _console(stderr=True)
warned: set[str] = set()


class RowProgress:
    """A progress bar that counts rows; shown on the error stream."""

    def __init__(self, title: str, hidden: bool) -> None:
        self.bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), console=err,
            disable=hidden or not err.is_terminal, transient=True,
        )  # fmt: skip
        self.title, self.task = title, None

    def __enter__(self) -> "RowProgress":
        if not self.bar.disable:
            self.bar.start()
        self.task = self.bar.add_task(self.title, total=None)
        return self

    def __call__(self, row: dict[str, Any], done: int, total: int) -> None:
        """One more row is done."""
        self.advance(done, total)
        self.bar.update(self.task, description=row["id"])

    def advance(self, done: int, total: int) -> None:
        """So many are done."""
        self.bar.update(self.task, completed=done, total=total)

    def __exit__(self, *error: object) -> None:
        if not self.bar.disable:
            self.bar.stop()


def listing(what: str) -> list[dict[str, str]]:
    """Metrics, cases, models or tasks as rows, plug-ins included."""
    from repsim.plugins import METRICS, MODELS, SUITES, TASKS

    if what == "metrics":
        metrics = [METRICS[name] for name in (*METRICS, *METRICS.opt_in)]
        return [
            {
                "metric": m.id,
                "view": m.view,
                "kind": m.kind
                + ", control" * m.control
                + ", run only by name" * (m.name in METRICS.opt_in),
                "what": _summary(m.function),
            }
            for m in metrics
        ]
    if what in ("cases", "suites"):
        cases = [case for name in SUITES for case in SUITES[name]]
        return [
            {"case": c.name, "version": str(c.version), "rule": c.rule.name, "question": c.question}
            for c in cases
        ]
    if what == "models":
        return [{"model": name} for name in MODELS]
    if what == "tasks":
        return [{"task": name} for name in TASKS]
    raise RepsimError(f"Nothing called {what!r} to list. Use metrics, cases, models or tasks.")


def _summary(function: Callable) -> str:
    """The first paragraph of its docstring, in one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def print_table(
    rows: list[dict[str, str]], nothing: str = "Nothing.", *, sentences: bool = False
) -> None:
    """Rows as an aligned table; failures in red.

    A last column of sentences stands under each row where it does not fit beside.
    """
    if not rows:
        out.print(nothing)
        return
    widths = [
        max(len(str(value)) for value in column)
        for column in zip(*map(dict.values, rows), strict=True)
    ]
    if sentences and len(widths) > 1 and sum(widths) + GAP * (len(widths) - 1) > out.width:
        for *cells, sentence in map(dict.values, rows):
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
            out.print(Text((" " * GAP).join(padded).rstrip(), style="bold"))
            out.print(Padding(Text(sentence), (0, 0, 0, 2 * GAP)))
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        style = {"fail": "red", "not applicable": "dim"}.get(row.get("status", ""))
        table.add_row(*(Text(str(value)) for value in row.values()), style=style)
    out.print(table)


def print_matrix(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> None:
    """A square matrix with its names; a dash where nothing was compared.

    Where it is too wide, columns have the numbers of their rows, and stand in blocks that fit.
    """
    cells = [["–" if math.isnan(d) else f"{d:.4g}" for d in line] for line in matrix]
    longest = max(len(cell) for line in cells for cell in line)
    rows, heads, size = list(names), list(names), len(names)
    if sum(GAP + max(len(name), longest) for name in names) + max(map(len, names)) > out.width:
        heads = [str(i) for i in range(1, len(names) + 1)]
        rows = [f"{head} {name}" for head, name in zip(heads, names, strict=True)]
        room = out.width - min(max(map(len, rows)), out.width // 2)
        size = max(1, room // (GAP + longest))
    for start in range(0, len(names), size):
        if start:
            out.print()
        block = slice(start, start + size)
        print_table(
            [
                {"": row, **dict(zip(heads[block], line[block], strict=True))}
                for row, line in zip(rows, cells, strict=True)
            ]
        )


def print_json(value: Any) -> None:
    """JSON on the output, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def show_help_alone(context: typer.Context) -> None:
    """The help of a group of commands where none is given."""
    if context.invoked_subcommand is None:
        out.print(Text(context.get_help()))


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any
) -> None:
    """A warning on the error stream, once; from us, the sentence alone."""
    ours = category is UserWarning and Path(filename).is_relative_to(Path(__file__).parent)
    where = "" if ours else f"{filename}:{lineno}: {category.__name__}: "
    if (line := f"{where}{message}") not in warned:
        warned.add(line)
        err.print(Text(line), soft_wrap=True)
