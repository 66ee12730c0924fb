import pytest
import torch
from torch.func import functional_call, stack_module_state

from model_zoo.leaky_scan import LeakyScan
from model_zoo.rnn import STATES, LeakyRNN, VanillaRNN
from repsim.errors import RepsimError

ACTIVATIONS = ("tanh", "relu", "leaky_relu", "softplus")
TRIALS, TIME, INPUTS, UNITS, OUTPUTS = 4, 7, 3, 5, 2


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(seed=0, double=True, kind=LeakyRNN, **options):
    model = kind(INPUTS, UNITS, OUTPUTS, generator=generator(seed), **options)
    model.bias.data = torch.randn(UNITS, generator=generator(seed + 1))  # zeros hide mistakes
    return model.double() if double else model


def normal(*shape, seed=7, dtype=torch.double):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double).to(dtype)


def by_steps(model, inputs, state=None, noise=None):
    """Outputs and states of the step mode, which is plain torch."""
    outputs, kept = [], []
    for t in range(inputs.shape[-2]):
        now = None if noise is None else noise[..., t, :]
        output, state, states = model.step(inputs[..., t, :], state, now)
        outputs.append(output)
        kept.append(states)
    return torch.stack(outputs, -2), {
        name: torch.stack([one[name] for one in kept], -2) for name in STATES
    }


@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-14), (False, 1e-6)])
@pytest.mark.parametrize(("activation", "peer"), [("tanh", "tanh"), ("relu", "relu")])
def test_without_a_leak_it_is_the_rnn_of_torch(activation, peer, double, tolerance):
    model = make(kind=VanillaRNN, activation=activation, double=double)
    rnn = torch.nn.RNN(INPUTS, UNITS, nonlinearity=peer, batch_first=True)
    rnn = rnn.double() if double else rnn
    copied = (model.input_weight, model.recurrent_weight, model.bias, torch.zeros(UNITS))
    for mine, theirs in zip(copied, rnn.parameters(), strict=True):
        theirs.data.copy_(mine)
    inputs = normal(TRIALS, TIME, INPUTS, dtype=model.bias.dtype)
    wanted, _ = rnn(inputs)
    outputs, states = model(inputs)
    assert (states["h"] - wanted).abs().max() < tolerance
    readout = wanted @ model.output_weight.T + model.output_bias
    assert (outputs - readout).abs().max() < tolerance


def test_without_weights_the_state_relaxes():
    model = make(alpha=0.3)
    for weights in model.parameters():
        weights.data.zero_()
    start = normal(TRIALS, UNITS)
    _, states = model(normal(TRIALS, TIME, INPUTS), start)
    decay = 0.7 ** torch.arange(1, TIME + 1, dtype=torch.double)
    assert torch.allclose(states["h"], start[:, None] * decay[:, None], atol=1e-15)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_loop_equals_steps_and_their_gradients(activation, alpha):
    model = make(activation=activation, alpha=alpha)
    given = [normal(TRIALS, TIME, INPUTS), normal(TRIALS, UNITS, seed=8)]
    given = [one.requires_grad_() for one in (*given, normal(TRIALS, TIME, UNITS, seed=9))]
    found, wanted = model(given[0], given[1], noise=given[2]), by_steps(model, *given)
    pairs = [(found[0], wanted[0]), *((found[1][name], wanted[1][name]) for name in STATES)]
    for mine, theirs in pairs:
        assert (mine - theirs).abs().max() < 1e-13
    gradients = []
    for outputs, states in (found, wanted):
        loss = outputs.sin().sum() + sum(
            (k + 1) * s.cos().sum() for k, s in enumerate(states.values())
        )
        gradients.append(torch.autograd.grad(loss, [*given, *model.parameters()]))
    for mine, theirs in zip(*gradients, strict=True):
        assert mine.abs().max() > 0
        assert (mine - theirs).abs().max() < 1e-10


@pytest.mark.parametrize("alpha", [1.0, 0.3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_finite_differences(activation, alpha):
    shapes = [(2, 3, 4, 2), (2, 3, 4), (2, 4, 7), (2, 2, 4), (2, 3, 4, 4)]
    given = [normal(*shape, seed=k).requires_grad_() for k, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(lambda *x: LeakyScan.apply(*x, alpha, activation), given)


@pytest.mark.parametrize("shared", [True, False])
def test_networks_side_by_side_are_the_networks_alone(shared):
    models = [make(seed) for seed in range(3)]
    parameters, _ = stack_module_state(models)
    inputs = normal(3, TRIALS, TIME, INPUTS)
    together = functional_call(models[0], parameters, (inputs[0] if shared else inputs,))
    for k, model in enumerate(models):
        outputs, states = model(inputs[0 if shared else k])
        assert (together[0][k] - outputs).abs().max() < 1e-14
        for name in STATES:
            assert (together[1][name][k] - states[name]).abs().max() < 1e-14


def test_single_precision_stays_near_double():
    model = make()
    inputs = normal(TRIALS, 50, INPUTS)
    _, exact = model(inputs)
    _, rough = model.float()(inputs.float())
    assert rough["h"].dtype == torch.float32
    assert (rough["h"] - exact["h"]).abs().max() < 1e-5


def test_the_drives_add_up():
    model = make()
    inputs = normal(TRIALS, TIME, INPUTS)
    _, states = model(inputs)
    total = states["input_drive"] + states["recurrent_drive"] + model.bias
    assert torch.allclose(states["pre"], total)
    leaked = torch.lerp(torch.zeros(TRIALS, UNITS).double(), states["pre"][:, 0].tanh(), 0.2)
    assert torch.allclose(states["h"][:, 0], leaked)


def test_private_noise_has_its_size_and_only_acts_in_training():
    model = make(noise=0.05, alpha=0.2)
    drawn = model.draw_noise(200, 50, generator=generator())
    assert drawn.std() == pytest.approx(0.05 * 10**0.5, rel=0.02)
    inputs = normal(TRIALS, TIME, INPUTS)
    assert not torch.equal(model(inputs)[0], model(inputs)[0])
    model.eval()
    assert torch.equal(model(inputs)[0], model(inputs)[0])
    model.train()
    steps = [model.step(inputs[:, 0])[0] for _ in range(2)]
    assert torch.equal(*steps)  # a step takes the noise that it is given, and draws none
    noise = normal(TRIALS, TIME, UNITS)
    assert torch.allclose(model(inputs, noise=noise)[0], by_steps(model, inputs, noise=noise)[0])


def test_only_what_is_asked_for_is_recorded():
    model = make()
    inputs = normal(TRIALS, TIME, INPUTS)
    assert tuple(model(inputs)[1]) == STATES
    assert model(inputs, record=False)[1] == {}
    assert tuple(model(inputs, record=("pre", "h"))[1]) == ("pre", "h")
    with pytest.raises(RepsimError, match=r"no state 'rate'.*h, pre"):
        model(inputs, record=("rate",))


def test_the_same_generator_gives_the_same_network():
    first, second, other = make(3), make(3), make(4)
    for mine, theirs, third in zip(*(m.parameters() for m in (first, second, other)), strict=True):
        assert torch.equal(mine, theirs)
        assert not torch.equal(mine, third) or not mine.any()
    identity = first.recurrent_weight @ first.recurrent_weight.T
    assert torch.allclose(identity, torch.eye(UNITS, dtype=torch.double), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"alpha": "x"}, "alpha is 'x'"),
        ({"noise": -1.0}, "noise is -1"),
        ({"activation": "sine"}, "No activation 'sine'"),
    ],
)
def test_wrong_options_are_refused_in_words(options, words):
    with pytest.raises(RepsimError, match=words):
        make(**options)
