"""What every task promises, whatever it asks."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from repsim.errors import InputError, RepsimError
from testcases.compositional.supervised import PAD
from testcases.compositional.tasks import TASKS, get_task

ARRAYS = ("inputs", "targets", "mask", "epochs")


def make(name):
    return get_task(name) if name == "flip_flop" else get_task(name, timing="short")


def perfect(task, trials):
    """Outputs of a network that has nothing left to learn."""
    if task.loss == "mse":
        return trials.targets.copy()
    return np.eye(task.n_outputs)[trials.targets]


@pytest.fixture(params=list(TASKS))
def task(request):
    return make(request.param)


@pytest.fixture
def trials(task):
    return task.trials(np.random.default_rng(0), 30)


def test_shapes_and_types(task, trials):
    n_time = trials.inputs.shape[1]
    wanted = (30, n_time) if task.loss == "cross_entropy" else (30, n_time, task.n_outputs)
    assert trials.inputs.shape == (30, n_time, task.n_inputs)
    assert trials.targets.shape == wanted
    assert trials.mask.shape == trials.epochs.shape == (30, n_time)
    assert [getattr(trials, name).dtype for name in ("inputs", "mask", "epochs")] == [
        np.float32,
        np.float32,
        np.int8,
    ]
    assert trials.targets.dtype == (np.int64 if task.loss == "cross_entropy" else np.float32)
    assert len(trials) == len(trials.conditions) == 30
    assert trials.time_ms()[1] == trials.dt_ms == task.dt_ms
    assert set(np.unique(trials.epochs)) <= set(range(len(trials.epoch_names)))


def test_same_seed_same_bits(task, trials):
    again = task.trials(np.random.default_rng(0), 30)
    other = task.trials(np.random.default_rng(1), 30)
    for name in ARRAYS:
        assert np.array_equal(getattr(trials, name), getattr(again, name))
    assert trials.conditions.equals(again.conditions)
    assert not np.array_equal(trials.inputs, other.inputs)


def test_batches_share_no_memory(task):
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    first, second = task.trials(rng, 5), task.trials(rng, 5)
    untouched = task.trials(same, 5), task.trials(same, 5)
    for name in ARRAYS:
        array = getattr(first, name)
        assert array.flags.owndata
        assert array.flags.writeable
        array[...] = 1
        assert not np.shares_memory(array, getattr(second, name))
    for name in ARRAYS:
        assert np.array_equal(getattr(second, name), getattr(untouched[1], name))
    third = task.trials(np.random.default_rng(0), 5)
    for name in ARRAYS:
        assert np.array_equal(getattr(third, name), getattr(untouched[0], name))


def test_every_batch_is_equally_long(task, trials):
    assert task.trials(np.random.default_rng(7), 2).inputs.shape[1:] == trials.inputs.shape[1:]


def test_padding_is_silent_and_weightless(trials):
    if PAD not in trials.epoch_names:
        return
    over = trials.within(PAD)
    assert over.any()
    assert not trials.inputs[over].any()
    assert not trials.mask[over].any()
    assert (np.diff(trials.epochs, axis=1) >= 0).all()


def test_waiting_and_answering_weigh_the_same(task, trials):
    if task.name == "flip_flop":
        assert set(np.unique(trials.mask)) == {0, 1}
        return
    answering = trials.epochs == len(trials.epoch_names) - 2
    answer = np.sum(trials.mask, axis=1, where=answering)
    assert answer == pytest.approx(trials.mask.sum(axis=1) / 2, rel=1e-5)
    assert np.mean(trials.mask, axis=1, where=trials.mask > 0) == pytest.approx(1)
    assert answering.sum(axis=1) * task.dt_ms == pytest.approx(
        trials.conditions[f"{trials.epoch_names[-2]}_ms"]
    )


def test_the_targets_themselves_are_correct_and_silence_is_not(task, trials):
    assert task.accuracy(perfect(task, trials), trials) == 1
    assert task.correct(perfect(task, trials), trials).shape == (30,)
    wrong = -perfect(task, trials)
    assert task.accuracy(wrong, trials) < 0.1


def test_what_is_not_scored_does_not_matter(task, trials):
    outputs = perfect(task, trials)
    outputs[trials.mask == 0] = 100 * np.random.default_rng(0).standard_normal(outputs.shape[-1])
    assert task.accuracy(outputs, trials) == 1


def test_ceilings_are_probabilities(task, trials):
    assert 0.5 <= task.ceiling() <= 1
    assert 0.5 <= task.ceiling(trials) <= 1


def test_a_task_survives_pickling(task, trials):
    again = pickle.loads(pickle.dumps(task)).trials(np.random.default_rng(0), 30)
    assert np.array_equal(again.inputs, trials.inputs)


def test_outputs_that_do_not_fit_are_refused(task, trials):
    with pytest.raises(InputError, match=r"outputs have shape \(30, 3\), these trials need \(30, "):
        task.accuracy(np.zeros((30, 3)), trials)
    broken = perfect(task, trials)
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="1 outputs are NaN or infinite"):
        task.accuracy(broken, trials)


def test_wrong_requests_are_refused(task):
    with pytest.raises(InputError, match=r"rng is a int. Pass numpy.random.default_rng"):
        task.trials(0, 3)
    with pytest.raises(InputError, match="n_trials is 0"):
        task.trials(np.random.default_rng(0), 0)
    with pytest.raises(RepsimError, match="the ceiling is not known"):
        replace(task, best=None).ceiling()


def test_names():
    assert len(TASKS) == 4 + 4 + 18 + 1
    assert all(make(name).name == name for name in TASKS)
    with pytest.raises(RepsimError, match=r"No task called 'yang/delaygone'. Nearest: yang/delay"):
        get_task("yang/delaygone")
    with pytest.raises(RepsimError, match=r"flip_flop: .*unexpected keyword argument 'bits'"):
        get_task("flip_flop", bits=4)


def test_an_unknown_epoch_is_refused():
    trials = make("go_nogo/basic").trials(np.random.default_rng(0), 2)
    with pytest.raises(InputError, match=r"No epoch 'go'. There are: fixation, stimulus, "):
        trials.within("go")


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("flip_flop", {"n_bits": 0}, "n_bits = 0"),
        ("flip_flop", {"n_steps": 3.5}, "n_steps = 3.5"),
        ("flip_flop", {"pulse_probability": 1}, "leaves 0 of 100 steps"),
        ("flip_flop", {"dt_ms": -1}, "dt_ms is -1"),
        ("perceptual_decision/basic", {"dt_ms": 0}, "dt_ms is 0"),
        ("perceptual_decision/basic", {"coherences": ()}, r"coherences are \(\)"),
        ("perceptual_decision/basic", {"coherences": (np.nan,)}, r"coherences are \(nan,\)"),
        ("perceptual_decision/basic", {"coherences": (5, -5)}, r"coherences are \(5, -5\)"),
        ("go_nogo/basic", {"dt_ms": 0}, "dt_ms is 0"),
        ("yang/dm1", {"dt_ms": 0}, "dt_ms is 0"),
        ("yang/dm1", {"coherences": (-1,)}, r"coherences are \(-1,\)"),
    ],
)
def test_parameters_that_make_no_task_are_refused(name, parameters, sentence):
    with pytest.raises(InputError, match=sentence):
        get_task(name, **parameters)


def test_a_step_that_floating_point_does_not_divide_is_taken():
    brief = {"fixation": (1,), "stimulus": (2, 3), "delay": (0,), "decision": (0.3,)}
    task = get_task("perceptual_decision/basic", timing=brief, dt_ms=0.1, grace_ms=0.1)
    trials = task.trials(np.random.default_rng(0), 40)
    assert trials.inputs.shape[1] == 10 + 30 + 3
    assert set(trials.within("stimulus").sum(axis=1)) == {20, 30}
    assert set(np.sum(trials.within("decision") & (trials.mask > 0), axis=1)) == {2}
    with pytest.raises(InputError, match=r"no whole number of steps of dt_ms = 0.7"):
        get_task("perceptual_decision/basic", timing=brief, dt_ms=0.7).trials(
            np.random.default_rng(0), 4
        )


def test_every_trial_of_a_flip_flop_has_a_scored_step():
    task = get_task("flip_flop", n_steps=4, pulse_probability=0.5)
    trials = task.trials(np.random.default_rng(0), 500)
    assert trials.mask.any(axis=1).all()
    assert task.accuracy(-trials.targets, trials) == 0
