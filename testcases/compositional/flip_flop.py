"""Three memories of one bit each, set by pulses: hold the sign of the last pulse.

    target_i(t) = sign of the last pulse of channel i up to t

Pulses of one step, +1 or -1 with equal chance, come in each channel and step with a fixed
probability; the first step has one in every channel, so that every state is defined. Inputs and
outputs: one a bit. A trial is correct if every output has the right sign at every scored step; the
step of a pulse and the grace_steps - 1 after it are free. No noise, so the ceiling is 1. Source:
Sussillo and Barak 2013 (Neural Computation 25:626), section 4; rate and length are ours.
"""

import numpy as np
import pandas as pd

from repsim.errors import InputError
from testcases.compositional.supervised import Task, Trials, certain, one_condition


def flip_flop_task(
    n_bits: int = 3,
    n_steps: int = 100,
    pulse_probability: float = 0.03,
    dt_ms: float = 20,
    grace_steps: int = 2,
) -> Task:
    """The task.

    pulse_probability   of each channel in each step
    grace_steps         from a pulse on, not scored

    raises  InputError for a probability outside [0, 1], or fewer steps than the grace
    """
    if not 0 <= pulse_probability <= 1 or n_steps <= grace_steps:
        raise InputError(
            f"pulse_probability = {pulse_probability} and n_steps = {n_steps}. Give a probability "
            f"in [0, 1] and more than {grace_steps} steps."
        )
    return Task(
        name="flip_flop",
        n_inputs=n_bits,
        n_outputs=n_bits,
        dt_ms=dt_ms,
        loss="mse",
        draw=draw,
        judge=signs_correct,
        best=certain,
        design=one_condition,
        parameters={
            "n_bits": n_bits,
            "n_steps": n_steps,
            "pulse_probability": pulse_probability,
            "dt_ms": dt_ms,
            "grace_steps": grace_steps,
        },
    )


def draw(
    rng: np.random.Generator,
    n_trials: int,
    n_bits: int,
    n_steps: int,
    pulse_probability: float,
    dt_ms: float,
    grace_steps: int,
) -> Trials:
    """Trials; epochs "pulse" and "hold" alternate."""
    shape = (n_trials, n_steps, n_bits)
    pulse = rng.random(shape) < pulse_probability
    pulse[:, 0] = True
    inputs = np.where(pulse, rng.choice([-1, 1], shape), 0).astype(np.float32)
    last = np.maximum.accumulate(np.where(pulse, np.arange(n_steps)[:, None], 0), axis=1)
    targets = np.take_along_axis(inputs, last, axis=1)
    since = np.arange(n_steps) - last.max(axis=-1)
    conditions = {"task": "flip_flop", "n_pulses": pulse.sum(axis=(1, 2))}
    conditions |= {f"last_{bit + 1}": targets[:, -1, bit] for bit in range(n_bits)}
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=(since >= grace_steps).astype(np.float32),
        conditions=pd.DataFrame(conditions),
        epochs=(since > 0).astype(np.int8),
        epoch_names=("pulse", "hold"),
        dt_ms=dt_ms,
    )


def signs_correct(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Has every bit the right sign at every scored step?"""
    right = (np.sign(outputs) == trials.targets).all(axis=-1)
    return (right | (trials.mask == 0)).all(axis=1)
