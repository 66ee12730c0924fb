"""GRU against torch.nn.GRU; its leaky forms against their published equations."""

import math

import pytest
import torch

from model_zoo.gru import GRU, LeakyGRU
from repsim.errors import RepsimError


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def built(cls=GRU, **options):
    return cls(3, 7, 2, generator=seeded(0), **options).double()


def stimuli(n_steps=50):
    return 2 * torch.randn(4, n_steps, 3, generator=seeded(1), dtype=torch.float64)


def torch_twin(model):
    """torch.nn.GRU with the weights of a GRU: its z is 1 - u, so the rows of u change sign."""
    n_units = model.n_units
    twin = torch.nn.GRU(model.input_weight.shape[1], n_units, batch_first=True).double()
    sign = torch.ones(3 * n_units, 1, dtype=torch.float64)
    sign[n_units : 2 * n_units] = -1
    recurrent_bias = torch.zeros(3 * n_units, dtype=torch.float64)
    recurrent_bias[2 * n_units :] = model.candidate_bias.detach()
    with torch.no_grad():
        twin.weight_ih_l0.copy_(sign * model.input_weight)
        twin.weight_hh_l0.copy_(sign * model.recurrent_weight)
        twin.bias_ih_l0.copy_(sign[:, 0] * model.bias)
        twin.bias_hh_l0.copy_(recurrent_bias)
    return twin


def test_equals_torch():
    model = built()
    twin = torch_twin(model)
    inputs, first = stimuli().requires_grad_(), torch.randn(4, 7, dtype=torch.float64)
    outputs, states = model(inputs, first)
    expected = twin(inputs, first[None])[0]
    torch.testing.assert_close(states["h"], expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(outputs, expected @ model.output_weight.T + model.output_bias)
    gradients = [
        torch.autograd.grad(h.cos().sum(), [inputs, weight])
        for h, weight in ((states["h"], model.recurrent_weight), (expected, twin.weight_hh_l0))
    ]
    torch.testing.assert_close(gradients[0][0], gradients[1][0], rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients[0][1].abs(), gradients[1][1].abs(), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("tanh", math.tanh),
        ("relu", lambda x: max(x, 0)),
        ("leaky_relu", lambda x: x if x > 0 else 0.01 * x),
        ("softplus", lambda x: math.log1p(math.exp(x))),
    ],
)
def test_leaky_gru_is_the_published_one(activation, function):
    """Unit by unit: h <- (1 - u) h + u (a h + (1 - a) n), a = exp(-20 / 100)."""
    model = built(LeakyGRU, activation=activation)
    assert model.output_bias is None
    inputs, a = stimuli(12), math.exp(-0.2)
    w, r, b = (x.tolist() for x in (model.input_weight, model.recurrent_weight, model.bias))
    h = [0.0] * 7
    states = model(inputs)[1]["h"]
    for t in range(12):
        x = inputs[2, t].tolist()
        drive = [
            sum(p * q for p, q in zip(w[k] + r[k], x + h, strict=True)) + b[k] for k in range(14)
        ]
        u = [1 / (1 + math.exp(-d)) for d in drive[:7]]
        n = [function(d) for d in drive[7:]]
        h = [(1 - u[k]) * h[k] + u[k] * (a * h[k] + (1 - a) * n[k]) for k in range(7)]
        assert states[2, t].tolist() == pytest.approx(h, abs=1e-13)


def test_open_reset_gate_is_no_reset_gate():
    model, leaky = built(), built(LeakyGRU, alpha=1.0, output_bias=True)
    with torch.no_grad():
        model.bias[:7] = 1e3  # r = 1
        model.candidate_bias.zero_()
        for name, parameter in leaky.named_parameters():
            source = model.get_parameter(name)
            parameter.copy_(source if name.startswith("output") else source[7:])
    torch.testing.assert_close(leaky(stimuli())[0], model(stimuli())[0], rtol=0, atol=1e-13)


def test_closed_update_gate_keeps_the_state():
    model = built()
    with torch.no_grad():
        model.bias[7:14] = -1e3
    first = torch.randn(4, 7, dtype=torch.float64)
    states = model(stimuli(), first)[1]["h"]
    assert torch.equal(states, first[:, None].expand_as(states))


def test_alpha_slows_every_step():
    fast, slow = built(), built(alpha=0.2)
    first = torch.randn(4, 7, dtype=torch.float64)
    moves = [model.step(stimuli()[:, 0], first)[1] - first for model in (fast, slow)]
    torch.testing.assert_close(moves[1], 0.2 * moves[0], rtol=0, atol=1e-14)


def test_unknown_activation_is_refused():
    with pytest.raises(RepsimError, match="No activation 'sine'"):
        built(activation="sine")


@pytest.mark.parametrize("alpha", [-3, 0, 1.5, float("nan"), "x", None])
def test_an_alpha_that_is_no_share_is_refused(alpha):
    for kind in (GRU, LeakyGRU):
        with pytest.raises(RepsimError, match=r"alpha is .* above 0 and at most 1"):
            built(kind, alpha=alpha)
