"""Perceptual decision and go/no-go: inputs, answers and timings, epoch by epoch."""

import numpy as np
import pytest

from repsim.errors import InputError
from testcases.compositional.tasks import get_task

RULES = ("basic", "anti", "delay", "delay_anti")
PAPER = {
    ("train", False): ((100, 200, 300), (3000, 4000, 5000), (0,), (100, 200, 300)),
    ("train", True): ((100, 200, 300), (3000, 4000, 5000), (500, 1000, 1500), (100, 200, 300)),
    ("test", False): ((200,), (4000,), (0,), (200,)),
    ("test", True): ((500,), (4000,), (2000,), (500,)),
}


def draw(family, rule, n_trials=300, **parameters):
    task = get_task(f"{family}/{rule}", **parameters)
    return task, task.trials(np.random.default_rng(0), n_trials)


@pytest.mark.parametrize("family", ["perceptual_decision", "go_nogo"])
@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize("rule", RULES)
def test_durations_are_those_of_the_paper(family, mode, rule):
    _, trials = draw(family, rule, timing=mode)
    wanted = PAPER[mode, rule.startswith("delay")]
    for epoch, durations in zip(trials.epoch_names, wanted, strict=False):
        steps = trials.within(epoch).sum(axis=1)
        assert set(steps * trials.dt_ms) == set(durations)
        assert np.array_equal(steps * 20, trials.conditions[f"{epoch}_ms"])


def test_steps_of_the_test_timing_are_those_of_the_paper():
    assert draw("perceptual_decision", "basic", 2, timing="test")[1].inputs.shape == (2, 220, 7)
    assert draw("perceptual_decision", "delay", 2, timing="test")[1].inputs.shape == (2, 350, 7)


@pytest.mark.parametrize("rule", RULES)
def test_stimuli_of_the_perceptual_decision(rule):
    _, trials = draw("perceptual_decision", rule, 2000, timing="short")
    on = trials.within("stimulus")
    stronger = trials.conditions["stronger"].to_numpy()
    shift = trials.conditions["coherence"].to_numpy() / 200
    mean = 0.5 + np.where(stronger[:, None] == [1, 2], 1, -1) * shift[:, None]
    noise = (trials.inputs[..., 1:3] - mean[:, None])[on]
    standard_error = 1 / np.sqrt(len(noise))
    assert np.abs(noise.mean(axis=0)).max() < 4 * noise.std() * standard_error
    assert noise.std(axis=0) == pytest.approx(np.full(2, 20**-0.5), rel=4 * standard_error / 2**0.5)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 4 * standard_error
    assert not trials.inputs[~on][:, 1:3].any()


@pytest.mark.parametrize("rule", RULES)
def test_anti_wants_the_weaker_stimulus(rule):
    _, trials = draw("perceptual_decision", rule, timing="short", coherences=(51.2,))
    seen = np.sum(trials.inputs[..., 1:3] * trials.within("stimulus")[..., None], axis=1)
    loud = seen.argmax(axis=1) + 1
    wanted = 3 - loud if rule.endswith("anti") else loud
    assert np.array_equal(trials.targets.max(axis=1), wanted)
    assert np.array_equal(trials.conditions["ground_truth"], wanted)


@pytest.mark.parametrize("rule", RULES)
def test_go_follows_its_stimulus(rule):
    _, trials = draw("go_nogo", rule, timing="short")
    shown_go = trials.inputs[..., 2].max(axis=1) == 1
    assert np.array_equal(trials.inputs[..., 1].max(axis=1) == 1, ~shown_go)
    wanted = ~shown_go if rule.endswith("anti") else shown_go
    assert np.array_equal(trials.targets.max(axis=1) == 1, wanted)
    assert 0.35 < wanted.mean() < 0.65


@pytest.mark.parametrize("family", ["perceptual_decision", "go_nogo"])
@pytest.mark.parametrize("rule", RULES)
def test_fixation_and_rule(family, rule):
    _, trials = draw(family, rule, timing="short")
    waiting = trials.within("fixation", "stimulus", "delay")
    assert np.array_equal(trials.inputs[..., 0] == 1, waiting)
    assert not trials.targets[~trials.within("decision")].any()
    one_hot = np.arange(4) == RULES.index(rule)
    assert np.array_equal(
        trials.inputs[..., 3:], ~trials.within("pad")[..., None] & one_hot[None, None]
    )


def test_grace_is_the_start_of_the_decision():
    _, trials = draw("perceptual_decision", "delay", timing="short")
    decision = trials.within("decision")
    since = decision.cumsum(axis=1)
    assert np.array_equal(trials.mask[decision] == 0, since[decision] <= 2)
    assert (trials.mask[trials.within("fixation", "stimulus", "delay")] > 0).all()


def test_an_early_answer_is_wrong():
    task, trials = draw("perceptual_decision", "basic", timing="short")
    early = trials.within("stimulus", "decision")
    outputs = np.eye(3)[np.where(early, trials.conditions["ground_truth"].to_numpy()[:, None], 0)]
    assert task.accuracy(outputs, trials) == 0


def test_short_is_a_fifth_of_stimulus_and_delay():
    for mode, short in (("train", "short"), ("test", "short_test")):
        long_one = get_task("go_nogo/delay", timing=mode).parameters["timing"]
        short_one = get_task("go_nogo/delay", timing=short).parameters["timing"]
        for epoch, durations in long_one.items():
            part = 5 if epoch in ("stimulus", "delay") else 1
            assert [part * ms for ms in short_one[epoch]] == list(durations)
    gap = [get_task("perceptual_decision/basic", timing=t).ceiling() for t in ("short", "train")]
    assert gap[0] < gap[1]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"timing": "long"}, "timing is 'long'. Take train, test, short"),
        ({"timing": {"stimulus": (100,)}}, "timing has epochs stimulus. Give durations in ms for"),
        ({"dt_ms": 30}, "fixation lasts 100 ms, which is no whole number of steps of dt_ms = 30"),
        ({"grace_ms": 100}, "A grace of 100 ms leaves nothing to score of the shortest decision"),
        ({"noise": 0}, "noise is 0. Give a positive standard deviation"),
    ],
)
def test_what_makes_no_task_is_refused(parameters, sentence):
    with pytest.raises(InputError, match=sentence):
        draw("perceptual_decision", "basic", **parameters)
