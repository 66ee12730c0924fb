"""The scan of the gated models against steps in plain torch, finite differences, networks alone."""

import pytest
import torch
from torch.func import functional_call, stack_module_state

from model_zoo import gru, lstm, sublstm
from model_zoo.gated_scan import GatedScan
from model_zoo.gru import GRU, LeakyGRU
from model_zoo.lstm import LSTM
from model_zoo.sublstm import SubLSTM

ACTIVATIONS = ("tanh", "relu", "leaky_relu", "softplus")
TRIALS, TIME, INPUTS, UNITS, OUTPUTS, NETWORKS = 4, 6, 3, 5, 2, 3
MODELS = {
    "lstm": (LSTM, {}),
    "sublstm": (SubLSTM, {}),
    "sublstm-fixed": (SubLSTM, {"forget": "fixed"}),
    "gru": (GRU, {}),
    "gru-alpha": (GRU, {"alpha": 0.3, "activation": "softplus"}),
    "leaky_gru": (LeakyGRU, {"output_bias": True}),
}
EVERY = pytest.mark.parametrize("name", MODELS)
# equations, gates with a product, whether a drive is given
CASES = {
    "lstm": (lstm.Equations(), 4, False),
    "sublstm": (sublstm.Equations(), 4, False),
    "sublstm-fixed": (sublstm.Equations(), 3, True),
    **{f"gru-{f}": (gru.Equations(0.4, f), 3, True) for f in ACTIVATIONS},
    **{f"leaky_gru-{f}": (gru.Equations(1.0, f), 2, False) for f in ACTIVATIONS},
}


def normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def made(name, seed=0, dtype=torch.float64):
    """A model with weights large enough for its gates to open and close."""
    cls, options = MODELS[name]
    model = cls(INPUTS, UNITS, OUTPUTS, **options)
    for k, parameter in enumerate(model.parameters()):
        parameter.data = 0.7 * normal(*parameter.shape, seed=100 * seed + k)
    return model.to(dtype)


def by_steps(model, inputs, state=None):
    """Outputs and states of the step mode, which is plain torch."""
    steps = []
    for input_t in inputs.unbind(-2):
        output, state, states = model.step(input_t, state)
        steps.append((output, states))
    outputs = torch.stack([output for output, _ in steps], -2)
    return outputs, {
        n: torch.stack([states[n] for _, states in steps], -2) for n in model.state_names
    }


def loss_of(outputs, states):
    """Of outputs and of every state, each with a weight of its own; one value a network."""
    terms = [outputs.sin(), *((k + 2) * s.cos() for k, s in enumerate(states.values()))]
    return sum(term.sum((-3, -2, -1)) for term in terms)


def arguments(n_gates, has_given):
    """Two networks, three steps, two trials, two inputs, three units."""
    shapes = {
        "inputs": (3, 2, 2, 2),
        "h": (2, 2, 3),
        "c": (2, 2, 3),
        "weight": (2, n_gates * 3, 3 + 2 + 1),
        "given": (3, 2, 2, 3),
    }
    made = [0.7 * normal(*shape, seed=k) for k, shape in enumerate(shapes.values())]
    return [one.requires_grad_() for one in made[: None if has_given else -1]]


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_finite_differences(case):
    equations, n_gates, has_given = CASES[case]

    def run(*given):
        return GatedScan.apply(equations, True, *given, *(() if has_given else (None,)))

    assert torch.autograd.gradcheck(run, arguments(n_gates, has_given), atol=1e-7)


class NoLeak(lstm.Equations):
    """Loses what the memory carries back."""

    def backward(self, step, grad):
        super().backward(step, grad)
        grad.c.zero_()


class WrongGate(sublstm.Equations):
    """The input gate adds."""

    def backward(self, step, grad):
        super().backward(step, grad)
        grad.gates[0].neg_()


class NoCarry(gru.Equations):
    carries = False


@pytest.mark.parametrize(
    ("equations", "n_gates"), [(NoLeak(), 4), (WrongGate(), 4), (NoCarry(1.0, "tanh"), 2)]
)
def test_finite_differences_catch_wrong_derivatives(equations, n_gates):
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(
            lambda *given: GatedScan.apply(equations, True, *given, None), arguments(n_gates, False)
        )


@EVERY
def test_the_loop_equals_steps_and_their_gradients(name):
    """Also for a loss of recorded states, and back to the inputs and the first state."""
    model, inputs = made(name), normal(TRIALS, TIME, INPUTS).requires_grad_()
    state = model.initial_state(inputs[:, 0])
    pair = isinstance(state, tuple)
    first = [normal(TRIALS, UNITS, seed=k).requires_grad_() for k in range(2 if pair else 1)]
    given = [inputs, *first, *model.parameters()]
    gradients, found = [], []
    for run in (model, lambda *x: by_steps(model, *x)):
        outputs, states = run(inputs, tuple(first) if pair else first[0])
        found.append([outputs, *(states[one] for one in model.state_names)])
        gradients.append(torch.autograd.grad(loss_of(outputs, states), given))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-13)
    for mine, theirs in zip(*gradients, strict=True):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)


@EVERY
def test_one_state_alone_has_its_gradient(name):
    model, inputs = made(name), normal(TRIALS, TIME, INPUTS)
    for state in model.state_names:
        gradients = [
            torch.autograd.grad(
                states[state][:, -1].sin().sum(), [*model.parameters()], allow_unused=True
            )
            for _, states in (model(inputs, record=(state,)), by_steps(model, inputs))
        ]
        for mine, theirs in zip(*gradients, strict=True):
            if theirs is None:  # such as the readout, which no state passes through
                assert mine is None or not mine.any()
            else:
                torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@EVERY
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_networks_side_by_side_are_the_networks_alone(name, shared, dtype, tolerance):
    models = [made(name, seed, dtype) for seed in range(NETWORKS)]
    parameters, _ = stack_module_state(models)
    inputs = normal(NETWORKS, TRIALS, TIME, INPUTS, dtype=dtype)
    together = functional_call(models[0], parameters, (inputs[0] if shared else inputs,))
    gradients = torch.autograd.grad(loss_of(*together).sum(), [*parameters.values()])
    for k, model in enumerate(models):
        alone = model(inputs[0 if shared else k])
        torch.testing.assert_close(together[0][k], alone[0], rtol=0, atol=tolerance)
        wanted = torch.autograd.grad(loss_of(*alone), [*model.parameters()])
        for mine, theirs in zip(gradients, wanted, strict=True):
            assert (mine[k] - theirs).abs().max() <= tolerance * theirs.abs().max()


@EVERY
def test_networks_can_share_the_first_state(name):
    models, inputs = [made(name, seed) for seed in range(NETWORKS)], normal(TRIALS, TIME, INPUTS)
    parameters, _ = stack_module_state(models)
    _, first, _ = models[0].step(normal(TRIALS, INPUTS, seed=1))
    outputs, _ = functional_call(models[0], parameters, (inputs, first))
    for mine, model in zip(outputs, models, strict=True):
        torch.testing.assert_close(mine, model(inputs, first)[0], rtol=0, atol=1e-13)


@EVERY
def test_single_precision_stays_near_double(name):
    model, inputs = made(name), normal(TRIALS, 50, INPUTS)
    exact = model(inputs)
    wanted = torch.autograd.grad(loss_of(*exact), [*model.parameters()])
    model = model.float()
    rough = model(inputs.float())
    assert rough[0].dtype == torch.float32
    for state in model.state_names:
        assert (rough[1][state] - exact[1][state]).abs().max() < 1e-4
    found = torch.autograd.grad(loss_of(*rough), [*model.parameters()])
    for mine, theirs in zip(found, wanted, strict=True):
        assert (mine - theirs).abs().max() < 1e-4 * theirs.abs().max()


@EVERY
def test_without_gradients_the_same_comes_out(name):
    model, inputs = made(name), normal(TRIALS, TIME, INPUTS)
    outputs, states = model(inputs)
    with torch.no_grad():
        for record in (False, True, ("h",), model.state_names[1:]):
            again, recorded = model(inputs, record=record)
            assert torch.equal(again, outputs)
            assert all(torch.equal(recorded[one], states[one]) for one in recorded)


@EVERY
def test_the_way_back_can_be_gone_twice_and_changes_nothing(name):
    model, inputs = made(name), normal(TRIALS, TIME, INPUTS)
    outputs, states = model(inputs)
    before = [one.clone() for one in (outputs, *states.values())]
    loss = loss_of(outputs, states)
    first = torch.autograd.grad(loss, [*model.parameters()], retain_graph=True)
    second = torch.autograd.grad(loss, [*model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    after = outputs, *states.values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_second_derivatives_are_refused_by_the_loop_and_given_by_steps():
    model, inputs = made("lstm"), normal(TRIALS, TIME, INPUTS).requires_grad_()
    weight = model.recurrent_weight
    (slope,) = torch.autograd.grad(by_steps(model, inputs)[0].sum(), inputs, create_graph=True)
    assert torch.autograd.grad(slope.square().sum(), weight)[0].abs().max() > 0
    (slope,) = torch.autograd.grad(model(inputs)[0].sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.square().sum().backward()
