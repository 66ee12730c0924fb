"""Scores as rows: one JSON object a line, appended and never changed.

A row says what was scored, on what, with which seed, how it ended, and where. Failures are rows
with a reason. Several processes may append to one folder at once: a line is written whole, under a
lock. A line torn by a killed process is passed over when reading, and the next line starts afresh;
so is one whose id is not that of what it says, or whose value is none.
"""

import functools
import hashlib
import json
import math
import os
import platform
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from repsim.errors import RepsimError

SCHEMA = 2
FILE = "scores.jsonl"
IDENTITY = (
    "schema", "case", "case_version", "protocol", "size", "metric", "parameters", "metric_version",
    "code", "seed",
)  # fmt: skip
STATES = ("ok", "failed", "not_applicable")
PACKAGES = ("numpy", "scipy", "torch", "xarray", "scikit-learn")


def row_id(row: dict[str, Any]) -> str:
    """Hash of what a row is about: two runs of the same thing have the same id."""
    identity = json.dumps([row[name] for name in IDENTITY], sort_keys=True, default=str)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def append(folder: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows to the results folder; they are on the disk when this returns.

    raises  RepsimError when the folder cannot be written
    """
    lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    try:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        with open(path / FILE, "ab+") as file:
            _lock(file)
            end = file.seek(0, os.SEEK_END)
            if end and _last_byte(file) != b"\n":
                lines = "\n" + lines
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RepsimError(
            f"Cannot write results to {str(folder)!r}: {error.strerror}. Give another folder."
        ) from error


def read_rows(*paths: str | Path) -> list[dict[str, Any]]:
    """All rows of results folders or .jsonl files, in order, the last one of each id winning, ok
    before failed. Rows of another schema are passed over with a warning.

    raises  RepsimError for a path that is not there
    """
    rows: dict[str, dict[str, Any]] = {}
    for path in map(Path, paths):
        file = path / FILE if path.is_dir() else path
        if not file.exists():
            raise RepsimError(
                f"No results at {str(path)!r}. Make some with repsim score or repsim board."
            )
        for row in _parse(file):
            known = rows.get(row["row"])
            if known is None or row["status"] == "ok" or known["status"] != "ok":
                rows.pop(row["row"], None)
                rows[row["row"]] = row
    return list(rows.values())


def finished(folder: str | Path | None) -> dict[str, dict[str, Any]]:
    """Rows that need no second run, by id; failures are tried again."""
    if folder is None or not (Path(folder) / FILE).exists():
        return {}
    return {row["row"]: row for row in read_rows(folder) if row["status"] != "failed"}


def distances_of(row: dict[str, Any]) -> np.ndarray:
    """The distances of a row, (set, set); NaN between blocks, which a row does not hold.

    raises  RepsimError for a row without a score
    """
    if not row["distances"]:
        raise RepsimError(f"Row {row['row']} has no distances: {row['reason']}")
    n_sets = len(row["names"])
    blocks = np.array(row.get("blocks") or [""] * n_sets)
    matrix = np.full((n_sets, n_sets), np.nan)
    for block, values in zip(dict.fromkeys(blocks.tolist()), row["distances"], strict=True):
        members = np.flatnonzero(blocks == block)
        matrix[np.ix_(members, members)] = np.array(values, dtype=float)
    return matrix


def sorted_matrices(row: dict[str, Any]) -> Iterator[tuple[list[str], list[str], np.ndarray]]:
    """Names, labels and distances of each block of a row, sorted by label."""
    if not row["distances"]:
        return
    matrix = distances_of(row)
    blocks = row.get("blocks") or [""] * len(matrix)
    for block in dict.fromkeys(blocks):
        members = [i for i, one in enumerate(blocks) if one == block]
        order = sorted(members, key=lambda i: _natural(row["labels"][i]))
        names, labels = ([row[key][i] for i in order] for key in ("names", "labels"))
        yield names, labels, matrix[np.ix_(order, order)]


@functools.cache
def provenance() -> dict[str, Any]:
    """Package versions, Python, platform and commit: the same for every row of a run."""
    versions = {"repsim": _version("repsim-bench")}
    versions |= {name: _version(name) for name in PACKAGES}
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parse(file: Path) -> list[dict[str, Any]]:
    rows, torn, foreign = [], 0, 0
    for line in file.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if row["schema"] != SCHEMA:
                foreign += 1
            elif _is_sound(row):
                rows.append(row)
            else:
                torn += 1
        except (ValueError, KeyError, TypeError):
            torn += 1
    if torn:
        warnings.warn(
            f"{file}: passed over {torn} unreadable line{'s' * (torn > 1)}; a run was killed while "
            "writing, or the file was edited. Everything else was read.",
            stacklevel=3,
        )
    if foreign:
        warnings.warn(
            f"{file}: passed over {foreign} row{'s' * (foreign > 1)} that another version of "
            f"repsim wrote; this one reads schema {SCHEMA}. Run again to add what is missing.",
            stacklevel=3,
        )
    return rows


def _is_sound(row: dict[str, Any]) -> bool:
    """Whether a row is about what its id says, and an "ok" bears a value; some faults raise."""
    datetime.fromisoformat(row["date"])
    has_value = isinstance(row["value"], float) and math.isfinite(row["value"])
    return (
        row["row"] == row_id(row)
        and type(row["seed"]) is int
        and row["status"] in STATES
        and (has_value or row["status"] != "ok")
    )


def _natural(label: str) -> tuple:
    """Sorts numbers as numbers and before words."""
    try:
        return (0, float(label), "")
    except ValueError:
        return (1, 0.0, label)


def _lock(file: Any) -> None:
    """Wait for the others who write here; systems without fcntl rely on appending in one piece."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout this code runs from; None for an installed copy."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", root, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
        )
    except OSError:
        return None
    return done.stdout.strip() or None
