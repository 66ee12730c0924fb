"""Trajectories for fitting, a chunk at a time: an array, ragged trials or trials read on demand."""

from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral
from typing import Any

import xarray as xr
from array_api_compat import array_namespace

from repsim.activations import as_activations
from repsim.arrays import held_fixed, real_array
from repsim.errors import InputError, RepsimError

CHUNK_ENTRIES = 2**22  # numbers in the embedding of one chunk: 32 MB


class Trials:
    """Trials as float64 chunks (trial, time, unit) of unit scale, each long enough for the window.

    trajectories  (trial, time, unit), a DataArray in any order, or a sequence of (time, unit)
                  trials of any lengths, each an array, a memory map or a function of no arguments
                  that returns one. What is not in memory is read once for its shape, then one to
                  three times for the fit
    lengths       time steps of every trial; n_units; scale: the largest magnitude
    raises        InputError for short trials, unequal units, NaN, or nothing but zeros
    """

    def __init__(self, trajectories: Any, delays: int, interval: int = 1):
        self.delays = whole("delays", delays)
        self.interval = whole("interval", interval)
        self.reach = (self.delays - 1) * self.interval
        stack = as_stack(trajectories)
        self._stacked = stack is not None
        self._source: Any = stack if self._stacked else list(trajectories)
        if len(self._source) == 0:
            raise InputError("there are no trials. Give at least one.")
        self._survey()

    @property
    def n_columns(self) -> int:
        """Delay coordinates: delays x units."""
        return self.delays * self.n_units

    @property
    def n_rows(self) -> int:
        """Windows of all trials."""
        return sum(self.lengths) - self.reach * len(self.lengths)

    @property
    def n_transitions(self) -> int:
        """Pairs of neighbouring windows of one trial."""
        return self.n_rows - len(self.lengths)

    def chunks(self) -> Iterator[Any]:
        """Some trials of equal length at a time, in units of scale."""
        for chunk in self.raw():
            yield chunk / self.scale

    def embedded(self) -> Iterator[Any]:
        """The windows of a chunk at a time: (trial, window, delays * unit), in units of scale."""
        for chunk in self.chunks():
            yield delay_embed(chunk, self.delays, self.interval)

    def raw(self) -> Iterator[Any]:
        """The chunks in the units of the data."""
        if not self._stacked:
            for i, trial in enumerate(self._source):
                yield one_trial(trial, i)[None]
            return
        n_trials, n_steps, n_units = self._source.shape
        size = max(1, CHUNK_ENTRIES // max(n_steps * n_units * self.delays, 1))
        for start in range(0, n_trials, size):
            yield as_float64(self._source[start : start + size])

    def _survey(self) -> None:
        self.lengths: list[int] = []
        self.n_units, largest = 0, 0.0
        for chunk in self.raw():
            n_trials, n_steps, n_units = chunk.shape
            who = "the trials have" if self._stacked else f"trial {len(self.lengths)} has"
            check_length(n_steps, self.delays, self.interval, who)
            if not n_units:
                raise InputError(f"{who} no units. Give at least one.")
            if self.lengths and n_units != self.n_units:
                raise InputError(
                    f"trial {len(self.lengths)} has {n_units} units and those before it have "
                    f"{self.n_units}. Give every trial the same units."
                )
            self.n_units = n_units
            self.lengths += [n_steps] * n_trials
            xp = array_namespace(chunk)
            size = float(held_fixed(xp.max(xp.abs(chunk))))
            if not size < float("inf"):
                raise InputError("the trajectories hold NaN or infinite values. Drop those trials.")
            largest = max(largest, size)
        if not largest > 0:
            raise InputError(
                "all values are zero, so there are no dynamics to fit. "
                "Check how the set was recorded."
            )
        self.scale = largest


def as_stack(trajectories: Any) -> Any:
    """What holds trials as one array (trial, time, unit), unread; None for a list of trials."""
    if isinstance(trajectories, xr.DataArray):
        return as_activations(trajectories).values
    if hasattr(trajectories, "ndim"):
        if trajectories.ndim != 3:
            raise RepsimError(
                f"trajectories have shape {tuple(trajectories.shape)}; give (trial, time, unit), "
                "or a list of (time, unit) trials."
            )
        return trajectories
    if isinstance(trajectories, str | bytes | Mapping) or not isinstance(trajectories, Iterable):
        raise RepsimError(
            f"trajectories are of type {type(trajectories).__name__}; give an array "
            "(trial, time, unit), or a list of (time, unit) trials."
        )
    return None


def one_trial(trial: Any, position: int) -> Any:
    """A trial of a list as float64 (time, unit), read when it is on demand."""
    array = trial() if callable(trial) else trial
    if isinstance(array, xr.DataArray) and "trial" not in array.dims:
        array = as_activations(array.expand_dims("trial")).values[0]
    array = as_float64(array)
    if array.ndim != 2:
        raise RepsimError(
            f"trial {position} has shape {tuple(array.shape)}; trials of a list are (time, unit)."
        )
    return array


def as_float64(array: Any) -> Any:
    """An array of numpy or torch in float64."""
    array = real_array(array)
    xp = array_namespace(array)
    return xp.astype(array, xp.float64, copy=False)


def delay_embed(trajectories: Any, delays: int, interval: int = 1) -> Any:
    """(trial, time, unit) -> (trial, time - (delays - 1) interval, delays * unit), the newest
    first.

    trajectories  one array, numpy or torch, or a DataArray
    raises        InputError for trials of fewer than two windows, which hold no step in time
    """
    delays, interval = whole("delays", delays), whole("interval", interval)
    stack = as_stack(trajectories)
    if stack is None:
        raise RepsimError(
            f"delay_embed takes one array (trial, time, unit), not a {type(trajectories).__name__} "
            "of trials. Stack trials of one length; embed others one by one, as trial[None]."
        )
    trajectories = real_array(stack)
    n_steps = trajectories.shape[1]
    check_length(n_steps, delays, interval)
    reach = (delays - 1) * interval
    xp = array_namespace(trajectories)
    lagged = [
        trajectories[:, reach - j * interval : n_steps - j * interval, :] for j in range(delays)
    ]
    return xp.concat(lagged, axis=-1)


def check_length(n_steps: int, delays: int, interval: int, who: str = "the trials have") -> None:
    """A trial needs one window and one step."""
    reach = (delays - 1) * interval
    if n_steps - reach < 2:
        raise InputError(
            f"{delays} delays at interval {interval} need at least {reach + 2} time steps; "
            f"{who} {n_steps}. "
            f"Use delays <= {max((n_steps - 2) // interval + 1, 1)} or longer trials."
        )


def whole(name: str, value: Any, otherwise: str = "") -> int:
    """A whole number of at least 1, of Python or numpy."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise RepsimError(f"{name} is {value!r}; give a whole number of at least 1{otherwise}.")
    return int(value)
