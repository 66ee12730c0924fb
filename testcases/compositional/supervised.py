"""What a task is: seeded trials, what counts as a correct one, and the accuracy nobody can exceed.

    accuracy / ceiling = 1    for an observer that wastes nothing

Trials are drawn all at once, own their memory, and depend on the generator alone. A task is a
record of three functions and the parameters they share, so it can be pickled, printed and hashed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from repsim.errors import InputError, RepsimError

LOSSES = ("cross_entropy", "mse")
PAD = "pad"


@dataclass(frozen=True, eq=False)
class Trials:
    """One batch. Trials of different length are filled up with the epoch "pad", weight 0.

    inputs       (trial, time, input) float32
    targets      (trial, time) int64 classes, or (trial, time, output) float32
    mask         (trial, time) float32 weight of each step in the loss; 0: not scored
    conditions   one row a trial
    epochs       (trial, time) int8, positions in epoch_names
    """

    inputs: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    conditions: pd.DataFrame
    epochs: np.ndarray
    epoch_names: tuple[str, ...]
    dt_ms: float

    def __len__(self) -> int:
        return len(self.inputs)

    def within(self, *names: str) -> np.ndarray:
        """(trial, time) truth: is the step in one of these epochs?"""
        return within(self.epochs, self.epoch_names, *names)

    def time_ms(self) -> np.ndarray:
        """(time,) start of each step in ms."""
        return np.arange(self.inputs.shape[1]) * self.dt_ms


@dataclass(frozen=True)
class Task:
    """A supervised task.

    dt_ms       duration of a step in ms
    loss        "cross_entropy" (classes) or "mse", both weighted by the mask
    draw        (rng, n_trials, **parameters) -> Trials
    judge       (outputs, trials) -> (trial,) truth
    best        (conditions, **parameters) -> (row,) probability that the ideal observer is correct
    design      (**parameters) -> conditions, one row each and all equally likely
    version     goes up whenever the trials of a seed change
    """

    name: str
    n_inputs: int
    n_outputs: int
    dt_ms: float
    loss: str
    draw: Callable[..., Trials]
    judge: Callable[[np.ndarray, Trials], np.ndarray]
    best: Callable[..., np.ndarray] | None = None
    design: Callable[..., pd.DataFrame] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1

    def trials(self, rng: np.random.Generator, n_trials: int) -> Trials:
        """Fresh trials: the same generator state, the same bits.

        raises  InputError for no trials, or something else than a numpy Generator
        """
        if not isinstance(rng, np.random.Generator):
            raise InputError(
                f"{self.name}: rng is a {type(rng).__name__}. Pass numpy.random.default_rng(seed)."
            )
        if n_trials < 1:
            raise InputError(f"{self.name}: n_trials is {n_trials}. Ask for 1 or more.")
        return self.draw(rng, n_trials, **self.parameters)

    def correct(self, outputs: np.ndarray, trials: Trials) -> np.ndarray:
        """(trial,) truth for outputs (trial, time, output); cross_entropy takes logits.

        raises  InputError for outputs that do not fit the trials, or are not finite
        """
        outputs = np.asarray(outputs)
        expected = (*trials.inputs.shape[:2], self.n_outputs)
        if outputs.shape != expected:
            raise InputError(
                f"{self.name}: outputs have shape {outputs.shape}, these trials need {expected} "
                "(trial, time, output). Pass the outputs of the same trials."
            )
        if not np.isfinite(outputs).all():
            raise InputError(
                f"{self.name}: {np.sum(~np.isfinite(outputs))} outputs are NaN or infinite. "
                "Lower the learning rate or clip gradients."
            )
        return self.judge(outputs, trials)

    def accuracy(self, outputs: np.ndarray, trials: Trials) -> float:
        """Fraction of correct trials, in [0, 1]."""
        return float(self.correct(outputs, trials).mean())

    def ceiling(self, trials: Trials | None = None) -> float:
        """The best accuracy expected of any observer: over all trials, or those conditions.

        raises  RepsimError where it is not known
        """
        if self.best is None or self.design is None:
            raise RepsimError(
                f"{self.name}: the ceiling is not known. Estimate it with an observer of your own, "
                "or pass best= and design= to dataclasses.replace(task, ...)."
            )
        conditions = self.design(**self.parameters) if trials is None else trials.conditions
        return float(np.mean(self.best(conditions, **self.parameters)))


def within(epochs: np.ndarray, epoch_names: tuple[str, ...], *names: str) -> np.ndarray:
    """Truth of the shape of epochs: is the step in one of the named epochs?

    raises  InputError for an epoch there is not
    """
    missing = [name for name in names if name not in epoch_names]
    if missing:
        raise InputError(f"No epoch {missing[0]!r}. There are: {', '.join(epoch_names)}.")
    return np.isin(epochs, [epoch_names.index(name) for name in names])


def certain(conditions: pd.DataFrame, **_: Any) -> np.ndarray:
    """The ideal observer of a task without noise: always correct."""
    return np.ones(len(conditions))


def one_condition(**_: Any) -> pd.DataFrame:
    """The design of a task where no condition matters to the ceiling."""
    return pd.DataFrame(index=[0])


def classes_correct(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Is, in every epoch, the largest of the outputs averaged over scored steps the target?

    An answer given too early is thereby wrong. Targets are constant within the scored steps of an
    epoch.
    """
    correct = np.ones(len(trials), dtype=bool)
    for steps, mean in epoch_means(outputs, trials):
        wanted = np.max(trials.targets, axis=1, where=steps, initial=-1)
        correct &= ~steps.any(axis=1) | (mean.argmax(axis=-1) == wanted)
    return correct


def epoch_means(outputs: np.ndarray, trials: Trials) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of every epoch its scored steps (trial, time), and the outputs (trial, output) over them."""
    found = []
    for name in trials.epoch_names:
        steps = (trials.mask > 0) & trials.within(name)
        total = np.einsum("ijk,ij->ik", outputs, steps)
        found.append((steps, total / np.maximum(steps.sum(axis=1), 1)[:, None]))
    return found
