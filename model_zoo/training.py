"""Trains many networks at once: the same code for one, for hundreds, on processors or on a GPU.

K networks wait in a line. Groups of them are trained side by side, along a leading axis of all
their parameters, a round (some steps and a test) at a time; a network that has reached its goal
leaves and the next one takes its place. On processors a group is as large as fits the cache, and
each of several processes of one thread works on a group of its own; on a GPU all networks are one
group. See rounds.py for what happens in a round.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from model_zoo.checks import number, whole
from model_zoo.ensemble import Ensemble, checkpoints_at, nearest
from model_zoo.fit import ceiling_of, check_fit, check_models, check_task, form_of
from model_zoo.line import Line, work_through
from model_zoo.progress import AccuracyBar
from model_zoo.rounds import Network, Settings, final_accuracies
from model_zoo.saved_state import SavedState
from repsim.errors import RepsimError
from repsim.signature import code_hash
from repsim.source_code import code_version
from repsim.trial_recording import parts_of, task_facts

MANY_THREADS_FROM = 4e6  # operations in a step of one network; below, threads only wait
CACHE_BYTES = 2**20  # of one core: parameters and the states of one step should fit
MOST_TOGETHER = 16  # beyond this the cost of a call is negligible
FINAL_TRIALS = 1024


def train(
    models: nn.Module | Sequence[nn.Module],
    task: Any,
    *,
    seeds: int | Sequence[int] = 0,
    learning_rate: float | Sequence[float] = 1e-3,
    steps: int = 2000,
    test_every: int = 100,
    batch: int = 64,
    n_tests: int = 512,
    criterion: float | None = 0.97,
    clip: float | None = 1.0,
    trained: str | Sequence[str] = "all",
    checkpoints: Sequence[float] = (),
    folder: str | Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool | Callable[[int, int, list[float]], None] = False,
) -> Ensemble:
    """Train one network or K of the same form; each learns what it would learn alone.

    It does but for rounding: products of another size may sum in another order, as those of Mamba
    do, whose parameters differ by 2e-6 to 5e-5 after 100 steps.

    models         called as model(inputs, record=False) -> outputs, states, with inputs (network,
                   trial, time, input) and parameters that carry the network axis in front too,
                   as the models of the zoo may be; they differ in the values of their parameters
                   only, and are not changed
    task           name, n_inputs, n_outputs, loss, trials(rng, n), accuracy(outputs, trials), and
                   ceiling() where there is a criterion
    seeds          one a network; decides its trials and its noise
    learning_rate  one, or one a network
    steps          gradient steps at most, each on batch fresh trials; whole rounds, rounded up
    test_every     steps in a round, which ends with a test on n_tests fresh trials
    criterion      a network stops at this fraction of the task's ceiling, 0 to 1; None: after
                   all steps
    clip           largest norm of the gradient of one network; None: any
    trained        "all" that have requires_grad, or names of the parameters that change
    checkpoints    fractions of each network's training at which its parameters are kept, 0 to 1,
                   to the nearest test
    folder         where to save after each test; the same call goes on from there, another one,
                   of edited code too, is refused
    workers        processes of one thread; 0: none but this one. Left out: one a processor, as far
                   as there are networks
    device         "cpu", or a GPU such as "cuda"
    progress       True for a bar, or called with (steps done, steps at most, test accuracies)
    raises         RepsimError for settings that do not fit; no training ends with NaN: a network
                   whose loss or output is not finite stops and is marked as diverged
    """
    models = [models] if isinstance(models, nn.Module) else list(models)
    check_models(models)
    check_task(task)
    seeds = [whole("A seed", one, 0) for one in _one_each("seed", seeds, len(models))]
    rates = [
        number("A learning rate", one, lambda x: 0 <= x < math.inf, "give 0 or more")
        for one in _one_each("learning rate", learning_rate, len(models))
    ]
    checkpoints = tuple(
        number("A checkpoint", one, lambda x: 0 <= x <= 1, "it is a fraction of training, 0 to 1")
        for one in np.atleast_1d(checkpoints).tolist()
    )
    if criterion is not None:
        wanted = "it is a fraction of the ceiling, 0 to 1, or None"
        criterion = number("criterion", criterion, lambda x: 0 <= x <= 1, wanted)
    if clip is not None:
        clip = number("clip", clip, lambda x: 0 < x < math.inf, "give more than 0, or None")
    workers = None if workers is None else whole("workers", workers, 0)
    steps = whole("steps", steps)
    test_every = min(whole("test_every", test_every), steps)
    steps = -(-steps // test_every) * test_every
    ceiling = None if criterion is None else ceiling_of(task)
    settings = Settings(
        steps, test_every, whole("batch", batch), whole("n_tests", n_tests),
        None if ceiling is None else criterion * ceiling, clip,
        _trained(models[0], trained), device,
    )  # fmt: skip
    check_fit(models, task)
    networks = [_fresh(*one, settings) for one in zip(models, seeds, rates, strict=True)]
    saved = SavedState(
        folder,
        {} if folder is None else _description(models, task, settings, seeds, rates, checkpoints),
    )
    model = deepcopy(models[0])
    line = Line(networks, saved, with_snapshots=bool(checkpoints))
    with AccuracyBar(f"training on {task.name}", hidden=progress is not True) as bar:
        line.watch(bar.update if isinstance(progress, bool) else progress, settings)
        n_workers = _n_workers(workers, line, device)
        together = networks_together(model, settings.batch, len(line.waiting), n_workers, device)
        with fitting_threads(model, settings.batch):
            work_through(line, model, task, settings, n_workers, together)
    kept = checkpoints_at(checkpoints, line.networks, line.snapshots)
    for k, one in enumerate(line.networks):
        taken = line.snapshots[k]
        saved.keep_only(k, {nearest(taken, f * one.step) for f in checkpoints} if taken else set())
    accuracies = final_accuracies(model, task, line.networks, FINAL_TRIALS, device)
    return Ensemble(model.cpu().eval(), tuple(line.networks), accuracies, ceiling, kept)


def _one_each(noun: str, values: Any, n_networks: int) -> list[Any]:
    if np.ndim(values) == 0:
        if noun == "seed" and n_networks > 1:
            raise RepsimError(
                f"{n_networks} networks and one seed would see the same trials. "
                f"Give one seed a network: seeds=range({n_networks})."
            )
        return [values] * n_networks
    values = list(values)
    if len(values) != n_networks:
        raise RepsimError(f"{len(values)} {noun}s for {n_networks} networks. Give one a network.")
    return values


def _trained(model: nn.Module, trained: str | Sequence[str]) -> tuple[str, ...]:
    names = [name for name, _ in model.named_parameters()]
    if trained == "all":
        free = tuple(name for name, p in model.named_parameters() if p.requires_grad)
        if not free:
            raise RepsimError(
                f"None of the {len(names)} parameters has requires_grad. Set it, or name those "
                "that change: trained=(...)."
            )
        return free
    chosen = (trained,) if isinstance(trained, str) else tuple(trained)
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise RepsimError(
            f"No parameter {unknown[0] if unknown else ''!r}. The model has: {', '.join(names)}."
        )
    return chosen


def _fresh(model: nn.Module, seed: int, rate: float, settings: Settings) -> Network:
    parameters = {name: p.detach().cpu().clone() for name, p in model.named_parameters()}
    n_values = sum(parameters[name].numel() for name in settings.trained)
    zeros = next(iter(parameters.values())).new_zeros(n_values)
    return Network(seed, rate, parameters, zeros, zeros.clone())


def _description(
    models: Sequence[nn.Module],
    task: Any,
    settings: Settings,
    seeds: list[int],
    rates: list[float],
    checkpoints: Sequence[float],
) -> dict[str, Any]:
    """What must be the same for a saved training to go on."""
    start = hashlib.sha256()
    for model in models:
        for name, p in model.named_parameters():
            start.update(name.encode() + p.detach().cpu().numpy().tobytes())
    return {
        **{f"model {name}": content for name, content in form_of(models[0]).items()},
        "initial_values": start.hexdigest()[:16],
        **task_facts(task),
        "seeds": seeds,
        "learning_rates": rates,
        **{k: v for k, v in asdict(settings).items() if k != "device"},
        "checkpoints": sorted(checkpoints),
        "code": _code(models[0], task),
    }


def _code(model: nn.Module, task: Any) -> str:
    """Hash of the code of the model, the task and the training."""
    classes = {type(one) for one in model.modules()}
    own = [one for one in classes if not one.__module__.startswith("torch.")]
    things = [*sorted(own, key=lambda one: one.__qualname__), *parts_of(task)]
    try:
        return code_version(*things, __name__)
    except RepsimError:  # from a prompt or a notebook, where classes have no file
        return code_hash(*(sorted(vars(one).items()) for one in things if isinstance(one, type)))


def _n_workers(workers: int | None, line: Line, device: str) -> int:
    n_waiting = len(line.waiting)
    if device != "cpu":
        return 0
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        workers = workers if n_waiting > 1 else 0
    return min(workers, n_waiting)


def networks_together(
    model: nn.Module, batch: int, n_networks: int, n_workers: int, device: str = "cpu"
) -> int:
    """How many networks are trained side by side: on a processor as many as fit its cache.

    batch       trials in a step
    n_networks  that wait, shared among n_workers processes
    """
    if device != "cpu":
        return n_networks
    n_values = sum(p.numel() for p in model.parameters())
    n_units = getattr(model, "n_units", int(n_values**0.5))
    one = 4 * (n_values + 4 * batch * n_units)
    share = -(-n_networks // max(n_workers, 1))
    return max(1, min(MOST_TOGETHER, round(CACHE_BYTES / one), share))


@contextmanager
def fitting_threads(model: nn.Module, batch: int) -> Iterator[None]:
    """One thread in this process for networks too small for several to pay."""
    before = torch.get_num_threads()
    if 2 * batch * sum(p.numel() for p in model.parameters()) < MANY_THREADS_FROM:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
