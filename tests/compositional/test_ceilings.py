"""Ceilings against simulated observers, told what the formula says they are told."""

import numpy as np
import pytest
from scipy.stats import norm

from repsim.errors import RepsimError
from testcases.compositional.ring_rules import RULES
from testcases.compositional.ring_tasks import angle_variance, bump, step_noise
from testcases.compositional.tasks import get_task

N_TRIALS = 4000
BRIEF = {"fixation": (100,), "stimulus": (200, 400, 800), "go": (200,)}
STANDARD_ERRORS = 4


def binomial(probability):
    """Allowed gap of an accuracy over N_TRIALS."""
    return STANDARD_ERRORS * np.sqrt(probability * (1 - probability) / N_TRIALS)


def choose(trials, part=1.0):
    """Sum the difference of the stimuli over a part of their epoch; logits of the answer."""
    seen = trials.within("stimulus")
    seen &= seen.cumsum(axis=1) <= part * seen.sum(axis=1, keepdims=True)
    evidence = np.sum((trials.inputs[..., 1] - trials.inputs[..., 2]) * seen, axis=1)
    choice = np.where(evidence > 0, 1, 2)
    anti = trials.conditions["task"].str.endswith("anti").to_numpy()
    choice = np.where(anti, 3 - choice, choice)
    return np.eye(3)[np.where(trials.within("decision"), choice[:, None], 0)]


@pytest.mark.parametrize("rule", ["basic", "anti", "delay", "delay_anti"])
def test_perceptual_decision(rule):
    task = get_task(f"perceptual_decision/{rule}", timing="short")
    trials = task.trials(np.random.default_rng(0), N_TRIALS)
    ceiling = task.ceiling(trials)
    assert task.accuracy(choose(trials), trials) == pytest.approx(ceiling, abs=binomial(ceiling))
    assert task.ceiling() == pytest.approx(ceiling, abs=binomial(ceiling))
    assert task.accuracy(choose(trials, part=0.2), trials) < ceiling - binomial(ceiling)


@pytest.mark.parametrize("coherence", [0.0, 3.2, 6.4, 12.8])
def test_perceptual_decision_of_each_coherence(coherence):
    task = get_task("perceptual_decision/basic", timing="short", coherences=(coherence,))
    trials = task.trials(np.random.default_rng(1), N_TRIALS)
    ceiling = task.ceiling()
    assert task.accuracy(choose(trials), trials) == pytest.approx(ceiling, abs=binomial(ceiling))


def test_known_values_of_the_perceptual_decision():
    assert get_task("perceptual_decision/basic", coherences=(0.0,)).ceiling() == 0.5
    paper = get_task("perceptual_decision/delay", timing="test")
    cohs = np.array([0, 6.4, 12.8, 25.6, 51.2]) / 100
    # 200 steps of two stimuli with standard deviation 1 / sqrt(20) a step
    wanted = norm.cdf(cohs * 200 / (np.sqrt(2 * 200) / np.sqrt(20))).mean()
    assert paper.ceiling() == pytest.approx(wanted, rel=1e-12)
    assert 0.8995 < wanted < 0.9


def test_a_coarser_step_does_not_change_the_ceiling():
    fine, coarse = (
        get_task("perceptual_decision/basic", dt_ms=dt, coherences=(3.2,)) for dt in (20, 100)
    )
    assert fine.ceiling() == coarse.ceiling()
    trials = coarse.trials(np.random.default_rng(2), N_TRIALS)
    assert coarse.accuracy(choose(trials), trials) == pytest.approx(
        fine.ceiling(), abs=binomial(fine.ceiling())
    )


@pytest.mark.parametrize("rule", ["dm1", "dm2", "contextdm1", "contextdm2"])
def test_ring_decisions(rule):
    task = get_task(f"yang/{rule}", timing=BRIEF, noise=0.08)
    trials = task.trials(np.random.default_rng(3), N_TRIALS)
    first, second = (bump(trials.conditions[f"location_{i}"], 16) for i in (1, 2))
    ring = slice(1, 17) if RULES[rule].ring == 1 else slice(17, 33)
    seen = np.einsum("ijk,ij->ik", trials.inputs[..., ring], trials.within("stimulus"))
    evidence = np.sum(seen * (first - second), axis=1)
    right = (evidence > 0) == (trials.conditions["coherence"].to_numpy() > 0)
    ceiling = task.ceiling(trials)
    assert 0.75 < ceiling < 0.95
    assert right.mean() == pytest.approx(ceiling, abs=binomial(ceiling))
    assert task.ceiling() == pytest.approx(ceiling, abs=binomial(ceiling))


def test_ring_decisions_across_a_delay():
    """The observer knows gamma: half the strengths' sum, read from the noiseless bumps."""
    brief = dict.fromkeys(get_task("yang/delaydm1").parameters["timing"], (200,))
    timing = brief | {"stimulus": (200, 400), "stimulus_2": (100, 300)}
    task, silent = (
        get_task("yang/delaydm1", timing=timing, noise=noise, n_ring=12) for noise in (0.6, 1e-6)
    )
    noisy, clean = (one.trials(np.random.default_rng(4), N_TRIALS) for one in (task, silent))
    first, second = (bump(noisy.conditions[f"location_{i}"], 12) for i in (1, 2))
    coherence = noisy.conditions["coherence"].to_numpy()
    evidence = 0
    for epoch, shown, sign in (("stimulus", first, 1), ("stimulus_2", second, -1)):
        mean = clean.inputs[..., 1:13] - (sign * coherence[:, None] * shown)[:, None, :]
        centred = (noisy.inputs[..., 1:13] - mean) * noisy.within(epoch)[..., None]
        evidence = evidence + sign * np.sum(centred.sum(axis=1) * shown, axis=1)
    ceiling = task.ceiling(noisy)
    assert 0.6 < ceiling < 0.95
    right = (evidence > 0) == (coherence > 0)
    assert right.mean() == pytest.approx(ceiling, abs=binomial(ceiling))


def test_directions_are_known_as_well_as_the_formula_says():
    timing = {"fixation": (200,), "stimulus": (200,), "delay": (200,), "go": (300,)}
    task = get_task("yang/delaygo", timing=timing, noise=0.05)
    trials = task.trials(np.random.default_rng(5), N_TRIALS)
    seen = np.einsum("ijk,ij->ik", trials.inputs[..., 1:33], trials.within("stimulus"))
    first, second = seen[:, :16], seen[:, 16:]
    ring = np.where((first.sum(axis=1) > second.sum(axis=1))[:, None], first, second)
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    found = angles[np.argmax(ring @ bump(angles, 16).T, axis=1)]
    shown = trials.conditions["direction"].to_numpy()
    error = np.angle(np.exp(1j * (found - shown)))
    variance = angle_variance(shown, 10, 16, step_noise(0.05, 20))
    assert error.std() == pytest.approx(
        np.sqrt(variance.mean()), rel=STANDARD_ERRORS / np.sqrt(2 * N_TRIALS)
    )
    assert task.ceiling() == 1


@pytest.mark.parametrize(("rule", "noise"), [("dmsgo", 0.2), ("delaygo", 10.0), ("dmcnogo", 1.0)])
def test_no_ceiling_is_given_where_its_formula_does_not_hold(rule, noise):
    with pytest.raises(RepsimError, match=f"the ceiling is not known for noise = {noise:g}, only"):
        get_task(f"yang/{rule}", noise=noise).ceiling()


def test_the_ceiling_is_known_for_all_rules_as_they_are():
    assert all(get_task(f"yang/{rule}").ceiling() > 0.5 for rule in RULES)
