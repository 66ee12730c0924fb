"""What no model of the zoo takes, and the words that say so; a state that networks share."""

import pytest
import torch
from test_models import EVERY, N_INPUTS, N_NETWORKS, N_UNITS, apart, maker_of, stimuli
from torch.func import functional_call, stack_module_state

from repsim.errors import RepsimError


@EVERY
@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("width", [1, N_INPUTS + 1])
def test_inputs_of_another_width(option, record, width):
    model, inputs = maker_of(option)(), torch.zeros(4, 6, width, dtype=torch.float64)
    with pytest.raises(RepsimError, match=f"have {width} channels .* has {N_INPUTS} inputs"):
        model(inputs, record=record)


@EVERY
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 0, N_INPUTS), r"\(4, 0, 3\), no time steps"),
        ((6, N_INPUTS), r"\(6, 3\).*\(trial, time, input\)"),
    ],
)
def test_inputs_that_are_no_sequence_of_trials(option, shape, words):
    with pytest.raises(RepsimError, match=words):
        maker_of(option)()(torch.zeros(shape, dtype=torch.float64))


def parts(change, state):
    return tuple(parts(change, s) for s in state) if isinstance(state, tuple) else change(state)


@EVERY
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[1:],
        lambda x: x[:1],
        lambda x: x[..., :1],
        lambda x: x[..., 0],
        lambda x: x.expand(2, 3, *x.shape),
    ],
)
def test_an_initial_state_of_another_shape(option, change):
    model, inputs = maker_of(option)(), stimuli()
    state = parts(change, model.initial_state(inputs[:, 0]))
    with pytest.raises(RepsimError, match=r"initial state has shape .* need \(4, "):
        model(inputs, state)


@pytest.mark.parametrize("option", ["lstm", "sublstm", "mamba"])
def test_an_initial_state_of_too_few_parts(option):
    state = torch.zeros(4, N_UNITS, dtype=torch.float64)
    for given, n_given in ((state, 1), ((state, state, state), 3)):
        with pytest.raises(RepsimError, match=f"has {n_given} of 2 parts"):
            maker_of(option)()(stimuli(), given)


@EVERY
@pytest.mark.parametrize("n_networks", [1, N_NETWORKS])
def test_networks_may_share_a_state(option, n_networks):
    networks, inputs = [maker_of(option)(seed) for seed in range(n_networks)], stimuli()
    _, state, _ = networks[0].step(inputs[:, 0])
    outputs, states = functional_call(networks[0], stack_module_state(networks), (inputs, state))
    for k, network in enumerate(networks):
        alone = network(inputs, state)
        assert apart((outputs[k], {n: s[k] for n, s in states.items()}), alone) < 1e-13
