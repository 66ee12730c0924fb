"""Activations: what a network did, as an xarray.DataArray with dims (trial, time, unit).

Static data have one time step. Trial labels, seconds and unit names are coordinates; everything
else that is known (model, task, seed, behaviour) is an attribute that survives netCDF.
"""

import hashlib
import json
import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from repsim.errors import InputError

DIMS = ("trial", "time", "unit")


def as_activations(
    array: Any,
    *,
    dt: float | None = None,
    trials: Iterable[Hashable] | None = None,
    units: Iterable[Hashable] | None = None,
    **attrs: Any,
) -> xr.DataArray:
    """Build activations from an array and check them.

    array     numpy, torch, nested lists or DataArray; (trial, time, unit), or (sample, unit) for
              static data. A DataArray may have its dims in any order
    dt        seconds between time steps; becomes the time coordinate
    trials    one label a trial (stimulus, condition)
    units     one name a unit
    attrs     JSON-safe facts: model, layer, task, seed, behaviour
    raises    InputError for NaN, inf, an empty axis, 1-D or 4-D arrays, values not real, and
              labels that do not fit
    """
    if isinstance(array, xr.DataArray):
        result = _from_dataarray(array)
    else:
        values = as_numpy(array)
        if values.ndim == 2:
            values = values[:, None, :]
        result = xr.DataArray(_checked(values, "activations"), dims=DIMS)
    coordinates = {
        "trial": None if trials is None else list(trials),
        "time": None if dt is None else _seconds(dt, result.sizes["time"]),
        "unit": None if units is None else list(units),
    }
    for dim, labels in coordinates.items():
        if labels is None:
            continue
        if any(isinstance(label, (tuple, list)) for label in labels):
            raise InputError(
                f"{dim} label {labels[0]!r} has several parts. Give one string or number a {dim}."
            )
        if len(labels) != result.sizes[dim]:
            raise InputError(
                f"{len(labels)} {dim} labels for {result.sizes[dim]} {dim}s. "
                f"Give one label a {dim}."
            )
        result = result.assign_coords({dim: labels})
    return result.assign_attrs({name: json_safe(name, value) for name, value in attrs.items()})


def fingerprint(activations: xr.DataArray) -> str:
    """sha256 over dims, shape, dtype and bytes; labels and attributes do not count."""
    values = np.ascontiguousarray(activations.values)
    digest = hashlib.sha256(f"{activations.dims}{values.shape}{values.dtype.str}".encode())
    digest.update(values.tobytes())
    return digest.hexdigest()


def as_numpy(array: Any) -> np.ndarray:
    """A numpy array of float32 or float64 with the values of array."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        if str(array.dtype) == "torch.bfloat16":
            array = array.float()
    try:
        values = np.asarray(array)
    except ValueError as error:
        raise InputError(
            f"These values do not form an array ({error}). "
            "Give every trial the same length, or one set each."
        ) from None
    except TypeError as error:
        raise InputError(f"A {type(array).__name__} is no array ({error}). Give one.") from None
    if values.dtype.kind not in "fiu":
        raise InputError(f"Activations must be real numbers; these have dtype {values.dtype}.")
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def check_values(values: Any, name: str) -> None:
    """Refuse an array (numpy or torch) that has a wrong number of axes, no entries, NaN or inf."""
    shape = tuple(values.shape)
    if len(shape) not in (2, 3):
        raise InputError(
            f"{name} has {len(shape)} {'axis' if len(shape) == 1 else 'axes'}, shape {shape}. "
            "Give (trial, time, unit), or (sample, unit) for static data."
        )
    if 0 in shape:
        raise InputError(f"{name} is empty: shape {shape}. Every axis needs at least one entry.")
    n_bad = math.prod(shape) - int(_count_finite(values))
    if n_bad:
        raise InputError(
            f"{name}: {n_bad} of {math.prod(shape)} entries are NaN or inf. "
            "Drop or impute those trials or units first."
        )


def _count_finite(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return np.isfinite(values).sum()
    return values.isfinite().sum()


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    check_values(values, name)
    return values


def _from_dataarray(array: xr.DataArray) -> xr.DataArray:
    unknown = [dim for dim in array.dims if dim not in DIMS]
    if unknown:
        raise InputError(
            f"Unknown dimension {unknown[0]!r} in {tuple(array.dims)}. Rename to {', '.join(DIMS)} "
            "with .rename(), or select one entry with .isel()."
        )
    for dim in ("trial", "unit"):
        if dim not in array.dims:
            raise InputError(
                f"No {dim!r} dimension in {tuple(array.dims)}. Add it with .expand_dims()."
            )
    if "time" not in array.dims:
        array = array.expand_dims("time")
    array = array.transpose(*DIMS)
    return array.copy(data=_checked(as_numpy(array.values), str(array.name or "activations")))


def _seconds(dt: float, n_steps: int) -> list[float]:
    if not (isinstance(dt, (int, float)) and math.isfinite(dt) and dt > 0):
        raise InputError(f"dt is {dt!r}; it is the number of seconds between two time steps.")
    return [step * dt for step in range(n_steps)]


def json_safe(name: str, value: Any) -> Any:
    """An attribute as JSON would give it back; InputError with its name when it cannot be saved."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Attribute {name!r} cannot be saved ({error}). "
            "Use strings, numbers, lists or dicts of them."
        ) from None
