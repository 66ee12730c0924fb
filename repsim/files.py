"""Activations to and from files: .npy .npz .nc .zarr .pt .safetensors.

netCDF and zarr keep labels and attributes; the others keep the (trial, time, unit) array alone.
Nothing is unpickled: .npy with allow_pickle=False, .pt with weights_only=True.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from repsim.activations import as_activations, as_numpy, json_safe
from repsim.errors import InputError

VARIABLE = "activations"
ENCODED = "repsim_json"
STORE = (".zgroup", "zarr.json")  # either lies in every zarr store, of format 2 or 3


def load(path: str | Path, key: str | None = None) -> xr.DataArray:
    """Read activations from a file.

    path    .npy .npz .nc .zarr .pt .safetensors, holding (trial, time, unit) or (sample, unit)
    key     which array, in a file that holds several
    raises  InputError for a missing or unreadable file, pickled content, an unknown kind, a missing
            or ambiguous key, and for all that as_activations refuses
    """
    path = Path(path)
    reader = _kind(path, READERS)
    if not path.exists():
        raise InputError(f"No file {str(path)!r}. Give a path to one of {', '.join(READERS)}.")
    try:
        array = _choose(reader(path), key, path)
    except (InputError, ImportError):
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if _is_about_pickles(error):
            reason = "it holds pickled objects, which could run code on loading"
            if not _may_hold_pickles(path):
                reason = f"it is no {path.suffix} file"
        raise InputError(
            f"Cannot read {str(path)!r} as {path.suffix}: {reason}. "
            "Save a plain numeric array again, for example with repsim.save."
        ) from error
    try:
        result = as_activations(array)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    return result if result.name not in (None, VARIABLE) else result.rename(path.stem)


def _is_about_pickles(error: Exception) -> bool:
    words = str(error)
    return not isinstance(error, OSError) and ("pickle" in words.lower() or "weights_only" in words)


def _may_hold_pickles(path: Path) -> bool:
    """A folder, a pickle, an array of numpy, or an archive of such."""
    if path.is_dir():
        return True
    with open(path, "rb") as file:
        return file.read(6).startswith((b"\x80", b"\x93NUMPY", b"PK"))


def save(activations: Any, path: str | Path) -> Path:
    """Write activations, by suffix; an old file stays until the new one is whole.

    raises  InputError for an unknown kind, and for a place that cannot be written
    """
    path = Path(path)
    assert_place(path)
    activations = as_activations(activations)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _kind(path, WRITERS)(activations, unfinished)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(unfinished, path)
    except OSError as error:
        raise InputError(
            f"Cannot write {str(path)!r}: {error.strerror or error}. Give another place."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(OSError):
            unfinished.unlink()
    return path


def assert_place(path: Path) -> None:
    """Refuse a path of an unknown kind, in no folder, or of a folder that is no zarr store."""
    _kind(path, WRITERS)
    assert_folder(path.parent)
    is_store = path.suffix.lower() == ".zarr" and any((path / one).exists() for one in STORE)
    if path.is_dir() and not is_store:
        raise InputError(
            f"{str(path)!r} is a folder, which is not replaced. Give the file another name."
        )


def assert_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before there is anything to lose."""
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "may not be written to" if there.is_dir() else "is no folder"
        raise InputError(
            f"Cannot write to {str(folder)!r}: {str(there)!r} {what}. Give another place."
        )


def _kind(path: Path, table: dict[str, Callable]) -> Callable:
    if path.suffix.lower() not in table:
        raise InputError(
            f"Unknown kind of file {path.suffix or path.name!r} in {str(path)!r}. "
            f"Use one of {', '.join(table)}."
        )
    return table[path.suffix.lower()]


def _choose(content: Any, key: str | None, path: Path) -> Any:
    if not isinstance(content, Mapping):
        if key is not None:
            raise InputError(f"{path.name} holds one array without a name; leave out key={key!r}.")
        return content
    names = [str(name) for name in content]
    if key is None and len(names) == 1:
        key = names[0]
    if key is None:
        raise InputError(
            f"{path.name} holds {len(names)} arrays: {', '.join(names[:12])}. "
            f"Say which: key={names[0]!r} in Python, {path.name}:{names[0]} on the command line."
        )
    if key not in names:
        raise InputError(
            f"No {key!r} in {path.name}, which holds {', '.join(names[:12]) or 'nothing'}."
        )
    return content[key]


def _read_npy(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


class _Npz(Mapping):
    """The arrays of an .npz file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as archive:
            self.names = archive.files

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive

    def __getitem__(self, name: str) -> np.ndarray:
        with self._open() as archive:
            return archive[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _read_netcdf(path: Path) -> dict[str, xr.DataArray]:
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return _decode(dataset.load())


def _read_zarr(path: Path) -> dict[str, xr.DataArray]:
    require("zarr", ".zarr files")
    with xr.open_zarr(path, consolidated=False, chunks=None) as dataset:
        return _decode(dataset.load())


def _read_torch(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    require("safetensors", ".safetensors files")
    from safetensors.numpy import load_file

    return load_file(path)


def _write_npy(activations: xr.DataArray, path: Path) -> None:
    with open(path, "wb") as file:  # to a path numpy adds a suffix of its own
        np.save(file, activations.values, allow_pickle=False)


def _write_npz(activations: xr.DataArray, path: Path) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(file, **{VARIABLE: activations.values})


def _write_netcdf(activations: xr.DataArray, path: Path) -> None:
    _encode(activations).to_netcdf(path, engine="h5netcdf")


def _write_zarr(activations: xr.DataArray, path: Path) -> None:
    require("zarr", ".zarr files")
    _encode(activations).to_zarr(path, consolidated=False, zarr_format=2)


def _write_torch(activations: xr.DataArray, path: Path) -> None:
    import torch

    with open(path, "wb") as file:
        torch.save(torch.tensor(as_numpy(activations.values)), file)


def _write_safetensors(activations: xr.DataArray, path: Path) -> None:
    require("safetensors", ".safetensors files")
    from safetensors.numpy import save as as_bytes

    path.write_bytes(as_bytes({VARIABLE: np.ascontiguousarray(activations.values)}))


def _encode(activations: xr.DataArray) -> xr.Dataset:
    """Attributes travel as JSON under one name: some, as scale_factor, have a meaning in netCDF."""
    array = activations.copy()
    for dim, index in array.indexes.items():
        if index.nlevels > 1:
            raise InputError(
                f"The {dim} labels have {index.nlevels} levels, for which netCDF and zarr have no "
                f"place. Make coordinates of them: .reset_index({str(dim)!r})."
            )
    attrs = {str(name): json_safe(name, value) for name, value in activations.attrs.items()}
    array.attrs = {ENCODED: json.dumps(attrs), "repsim_name": str(activations.name or "")}
    return array.to_dataset(name=VARIABLE)


def _decode(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    arrays = {}
    for name, array in dataset.data_vars.items():
        attrs = {k: v.item() if isinstance(v, np.generic) else v for k, v in array.attrs.items()}
        attrs |= json.loads(attrs.pop(ENCODED, "{}"))
        array.name = attrs.pop("repsim_name", None) or array.name
        array.attrs = attrs
        arrays[str(name)] = array
    return arrays


def require(module: str, purpose: str) -> None:
    """Ask for an optional package, in words, when it is missing."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise InputError(
            f"{purpose} need the package {module!r}, which is not installed: pip install {module}"
        )


READERS: dict[str, Callable[[Path], Any]] = {
    ".npy": _read_npy,
    ".npz": _Npz,
    ".nc": _read_netcdf,
    ".zarr": _read_zarr,
    ".pt": _read_torch,
    ".safetensors": _read_safetensors,
}
WRITERS: dict[str, Callable[[xr.DataArray, Path], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".nc": _write_netcdf,
    ".zarr": _write_zarr,
    ".pt": _write_torch,
    ".safetensors": _write_safetensors,
}
