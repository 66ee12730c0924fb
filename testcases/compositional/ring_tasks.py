"""Look, remember, decide or match, and answer with a direction: one network can learn all of them.

    bump(theta)_k = 0.8 exp(-(d(theta, theta_k) / (pi / 8))^2 / 2)     theta_k = 2 pi k / n_ring
    inputs  = fixation, ring 1, ring 2, rule (one-hot over ring_rules.RULES)     1 + 2 n_ring + 18
    outputs = fixation 0.8 or 0.05, ring 0.05 + bump(direction) in the go epoch       1 + n_ring

d is the distance on the circle. Every input has noise of sd noise * sqrt(2 tau / dt_ms) a step, tau
100 ms. A trial is correct if, averaged over scored steps, the fixation output is above 1/2 in every
epoch that asks for fixation, and in the go epoch below it with the direction of the population
vector within 0.2 pi. Waiting and answering weigh the same in the loss (the authors: 1 and 5).

Ceiling. In decision tasks the stimuli have strengths gamma + c and gamma - c, so the two answers
differ in 2 c D, D = sum over time of the shown bumps, second minus first. An observer told where
the stimuli are and gamma has P(correct) = Phi(c |D| / sd). In the other tasks an angle, or the
difference of two, has to be known to within a margin m, and is with variance s^2 = the sum over
stimuli of sd^2 / |d bump / d theta|^2: P = 2 Phi(m / s) - 1. That holds for s << m: simulated ideal
observers agree to 0.01 where m / s is 5 or more (by default above 10); below, the ceiling is not
known.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from repsim.errors import InputError, RepsimError
from testcases.compositional.ring_rules import RULES, Rule, rule_timing
from testcases.compositional.supervised import Task, Trials, epoch_means
from testcases.compositional.timing import (
    Layout,
    Timing,
    all_combinations,
    check_duration,
    lay_out,
    weigh,
)

COHERENCES = {"dm": (0.01, 0.02, 0.04, 0.08), "delaydm": (0.08, 0.16, 0.32)}
WIDTH = np.pi / 8
TIME_CONSTANT_MS = 100
TOLERANCE = 0.2 * np.pi
MARGINS = {"dms": np.pi / 18, "dmc": 0.1 * np.pi}
LEAST_MARGIN = 5  # m / s
CATEGORY_DIRECTIONS = np.pi * np.arange(0.1, 2, 0.2)


def ring_task(
    rule: str,
    timing: str | Timing = "train",
    dt_ms: float = 20,
    n_ring: int = 16,
    noise: float = 0.01,
    coherences: tuple[float, ...] | None = None,
    grace_ms: float = 100,
) -> Task:
    """The task of a rule.

    rule        key of ring_rules.RULES
    timing      train, test, short, or epoch -> durations in ms
    n_ring      units a ring, 8 or more (the authors: 32)
    noise       sd of an input over 2 tau; the ceiling of tasks other than decisions is known only
                while small: up to 0.24 for delaygo, 0.085 for dmcgo, 0.057 for dmsgo as they are
    coherences  half the difference of strengths in decision tasks; None: the authors'
    grace_ms    start of the trial and of the go epoch that is not scored

    raises  InputError for an unknown rule or timing, a small ring, noise or a step that is not
            positive
    """
    check(rule, n_ring, noise, coherences or ())
    check_duration(dt_ms)
    return Task(
        name=f"yang/{rule}",
        n_inputs=1 + 2 * n_ring + len(RULES),
        n_outputs=1 + n_ring,
        dt_ms=dt_ms,
        loss="mse",
        draw=draw,
        judge=directions_correct,
        best=ideal_observer,
        design=design,
        parameters={
            "rule": rule,
            "timing": rule_timing(rule, timing),
            "dt_ms": dt_ms,
            "n_ring": n_ring,
            "noise": noise,
            "coherences": tuple(coherences or COHERENCES.get(RULES[rule].family, ())),
            "grace_ms": grace_ms,
        },
    )


def check(rule: str, n_ring: int, noise: float, coherences: tuple[float, ...]) -> None:
    """Refuse a rule there is not, or numbers that make no task."""
    if rule not in RULES:
        raise InputError(f"No ring task {rule!r}. There are: {', '.join(RULES)}.")
    if n_ring < 8 or not 0 < noise < np.inf:
        raise InputError(
            f"n_ring = {n_ring}, noise = {noise}. Take 8 units or more, and noise above 0."
        )
    if not all(0 <= one < np.inf for one in coherences):
        raise InputError(f"coherences are {coherences}. Give numbers of 0 or more.")


def draw(
    rng: np.random.Generator,
    n_trials: int,
    rule: str,
    timing: Timing,
    dt_ms: float,
    n_ring: int,
    noise: float,
    coherences: tuple[float, ...],
    grace_ms: float,
) -> Trials:
    """Trials: conditions, then stimuli on the rings, then noise."""
    layout = lay_out(rng, n_trials, timing, dt_ms)
    angles = draw_angles(rng, n_trials, RULES[rule])
    strengths, coherence = draw_strengths(rng, n_trials, RULES[rule], coherences)
    answer = directions(angles, coherence, RULES[rule])
    columns = {"task": rule, "location_1": angles[:, 0], "location_2": angles[:, 1]}
    columns |= {"coherence": coherence, "direction": answer, **layout.durations()}
    inputs = clean_inputs(layout, angles, strengths, rule, n_ring)
    noises = rng.standard_normal(inputs.shape, dtype=np.float32)
    noises *= step_noise(noise, dt_ms) * layout.running[..., None]
    inputs += noises
    return Trials(
        inputs=inputs,
        targets=targets(layout, answer, n_ring),
        mask=weigh(layout, "go", grace_ms, start_ms=grace_ms),
        conditions=pd.DataFrame(columns),
        epochs=layout.epochs,
        epoch_names=layout.names,
        dt_ms=dt_ms,
    )


def clean_inputs(
    layout: Layout, angles: np.ndarray, strengths: np.ndarray, rule: str, n_ring: int
) -> np.ndarray:
    """(trial, time, input) fixation, rings and rule, without noise."""
    inputs = np.zeros((*layout.epochs.shape, 1 + 2 * n_ring + len(RULES)), dtype=np.float32)
    inputs[..., 0] = layout.running & ~(layout.within("go") & RULES[rule].cue)
    for which, epochs in enumerate(RULES[rule].shown):
        shown = strengths[:, which, :, None] * bump(angles[:, which], n_ring)[:, None, :]
        on = layout.within(*epochs)[..., None]
        inputs[..., 1 : 1 + 2 * n_ring] += on * shown.reshape(len(angles), 1, -1)
    inputs[..., 1 + 2 * n_ring + list(RULES).index(rule)] = layout.running
    return inputs


def draw_angles(rng: np.random.Generator, n_trials: int, rule: Rule) -> np.ndarray:
    """(trial, 2) directions of the stimuli; NaN for a second one that is not there."""
    first = rng.uniform(0, 2 * np.pi, n_trials)
    side = rng.choice([-1, 1], n_trials)
    if rule.decides:
        second = first + side * rng.uniform(0.5 * np.pi, 1.5 * np.pi, n_trials)
    elif rule.family == "dms":
        apart = side * rng.uniform(np.pi / 9, 17 * np.pi / 9, n_trials)
        second = first + apart * rng.integers(0, 2, n_trials)
    elif rule.family == "dmc":
        first, second = rng.choice(CATEGORY_DIRECTIONS, (2, n_trials))
    else:
        second = np.full(n_trials, np.nan)
    return np.stack([first, second], axis=1) % (2 * np.pi)


def draw_strengths(
    rng: np.random.Generator, n_trials: int, rule: Rule, coherences: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(trial, stimulus, ring) strengths; (trial,) signed coherence of the ring that counts."""
    if not rule.decides:
        ring = rng.integers(0, 2, (n_trials, 2))
        return np.eye(2)[ring], np.full(n_trials, np.nan)
    mean = rng.uniform(0.8, 1.2, (n_trials, 2))
    coherence = rng.choice(coherences, (n_trials, 2)) * rng.choice([-1, 1], (n_trials, 2))
    strengths = np.stack([mean + coherence, mean - coherence], axis=1)
    if not rule.context:
        strengths[:, :, 2 - rule.ring] = 0
    return strengths, coherence[:, rule.ring - 1]


def directions(angles: np.ndarray, coherence: np.ndarray, rule: Rule) -> np.ndarray:
    """(trial,) direction of the answer; NaN: keep fixation."""
    first, second = angles.T
    if rule.decides:
        return np.where(coherence > 0, first, second)
    if rule.matches:
        same = first == second if rule.family == "dms" else (first < np.pi) == (second < np.pi)
        return np.where(same != rule.nogo, second, np.nan)
    return (first + np.pi * rule.anti) % (2 * np.pi)


def targets(layout: Layout, answer: np.ndarray, n_ring: int) -> np.ndarray:
    """(trial, time, 1 + n_ring) float32: fixation, or a bump at the answer in the go epoch."""
    going = layout.within("go") & ~np.isnan(answer)[:, None]
    wanted = np.full((*going.shape, 1 + n_ring), 0.05, dtype=np.float32)
    wanted[..., 0] = np.where(going, 0.05, 0.8)
    wanted[..., 1:] += going[..., None] * bump(np.nan_to_num(answer), n_ring)[:, None, :]
    return wanted


def bump(angle: np.ndarray, n_ring: int) -> np.ndarray:
    """(trial,) angles -> (trial, n_ring); zeros for NaN."""
    return np.nan_to_num(0.8 * np.exp(-((from_preferred(angle, n_ring) / WIDTH) ** 2) / 2))


def from_preferred(angle: np.ndarray, n_ring: int) -> np.ndarray:
    """(trial, n_ring) signed distance, in (-pi, pi], to the preferred direction of each unit."""
    preferred = 2 * np.pi * np.arange(n_ring) / n_ring
    return np.pi - (np.pi - np.asarray(angle)[:, None] + preferred) % (2 * np.pi)


def step_noise(noise: float, dt_ms: float) -> float:
    """Standard deviation of an input in one step."""
    return noise * np.sqrt(2 * TIME_CONSTANT_MS / dt_ms)


def directions_correct(outputs: np.ndarray, trials: Trials) -> np.ndarray:
    """Fixation held where asked for, and direction within 0.2 pi where not."""
    answer = trials.conditions["direction"].to_numpy()
    correct = np.ones(len(trials), dtype=bool)
    for name, (steps, mean) in zip(trials.epoch_names, epoch_means(outputs, trials), strict=True):
        fixates = mean[:, 0] > 0.5
        if name == "go":
            preferred = 2 * np.pi * np.arange(mean.shape[1] - 1) / (mean.shape[1] - 1)
            decoded = np.angle(mean[:, 1:] @ np.exp(1j * preferred))
            near = np.cos(decoded - np.nan_to_num(answer)) > np.cos(TOLERANCE)
            correct &= np.where(np.isnan(answer), fixates, near & ~fixates)
        else:
            correct &= fixates | ~steps.any(axis=1)
    return correct


def design(rule: str, timing: Timing, coherences: tuple[float, ...], **_: Any) -> pd.DataFrame:
    """Every coherence with every duration of the stimuli, at many places."""
    shown = sorted({epoch for epochs in RULES[rule].shown for epoch in epochs})
    columns: dict[str, Any] = {f"{epoch}_ms": timing[epoch] for epoch in shown}
    columns["location_1"] = np.linspace(0, np.pi / 4, 8, endpoint=False)
    if RULES[rule].decides:
        columns["coherence"] = coherences
        columns["apart"] = np.pi * (0.5 + (np.arange(32) + 0.5) / 32)
    table = all_combinations(**columns)
    return table.assign(location_2=table["location_1"] + table.get("apart", np.nan))


def ideal_observer(
    conditions: pd.DataFrame, rule: str, dt_ms: float, n_ring: int, noise: float, **_: Any
) -> np.ndarray:
    """Probability of a correct answer of every row: the formulas above.

    raises  RepsimError for noise so large that they do not hold
    """
    sd, kind = step_noise(noise, dt_ms), RULES[rule]
    first, second = (bump(conditions[f"location_{i}"].to_numpy(), n_ring) for i in (1, 2))
    steps = {
        epoch: conditions[f"{epoch}_ms"].to_numpy() / dt_ms
        for epoch in {epoch for epochs in kind.shown for epoch in epochs}
    }
    if kind.decides:
        squared = sum(
            n * np.sum((first * (e in kind.shown[0]) - second * (e in kind.shown[1])) ** 2, axis=1)
            for e, n in steps.items()
        )
        return ndtr(np.abs(conditions["coherence"]).to_numpy() * np.sqrt(squared) / sd)
    seen = list(steps.values()) if kind.matches else [sum(steps.values())]
    variance = sum(angle_variance(conditions["location_1"], n, n_ring, sd) for n in seen)
    margins = MARGINS.get(kind.family, TOLERANCE) / np.sqrt(variance)
    if margins.min() < LEAST_MARGIN:
        raise RepsimError(
            f"yang/{rule}: the ceiling is not known for noise = {noise:g}, only up to "
            f"{noise * margins.min() / LEAST_MARGIN:.2g}. Lower the noise, or estimate the ceiling "
            "with an observer of your own."
        )
    return 2 * ndtr(margins) - 1


def angle_variance(
    angle: np.ndarray, n_steps: np.ndarray, n_ring: int, deviation: float
) -> np.ndarray:
    """Least variance, in rad^2, of an angle shown for n_steps steps: 1 / Fisher information."""
    slope = bump(angle, n_ring) * from_preferred(angle, n_ring) / WIDTH**2
    return deviation**2 / (n_steps * np.sum(slope**2, axis=1))
