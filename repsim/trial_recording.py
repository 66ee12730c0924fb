"""Activations of a network on the trials of a task, with all that is known of each trial.

The trials depend on trial_seed alone, so that all networks are recorded on the same ones, and on
none that any was trained or tested on. What a task must have: name, trials(rng, n_trials) ->
inputs, conditions, epochs, epoch_names, dt_ms; and correct(outputs, trials) -> (trial,) truth.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from repsim.cache import Cache, checksum_of
from repsim.recording import record
from repsim.signature import code_hash
from repsim.source_code import code_version

RECORDING = 3  # a stream of trials that no training has, whatever its seed


def record_trials(
    module: Any,
    task: Any,
    *,
    states: str | Sequence[str],
    n_trials: int = 200,
    trial_seed: int = 0,
    units: int | Sequence[int] | None = None,
    cache: Cache | None = None,
    **attrs: Any,
) -> dict[str, xr.DataArray]:
    """Named states on fresh trials: name -> (trial, time, unit).

    Coordinates: the conditions of each trial, the epoch of each step, time in ms, and correct, the
    behaviour.

    module      a network whose forward returns (outputs, named states)
    units       how many units to keep, or which
    cache       where recordings are looked up and kept; nowhere unless given
    attrs       JSON-safe facts of the network: model, seed
    raises      what record raises
    """
    names = (states,) if isinstance(states, str) else tuple(states)
    facts = [
        _facts(module, task, name, n_trials, trial_seed, units, attrs) if cache else {}
        for name in names
    ]
    if cache is not None:
        found = [cache.load_activations(one) for one in facts]
        if all(one is not None for one in found):
            return dict(zip(names, found, strict=True))
    stream = np.random.SeedSequence(trial_seed, spawn_key=(RECORDING,))
    trials = task.trials(np.random.default_rng(stream), n_trials)
    recorded = record(
        module, trials.inputs, states=names, units=units, dt=trials.dt_ms,
        conditions=trials.conditions, epochs=np.asarray(trials.epoch_names)[trials.epochs],
        behaviour=lambda outputs: {"correct": task.correct(outputs, trials).astype(np.int8)},
        task=task.name, trial_seed=trial_seed, **attrs,
    )  # fmt: skip
    if cache is not None:
        for name, one in zip(names, facts, strict=True):
            cache.save_activations(one, recorded[name])
    return recorded


def _facts(
    module: Any,
    task: Any,
    state: str,
    n_trials: int,
    trial_seed: int,
    units: Any,
    attrs: dict[str, Any],
) -> dict[str, Any]:
    """All that a recording depends on; the network by its values, whatever it is called."""
    values = {name: one.detach().cpu().numpy() for name, one in module.state_dict().items()}
    classes = {type(one) for one in module.modules()}
    return {
        "model": type(module).__name__,
        "module": code_hash(_settings(module)),
        "values": checksum_of(values, None),
        **task_facts(task),
        "state": state,
        "n_trials": n_trials,
        "trial_seed": trial_seed,
        "units": units if units is None else np.asarray(units).tolist(),
        "attrs": attrs,
        "code": code_version(
            *(one for one in classes if not one.__module__.startswith("torch.")),
            *parts_of(task),
            record_trials,
        ),
    }


def task_facts(task: Any) -> dict[str, Any]:
    """What the trials of a task depend on beside its code.

    Parameters count by their content, or by their identity where they have one, as an environment
    does that changes with every trial.
    """
    parameters = getattr(task, "parameters", None) or {}
    parameters = {name: getattr(one, "identity", one) for name, one in parameters.items()}
    return {
        "task": task.name,
        "task_version": getattr(task, "version", 1),
        "task_parameters": code_hash(parameters, *parts_of(task)),
    }


def parts_of(task: Any) -> list[Any]:
    """The class of a task, the functions it was given and the classes of its parameters."""
    functions = [one for one in vars(task).values() if callable(one)]
    given = (getattr(task, "parameters", None) or {}).values()
    return [
        type(task),
        *functions,
        *(kind for one in given for kind in getattr(one, "sources", ())),
    ]


def _settings(module: Any) -> list[Any]:
    """What a module and its submodules were built with, beside their parameters."""
    skipped = ("training", "_modules", "_parameters")
    return [
        (name, type(one), {k: v for k, v in vars(one).items() if k not in skipped})
        for name, one in module.named_modules()
    ]
