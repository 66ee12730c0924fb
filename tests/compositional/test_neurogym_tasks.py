"""Our families against NeuroGym's environments, and any environment as a task.

Each statistic is one number a trial; two sets of trials may differ by four standard errors.
"""

import subprocess
import sys

import numpy as np
import pytest

from repsim.errors import InputError, RepsimError
from repsim.trial_recording import task_facts
from testcases.compositional.neurogym_tasks import from_neurogym
from testcases.compositional.tasks import get_task

pytest.importorskip("neurogym")

from neurogym import make, spaces, wrappers
from neurogym.core import TrialEnv
from neurogym.envs.collections.yang19 import dm2, dms
from neurogym.utils.data import Dataset

try:
    from neurogym.envs.native.gonogo import GoNogo
    from neurogym.envs.native.perceptualdecisionmaking import (
        PerceptualDecisionMaking,
        PerceptualDecisionMakingDelayResponse,
    )
except ModuleNotFoundError:  # before version 2
    from neurogym.envs.gonogo import GoNogo
    from neurogym.envs.perceptualdecisionmaking import (
        PerceptualDecisionMaking,
        PerceptualDecisionMakingDelayResponse,
    )

N_TRIALS = 400
SHORT = {
    False: {"fixation": [100, 200, 300], "stimulus": [600, 800, 1000], "delay": 0}
    | {"decision": [100, 200, 300]},
    True: {"fixation": [100, 200, 300], "stimulus": [600, 800, 1000], "delay": [100, 200, 300]}
    | {"decision": [100, 200, 300]},
}


def statistics(trials, epoch):
    """(trial, statistic): duration, the target's share, mean and sd of each stimulus, fixation."""
    steps = trials.within(epoch)
    n = np.maximum(steps.sum(axis=1), 1)
    columns = [steps.sum(axis=1)]
    columns += [np.sum((trials.targets == k) & steps, axis=1) / n for k in range(3)]
    for channel in range(3):
        values = trials.inputs[..., channel]
        mean = np.sum(values * steps, axis=1) / n
        square = np.sum((values - mean[:, None]) ** 2 * steps, axis=1) / n
        columns += [mean, np.abs(mean - 0.5), np.sqrt(square)]
    return np.stack(columns, axis=1)


def assert_alike(ours, theirs):
    for epoch in theirs.epoch_names[:-1]:
        x, y = statistics(ours, epoch), statistics(theirs, epoch)
        error = np.sqrt(x.var(axis=0) / len(x) + y.var(axis=0) / len(y))
        assert np.all(np.abs(x.mean(axis=0) - y.mean(axis=0)) <= 4 * error + 1e-6), epoch


@pytest.mark.parametrize("delay", [False, True])
@pytest.mark.parametrize(
    ("family", "environment"),
    [("perceptual_decision", PerceptualDecisionMakingDelayResponse), ("go_nogo", GoNogo)],
)
def test_our_trials_have_their_statistics(family, environment, delay):
    rule = "delay" if delay else "basic"
    ours = get_task(f"{family}/{rule}", timing="short").trials(np.random.default_rng(0), N_TRIALS)
    theirs = from_neurogym(environment(dt=20, timing=SHORT[delay]))
    assert_alike(ours, theirs.trials(np.random.default_rng(1), N_TRIALS))


def test_the_comparison_sees_a_difference():
    theirs = from_neurogym(PerceptualDecisionMakingDelayResponse(dt=20, timing=SHORT[True]))
    theirs = theirs.trials(np.random.default_rng(1), N_TRIALS)
    for changed in ({"noise": 1.1}, {"coherences": (0.0, 6.4, 12.8, 25.6, 70.0)}):
        ours = get_task("perceptual_decision/delay", timing="short", **changed)
        with pytest.raises(AssertionError):
            assert_alike(ours.trials(np.random.default_rng(0), N_TRIALS), theirs)


def test_without_delay_only_the_fixation_input_is_newer():
    """Since NeuroGym 1 the fixation input goes off at the stimulus; in 0.0.2 at the decision."""
    task = from_neurogym(PerceptualDecisionMaking(dt=20, timing=SHORT[False]))
    theirs = task.trials(np.random.default_rng(1), N_TRIALS)
    ours = get_task("perceptual_decision/basic", timing="short")
    ours = ours.trials(np.random.default_rng(0), N_TRIALS)
    theirs.inputs[..., 0] = theirs.within("fixation", "stimulus", "delay")
    assert_alike(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*to get variables from other wrappers:UserWarning")
@pytest.mark.parametrize(
    "environment", [PerceptualDecisionMaking(dt=20), GoNogo(dt=20), dm2(dt=20), dms(dt=20)]
)
def test_any_environment_is_a_task(environment):
    task = from_neurogym(environment)
    trials = task.trials(np.random.default_rng(0), 20)
    again = task.trials(np.random.default_rng(0), 20)
    assert np.array_equal(trials.inputs, again.inputs)
    assert trials.conditions.equals(again.conditions)
    assert trials.inputs.shape == (20, trials.inputs.shape[1], task.n_inputs)
    assert trials.targets.max() < task.n_outputs
    perfect = np.eye(task.n_outputs)[trials.targets]
    assert task.accuracy(perfect, trials) == 1
    assert task.accuracy(-perfect, trials) == 0
    with pytest.raises(RepsimError, match="the ceiling is not known"):
        task.ceiling()


def test_every_trial_is_its_own():
    environment = PerceptualDecisionMaking(dt=20, timing={"stimulus": 400})
    trials = from_neurogym(environment).trials(np.random.default_rng(0), 300)
    assert len(np.unique(trials.inputs, axis=0)) == 300
    kept, copied = [], []
    dataset = Dataset(environment, batch_size=32, seq_len=50, cache_len=100)
    for _ in range(10):
        batch = dataset()[0]
        kept.append(batch)
        copied.append(batch.copy())
    assert len(np.unique(np.concatenate(kept, axis=1), axis=1)[0]) < 320
    assert np.unique(np.concatenate(copied, axis=1), axis=1).shape[1] == 320


def test_targets_that_are_set_too_early_stay():
    """A ground truth turned round after the trial is made, as in the authors' code, turns none."""

    class Anti(PerceptualDecisionMaking):
        def _new_trial(self, **given):
            trial = super()._new_trial(**given)
            trial["ground_truth"] = 1 - trial["ground_truth"]
            return trial

    trials = from_neurogym(Anti(dt=20, cohs=[51.2])).trials(np.random.default_rng(0), 50)
    loud = trials.inputs[..., 1:3].sum(axis=1).argmax(axis=1) + 1
    assert np.array_equal(trials.targets.max(axis=1), loud)
    assert np.array_equal(trials.conditions["ground_truth"] + 1, 3 - loud)


def test_environments_that_make_no_task_are_refused():
    with pytest.raises(InputError, match=r"object has no new_trial. Pass a neurogym TrialEnv"):
        from_neurogym(object())
    task = from_neurogym(PerceptualDecisionMaking(dt=20), n_steps=10)
    with pytest.raises(InputError, match=r"A trial has 110 steps, n_steps is 10. Give 110"):
        task.trials(np.random.default_rng(0), 3)
    assert isinstance(task.parameters["env"].env, TrialEnv)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ReadySetGo-v0", "ReadySetGo: the target changes within the period 'production'"),
        ("MotorTiming-v0", "MotorTiming: the target changes within the period 'production'"),
        ("HierarchicalReasoning-v0", "other trials each time from the same seed"),
        ("Bandit-v0", "Bandit makes no trials with observations and targets"),
        ("DawTwoStep-v0", "DawTwoStep makes no trials with observations and targets"),
        ("Reaching1D-v0", "Reaching1D: target 3, but actions 0 to 2"),
    ],
)
def test_environments_that_cannot_be_judged_or_repeated_are_refused(name, sentence):
    with pytest.raises(InputError, match=sentence):
        from_neurogym(make(name))


@pytest.mark.parametrize("wrapper", ["Noise", "PassAction", "PassReward"])
def test_wrappers_that_change_steps_only_are_refused(wrapper):
    wrapped = getattr(wrappers, wrapper)(GoNogo(dt=20))
    with pytest.raises(InputError, match=f"{wrapper} changes steps, not trials"):
        from_neurogym(wrapped)


def test_observations_with_several_axes_are_laid_out_in_a_row():
    class Wide(GoNogo):
        def __init__(self):
            super().__init__(dt=20)
            self.observation_space = spaces.Box(-1, 1, shape=(2, 3), dtype=np.float32)

        def _new_trial(self, **_):
            self.add_period("fixation", duration=60)
            self.add_ob(np.arange(6).reshape(2, 3))
            self.set_groundtruth(1)
            return {}

    task = from_neurogym(Wide())
    trials = task.trials(np.random.default_rng(0), 4)
    assert task.n_inputs == 6
    assert np.array_equal(trials.inputs, np.broadcast_to(np.arange(6), (4, 3, 6)))


IDENTITY = """
from neurogym import make
from repsim.trial_recording import task_facts
from testcases.compositional.neurogym_tasks import from_neurogym
task = from_neurogym(make("DelayMatchSample-v0", dt=20))
print(task_facts(task), task.parameters)
"""


@pytest.mark.filterwarnings("ignore")
def test_an_environment_is_told_from_others_in_every_process():
    def identity(**settings):
        task = from_neurogym(make("DelayMatchSample-v0", **settings))
        task.trials(np.random.default_rng(3), 5)
        return f"{task_facts(task)} {task.parameters}"

    words = [sys.executable, "-W", "ignore", "-c", IDENTITY]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    first = identity(dt=20)
    assert " object at " not in first
    assert done.stdout.strip() == first == identity(dt=20)
    others = [{"dt": 10}, {"timing": {"decision": 800}}, {"rewards": {"correct": 2.0}}]
    assert len({first, *(identity(**{"dt": 20} | one) for one in others)}) == 4
