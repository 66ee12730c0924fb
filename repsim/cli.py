"""The command line: list, check, score, board, show.

The others are in cli_compare.py, and in cli_models.py: record and cache.

Every flag has a keyword of the same name in Python. What a user can put right ends with one
sentence and status 2; --debug shows where it came from.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from repsim import __version__
from repsim.cli_compare import EXAMPLE, compare_files
from repsim.cli_models import add_commands
from repsim.console import (
    RowProgress,
    err,
    listing,
    out,
    print_json,
    print_matrix,
    print_table,
    show_help_alone,
    show_warning,
)  # fmt: skip
from repsim.errors import RepsimError

app = typer.Typer(
    name="repsim",
    help="Which representational similarity metric can be trusted.",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
INTERRUPTED = 130
KEEPING = {"score", "board", "record"}  # commands that go on where they were stopped

MetricArgument = Annotated[
    str, typer.Argument(help='A name, "dsa(delays=5)" or file.py:function.', metavar="METRIC")
]
Suite = Annotated[str, typer.Option(help="A suite, or one test case of it.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds.")]
FULL_SEEDS, QUICK_SEEDS = 8, 3
BoardSeeds = Annotated[int | None, typer.Option(min=1, help="How many; 8, or 3 where quick.")]
Quick = Annotated[bool, typer.Option("--quick", help="Smaller sets.")]
Protocol = Annotated[str, typer.Option(help="controlled, or published: as the paper did it.")]
Results = Annotated[Path, typer.Option(help="Folder of scores; what is finished is not run again.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that run at once.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for one metric, case and seed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def main() -> None:
    """Run the command line; no bare traceback reaches the user."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            status = app(arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except RepsimError as error:
        if debug:
            raise
        _explain(str(error))
    except typer.Exit as stop:
        status = stop.exit_code
    except Exception as error:
        if hasattr(error, "format_message"):
            _explain(f"{error.format_message()} See repsim --help.")
        if debug:
            raise
        if isinstance(error, OSError) and error.filename:
            _explain(f"{error.strerror}: {str(error.filename)!r}. Give another place.")
        _explain(f"Unexpected {type(error).__name__}: {error}. --debug shows where it came from.")
    if status == INTERRUPTED:  # typer turns Ctrl-C into this status
        kept = "What is finished is kept: run the same command again to go on."
        err.print(f"Stopped. {kept if {*arguments} & KEEPING else ''}".rstrip())
    sys.exit(status)


@app.callback(
    epilog="--debug, anywhere, shows the traceback of an error.", invoke_without_command=True
)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(__version__)
        raise typer.Exit
    show_help_alone(context)


@app.command("list", epilog="Example: repsim list metrics")
def list_things(
    what: Annotated[str, typer.Argument(help="metrics, cases, models or tasks")] = "metrics",
    json_: AsJson = False,
) -> None:
    """List what there is, plug-ins included."""
    rows = listing(what)
    if json_:
        print_json(rows)
        return
    print_table(rows, f"No {what} yet.", sentences=True)


@app.command(epilog="Example: repsim check mine.py:my_metric")
def check(
    metric: MetricArgument,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for all checks.")] = 300,
    json_: AsJson = False,
) -> None:
    """Does a metric keep its declared promises? Status 1 when a check fails."""
    from repsim.checks import check as run_checks
    from repsim.plugins import get_metric
    from repsim.workers import Worker

    worker = Worker()
    try:
        found = worker.call(run_checks, get_metric(metric), timeout=timeout)
    finally:
        worker.stop()
    rows = [{"check": r.check, "status": r.status, "message": r.message} for r in found]
    if json_:
        print_json(rows)
    else:
        print_table(rows)
        counts = {s: sum(r.status == s for r in found) for s in ("pass", "fail", "not applicable")}
        out.print(Text(f"\n{found[0].metric}: " + ", ".join(f"{n} {s}" for s, n in counts.items())))
    if any(result.status == "fail" for result in found):
        raise typer.Exit(1)


@app.command(epilog="Example: repsim score mine.py:my_metric --quick")
def score(
    metric: MetricArgument,
    suite: Suite = "attractor",
    seeds: Seeds = 8,
    quick: Quick = False,
    protocol: Protocol = "controlled",
    results: Results = Path("results"),
    save: Annotated[
        Path | None,
        typer.Option(help="Folder for the report card.", show_default="report/METRIC"),
    ] = None,
    workers: Workers = 2,
    timeout: Timeout = 600,
    json_: AsJson = False,
) -> None:
    """Can this metric be trusted? Scores it on test cases with known truth."""
    from repsim.files import assert_folder
    from repsim.report import score as score_metric

    assert_folder(save or Path("report"))
    with RowProgress(f"scoring {metric}", hidden=json_) as progress:
        report = score_metric(
            metric, suite, seeds, quick, protocol=protocol, results=results, workers=workers,
            timeout=timeout, on_row=progress,
        )  # fmt: skip
    paths = report.save(save or Path("report") / report.folder_name)
    if json_:
        print_json(report.to_dict())
    else:
        report.print(out)
    err.print(Text("wrote " + ", ".join(map(str, paths))))
    if not report.summary.n_ok.any():
        raise RepsimError(f"{report.metric} could not be scored. {report.reasons[0]}")


app.command("compare", epilog=EXAMPLE)(compare_files)


@app.command(epilog="Example: repsim board --quick, or repsim board linear_cka mine.py:f")
def board(
    metrics: Annotated[list[str] | None, typer.Argument(help="All when left out.")] = None,
    suite: Suite = "attractor",
    seeds: BoardSeeds = None,
    quick: Quick = False,
    protocol: Protocol = "controlled",
    results: Results = Path("results"),
    output: Annotated[Path, typer.Option(help="Folder for the page.")] = Path("leaderboard"),
    workers: Workers = 2,
    timeout: Timeout = 600,
    run: Annotated[
        bool, typer.Option(help="Run what is missing, or only rank what is there.")
    ] = True,
    json_: AsJson = False,
) -> None:
    """A leaderboard: runs what is missing, ranks all in the results folder, writes the page."""
    from repsim.files import assert_folder
    from repsim.leaderboard import Leaderboard
    from repsim.plotting import leaderboard_figure
    from repsim.report import assert_direction
    from repsim.run import evaluate, with_beside

    assert_folder(output)
    seeds = seeds or (QUICK_SEEDS if quick else FULL_SEEDS)
    chosen = _chosen(metrics or [], everything=run and not metrics, quick=quick)
    if run:
        for one in chosen:
            if one.code is not None:
                assert_direction(one, timeout)
        with RowProgress("scoring", hidden=json_) as progress:
            evaluate(
                chosen, suite, seeds=seeds, protocol=with_beside(protocol), quick=quick,
                results=results, workers=workers, timeout=timeout, on_row=progress,
            )  # fmt: skip
    rows = _rows_of(results, suite, seeds, chosen)
    ranked = Leaderboard(rows, protocol=protocol, size="quick" if quick else "full")
    paths = [*ranked.save(output), output / "leaderboard.png"]
    leaderboard_figure(ranked).savefig(paths[-1], dpi=150)
    if json_:
        print_json(json.loads(ranked.table.to_json(orient="records")))
        return
    ranked.print(out)
    err.print(Text("wrote " + ", ".join(str(path) for path in paths)))


@app.command(epilog="Example: repsim show 3f9a")
def show(
    row: Annotated[str, typer.Argument(help="A row's id, or its beginning.")],
    results: Results = Path("results"),
    json_: AsJson = False,
) -> None:
    """One score with all that is known about it."""
    from repsim.results import distances_of, read_rows

    rows = [one for one in read_rows(results) if one["row"].startswith(row)]
    if len(rows) != 1:
        found = f"{len(rows)} rows begin" if rows else "No row begins"
        raise RepsimError(
            f"{found} with {row!r} in {str(results)!r}. Row ids stand in {results}/scores.jsonl."
        )
    if json_:
        print_json(rows[0])
        return
    per_set = ("distances", "names", "labels", "blocks", "levels")
    plain = {k: v for k, v in rows[0].items() if k not in per_set}
    print_table(
        [
            {"field": k, "value": v if isinstance(v, str) else json.dumps(v)}
            for k, v in plain.items()
        ]
    )
    if rows[0]["distances"]:
        out.print("\ndistances")
        print_matrix(rows[0]["names"], distances_of(rows[0]))


add_commands(app)


def _chosen(names: list[str], everything: bool, quick: bool) -> list[Any]:
    """Metrics of these names, or all that are run unasked, and the controls."""
    from repsim.metrics import TUNED
    from repsim.plugins import METRICS, get_metric

    if everything:
        names = [*METRICS, *(() if quick else TUNED)]
    controls = [one for one in METRICS if names and METRICS[one].control and one not in names]
    return [get_metric(name) for name in (*names, *controls)]


def _rows_of(results: Path, suite: str, seeds: int, metrics: list[Any]) -> list[dict]:
    """Rows of the suite or case asked for; of these metrics, only those of them as they are now."""
    from repsim.results import read_rows

    now = {one.id: (one.version, one.code) for one in metrics}
    return [
        row
        for row in read_rows(results)
        if suite in (row["suite"], row["case"])
        and row["seed"] < seeds
        and (version := (row["metric_version"], row["code"])) == now.get(row["id"], version)
    ]


def _explain(sentence: str) -> None:
    err.print(Text(f"repsim: {sentence}"), soft_wrap=True)
    sys.exit(2)
