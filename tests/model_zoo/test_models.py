"""What every model of the zoo keeps: the table of models times the checks, and planted faults."""

import ast
from pathlib import Path

import pytest
import torch
from torch.func import functional_call, stack_module_state

import repsim
from model_zoo import MODELS
from model_zoo.lstm import LSTM
from model_zoo.sequence import affine
from model_zoo.sublstm import SubLSTM
from repsim.errors import RepsimError

ROOT = Path(__file__).resolve().parents[2]
N_TRIALS, N_STEPS, N_INPUTS, N_UNITS, N_OUTPUTS, N_NETWORKS = 4, 9, 3, 7, 2, 5
OPTIONS = {name: (name, {}) for name in MODELS} | {
    "rnn-relu": ("rnn", {"activation": "relu", "output_bias": False}),
    "gru-alpha": ("gru", {"alpha": 0.2, "activation": "softplus"}),
    "leaky_gru-leaky_relu": ("leaky_gru", {"activation": "leaky_relu", "output_bias": True}),
    "lstm-unbiased": ("lstm", {"output_bias": False}),
    "sublstm-fixed": ("sublstm", {"forget": "fixed"}),
    "mamba-parallel": ("mamba", {"scan": "parallel", "n_layers": 1, "output_bias": True}),
    "mamba-zoh": ("mamba", {"input_discretisation": "zoh", "n_states": 6, "expand": 3}),
}
EVERY = pytest.mark.parametrize("option", OPTIONS)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif("not torch.cuda.is_available()"))]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def maker_of(option):
    name, options = OPTIONS[option]

    def make(seed=0, dtype=torch.float64):
        model = repsim.MODELS[name](N_INPUTS, N_UNITS, N_OUTPUTS, generator=seeded(seed), **options)
        return model.to(dtype)

    return make


def stimuli(*leading, dtype=torch.float64):
    shape = (*leading, N_TRIALS, N_STEPS, N_INPUTS)
    return torch.randn(*shape, generator=seeded(1), dtype=dtype)


def apart(one, other):
    """Largest difference between two outputs with their states."""
    pairs = [(one[0], other[0]), *((one[1][name], other[1][name]) for name in one[1])]
    assert one[1].keys() == other[1].keys()
    assert all(a.shape == b.shape for a, b in pairs)
    return max(float((a - b).abs().max().detach()) for a, b in pairs)


def check_shapes(make):
    model = make()
    outputs, states = model(stimuli())
    assert outputs.shape == (N_TRIALS, N_STEPS, N_OUTPUTS)
    assert tuple(states) == model.state_names
    for state in states.values():
        assert state.shape[:-1] == (N_TRIALS, N_STEPS)
        assert torch.isfinite(state).all()
    assert any(state.shape[-1] == N_UNITS for state in states.values())


def check_seed(make):
    torch.manual_seed(0)
    one = make()
    torch.manual_seed(1)
    other, third = make(), make(seed=1)
    again = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in again)
    assert apart(one(stimuli()), other(stimuli())) == 0
    assert apart(one(stimuli()), third(stimuli())) > 1e-3


def check_gradient(make):
    """Every single weight matters to the outputs."""
    model = make()
    outputs, _ = model(stimuli(), record=False)
    (outputs * torch.randn(outputs.shape, generator=seeded(2))).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).all(), name


def check_step(make):
    model, inputs = make(), stimuli()
    state, steps = None, []
    for input_t in inputs.unbind(1):
        output, state, states = model.step(input_t, state)
        steps.append((output, states))
    outputs = torch.stack([output for output, _ in steps], 1)
    states = {name: torch.stack([s[name] for _, s in steps], 1) for name in steps[0][1]}
    assert tuple(states) == model.state_names
    assert apart((outputs, states), model(inputs)) < 1e-13
    _, half, _ = model.step(inputs[:, 1], model.step(inputs[:, 0])[1])
    assert apart(model(inputs[:, 2:], half), (outputs[:, 2:], cut(states, 2))) < 1e-13


def cut(states, start):
    return {name: state[:, start:] for name, state in states.items()}


def check_networks(make):
    """Stacked networks, on shared inputs and on inputs of their own, are those networks alone."""
    networks = [make(seed) for seed in range(N_NETWORKS)]
    parameters, buffers = stack_module_state(networks)
    for inputs in (stimuli(), stimuli(N_NETWORKS)):
        own = inputs if inputs.ndim == 4 else [inputs] * N_NETWORKS
        outputs, states = functional_call(networks[0], (parameters, buffers), (inputs,))
        assert outputs.shape == (N_NETWORKS, N_TRIALS, N_STEPS, N_OUTPUTS)
        for k, network in enumerate(networks):
            alone = network(own[k])
            assert apart((outputs[k], {n: s[k] for n, s in states.items()}), alone) < 1e-13
            outputs[k].square().sum().backward(retain_graph=True)
            alone[0].square().sum().backward()
        for name, parameter in parameters.items():
            together = torch.stack([network.get_parameter(name).grad for network in networks])
            torch.testing.assert_close(parameter.grad, together, rtol=1e-9, atol=1e-12)


CHECKS = (check_shapes, check_seed, check_gradient, check_step, check_networks)


@EVERY
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_models(option, check):
    check(maker_of(option))


@EVERY
def test_record_pays_for_what_is_asked(option):
    model, inputs = maker_of(option)(), stimuli()
    outputs, everything = model(inputs)
    last = model.state_names[-1]
    for record, names in ((False, ()), ((last,), (last,)), (True, model.state_names)):
        again, states = model(inputs, record=record)
        assert tuple(states) == names
        assert apart((again, states), (outputs, {name: everything[name] for name in names})) == 0
    with pytest.raises(RepsimError, match="no state 'nothing'"):
        model(inputs, record=("nothing",))


@EVERY
@pytest.mark.parametrize("device", DEVICES)
def test_dtype_and_device_follow_the_parameters(option, device):
    make, inputs = maker_of(option), stimuli()
    expected = make()(inputs)
    single = make(dtype=torch.float32).to(device)(inputs.float().to(device))
    everything = [single[0], *single[1].values()]
    assert {(x.dtype, x.device.type) for x in everything} == {(torch.float32, device)}
    moved = (single[0].cpu(), {name: state.cpu() for name, state in single[1].items()})
    assert apart(moved, expected) < 1e-5


@EVERY
def test_inputs_and_state_are_untouched(option):
    model, inputs = maker_of(option)(), stimuli()
    _, state, _ = model.step(inputs[:, 0])
    before = inputs.clone(), model(inputs, state)
    model.step(inputs[:, 1], state)
    assert torch.equal(inputs, before[0])
    assert apart(model(inputs, state), before[1]) == 0


def test_the_table_is_complete():
    listed = {place.partition(":")[0] for place in MODELS.values()}
    for path in (ROOT / "model_zoo").glob("*.py"):
        bases = [n.bases for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
        is_model = any(ast.unparse(base) == "nn.Module" for found in bases for base in found)
        assert not is_model or f"model_zoo.{path.stem}" in listed
    assert set(MODELS) <= set(repsim.MODELS)


class Unseeded(LSTM):
    def __init__(self, *sizes, generator):
        super().__init__(*sizes)


class Detached(LSTM):
    """No gradient through time."""

    def forward(self, inputs, state=None, **options):
        _, states = super().forward(inputs, state, record=("h",))
        outputs = affine(states["h"].detach(), self.output_weight, self.output_bias)
        return outputs, states


class Forgetful(SubLSTM):
    def step(self, input_t, state=None):
        return super().step(input_t)


class Crossed(SubLSTM):
    """Mixes the trials of the first axis, whatever that axis is."""

    def forward(self, inputs, state=None, **options):
        outputs, states = super().forward(inputs, state, **options)
        return outputs, states | {"h": states["h"] - states["h"].mean(0)}


class Swapped(SubLSTM):
    def forward(self, inputs, state=None, **options):
        return super().forward(inputs.mT.mT.flip(0).transpose(0, 1), state, **options)


PLANTED = {
    Unseeded: check_seed,
    Detached: check_gradient,
    Forgetful: check_step,
    Crossed: check_networks,
    Swapped: check_shapes,
}


@pytest.mark.parametrize(("broken", "check"), PLANTED.items(), ids=lambda x: x.__name__)
def test_planted_faults_are_caught(broken, check):
    def make(seed=0):
        return broken(N_INPUTS, N_UNITS, N_OUTPUTS, generator=seeded(seed)).double()

    with pytest.raises(AssertionError):
        check(make)
