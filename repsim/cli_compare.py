"""The command that compares files of activations: repsim compare."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from repsim.console import RowProgress, err, out, print_json, print_matrix
from repsim.errors import RepsimError

EXAMPLE = "Example: repsim compare a.nc b.npz:layer3 c.npy --metric dsa"


def compare_files(
    files: Annotated[list[str], typer.Argument(help="Two or more; FILE:KEY names an array.")],
    metric: Annotated[str, typer.Option(help="As in score.")] = "linear_cka",
    output: Annotated[Path, typer.Option(help="Writes OUTPUT.nc and OUTPUT.png.")] = Path(
        "distances"
    ),
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Give up after so many seconds.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Distances between the activations of your models."""
    from repsim.files import assert_folder, load

    assert_folder(output.parent)
    sets = [_as_in_python(load(*_file_and_key(word))) for word in files]
    with redirect_stdout(sys.stderr):  # for what the metric prints
        matrix = _distances(sets, _short_names(files), metric, timeout, hidden=json_)
    try:
        saved = _save(matrix, output)
    finally:  # shown even where it cannot be written
        _show(matrix, json_)
    if not json_:
        err.print(Text(f"wrote {saved[0]} and {saved[1]}"))


def _as_in_python(loaded: Any) -> Any:
    """(sample, unit) as numpy has it, without the time step that load adds."""
    static = loaded.sizes["time"] == 1 and "trial" not in loaded.coords
    return loaded.values[:, 0] if static else loaded


def _distances(
    sets: list[Any], names: list[str], metric: str, timeout: float | None, hidden: bool
) -> Any:
    """The matrix; in a worker where time is limited."""
    from repsim.pairs import compare
    from repsim.plugins import get_metric
    from repsim.report import assert_direction
    from repsim.workers import Worker

    found = get_metric(metric)
    if found.code is not None:
        assert_direction(found, timeout)
    if timeout is None:
        with RowProgress(f"comparing with {metric}", hidden) as progress:
            return compare(sets, found, names, progress=progress.advance)
    worker = Worker()
    try:
        return worker.call(compare, sets, found, names, timeout=timeout)
    finally:
        worker.stop()


def _save(matrix: Any, output: Path) -> tuple[Path, Path]:
    from repsim.plotting import distance_heatmap

    numbers, picture = Path(f"{output}.nc"), Path(f"{output}.png")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        matrix.to_netcdf(numbers, engine="h5netcdf")
        distance_heatmap(matrix).savefig(picture, dpi=150)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise RepsimError(
            f"Cannot write {numbers} and {picture}: {reason}. Give another place with --output."
        ) from error
    return numbers, picture


def _show(matrix: Any, json_: bool) -> None:
    names = matrix.x.values
    if json_:
        print_json({"names": names.tolist(), "distances": matrix.values.tolist(), **matrix.attrs})
        return
    out.print(Text(f"{matrix.attrs['metric']}, smaller = closer\n"))
    print_matrix(names, matrix.values)


def _file_and_key(word: str) -> tuple[str, str | None]:
    """FILE:KEY in two, at the colon after the file; a key may have colons, too."""
    ends = [at for at, sign in enumerate(word) if sign == ":" and Path(word[:at]).suffix]
    if Path(word).exists() or not ends:
        return word, None
    at = next((at for at in ends if Path(word[:at]).exists()), ends[0])
    return word[:at], word[at + 1 :]


def _short_names(files: list[str]) -> list[str]:
    """File names without folders and endings, unless that leaves two alike."""
    if twice := [word for word in files if files.count(word) > 1]:
        raise RepsimError(
            f"{twice[0]!r} is given twice. Give it once, or as a copy of another name."
        )
    words = [_file_and_key(word) for word in files]
    short = [Path(path).stem + (f":{key}" if key else "") for path, key in words]
    return short if len(set(short)) == len(short) else files
