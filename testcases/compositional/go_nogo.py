"""Move after one stimulus, stay still after the other; at once or after a delay, or the reverse.

Inputs (7): fixation, on until the decision; the no-go and the go stimulus, 1 while shown; which of
the four tasks (one-hot). Outputs (2): fixate, go. Anti tasks want go after the no-go stimulus. No
noise, so the ceiling is 1. Source: Guilhot et al. 2024 (arXiv:2410.24070), from NeuroGym 0.0.2
(GoNogo); timings and departures as in perceptual_decision.py.
"""

import numpy as np

from testcases.compositional.perceptual_decision import RULES, cued_trials, rule_name
from testcases.compositional.supervised import (
    Task,
    Trials,
    certain,
    classes_correct,
    one_condition,
)
from testcases.compositional.timing import Timing, check_duration, choose_timing, lay_out


def go_nogo_task(
    anti: bool = False,
    delay: bool = False,
    timing: str | Timing = "train",
    dt_ms: float = 20,
    grace_ms: float = 40,
) -> Task:
    """The task of one of the four rules.

    timing      train, test, short, short_test, or epoch -> durations in ms
    grace_ms    start of the decision that is not scored

    raises  InputError for an unknown timing, or a step that is not positive
    """
    check_duration(dt_ms)
    rule = rule_name(anti, delay)
    return Task(
        name=f"go_nogo/{rule}",
        n_inputs=3 + len(RULES),
        n_outputs=2,
        dt_ms=dt_ms,
        loss="cross_entropy",
        draw=draw,
        judge=classes_correct,
        best=certain,
        design=one_condition,
        parameters={
            "rule": rule,
            "timing": choose_timing(timing, delay),
            "dt_ms": dt_ms,
            "grace_ms": grace_ms,
        },
    )


def draw(
    rng: np.random.Generator,
    n_trials: int,
    rule: str,
    timing: Timing,
    dt_ms: float,
    grace_ms: float,
) -> Trials:
    """Trials: stimulus 1 says no-go, stimulus 2 go, equally often."""
    layout = lay_out(rng, n_trials, timing, dt_ms)
    shown = rng.integers(1, 3, n_trials)
    stimuli = np.broadcast_to((shown[:, None, None] == [1, 2]), (*layout.epochs.shape, 2))
    go = 2 - shown if rule.endswith("anti") else shown - 1
    return cued_trials(layout, stimuli, rule, go, {"stimulus": shown}, grace_ms)
