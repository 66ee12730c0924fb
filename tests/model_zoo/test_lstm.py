"""LSTM against torch.nn.LSTM, and its gates against each other."""

import pytest
import torch

from model_zoo.lstm import LSTM


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def built(**options):
    return LSTM(3, 7, 2, generator=seeded(0), **options).double()


def stimuli(n_steps=50):
    return 2 * torch.randn(4, n_steps, 3, generator=seeded(1), dtype=torch.float64)


def test_equals_torch():
    """The two biases of torch count as their sum."""
    model = built()
    twin = torch.nn.LSTM(3, 7, batch_first=True).double()
    with torch.no_grad():
        twin.weight_ih_l0.copy_(model.input_weight)
        twin.weight_hh_l0.copy_(model.recurrent_weight)
        twin.bias_hh_l0.normal_(generator=seeded(2))
        twin.bias_ih_l0.copy_(model.bias - twin.bias_hh_l0)
    inputs = stimuli().requires_grad_()
    first = torch.randn(2, 4, 7, dtype=torch.float64)
    outputs, states = model(inputs, (first[0], first[1]))
    expected, (h, c) = twin(inputs, (first[:1], first[1:]))
    torch.testing.assert_close(states["h"], expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(states["h"][:, -1], h[0], rtol=0, atol=1e-13)
    torch.testing.assert_close(states["c"][:, -1], c[0], rtol=0, atol=1e-13)
    torch.testing.assert_close(outputs, expected @ model.output_weight.T + model.output_bias)
    mine = model.input_weight, model.recurrent_weight, model.bias
    theirs = twin.weight_ih_l0, twin.weight_hh_l0, twin.bias_ih_l0
    gradients = [
        torch.autograd.grad(h.cos().sum(), [inputs, *weights])
        for h, weights in ((states["h"], mine), (expected, theirs))
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-11)


def test_recorded_gates_make_the_recorded_memory():
    _, s = built()(stimuli())
    before = torch.cat([torch.zeros_like(s["c"][:, :1]), s["c"][:, :-1]], 1)
    torch.testing.assert_close(s["c"], s["f"] * before + s["i"] * s["g"], rtol=0, atol=1e-14)
    torch.testing.assert_close(s["h"], s["o"] * s["c"].tanh(), rtol=0, atol=1e-14)


def test_open_forget_gate_and_closed_input_gate_keep_the_memory():
    model = built()
    with torch.no_grad():
        model.bias[:7], model.bias[7:14] = -1e3, 1e3
    first = torch.randn(4, 7, dtype=torch.float64)
    memory = model(stimuli(), (torch.zeros_like(first), first))[1]["c"]
    assert torch.equal(memory, first[:, None].expand_as(memory))


def test_forget_bias_is_added_to_the_initial_values():
    rows = built(forget_bias=1.0).bias - built(forget_bias=0.0).bias
    assert rows.tolist() == pytest.approx([0] * 7 + [1] * 7 + [0] * 14, abs=1e-6)  # float32
    assert built(forget_bias=0.0).bias.abs().max() <= 7**-0.5
