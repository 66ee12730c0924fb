"""How long each epoch of a trial lasts, and how much each step weighs in the loss.

A timing maps epoch names, in order, to the durations in ms that each trial draws from with equal
chance. Durations of Guilhot et al. 2024 (arXiv:2410.24070, main/task.py of the authors' code):

    ms                fixation         stimulus            delay             decision
    train, no delay   100, 200, 300    3000, 4000, 5000    0                 100, 200, 300
    train, delay      100, 200, 300    3000, 4000, 5000    500, 1000, 1500   100, 200, 300
    test, no delay    200              4000                0                 200
    test, delay       500              4000                2000              500

"short" and "short_test" are ours: stimulus and delay last a fifth, the rest as long. They have the
same structure and a lower ceiling, as there is less to see. A longer dt_ms is the other way to
fewer steps; it leaves the ceiling of noisy tasks where it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repsim.errors import InputError
from testcases.compositional.supervised import PAD, within

Timing = Mapping[str, tuple[float, ...]]

BRIEF = (100, 200, 300)
PRESETS: dict[tuple[str, bool], Timing] = {
    ("train", False): {
        "fixation": BRIEF,
        "stimulus": (3000, 4000, 5000),
        "delay": (0,),
        "decision": BRIEF,
    },
    ("train", True): {
        "fixation": BRIEF,
        "stimulus": (3000, 4000, 5000),
        "delay": (500, 1000, 1500),
        "decision": BRIEF,
    },
    ("test", False): {
        "fixation": (200,),
        "stimulus": (4000,),
        "delay": (0,),
        "decision": (200,),
    },
    ("test", True): {
        "fixation": (500,),
        "stimulus": (4000,),
        "delay": (2000,),
        "decision": (500,),
    },
}


@dataclass(frozen=True, eq=False)
class Layout:
    """Which epoch each step is in.

    epochs      (trial, time) int8, positions in names
    steps       (trial, epoch) number of steps
    """

    epochs: np.ndarray
    steps: np.ndarray
    names: tuple[str, ...]
    dt_ms: float

    def within(self, *names: str) -> np.ndarray:
        """(trial, time) truth: is the step in one of these epochs?"""
        return within(self.epochs, self.names, *names)

    @property
    def running(self) -> np.ndarray:
        """(trial, time) truth: the trial is not over."""
        return ~self.within(PAD)

    def durations(self) -> dict[str, np.ndarray]:
        """Columns for the conditions: fixation_ms, ..."""
        return {
            f"{name}_ms": self.steps[:, place] * self.dt_ms
            for place, name in enumerate(self.names[:-1])
        }


def choose_timing(timing: str | Timing, delay: bool) -> dict[str, tuple[float, ...]]:
    """The preset of this name, with or without a delay, or a timing of one's own.

    raises  InputError for a preset there is not, or missing epochs
    """
    if isinstance(timing, str):
        preset, short = timing, timing.startswith("short")
        if short:
            preset = "test" if timing == "short_test" else "train"
        if (preset, delay) not in PRESETS or timing not in ("train", "test", "short", "short_test"):
            raise InputError(
                f"timing is {timing!r}. Take train, test, short, short_test, or a mapping of "
                "epoch -> durations in ms."
            )
        chosen = PRESETS[preset, delay]
        fifth = ("stimulus", "delay") if short else ()
        return {
            name: tuple(ms // 5 if name in fifth else ms for ms in durations)
            for name, durations in chosen.items()
        }
    wanted = tuple(PRESETS["train", True])
    if tuple(timing) != wanted:
        raise InputError(
            f"timing has epochs {', '.join(timing)}. Give durations in ms for "
            f"{', '.join(wanted)}, in that order."
        )
    return {name: tuple(durations) for name, durations in timing.items()}


def lay_out(rng: np.random.Generator, n_trials: int, timing: Timing, dt_ms: float) -> Layout:
    """Durations drawn for every trial; all trials are as long as the longest that can be drawn.

    raises  InputError for a duration that is no whole number of steps
    """
    check_duration(dt_ms)
    for name, durations in timing.items():
        odd = [ms for ms in durations if ms < 0 or not is_whole(ms / dt_ms)]
        if odd or not durations:
            raise InputError(
                f"{name} lasts {odd[0] if odd else 'no'} ms, which is no whole number of steps of "
                f"dt_ms = {dt_ms}. Change the timing or dt_ms."
            )
    choices = [np.round(np.asarray(durations) / dt_ms) for durations in timing.values()]
    steps = np.stack([rng.choice(choice, n_trials) for choice in choices], axis=1).astype(int)
    n_time = int(sum(choice.max() for choice in choices))
    ends = steps.cumsum(axis=1)
    epochs = (np.arange(n_time)[None, :, None] >= ends[:, None, :]).sum(axis=-1)
    return Layout(epochs.astype(np.int8), steps, (*timing, PAD), dt_ms)


def check_duration(dt_ms: float) -> None:
    """Refuse a step that is not a positive number of ms."""
    if not 0 < dt_ms < np.inf:
        raise InputError(f"dt_ms is {dt_ms}. Give a step of more than 0 ms.")


def is_whole(ratio: float) -> bool:
    """Up to the error of floating point: 100 / 0.1 is not 1000."""
    return bool(np.isfinite(ratio)) and abs(ratio - round(ratio)) < 1e-6


def whole_steps(ms: float, dt_ms: float) -> int:
    """How many whole steps fit."""
    return int(ms / dt_ms + 1e-6)


def weigh(layout: Layout, answer: str, grace_ms: float, start_ms: float = 0) -> np.ndarray:
    """(trial, time) float32 weights of the loss: to wait and to answer count half a trial each.

    The first grace_ms of the answer and the first start_ms of a trial are free, so far as they
    are whole steps. The mean over scored steps is 1 in every trial.

    raises  InputError if that leaves nothing of the shortest answer
    """
    answering = layout.within(answer)
    since = answering.cumsum(axis=1)
    late = answering & (since > whole_steps(grace_ms, layout.dt_ms))
    wait = layout.running & ~answering
    wait[:, : whole_steps(start_ms, layout.dt_ms)] = False
    if not late.any(axis=1).all() or not wait.any(axis=1).all():
        raise InputError(
            f"A grace of {grace_ms} ms leaves nothing to score of the shortest {answer}. Make the "
            f"{answer} longer than {grace_ms} ms, and something come before it."
        )
    n_late, n_wait = late.sum(axis=1, keepdims=True), wait.sum(axis=1, keepdims=True)
    half = (n_late + n_wait) / 2
    return (late * half / n_late + wait * half / n_wait).astype(np.float32)


def all_combinations(**columns: Any) -> pd.DataFrame:
    """One row for every combination of the values of the columns: a design."""
    return pd.MultiIndex.from_product(columns.values(), names=columns).to_frame(index=False)
