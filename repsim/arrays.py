"""Bare arrays for metrics: sets in the shape of a view, in one array library and precision."""

import functools
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from repsim.activations import as_activations, as_numpy, check_values
from repsim.errors import InputError, MetricError


@dataclass(frozen=True)
class ReadSet:
    """One set as a metric sees it, and what is needed to check it against the others."""

    name: str
    array: Any
    grid: tuple[int, ...]
    trials: np.ndarray | None


@dataclass
class Sets:
    """Several sets, each prepared once, and the parameters they share."""

    read: list[ReadSet]
    parameters: dict[str, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    chosen: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = [one.array for one in self.read]

    def take(self, positions: Iterable[int]) -> "Sets":
        """Some of the sets, prepared as they are."""
        kept = Sets([self.read[i] for i in positions], self.parameters, chosen=self.chosen)
        kept.values = [self.values[i] for i in positions]
        return kept

    def rng(self) -> np.random.Generator:
        """A generator that depends on the data alone."""
        digest = hashlib.sha256()
        for one in self.read:
            digest.update(np.ascontiguousarray(as_numpy(one.array)).tobytes())
        return np.random.default_rng(int.from_bytes(digest.digest()[:8], "little"))

    def check_matched(self, metric: str) -> None:
        """Sample-wise metrics need the same samples in the same order in every set."""
        first = self.read[0]
        n_samples = math.prod(first.grid)
        if n_samples < 2:
            raise InputError(
                f"{metric} compares samples; {first.name!r} has {n_samples}. Give at least 2."
            )
        for other in self.read[1:]:
            both = f"{metric} compares the same samples in both sets; {first.name!r} has"
            if n_samples != math.prod(other.grid):
                raise InputError(
                    f"{both} {n_samples} and {other.name!r} has {math.prod(other.grid)}. "
                    "Select common trials first."
                )
            if len(first.grid) == len(other.grid) == 2 and first.grid != other.grid:
                raise InputError(
                    f"{both} {first.grid[0]} trials x {first.grid[1]} steps and {other.name!r} has "
                    f"{other.grid[0]} x {other.grid[1]}. Check the order of the axes."
                )
            if first.trials is not None and other.trials is not None:
                _check_labels(first, other, metric)


def read_set(name: str, value: Any, view: str, metric: str) -> ReadSet:
    """Check one set and give it the shape of a view: (sample, unit) or (trial, time, unit)."""
    trials = None
    if isinstance(value, xr.DataArray):
        value = as_activations(value)
        trials = value.coords["trial"].values if "trial" in value.coords else None
        value = value.values
    value = real_array(value)
    check_values(value, repr(name))
    if view == "trajectories":
        if value.ndim == 2 or value.shape[1] == 1:
            raise InputError(
                f"{metric} needs trajectories, and {name!r} has one time step "
                f"(shape {tuple(value.shape)}). Use a metric of samples, or give "
                "(trial, time, unit); one trial is (1, time, unit)."
            )
        return ReadSet(name, value, tuple(value.shape[:2]), trials)
    grid = tuple(value.shape[:-1])
    return ReadSet(name, value.reshape(-1, value.shape[-1]), grid, trials)


def same_library(read: Sequence[ReadSet], arrays: str) -> list[ReadSet]:
    """All sets in numpy, or all in torch where one is and the metric can; one precision for all."""
    tensors = [one.array for one in read if _is_torch(one.array)]
    if not tensors or arrays == "numpy":
        values = [as_numpy(one.array) for one in read]
        dtype = np.result_type(*values)
        return [
            replace(one, array=_read_only(value.astype(dtype, copy=False)))
            for one, value in zip(read, values, strict=True)
        ]
    import torch

    dtypes = [t.dtype if t.dtype.is_floating_point else torch.float64 for t in tensors]
    plain = [one.array for one in read if not _is_torch(one.array)]
    dtypes += [torch.float32 if array.dtype == np.float32 else torch.float64 for array in plain]
    dtype = functools.reduce(torch.promote_types, dtypes)
    if dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    device = tensors[0].device
    return [
        replace(one, array=torch.as_tensor(_writable(one.array), dtype=dtype, device=device))
        for one in read
    ]


def real_array(value: Any) -> Any:
    """A tensor as it is, anything else as numpy makes of it.

    raises  InputError for what is not real numbers, or has masked entries
    """
    if _is_torch(value):
        if value.dtype.is_complex or str(value.dtype) == "torch.bool":
            raise InputError(f"Activations must be real numbers; these have dtype {value.dtype}.")
        return value
    n_masked = np.ma.count_masked(value) if isinstance(value, np.ma.MaskedArray) else 0
    if n_masked:
        raise InputError(
            f"{n_masked} of {value.size} entries are masked. Fill them, or drop those trials."
        )
    return as_numpy(value)


def held_fixed(array: Any) -> Any:
    """The same values, through which no gradient flows."""
    return array.detach() if _is_torch(array) else array


@contextmanager
def guarded(arrays: Sequence[Any], metric: str, ours: bool) -> Iterator[list[Any]]:
    """What a metric is given, and an error when it wrote to it.

    Numpy inputs are read-only. Foreign code can get around that (torch.from_numpy does), so it is
    given copies, which are compared with the originals afterwards.
    """
    tensors = [(a, a._version) for a in arrays if _is_torch(a) and not a.is_inference()]
    given = [a if ours or not isinstance(a, np.ndarray) else _read_only(a.copy()) for a in arrays]
    yield given
    if any(tensor._version != version for tensor, version in tensors):
        raise MetricError(f"{metric} modifies its input. Work on a copy: x = x.clone().")
    pairs = [(one, a) for one, a in zip(given, arrays, strict=True) if one is not a]
    if any(one.tobytes() != a.tobytes() for one, a in pairs):
        raise MetricError(f"{metric} modifies its input. Work on a copy: x = x.copy().")


def read_only(value: Any) -> Any:
    """The same with numpy arrays that cannot be written to, also inside tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        return _read_only(value)
    if type(value) in (tuple, list):
        return type(value)(map(read_only, value))
    return {k: read_only(v) for k, v in value.items()} if type(value) is dict else value


def one_number(value: Any, metric: str, pair: str, like: Any) -> Any:
    """A value as a float, or as a 0-d tensor where it or the inputs are tensors.

    raises  MetricError for what is not one finite real number
    """
    try:
        array = np.asarray(value.item() if _is_torch(value) and not value.ndim else value)
    except (TypeError, ValueError, RuntimeError):
        array = np.empty((), object)
    got, wanted = f"{value!r:.60}", None
    if array.shape:
        got, wanted = f"an array of shape {array.shape}", "one number"
    elif array.dtype.kind not in "iufc":
        wanted = "one number"
    elif array.dtype.kind == "c":
        wanted = "a real number"
    elif not np.isfinite(array):
        got, wanted = str(float(array)), "a finite number"
    if wanted:
        raise MetricError(f"{metric} returned {got} on {pair}; a metric returns {wanted}.")
    if _is_torch(value):
        return value
    return like.new_tensor(float(array)) if _is_torch(like) else float(array)


def _check_labels(first: ReadSet, other: ReadSet, metric: str) -> None:
    if first.trials.shape == other.trials.shape and (first.trials == other.trials).all():
        return
    position = int(np.argmax(first.trials != other.trials))
    raise InputError(
        f"{metric} compares the same samples in both sets; trial {position} is "
        f"{first.trials.tolist()[position]!r} in {first.name!r} and "
        f"{other.trials.tolist()[position]!r} in {other.name!r}. "
        "Bring the trials into one order first."
    )


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.view()
    array.flags.writeable = False
    return array


def _writable(array: Any) -> Any:
    return array.copy() if isinstance(array, np.ndarray) and not array.flags.writeable else array


def _is_torch(value: Any) -> bool:
    return hasattr(value, "detach")
