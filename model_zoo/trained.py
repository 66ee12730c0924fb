"""Networks of a model that have learned a task: from the cache, or trained now and kept there.

Networks are kept one by one, under model, options, task, seed, settings and the code of all three.
What is missing is trained side by side. Where that stops half way, the next call goes on.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_zoo import training
from model_zoo.ensemble import Ensemble
from model_zoo.rounds import Network
from model_zoo.saved_state import as_arrays, as_tensors, record_of
from repsim.cache import Cache, replace_file
from repsim.errors import RepsimError
from repsim.plugins import MODELS
from repsim.source_code import code_version
from repsim.trial_recording import parts_of, task_facts

PARAMETER, CHECKPOINT = "parameter/", "checkpoint/"
TRAINERS = {"trained_networks": "model_zoo.trained:trained_networks"}
NOT_FACTS = ("workers", "device", "progress")  # they change no result
NOT_SETTINGS = {"models", "task", "seeds", "folder"}  # they follow from the model and the cache


def trained_networks(
    model: str,
    task: Any,
    *,
    seeds: int | Sequence[int] = 0,
    n_units: int = 64,
    options: Mapping[str, Any] | None = None,
    cache: Cache | None = None,
    tell: Callable[[str], None] | None = None,
    **settings: Any,
) -> Ensemble:
    """Networks that learned a task, one a seed; trained only where the cache has none.

    model     a name in repsim.MODELS; each network is initialised from its own seed
    options   of the model, by keyword
    cache     where they are kept; the user's cache unless given
    tell      called with a sentence when an entry is damaged and when training begins
    settings  of model_zoo.training.train; its folder is that of the cache
    raises    RepsimError for unknown names, options and settings, numbers that are not finite, no
              seeds and seeds that are negative or have more than 63 bits
    """
    unknown = set(settings) - (set(signature(training.train).parameters) - NOT_SETTINGS)
    if unknown:
        raise RepsimError(
            f"Training from the cache has no setting {min(unknown)!r}; see model_zoo.training."
            "train. Say where networks are kept by cache=Cache(folder)."
        )
    n_units, settings, options = int(n_units), _plain(settings), _plain(options or {})
    seeds = [int(seed) for seed in np.atleast_1d(np.asarray(seeds, dtype=object))]
    wrong = [seed for seed in seeds if not 0 <= seed < 2**63]
    if wrong or not seeds:
        raise RepsimError(
            f"{f'Seed {wrong[0]}' if wrong else 'No seed'}. Give one or more from 0 to 2**63 - 1."
        )
    cache = cache or Cache(tell=tell)
    facts = [_facts(model, task, seed, n_units, options, settings) for seed in seeds]
    found = [cache.load_network(one) for one in facts]
    missing = [k for k, one in enumerate(found) if one is None]
    if missing:
        if tell is not None:
            tell(f"Training {len(missing)} of {len(seeds)} {model} networks on {task.name}.")
        rows = [facts[k] for k in missing]
        for k, kept in zip(missing, _train(rows, model, task, cache, settings), strict=True):
            found[k] = kept
    form = _build(model, task, seeds[0], n_units, options)
    return _assembled(form, found)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays and numbers of numpy as lists and numbers, tuples and ranges as lists."""
    plain = {}
    for name, value in values.items():
        value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        if isinstance(value, float) and not np.isfinite(value):
            raise RepsimError(f"{name} is {value}. Give a finite number.")
        plain[name] = list(value) if isinstance(value, (tuple, range)) else value
    return plain


def _facts(
    model: str, task: Any, seed: int, n_units: int, options: Mapping[str, Any], settings: dict
) -> dict[str, Any]:
    rate = settings.get("learning_rate", 1e-3)
    if np.ndim(rate):
        raise RepsimError("Give one learning rate; networks are kept one by one.")
    return {
        "model": model,
        "n_units": n_units,
        "options": options,
        **task_facts(task),
        "seed": seed,
        "settings": {name: one for name, one in settings.items() if name not in NOT_FACTS},
        "code": code_version(MODELS[model], *parts_of(task), training.train),
    }


def _build(model: str, task: Any, seed: int, n_units: int, options: Mapping[str, Any]) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    try:
        return MODELS[model](task.n_inputs, n_units, task.n_outputs, generator=generator, **options)
    except TypeError as error:
        raise RepsimError(f"Model {model!r} cannot be built: {error}.") from error


def _train(
    rows: list[dict[str, Any]], model: str, task: Any, cache: Cache, settings: dict[str, Any]
) -> list[tuple[dict[str, np.ndarray], Any]]:
    """Train what the rows say and keep each network; returns what the cache then holds."""
    folder = cache.place("unfinished", {"networks": rows})
    folder.mkdir(exist_ok=True)
    replace_file(folder / "facts.json", json.dumps(rows[0] | {"networks": len(rows)}).encode())
    models = [_build(model, task, one["seed"], one["n_units"], one["options"]) for one in rows]
    seeds = [one["seed"] for one in rows]
    ensemble = training.train(models, task, seeds=seeds, **settings | {"folder": folder})
    kept = [_taken_apart(ensemble, k) for k in range(len(rows))]
    for facts, (arrays, record) in zip(rows, kept, strict=True):
        cache.save_network(facts, arrays, record)
    shutil.rmtree(folder, ignore_errors=True)  # another process may have been as far
    return kept


def _taken_apart(ensemble: Ensemble, k: int) -> tuple[dict[str, np.ndarray], Any]:
    """One network of an ensemble as named arrays and a record."""
    network, accuracy = ensemble.networks[k], float(ensemble.accuracies[k])
    arrays = {PARAMETER + name: one for name, one in as_arrays(network.parameters).items()}
    for fraction, parameters in ensemble.checkpoints.items():
        for name, one in as_arrays(parameters).items():
            arrays[f"{CHECKPOINT}{float(fraction)!r}/{name}"] = one[k]
    accuracy = None if np.isnan(accuracy) else accuracy
    return arrays, record_of(network) | {"final": accuracy, "ceiling": ensemble.ceiling}


def _assembled(form: nn.Module, found: list[tuple[dict[str, np.ndarray], Any]]) -> Ensemble:
    """The ensemble of networks that were kept one by one."""
    networks, accuracies, parts = [], [], []
    for arrays, record in found:
        record = dict(record)
        accuracies.append(record.pop("final"))
        ceiling = record.pop("ceiling")
        tensors = as_tensors(arrays)
        parameters = _below(tensors, PARAMETER)
        nothing = torch.empty(0)
        networks.append(Network(parameters=parameters, mean=nothing, square=nothing, **record))
        parts.append(_below(tensors, CHECKPOINT))
    checkpoints: dict[float, dict[str, Tensor]] = {}
    for key in parts[0]:
        fraction, _, name = key.partition("/")
        together = torch.stack([one[key] for one in parts])
        checkpoints.setdefault(float(fraction), {})[name] = together
    accuracies = np.array(accuracies, dtype=float)
    return Ensemble(form.eval(), tuple(networks), accuracies, ceiling, checkpoints)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)
    }
