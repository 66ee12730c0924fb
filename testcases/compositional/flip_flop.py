"""Three memories of one bit each, set by pulses: hold the sign of the last pulse.

    target_i(t) = sign of the last pulse of channel i up to t

Pulses of one step, +1 or -1 with equal chance, come in each channel and step with a fixed
probability; the first step has one in every channel, so that every state is defined. Inputs and
outputs: one a bit. A trial is correct if every output has the right sign at every scored step; the
step of a pulse and the grace_steps - 1 after it are free. Trials without a scored step, which are
rare where pulses are, are drawn again. No noise, so the ceiling is 1. Source:
Sussillo and Barak 2013 (Neural Computation 25:626), section 4; rate and length are ours.
"""

import numpy as np
import pandas as pd

from repsim.errors import InputError
from testcases.compositional.supervised import Task, Trials, certain, one_condition
from testcases.compositional.timing import check_duration

LEAST_SCORED = 0.01  # steps of a trial, on average; less takes too long to draw


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

    raises  InputError for a probability outside [0, 1], numbers of bits and steps that are not
            whole, fewer steps than the grace, and pulses so many that hardly a step is scored
    """
    counts = (n_bits, n_steps, grace_steps)
    if not all(isinstance(one, (int, np.integer)) and one >= 1 for one in counts):
        raise InputError(
            f"n_bits = {n_bits}, n_steps = {n_steps} and grace_steps = {grace_steps}. Give whole "
            "numbers, and 1 or more of each."
        )
    if not 0 <= pulse_probability <= 1 or n_steps <= grace_steps:
        raise InputError(
            f"pulse_probability = {pulse_probability} and n_steps = {n_steps}. Give a probability "
            f"in [0, 1] and more than {grace_steps} steps."
        )
    check_duration(dt_ms)
    scored = (n_steps - grace_steps) * (1 - pulse_probability) ** (n_bits * grace_steps)
    if scored < LEAST_SCORED:
        raise InputError(
            f"pulse_probability = {pulse_probability} leaves {scored:.2g} of {n_steps} steps to "
            f"score in a trial. Lower it, or make n_steps larger, until {LEAST_SCORED} are left."
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
    pulse = draw_pulses(rng, shape, pulse_probability)
    while True:
        unscored = (steps_since(pulse) < grace_steps).all(axis=1)
        if not unscored.any():
            break
        pulse[unscored] = draw_pulses(rng, (unscored.sum(), *shape[1:]), pulse_probability)
    inputs = np.where(pulse, rng.choice([-1, 1], shape), 0).astype(np.float32)
    targets = np.take_along_axis(inputs, last_pulse(pulse), axis=1)
    since = steps_since(pulse)
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


def draw_pulses(
    rng: np.random.Generator, shape: tuple[int, int, int], probability: float
) -> np.ndarray:
    """(trial, time, bit) truth: is there a pulse? In the first step in every bit."""
    pulse = rng.random(shape) < probability
    pulse[:, 0] = True
    return pulse


def last_pulse(pulse: np.ndarray) -> np.ndarray:
    """(trial, time, bit) step of the last pulse of a bit."""
    steps = np.arange(pulse.shape[1])[:, None]
    return np.maximum.accumulate(np.where(pulse, steps, 0), axis=1)


def steps_since(pulse: np.ndarray) -> np.ndarray:
    """(trial, time) steps since the last pulse of any bit."""
    return np.arange(pulse.shape[1]) - last_pulse(pulse).max(axis=-1)


def signs_correct(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Has every bit the right sign at every scored step?"""
    right = (np.sign(outputs) == trials.targets).all(axis=-1)
    return (right | (trials.mask == 0)).all(axis=1)
