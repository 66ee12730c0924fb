"""Any NeuroGym environment as a task: its trials one by one, each copied.

NeuroGym's own Dataset hands out views of one buffer that it later overwrites; batches kept without
a copy turn into repetitions of the last one. Epochs are the environment's periods; the loss is
cross entropy for discrete actions, which must stay the same throughout a period, and mean squared
error for continuous ones. The ceiling is not known. NeuroGym (Molano-Mazon et al. 2022) is
optional.
"""

import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repsim.errors import InputError
from repsim.signature import code_hash
from testcases.compositional.supervised import PAD, Task, Trials, classes_correct

CHANGING_NOTHING = ("OrderEnforcing", "PassiveEnvChecker", "TimeLimit", "Monitor")
N_TRIED = 20  # trials by which environments are told apart


def from_neurogym(env: Any, name: str | None = None, n_steps: int | None = None) -> Task:
    """A task that draws trials of a NeuroGym environment.

    env         an environment with new_trial, ob and gt; every batch seeds it anew. It is used in
                place: durations drawn by its own closures would not follow a copy
    name        default neurogym/ and the name of the class
    n_steps     length of every batch; None: as long as its longest trial

    raises  InputError for an environment that makes no trials, or others from the same seed, for
            actions that cannot be read and for wrappers that change what happens in a step only
    """
    while type(env).__name__ in CHANGING_NOTHING:
        env = env.env
    for one in _layers(env):
        is_wrapper = "env" in getattr(one, "__dict__", ())
        if is_wrapper and not any("new_trial" in vars(kind) for kind in type(one).__mro__):
            raise InputError(
                f"{type(one).__name__} changes steps, not trials, so it would have no effect. "
                "Pass the environment without it, and give the network such inputs yourself."
            )
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
        parameters={"env": _identified(env), "n_steps": n_steps},
    )


@dataclass(frozen=True, eq=False)
class Environment:
    """An environment, and words that tell it from others in every process.

    sources     classes whose code it depends on
    """

    env: Any
    identity: str
    sources: tuple[type, ...]

    def __repr__(self) -> str:
        return self.identity


def _identified(env: Any) -> Environment:
    """Named by its class, what stays the same between its trials, and some of these.

    raises   InputError where it makes no trials, or not the same ones from the same seed
    """
    bare = env.unwrapped
    found = []
    for seed in (0, 1, 0):
        try:
            trials = draw(np.random.default_rng(seed), N_TRIED, Environment(env, "", ()), None)
        except InputError:
            raise
        except Exception as error:  # whatever another's code raises
            raise InputError(
                f"{type(bare).__name__} makes no trials with observations and targets ({error}). "
                "Pass another environment."
            ) from error
        seen = hashlib.sha256(trials.inputs.tobytes() + trials.targets.tobytes()).hexdigest()
        found.append((seen, _attributes(env)))
    (seen, before), (_, after), (again, _) = found
    if seen != again:
        raise InputError(
            f"{type(bare).__name__} makes other trials each time from the same seed: something in "
            "it outlives a reset. Pass another environment."
        )
    fixed = {name: one for name, one in before.items() if after.get(name) == one}
    layers = tuple(type(one) for one in _layers(env))
    names = " of ".join(one.__name__ for one in layers)
    return Environment(env, f"{names}, dt={bare.dt}, {code_hash(seen, fixed)}", layers)


def _layers(env: Any) -> Iterator[Any]:
    """An environment and all that it wraps."""
    yield env
    while "env" in getattr(env, "__dict__", ()):
        env = env.env
        yield env


def _attributes(env: Any) -> dict[str, str]:
    """A hash of each attribute of the layers of an environment, except of other environments."""
    return {
        f"{type(layer).__name__}.{name}": code_hash(_plain(value))
        for layer in _layers(env)
        for name, value in vars(layer).items()
        if not hasattr(value, "step")
    }


def _plain(value: Any) -> Any:
    """A setting without random state, and a function without the environment it belongs to."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if inspect.isfunction(value):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        held = [one for one in held if not hasattr(one, "step")]
        return [value.__code__, value.__defaults__, held]
    if hasattr(value, "rng") and hasattr(value, "__dict__"):
        return [type(value), {key: one for key, one in vars(value).items() if key != "rng"}]
    return value


def draw(rng: np.random.Generator, n_trials: int, env: Environment, n_steps: int | None) -> Trials:
    """Trials, one after another as the environment makes them.

    raises  InputError for targets it never sets or classes that change in a period, or a trial
            longer than n_steps
    """
    env = env.env
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
    observed = observed.reshape(len(observed), -1)
    conditions = {key: value for key, value in bare.trial.items() if np.ndim(value) == 0}
    spans = {key: (bare.start_ind[key], bare.end_ind[key]) for key in bare.start_ind}
    if not hasattr(env.action_space, "n"):
        return observed, wanted.reshape(len(wanted), -1), conditions, spans
    if wanted.max() >= env.action_space.n:
        raise InputError(
            f"{type(bare).__name__}: target {wanted.max()}, but actions 0 to "
            f"{env.action_space.n - 1}. Pass another environment."
        )
    for period, (start, end) in spans.items():
        if len(set(wanted[start:end])) > 1:
            raise InputError(
                f"{type(bare).__name__}: the target changes within the period {period!r}, which "
                "has one answer. Split it in two periods, or pass another environment."
            )
    return observed, wanted, conditions, spans


def values_correct(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Is the mean squared error of a trial below a tenth of the power of its targets?"""
    error, power = (
        np.einsum("ijk,ij->i", values**2, trials.mask)
        for values in (outputs - trials.targets, trials.targets)
    )
    return error <= power / 10
