"""Trained networks and recorded activations, kept under an address that says all they depend on.

address = sha256 of the facts as JSON: model, options, task, seed, settings, hash of the code

    folder/networks/ADDRESS.safetensors        parameters; facts and checksum in the header
    folder/activations/ADDRESS.nc              activations; facts and checksum in the attributes
    folder/unfinished/ADDRESS/                 what a killed training goes on from

The folder is $REPSIM_CACHE, or else the user's cache folder. A file is written under another name
and then renamed; one that is torn, or does not have the checksum it was written with, counts as
absent and is said to be so. The hash of the code covers the modules of model, task and training
with their own package (source_code.py), so an entry outlives an edit of what comes from elsewhere,
such as a new version of torch; clear the cache then.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repsim.activations import json_safe
from repsim.errors import RepsimError

Facts = Mapping[str, Any]
HEADER, FACTS, CHECKSUM = "repsim", "facts", "checksum"
KINDS = {"networks": ".safetensors", "activations": ".nc", "unfinished": ""}


@dataclass(frozen=True)
class Entry:
    """One thing in the cache; facts are empty where it cannot be read."""

    path: Path
    kind: str
    facts: Facts
    n_bytes: int


class Cache:
    """A folder of results by address.

    folder   where; the user's cache folder unless given
    tell     called with a sentence when an entry is damaged; a warning unless given
    """

    def __init__(
        self, folder: str | Path | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self.folder = default_folder() if folder is None else Path(folder)
        self.tell = tell or (lambda sentence: warnings.warn(sentence, stacklevel=3))

    def place(self, kind: str, facts: Facts) -> Path:
        """The path of what has these facts, there or not; its folder exists.

        raises   RepsimError for a folder that cannot be made
        """
        path = self.folder / kind / (address_of(facts) + KINDS[kind])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RepsimError(
                f"Cannot write the cache {str(self.folder)!r}: {error.strerror}. "
                "Name another folder in REPSIM_CACHE."
            ) from error
        return path

    def save_network(self, facts: Facts, arrays: Mapping[str, np.ndarray], record: Any) -> Path:
        """Keep named arrays and a JSON-safe record."""
        path = self.place("networks", facts)
        header = {FACTS: facts, CHECKSUM: checksum_of(arrays, record), "record": record}
        write_tensors(path, arrays, header)
        return path

    def load_network(self, facts: Facts) -> tuple[dict[str, np.ndarray], Any] | None:
        """Arrays and record, or None where they are absent or damaged."""
        path = self.place("networks", facts)

        def read() -> tuple[dict[str, np.ndarray], Any]:
            arrays, header = read_tensors(path)
            if checksum_of(arrays, header["record"]) != header[CHECKSUM]:
                raise ValueError("the checksum does not fit")
            return arrays, header["record"]

        return self._intact(path, read, "trained again")

    def save_activations(self, facts: Facts, activations: Any) -> Path:
        """Keep activations."""
        from repsim.activations import fingerprint
        from repsim.files import save

        path = self.place("activations", facts)
        marks = {FACTS: dict(facts), CHECKSUM: fingerprint(activations)}
        return save(activations.assign_attrs({HEADER: marks}), path)

    def load_activations(self, facts: Facts) -> Any | None:
        """Activations, or None where they are absent or damaged."""
        from repsim.activations import fingerprint
        from repsim.files import load

        path = self.place("activations", facts)

        def read() -> Any:
            found = load(path)
            if fingerprint(found) != found.attrs.pop(HEADER)[CHECKSUM]:
                raise ValueError("the checksum does not fit")
            return found

        return self._intact(path, read, "recorded again")

    def entries(self) -> list[Entry]:
        """All that is kept, the latest first."""
        found = []
        for kind in KINDS:
            for path in (self.folder / kind).glob("[!.]*"):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    entry = Entry(path, kind, _facts(path), _size(path))
                    found.append((path.stat().st_mtime, entry))
        return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]

    def clear(self, kind: str | None = None) -> int:
        """Delete all entries, or those of a kind; returns how many there were.

        raises   RepsimError for an unknown kind, and for what cannot be deleted
        """
        if kind is not None and kind not in KINDS:
            raise RepsimError(f"No kind {kind!r} of entry. Choose from {', '.join(KINDS)}.")
        entries = [one for one in self.entries() if kind in (None, one.kind)]
        for one in entries:
            try:
                shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink(missing_ok=True)
            except FileNotFoundError:  # something else was faster
                continue
            except OSError as error:
                raise RepsimError(
                    f"Cannot delete {str(one.path)!r}: {error.strerror}. Something else may be "
                    "writing to it, such as a training; clear the cache when that has ended."
                ) from error
        return len(entries)

    def _intact(self, path: Path, read: Callable[[], Any], remedy: str) -> Any | None:
        if not path.exists():
            return None
        try:
            return read()
        except Exception as error:
            if not _means_damage(error):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
            self.tell(f"{path.name} in the cache is damaged ({reason}); it is {remedy}.")
            path.unlink(missing_ok=True)
            return None


def default_folder() -> Path:
    """$REPSIM_CACHE, or repsim's own folder among the user's caches."""
    if os.environ.get("REPSIM_CACHE"):
        return Path(os.environ["REPSIM_CACHE"]).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("repsim", appauthor=False)


def address_of(facts: Facts) -> str:
    """One address for facts that are equal, whatever their order.

    raises   InputError for facts that JSON cannot hold, such as infinite numbers
    """
    text = json.dumps({name: json_safe(name, one) for name, one in facts.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def checksum_of(arrays: Mapping[str, np.ndarray], record: Any) -> str:
    """One hash over names, shapes, values and the record."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(arrays):
        one = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{one.shape}{one.dtype.str}".encode() + one.tobytes())
    return digest.hexdigest()


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray], header: Any) -> None:
    """Named arrays and a JSON-safe header in one safetensors file, replaced whole."""
    from safetensors.numpy import save

    tidy = {name: np.ascontiguousarray(one) for name, one in arrays.items()}
    replace_file(path, save(tidy, {HEADER: json.dumps(header)}))


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], Any]:
    """What write_tensors wrote."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return arrays, json.loads(file.metadata()[HEADER])


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is the old or the new one, and never torn."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _means_damage(error: Exception) -> bool:
    """Whether a file is to blame, and not the machine: files open, memory, rights, packages."""
    from safetensors import SafetensorError

    reasons = (error, error.__cause__)
    if any(isinstance(one, MemoryError) or getattr(one, "errno", None) for one in reasons):
        return False
    return isinstance(error, (ValueError, KeyError, SafetensorError))


def _facts(path: Path) -> Facts:
    try:
        if path.is_dir():
            return json.loads((path / "facts.json").read_text())
        if path.suffix == ".nc":
            from repsim.files import load

            return load(path).attrs[HEADER][FACTS]
        return read_tensors(path)[1][FACTS]
    except Exception:  # a damaged entry is listed without facts
        return {}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file())
