"""Networks that cannot train side by side, tasks that do not fit, and settings without sense."""

import numpy as np
import pytest
import torch
from sign_task import SHORT, Sign, furthest, make, together
from torch import nn

from model_zoo.fit import form_of
from model_zoo.gru import GRU
from model_zoo.lstm import LSTM
from model_zoo.rnn import LeakyRNN
from model_zoo.training import train
from repsim.errors import RepsimError


class Masked(nn.Module):
    def __init__(self, mask=(1.0, 1.0), **options):
        super().__init__()
        self.inner = make(1, **options)[0]
        self.register_buffer("mask", torch.tensor(mask))

    def forward(self, inputs, **options):
        return self.inner(inputs * self.mask, **options)


def frozen(name):
    model = make(1)[0]
    model.get_parameter(name).requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([*make(1, alpha=0.1), *make(1, alpha=0.9)], "alpha is 0.1 in network 0 and 0.9 in"),
        ([*make(2), *make(1, noise=1.0)], "noise is 0.0 in network 0 and 1.0 in network 2"),
        ([*make(1), *make(1, kind=GRU)], r"class is .*LeakyRNN in network 0 and .*GRU in"),
        ([*make(1), *make(1, activation="relu")], "activation is 'tanh' in .* 'relu' in"),
        ([Masked(), Masked(alpha=0.5)], "inner.alpha is 0.2 in network 0 and 0.5 in network 1"),
        ([Masked(), Masked((1.0, 0.0))], "mask is hash .* in network 0 and hash .* in network 1"),
        ([*make(1), frozen("bias")], "bias is .* in network 0 and .*, fixed in network 1"),
        ([nn.Sequential(nn.Tanh()), nn.Sequential(nn.ReLU())], r"print is Sequential\("),
        ([nn.Dropout(0.1), nn.Dropout(0.2)], "p is 0.1 in network 0 and 0.2 in network 1"),
    ],
)
def test_networks_of_another_form_do_not_train_side_by_side(models, words):
    with pytest.raises(RepsimError, match=words):
        together(models)


def test_the_form_is_the_same_for_other_values():
    assert form_of(Masked()) == form_of(Masked())
    first, second = make(2)
    assert form_of(first) == form_of(second.eval())


@pytest.mark.parametrize("kind", [LeakyRNN, GRU, LSTM])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize(
    ("n_inputs", "n_outputs", "words"),
    [
        (4, 2, "have 2 channels .* has 4 inputs"),
        (1, 2, "have 2 channels .* has 1 inputs"),
        (2, 1, "has 1 outputs and sign needs 2. Build it with n_outputs=2"),
        (2, 3, "has 3 outputs and sign needs 2"),
    ],
)
def test_models_of_another_width_than_the_task(kind, loss, n_inputs, n_outputs, words):
    with pytest.raises(RepsimError, match=words):
        together([kind(n_inputs, 8, n_outputs)], Sign(loss=loss))


class Narrow(Sign):
    def trials(self, rng, n_trials):
        trials = super().trials(rng, n_trials)
        trials.inputs = trials.inputs[..., :1]
        return trials


def test_trials_of_width_one_are_not_spread_over_all_inputs():
    for kind in (LeakyRNN, LSTM):
        with pytest.raises(RepsimError, match=r"have 1 channels .* has 2 inputs"):
            together(make(1, kind=kind), Narrow())


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.readout = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, inputs, record=True):
        h, _ = self.inner(inputs)
        return self.readout(h), {"h": h}


class Bare(Plain):
    def forward(self, inputs):
        return super().forward(inputs)


class Last(Masked):
    def forward(self, inputs, **options):
        outputs, states = super().forward(inputs, **options)
        return outputs[..., -1, :], states


@pytest.mark.parametrize("kind", [Plain, Bare, Last])
def test_models_that_are_called_otherwise_are_told_how(kind):
    with pytest.raises(RepsimError, match=r"model\(inputs, record=False\).*\(network, trial, time"):
        together([kind()])


def test_what_is_no_task_is_told_so():
    with pytest.raises(RepsimError, match=r"the name 'flip_flop'.*repsim.TASKS\['flip_flop'\]\(\)"):
        train(make(1), "flip_flop", **SHORT)
    with pytest.raises(RepsimError, match="a dict, has no name"):
        train(make(1), {}, **SHORT)


class Unknown(Sign):
    def ceiling(self):
        raise RepsimError("sign: the ceiling is not known.")


def test_without_a_ceiling_the_criterion_is_the_way_out():
    with pytest.raises(RepsimError, match=r"ceiling is not known.*criterion=None"):
        train(make(1), Unknown(), **SHORT)
    assert train(make(1), Unknown(), **SHORT, criterion=None).steps == (40,)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"clip": -1}, "clip is -1; give more than 0, or None"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"clip": float("nan")}, "clip is nan"),
        ({"learning_rate": -1e-3}, "A learning rate is -0.001; give 0 or more"),
        ({"learning_rate": (1e-3, 1e-3, float("nan"))}, "A learning rate is nan"),
        ({"criterion": 97}, "criterion is 97; it is a fraction of the ceiling, 0 to 1, or None"),
        ({"criterion": -0.1}, "criterion is -0.1"),
        ({"n_tests": 0}, "n_tests is 0. Give a whole number, 1 or more"),
        ({"batch": 8.5}, "batch is 8.5. Give a whole number"),
        ({"batch": 0}, "batch is 0"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"test_every": 0}, "test_every is 0"),
        ({"seeds": (0, -1, 2)}, "A seed is -1. Give a whole number, 0 or more"),
        ({"seeds": (0, 1.7, 2)}, "A seed is 1.7"),
        ({"workers": -1}, "workers is -1"),
        ({"checkpoints": (float("nan"),)}, "A checkpoint is nan"),
        ({"checkpoints": ("half",)}, "A checkpoint is 'half'; it is a fraction of training"),
    ],
)
def test_settings_without_sense_are_refused(changed, words):
    with pytest.raises(RepsimError, match=words):
        together(**changed)


def test_what_needs_no_gradient_is_not_trained():
    start, end = frozen("input_weight"), together([frozen("input_weight")])[0]
    assert torch.equal(end.input_weight, start.input_weight)
    assert not torch.equal(end.bias, start.bias)
    named = together([frozen("input_weight")], trained="input_weight")[0]
    assert not torch.equal(named.input_weight, start.input_weight)
    with pytest.raises(RepsimError, match="None of the 5 parameters has requires_grad"):
        together([make(1)[0].requires_grad_(False)])


def test_gradients_are_switched_on_for_training():
    with torch.no_grad():
        inside = together(make(1))
        assert not torch.is_grad_enabled()
    assert furthest(inside.parameters, together(make(1)).parameters) == 0


def test_numbers_of_numpy_serve_as_settings(tmp_path):
    settings = {"steps": np.int64(20), "test_every": np.int32(10), "batch": np.int64(16)}
    settings |= {"n_tests": np.int64(32), "clip": np.float32(1), "seeds": np.arange(2)}
    settings |= {"checkpoints": np.linspace(0, 1, 3), "learning_rate": np.float32(1e-3)}
    found = together(make(2), folder=tmp_path, **settings)
    again = together(make(2), folder=tmp_path, **settings)
    assert tuple(found.checkpoints) == (0, 0.5, 1)
    assert furthest(found.parameters, again.parameters) == 0
