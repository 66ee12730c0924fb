"""Any NeuroGym environment as a task: its trials one by one, each copied.

NeuroGym's own Dataset hands out views of one buffer that it later overwrites; batches kept without
a copy turn into repetitions of the last one. Epochs are the environment's periods; the loss is
cross entropy for discrete actions and mean squared error for continuous ones. The ceiling is not
known. NeuroGym (Molano-Mazon et al. 2022) is optional.
"""

from typing import Any

import numpy as np
import pandas as pd

from repsim.errors import InputError
from testcases.compositional.supervised import PAD, Task, Trials, classes_correct


def from_neurogym(env: Any, name: str | None = None, n_steps: int | None = None) -> Task:
    """A task that draws trials of a NeuroGym environment.

    env         an environment with new_trial, ob and gt; every batch seeds it anew. It is used in
                place: durations drawn by its own closures would not follow a copy
    name        default neurogym/ and the name of the class
    n_steps     length of every batch; None: as long as its longest trial

    raises  InputError for an environment that has no trials, or whose actions it cannot read
    """
    while type(env).__module__.partition(".")[0] == "gymnasium":
        env = env.env
    if not hasattr(env, "new_trial"):
        raise InputError(f"{type(env).__name__} has no new_trial. Pass a neurogym TrialEnv.")
    n_classes = getattr(env.action_space, "n", None)
    if n_classes is None and not getattr(env.action_space, "shape", ()):
        raise InputError(
            f"{type(env).__name__}: actions {env.action_space}. Discrete and Box are supported."
        )
    return Task(
        name=name or f"neurogym/{type(env.unwrapped).__name__}",
        n_inputs=int(np.prod(env.observation_space.shape)),
        n_outputs=int(n_classes or np.prod(env.action_space.shape)),
        dt_ms=env.unwrapped.dt,
        loss="cross_entropy" if n_classes else "mse",
        draw=draw,
        judge=classes_correct if n_classes else values_correct,
        parameters={"env": env, "n_steps": n_steps},
    )


def draw(rng: np.random.Generator, n_trials: int, env: Any, n_steps: int | None) -> Trials:
    """Trials, one after another as the environment makes them.

    raises  InputError for targets it never sets, or a trial longer than n_steps
    """
    before, after = (int(seed) for seed in rng.integers(2**31, size=2))
    env.seed(before)
    env.reset()
    env.seed(after)
    made = [one_trial(env) for _ in range(n_trials)]
    longest = max(len(ob) for ob, *_ in made)
    n_time = n_steps or longest
    if longest > n_time:
        raise InputError(f"A trial has {longest} steps, n_steps is {n_time}. Give {longest}.")
    periods = tuple(dict.fromkeys(period for *_, spans in made for period in spans))
    inputs = np.zeros((n_trials, n_time, *made[0][0].shape[1:]), dtype=np.float32)
    classes = hasattr(env.action_space, "n")
    targets = np.zeros(
        (n_trials, n_time, *made[0][1].shape[1:]), dtype=np.int64 if classes else np.float32
    )
    epochs = np.full((n_trials, n_time), len(periods), dtype=np.int8)
    for trial, (observed, wanted, _, spans) in enumerate(made):
        inputs[trial, : len(observed)] = observed
        targets[trial, : len(wanted)] = wanted
        for period, (start, end) in spans.items():
            epochs[trial, start:end] = periods.index(period)
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=(epochs < len(periods)).astype(np.float32),
        conditions=pd.DataFrame([conditions for *_, conditions, _ in made]),
        epochs=epochs,
        epoch_names=(*periods, PAD),
        dt_ms=env.unwrapped.dt,
    )


def one_trial(env: Any) -> tuple[np.ndarray, np.ndarray, dict, dict]:
    """Copies of observations and targets, the scalar conditions, and period -> (start, end)."""
    env.new_trial()
    bare = env.unwrapped
    observed, wanted = np.array(bare.ob, dtype=np.float32), np.array(bare.gt)
    if len(observed) != len(wanted):
        raise InputError(
            f"{type(bare).__name__}: {len(observed)} observations, {len(wanted)} targets a trial. "
            "It sets no target for every step; pass another environment."
        )
    conditions = {key: value for key, value in bare.trial.items() if np.ndim(value) == 0}
    spans = {key: (bare.start_ind[key], bare.end_ind[key]) for key in bare.start_ind}
    return observed, wanted, conditions, spans


def values_correct(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Is the mean squared error of a trial below a tenth of the power of its targets?"""
    error, power = (
        np.einsum("ijk,ij->i", values**2, trials.mask)
        for values in (outputs - trials.targets, trials.targets)
    )
    return error <= power / 10
