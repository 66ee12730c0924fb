from functools import wraps

import numpy as np
import pytest
import torch

from model_zoo import training
from model_zoo.trained import trained_networks
from repsim.cache import Cache
from repsim.errors import RepsimError
from repsim.plugins import TASKS

SETTINGS = {"n_units": 6, "steps": 8, "test_every": 4, "batch": 8, "n_tests": 16, "workers": 0}


@pytest.fixture
def task():
    return TASKS["perceptual_decision/basic"](timing="short", dt_ms=50)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path)


@pytest.fixture
def counted(monkeypatch):
    """How many networks each call of train was given."""
    counts, train = [], training.train

    @wraps(train)
    def count(models, *arguments, **settings):
        counts.append(len(models))
        return train(models, *arguments, **settings)

    monkeypatch.setattr(training, "train", count)
    return counts


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_only_what_is_missing_is_trained(task, cache, counted):
    two = trained_networks("leaky_rnn", task, seeds=(0, 2), cache=cache, **SETTINGS)
    three = trained_networks("leaky_rnn", task, seeds=(0, 1, 2), cache=cache, **SETTINGS)
    again = trained_networks("leaky_rnn", task, seeds=(2, 1, 0), cache=cache, **SETTINGS)
    assert counted == [2, 1]
    assert three.seeds == (0, 1, 2)
    assert same(two.networks[1].parameters, three.networks[2].parameters)
    assert same(three.networks[0].parameters, again.networks[2].parameters)
    assert np.array_equal(three.accuracies, again.accuracies[::-1])
    assert three.ceiling == again.ceiling == task.ceiling()
    assert three.networks[1].history == again.networks[1].history


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 4},
        {"n_units": 7},
        {"learning_rate": 1e-2},
        {"options": {"alpha": 0.5}},
        {"seeds": 1},
        {"model": "rnn"},
        {"task": {"timing": "short", "dt_ms": 100}},
    ],
)
def test_another_setting_is_another_network(task, cache, counted, changed):
    usual = {"model": "leaky_rnn", "task": task, "seeds": 0, "cache": cache} | SETTINGS
    trained_networks(**usual)
    if "task" in changed:
        changed = {"task": TASKS["perceptual_decision/basic"](**changed["task"])}
    trained_networks(**usual | changed)
    assert counted == [1, 1]


def test_where_and_how_it_runs_makes_no_other_network(task, cache, counted):
    trained_networks("leaky_rnn", task, cache=cache, **SETTINGS)
    trained_networks("leaky_rnn", task, cache=cache, **SETTINGS | {"workers": 1}, progress=True)
    assert counted == [1]


def test_checkpoints_are_kept_too(task, cache, counted):
    fractions = (0, 1 / 3, 1)
    words = {"seeds": (0, 1), "cache": cache, "checkpoints": fractions, **SETTINGS}
    first, second = (trained_networks("leaky_rnn", task, **words) for _ in range(2))
    assert counted == [2]
    for fraction in fractions:
        assert same(first.checkpoints[fraction], second.checkpoints[fraction])
        for mine, theirs in zip(
            first.at(1, fraction).parameters(), second.at(1, fraction).parameters(), strict=True
        ):
            assert torch.equal(mine, theirs)
    assert not same(first.checkpoints[0], first.checkpoints[1])


def test_what_does_not_fit_is_refused_in_words(task, cache):
    with pytest.raises(RepsimError, match=r"Model 'gru' cannot be built.*alfa"):
        trained_networks("gru", task, options={"alfa": 1}, cache=cache)
    with pytest.raises(RepsimError, match="no setting 'rate'"):
        trained_networks("gru", task, rate=1, cache=cache)
    with pytest.raises(RepsimError, match="one learning rate"):
        trained_networks("gru", task, learning_rate=(1, 2), cache=cache)


def test_numbers_of_numpy_are_the_same_network(task, cache, counted):
    usual = SETTINGS | {"learning_rate": 0.25, "checkpoints": (0.0, 1.0)}
    trained_networks("leaky_rnn", task, cache=cache, options={"alpha": 0.5}, **usual)
    trained_networks(
        "leaky_rnn", task, cache=cache, seeds=np.arange(1), options={"alpha": np.float32(0.5)},
        **usual | {"learning_rate": np.float32(0.25), "n_units": np.int64(6)}
        | {"checkpoints": np.array([0.0, 1.0])},
    )  # fmt: skip
    assert counted == [1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"folder": "x"}, "no setting 'folder'.*cache=Cache"),
        ({"models": 3}, "no setting 'models'"),
        ({"seeds": []}, "No seed. Give one or more"),
        ({"seeds": [-1]}, "Seed -1. Give"),
        ({"seeds": 10**20}, "Seed 100000000000000000000. Give"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"options": {"alpha": np.float32("nan")}}, "alpha is nan"),
    ],
)
def test_what_makes_no_training_is_refused(task, cache, settings, sentence):
    with pytest.raises(RepsimError, match=sentence):
        trained_networks("leaky_rnn", task, cache=cache, **SETTINGS | settings)
