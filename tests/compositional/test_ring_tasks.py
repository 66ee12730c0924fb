"""Ring tasks and the flip-flop: what is shown, and what is wanted."""

import numpy as np
import pytest

from repsim.errors import InputError
from testcases.compositional.ring_rules import RULES
from testcases.compositional.ring_tasks import TOLERANCE, bump
from testcases.compositional.tasks import get_task


def draw(rule, n_trials=200, **parameters):
    task = get_task(f"yang/{rule}", **{"timing": "short", "noise": 1e-6} | parameters)
    return task, task.trials(np.random.default_rng(0), n_trials)


def read(activity):
    """Direction of the population vector of (..., 16) ring units."""
    return np.angle(activity @ np.exp(2j * np.pi * np.arange(16) / 16)) % (2 * np.pi)


def apart(first, second):
    return np.abs(np.angle(np.exp(1j * (np.asarray(first) - np.asarray(second)))))


def epoch_mean(trials, epoch, values):
    steps = trials.within(epoch)[..., None]
    return np.sum(values * steps, axis=1) / steps.sum(axis=1)


@pytest.mark.parametrize("rule", ["fdgo", "reactgo", "delaygo", "fdanti", "reactanti", "delayanti"])
def test_go_to_the_stimulus_or_opposite(rule):
    _, trials = draw(rule)
    shown = epoch_mean(trials, RULES[rule].shown[0][0], trials.inputs)
    rings = shown[:, 1:17], shown[:, 17:33]
    one = rings[0].sum(axis=1) > 1
    assert 0.3 < one.mean() < 0.7
    assert np.array_equal(rings[1].sum(axis=1) > 1, ~one)
    wanted = read(epoch_mean(trials, "go", trials.targets[..., 1:]))
    turn = np.pi if rule.endswith("anti") else 0
    assert apart(wanted, read(rings[0] + rings[1]) + turn).max() < 1e-3
    assert apart(wanted, trials.conditions["direction"]).max() < 1e-3


@pytest.mark.parametrize("rule", [rule for rule in RULES if RULES[rule].decides])
def test_go_to_the_stronger_stimulus_of_the_ring_that_counts(rule):
    _, trials = draw(rule)
    places = [trials.conditions[f"location_{i}"].to_numpy() for i in (1, 2)]
    assert apart(*places).min() >= np.pi / 2 - 1e-9
    strengths = np.zeros((2, 2, len(trials)))
    for which, place in enumerate(places):
        (epoch,) = RULES[rule].shown[which]
        unit = bump(place, 16)
        for ring in (0, 1):
            shown = epoch_mean(trials, epoch, trials.inputs[..., 1 + 16 * ring : 17 + 16 * ring])
            strengths[which, ring] = (shown * unit).sum(axis=1) / (unit**2).sum(axis=1)
    counts = RULES[rule].ring - 1
    stronger = np.where(strengths[0, counts] > strengths[1, counts], *places)
    assert apart(stronger, trials.conditions["direction"]).max() < 1e-6
    other = strengths[:, 1 - counts]
    if RULES[rule].context:
        assert 0.3 < np.mean((other[0] > other[1]) == (trials.conditions["coherence"] > 0)) < 0.7
    else:
        assert np.abs(other).max() < 0.01
    half = np.abs(strengths[0, counts] - strengths[1, counts]) / 2
    assert half == pytest.approx(np.abs(trials.conditions["coherence"]), abs=0.02)


@pytest.mark.parametrize("rule", [rule for rule in RULES if RULES[rule].matches])
def test_go_or_stay_when_stimuli_match(rule):
    _, trials = draw(rule)
    places = [
        read(values[:, 1:17] + values[:, 17:33])
        for values in (epoch_mean(trials, e, trials.inputs) for e in ("stimulus", "go"))
    ]
    if RULES[rule].family == "dms":
        same = apart(*places) < 1e-3
        assert apart(*places)[~same].min() > np.pi / 9 - 1e-3
    else:
        same = (places[0] < np.pi) == (places[1] < np.pi)
    assert 0.35 < same.mean() < 0.65
    goes = epoch_mean(trials, "go", trials.targets)[:, 0] < 0.5
    assert np.array_equal(goes, same != rule.endswith("nogo"))
    direction = trials.conditions["direction"].to_numpy()
    assert np.array_equal(goes, ~np.isnan(direction))
    assert apart(direction[goes], places[1][goes]).max() < 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_fixation_and_rule_inputs(rule):
    _, trials = draw(rule, 50)
    running = ~trials.within("pad")
    on = running & ~(trials.within("go") & RULES[rule].cue)
    assert np.allclose(trials.inputs[..., 0], on, atol=1e-4)
    one_hot = np.arange(len(RULES)) == list(RULES).index(rule)
    assert np.allclose(trials.inputs[..., 33:], running[..., None] & one_hot, atol=1e-4)


def test_noise_of_the_inputs():
    _, trials = draw("delaygo", 500, noise=0.01)
    spare = trials.inputs[..., 36:][~trials.within("pad")]
    wanted = 0.01 * np.sqrt(2 / 0.2)
    assert spare.std() == pytest.approx(wanted, rel=4 / np.sqrt(2 * spare.size))


@pytest.mark.parametrize("rule", RULES)
def test_fixed_durations_and_grace(rule):
    _, trials = draw(rule, 3, timing="test")
    assert not trials.within("pad").any()
    assert not trials.mask[:, :5].any()
    assert (trials.mask[:, 5] > 0).all()
    go = trials.within("go")
    assert np.array_equal(trials.mask[go] == 0, go.cumsum(axis=1)[go] <= 5)


def test_near_enough_is_correct():
    task, trials = draw("delaygo")
    go = trials.within("go")[..., None]
    for off, right in ((0.95, 1), (1.05, 0)):
        moved = bump(trials.conditions["direction"] + off * TOLERANCE, 16)
        outputs = trials.targets.copy()
        outputs[..., 1:] = 0.05 + go * moved[:, None]
        assert task.accuracy(outputs, trials) == right
    early = trials.targets.copy()
    early[trials.within("delay"), 0] = 0.05
    assert task.accuracy(early, trials) == 0


def test_larger_rings_and_coarser_steps():
    task, trials = draw("contextdm1", 5, n_ring=32, dt_ms=100)
    assert task.n_inputs == trials.inputs.shape[2] == 1 + 64 + 18
    assert task.n_outputs == 33
    assert task.accuracy(trials.targets, trials) == 1


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"n_ring": 4}, "n_ring = 4, noise = 1e-06. Take 8 units or more"),
        ({"timing": "long"}, "timing is 'long'. Take train, test, short"),
        ({"timing": {"go": (500,)}}, "timing has epochs go; delaygo has fixation, stimulus, delay"),
    ],
)
def test_what_makes_no_ring_task_is_refused(parameters, sentence):
    with pytest.raises(InputError, match=sentence):
        draw("delaygo", **parameters)


def test_flip_flop_against_one_step_after_another():
    task = get_task("flip_flop", n_bits=4, n_steps=70, pulse_probability=0.1, grace_steps=3)
    trials = task.trials(np.random.default_rng(0), 40)
    state, age = np.zeros((40, 4)), np.zeros(40)
    assert (trials.inputs[:, 0] != 0).all()
    for step in range(70):
        pulse = trials.inputs[:, step]
        state = np.where(pulse != 0, pulse, state)
        age = np.where((pulse != 0).any(axis=1), 0, age + 1)
        assert np.array_equal(trials.targets[:, step], state)
        assert np.array_equal(trials.mask[:, step], age >= 3)
        assert np.array_equal(trials.within("pulse")[:, step], age == 0)
    rate = (trials.inputs[:, 1:] != 0).mean()
    assert rate == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / (40 * 69 * 4)))
    one_wrong = trials.targets.copy()
    last = np.flatnonzero(trials.mask[0])[-1]
    one_wrong[0, last, 2] *= -0.1
    assert task.correct(one_wrong, trials).tolist() == [False] + [True] * 39


def test_a_flip_flop_without_room_is_refused():
    with pytest.raises(InputError, match="pulse_probability = 2"):
        get_task("flip_flop", pulse_probability=2)
    with pytest.raises(InputError, match="more than 9 steps"):
        get_task("flip_flop", n_steps=5, grace_steps=9)
