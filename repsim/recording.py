"""What a torch module does with given inputs, as activations of its layers or its named states.

    layers   the output of any submodule, by its dotted name, of any torch.nn.Module
    states   what a model returns as a second output: outputs, {name: (trial, time, unit)}

A layer's output becomes (trial, time, unit) by its number of axes:
    (trial, unit)                       one time step
    (trial, time, unit)                 as it is; time first where the layer is a recurrent one of
                                        torch without batch_first
    (trial, channel, height, width)     one time step; units in the order channel, height, width
Where layers put time first, others are recorded only if trials and time steps differ in number.
Of several outputs the first tensor counts: the sequence, for torch.nn.LSTM. A layer that runs once
a time step, as a cell in a loop does, gives one time step a call, in the order of the calls.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from repsim.activations import as_activations
from repsim.errors import InputError

_OUTPUTS = "<outputs>"


def record(
    module: Any,
    inputs: Any,
    *,
    layers: str | Sequence[str] | None = None,
    states: str | Sequence[str] | None = None,
    conditions: Any = None,
    epochs: Any = None,
    dt: float | None = None,
    behaviour: Any = None,
    batch: int = 64,
    units: int | Sequence[int] | None = None,
    **attrs: Any,
) -> dict[str, xr.DataArray]:
    """Activations of layers or states of a module: name -> (trial, time, unit), ready to compare.

    module      any torch.nn.Module; run in eval mode without gradients, and left as it was
    inputs      (trial, ...) array or tensor, given to the module batch trials at a time
    layers      dotted names of submodules, as named_modules() gives them
    states      names of the states that the module returns; all, if neither is given
    conditions  table or mapping, one row a trial: coordinates along trial
    epochs      (time,) or (trial, time) names of the epoch of each step: a coordinate
    dt          milliseconds between time steps: the time coordinate, in ms
    behaviour   one number or word a trial, a mapping of such, or a function that makes one of them
                from the outputs of all trials: coordinates along trial
    units       how many units to keep, spread evenly over all, or which
    attrs       JSON-safe facts: model, task, seed
    raises      InputError for unknown names, labels that do not fit, inputs or outputs of another
                type or shape than needed, NaN
    """
    layers, states = _names(layers), _names(states)
    if not hasattr(module, "named_modules"):
        raise InputError(f"module is a {type(module).__name__}. Give a torch.nn.Module.")
    if not getattr(inputs, "ndim", isinstance(inputs, (list, tuple))):
        raise InputError(
            f"inputs are a {type(inputs).__name__}. Give an array or a tensor, (trial, ...)."
        )
    if taken := {"array", "layer", "trials"} & set(attrs):
        raise InputError(f"An attribute called {min(taken)!r} has another meaning. Rename it.")
    if len(inputs) == 0 or batch < 1:
        raise InputError(f"{len(inputs)} trials in batches of {batch}. Give 1 or more of both.")
    found = _run(module, inputs, layers, states, batch, units, callable(behaviour))
    if callable(behaviour):
        behaviour = behaviour(found.pop(_OUTPUTS)[0])
    coordinates = _trial_coordinates(conditions, behaviour, len(inputs))
    return {
        name: _labelled(name, values, kept, coordinates, epochs, dt, attrs)
        for name, (values, kept) in found.items()
    }


def _names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (given,) if isinstance(given, str) else None if given is None else tuple(given)


def _run(
    module: Any,
    inputs: Any,
    layers: tuple[str, ...] | None,
    states: tuple[str, ...] | None,
    batch: int,
    units: int | Sequence[int] | None,
    with_outputs: bool,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values (trial, time, unit) of each name, and which units they are."""
    import torch

    parameter = next((p for p in module.parameters() if p.is_floating_point()), None)
    values: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}
    with _quiet(module), torch.no_grad(), _hooks(module, layers or ()) as outputs_of:
        for start in range(0, len(inputs), batch):
            part = inputs[start : start + batch]
            part = part if torch.is_tensor(part) else torch.tensor(np.ascontiguousarray(part))
            if parameter is not None:
                dtype = parameter.dtype if part.is_floating_point() else part.dtype
                part = part.to(parameter.device, dtype)
            for calls in outputs_of.values():
                calls.clear()
            answer = _answer(module, part, parameter)
            parts = {k: _over_calls(k, calls) for k, calls in outputs_of.items()}
            if states is not None or layers is None:
                parts |= _states_of(answer, states)
            if with_outputs:
                parts[_OUTPUTS] = _first_tensor(answer)
            for name, one in parts.items():
                array = _as_trials(name, one, len(part))
                if name not in kept:
                    kept[name] = _choice(None if name == _OUTPUTS else units, array.shape[-1])
                    shape = (len(inputs), array.shape[1], len(kept[name]))
                    values[name] = np.empty(shape, array.dtype)
                _put(name, values[name], start, array[..., kept[name]])
    return {name: (values[name], kept[name]) for name in values}


def _answer(module: Any, part: Any, parameter: Any) -> Any:
    try:
        return module(part)
    except RuntimeError as error:
        if parameter is None or part.is_floating_point():
            raise
        raise InputError(
            f"The module does not take inputs of type {part.dtype} ({error}). Give such as its "
            f"parameters, {parameter.dtype}: inputs.astype('float32')."
        ) from error


@contextmanager
def _quiet(module: Any) -> Iterator[None]:
    """Eval mode for every submodule, and afterwards the mode that each had."""
    before = [(one, one.training) for one in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for one, mode in before:
            one.training = mode


@contextmanager
def _hooks(module: Any, layers: Iterable[str]) -> Iterator[dict[str, list[Any]]]:
    """Layer name -> outputs of its calls; no hook outlives the block."""
    known = dict(module.named_modules())
    time_first = any(getattr(one, "batch_first", None) is False for one in known.values())
    outputs: dict[str, list[Any]] = {}
    handles = []
    try:
        for name in layers:
            if name not in known:
                there = ", ".join(one for one in known if one) or "no layers"
                raise InputError(f"No layer {name!r}. It has: {there}.")
            outputs[name] = []
            keep = _keeper(name, outputs[name], time_first)
            handles.append(known[name].register_forward_hook(keep))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _keeper(name: str, calls: list[Any], time_first: bool) -> Callable[..., None]:
    def keep(layer: Any, given: Any, output: Any) -> None:
        tensor = _first_tensor(output)
        if tensor is None:
            raise InputError(f"Layer {name!r} returns no tensor but a {type(output).__name__}.")
        if tensor.dim() == 3 and getattr(layer, "batch_first", None) is False:
            tensor = tensor.transpose(0, 1)
        elif time_first and tensor.dim() == 3 and tensor.shape[0] == tensor.shape[1]:
            raise InputError(
                f"Layer {name!r} gives shape {tuple(tensor.shape)}, and other layers put time "
                f"first: which axis is trials? Set batch to another number than {len(tensor)}."
            )
        calls.append(tensor.detach().clone())

    return keep


def _first_tensor(output: Any) -> Any:
    if hasattr(output, "detach"):
        return output
    if isinstance(output, Mapping):
        output = output.values()
    elif not isinstance(output, (tuple, list)):
        return None
    return next((t for t in map(_first_tensor, output) if t is not None), None)


def _over_calls(name: str, calls: list[Any]) -> Any:
    """The one output of a layer, or the steps of a layer that is called once a time step."""
    import torch

    if not calls:
        raise InputError(f"Layer {name!r} did not run on these inputs. Record another one.")
    if len(calls) == 1:
        return calls[0]
    if {one.shape for one in calls} != {calls[0].shape} or calls[0].dim() != 2:
        raise InputError(
            f"Layer {name!r} ran {len(calls)} times with outputs of shape "
            f"{tuple(calls[0].shape)} and others. Only (trial, unit) can be joined along time."
        )
    return torch.stack(calls, 1)


def _states_of(answer: Any, states: tuple[str, ...] | None) -> dict[str, Any]:
    named = answer[1] if isinstance(answer, tuple) and len(answer) > 1 else None
    if not isinstance(named, Mapping):
        raise InputError(
            "The module returns no named states: its forward must return (outputs, {name: "
            "(trial, time, unit)}). Record layers=[...] instead."
        )
    unknown = [name for name in states or () if name not in named]
    if unknown:
        raise InputError(f"No state {unknown[0]!r}. It has: {', '.join(named)}.")
    return {name: named[name] for name in (named if states is None else states)}


def _as_trials(name: str, tensor: Any, n_trials: int) -> np.ndarray:
    """(trial, time, unit); see the top of the file."""
    array = tensor.detach().float() if str(tensor.dtype) == "torch.bfloat16" else tensor.detach()
    array = array.cpu().numpy()
    if array.ndim not in (2, 3, 4) or len(array) != n_trials:
        raise InputError(
            f"{name!r} gives shape {array.shape} for {n_trials} trials. It can be recorded if it "
            "is (trial, unit), (trial, time, unit) or (trial, channel, height, width)."
        )
    return array if array.ndim == 3 else array.reshape(n_trials, 1, -1)


def _choice(units: int | Sequence[int] | None, n_units: int) -> np.ndarray:
    if units is None:
        return np.arange(n_units)
    chosen = np.asarray(units)
    if chosen.size and chosen.dtype.kind not in "iu":
        raise InputError(f"units are {chosen.dtype}. Give numbers: np.flatnonzero(mask).")
    if chosen.ndim == 0:
        if units < 1:
            raise InputError(f"units is {units}. Keep 1 or more.")
        return np.linspace(0, n_units - 1, min(int(units), n_units)).round().astype(int)
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= n_units:
        raise InputError(f"units {list(units)} do not all lie in 0 to {n_units - 1}.")
    return chosen


def _put(name: str, values: np.ndarray, start: int, array: np.ndarray) -> None:
    if array.shape[1:] != values.shape[1:]:
        raise InputError(
            f"{name!r} has {array.shape[1]} time steps in one batch and {values.shape[1]} in "
            "another. Give trials of the same length."
        )
    values[start : start + len(array)] = array


def _trial_coordinates(conditions: Any, behaviour: Any, n_trials: int) -> dict[str, np.ndarray]:
    columns = {} if conditions is None else {str(k): conditions[k] for k in conditions}
    if behaviour is not None:
        columns |= behaviour if isinstance(behaviour, Mapping) else {"behaviour": behaviour}
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.shape != (n_trials,):
            raise InputError(
                f"{name!r} has shape {array.shape} for {n_trials} trials. Give one value a trial."
            )
        if name in ("trial", "time", "unit", "epoch", "activations"):
            raise InputError(f"A condition called {name!r} would hide an axis. Rename it.")
    return {k: a.astype(str) if a.dtype.kind in "OU" else a for k, a in arrays.items()}


def _labelled(
    name: str,
    values: np.ndarray,
    kept: np.ndarray,
    coordinates: dict[str, np.ndarray],
    epochs: Any,
    dt: float | None,
    attrs: dict[str, Any],
) -> xr.DataArray:
    n_trials, n_steps, _ = values.shape
    result = as_activations(values, units=kept.tolist(), layer=name, **attrs).rename(name)
    result = result.assign_coords({k: ("trial", column) for k, column in coordinates.items()})
    if dt is not None:
        result = result.assign_coords(time=np.arange(n_steps) * float(dt))
        result.time.attrs["units"] = "ms"
    if epochs is None or n_steps == 1:
        return result
    labels = np.asarray(epochs).astype(str)
    if labels.shape not in ((n_steps,), (n_trials, n_steps)):
        raise InputError(
            f"epochs has shape {labels.shape}; {name!r} has {n_trials} trials of {n_steps} steps. "
            "Give one name a step, or a table (trial, time)."
        )
    return result.assign_coords(epoch=(("trial", "time")[-labels.ndim :], labels))
