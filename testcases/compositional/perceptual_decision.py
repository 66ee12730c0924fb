"""Which of two noisy stimuli is stronger? Answered at once or after a delay, for it or against it.

    stimulus_i(t) = 0.5 +- coherence / 200 + noise / sqrt(dt_ms) * N(0, 1)

Inputs (7): fixation, on until the decision; two stimuli; which of the four tasks (one-hot). Outputs
(3): fixate, choice 1, choice 2. Anti tasks want the weaker stimulus. Epochs fixation, stimulus,
delay, decision last as timing.py says. Source: Guilhot et al. 2024 (arXiv:2410.24070), from
NeuroGym 0.0.2 (PerceptualDecisionMaking and PerceptualDecisionMakingDelayResponse).

Where we leave that paper: one trial a sequence, not trials one after another cut to 400 steps;
waiting and answering weigh the same in the loss, after 40 ms of grace, in place of one weight for
all steps; no shared buffers. The authors' anti tasks set the opposite answer after the targets were
made, so their targets equal those of the plain tasks; ours are opposite.

Ceiling. The difference of the two summed stimuli is all there is to know. Over T ms of stimulus it
has mean T coherence / 100 and variance 2 T noise^2, in units of dt_ms, whence
    P(correct) = Phi(coherence / 100 * sqrt(T / 2) / noise):
one half at coherence 0, whatever the step. The delay takes nothing from an ideal memory.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from repsim.errors import InputError
from testcases.compositional.supervised import Task, Trials, classes_correct
from testcases.compositional.timing import (
    Layout,
    Timing,
    all_combinations,
    check_duration,
    choose_timing,
    lay_out,
    weigh,
)

RULES = ("basic", "anti", "delay", "delay_anti")
COHERENCES = (0.0, 6.4, 12.8, 25.6, 51.2)


def two_choice_task(
    anti: bool = False,
    delay: bool = False,
    timing: str | Timing = "train",
    dt_ms: float = 20,
    coherences: tuple[float, ...] = COHERENCES,
    noise: float = 1.0,
    grace_ms: float = 40,
) -> Task:
    """The task of one of the four rules.

    timing      train, test, short, short_test, or epoch -> durations in ms
    coherences  per cent, each equally likely
    noise       standard deviation of a stimulus over 1 ms; a step has noise / sqrt(dt_ms)
    grace_ms    start of the decision that is not scored

    raises  InputError for an unknown timing, noise or a step that is not positive, and coherences
            that are none or not 0 or more
    """
    if not 0 < noise < np.inf:
        raise InputError(f"noise is {noise}. Give a positive standard deviation.")
    wrong = [one for one in coherences if not 0 <= one < np.inf]
    if wrong or len(coherences) == 0:
        raise InputError(
            f"coherences are {tuple(coherences)}. Give one or more, of 0 or more per cent."
        )
    check_duration(dt_ms)
    rule = rule_name(anti, delay)
    chosen = choose_timing(timing, delay)
    return Task(
        name=f"perceptual_decision/{rule}",
        n_inputs=3 + len(RULES),
        n_outputs=3,
        dt_ms=dt_ms,
        loss="cross_entropy",
        draw=draw,
        judge=classes_correct,
        best=ideal_observer,
        design=design,
        parameters={"rule": rule, "timing": chosen, "dt_ms": dt_ms, "grace_ms": grace_ms}
        | {"coherences": tuple(coherences), "noise": noise},
    )


def rule_name(anti: bool, delay: bool) -> str:
    """One of RULES."""
    return RULES[2 * delay + anti]


def draw(
    rng: np.random.Generator,
    n_trials: int,
    rule: str,
    timing: Timing,
    dt_ms: float,
    coherences: tuple[float, ...],
    noise: float,
    grace_ms: float,
) -> Trials:
    """Trials: stimuli mean 0.5 +- coherence / 200, independent noise."""
    layout = lay_out(rng, n_trials, timing, dt_ms)
    stronger = rng.integers(1, 3, n_trials)
    coherence = rng.choice(np.asarray(coherences, dtype=float), n_trials)
    sign = np.where(stronger[:, None] == [1, 2], 1, -1)
    mean = 0.5 + sign * coherence[:, None] / 200
    stimuli = rng.standard_normal((*layout.epochs.shape, 2), dtype=np.float32)
    stimuli *= noise / np.sqrt(dt_ms)
    stimuli += mean[:, None, :].astype(np.float32)
    choice = 3 - stronger if rule.endswith("anti") else stronger
    conditions = {"coherence": coherence, "stronger": stronger}
    return cued_trials(layout, stimuli, rule, choice, conditions, grace_ms)


def cued_trials(
    layout: Layout,
    stimuli: np.ndarray,
    rule: str,
    choice: np.ndarray,
    conditions: dict[str, Any],
    grace_ms: float,
) -> Trials:
    """Trials with a fixation that goes off at the decision, two stimuli and a rule.

    stimuli     (trial, time, 2), seen in the stimulus epoch only
    choice      (trial,) class wanted in the decision; 0 elsewhere
    """
    inputs = np.zeros((*layout.epochs.shape, 3 + len(RULES)), dtype=np.float32)
    inputs[..., 0] = layout.running & ~layout.within("decision")
    inputs[..., 1:3] = stimuli * layout.within("stimulus")[..., None]
    inputs[..., 3 + RULES.index(rule)] = layout.running
    columns = {"task": rule, **conditions, "ground_truth": choice, **layout.durations()}
    return Trials(
        inputs=inputs,
        targets=np.where(layout.within("decision"), choice[:, None], 0),
        mask=weigh(layout, "decision", grace_ms),
        conditions=pd.DataFrame(columns),
        epochs=layout.epochs,
        epoch_names=layout.names,
        dt_ms=layout.dt_ms,
    )


def design(timing: Timing, coherences: tuple[float, ...], **_: Any) -> pd.DataFrame:
    """Every coherence with every duration of the stimulus."""
    return all_combinations(coherence=coherences, stimulus_ms=timing["stimulus"])


def ideal_observer(conditions: pd.DataFrame, noise: float, **_: Any) -> np.ndarray:
    """Phi(coherence / 100 * sqrt(T / 2) / noise) of every row."""
    evidence = conditions["coherence"] / 100 * np.sqrt(conditions["stimulus_ms"] / 2)
    return ndtr((evidence / noise).to_numpy())
