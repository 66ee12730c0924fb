"""SubLSTM against PyPI's pytorch-sublstm, the equations, finite differences and its bounds."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call

from model_zoo.sublstm import SubLSTM
from repsim.errors import RepsimError

DIGITS = Path(__file__).resolve().parents[2] / "benchmarks" / "digits.py"
FORGET = pytest.mark.parametrize("forget", ["gated", "fixed"])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def built(forget="gated", scale=None):
    """With scale, all parameters are normal of that deviation."""
    model = SubLSTM(3, 7, 2, forget=forget, generator=seeded(0)).double()
    if scale is not None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, scale, generator=seeded(2))
    return model


def stimuli(n_steps=50):
    return 2 * torch.randn(4, n_steps, 3, generator=seeded(1), dtype=torch.float64)


def test_equals_pytorch_sublstm():
    """Its gates stand in the order i, f, z, o and its two biases add up."""
    peer = pytest.importorskip("subLSTM.functional")
    model, inputs = built(scale=1.0), stimuli()
    i, o, z, f = torch.arange(28).chunk(4)
    rows = torch.cat([i, f, z, o])
    weights = [w.detach()[rows] for w in (model.input_weight, model.recurrent_weight)]
    bias = torch.cat([model.bias, model.forget_bias]).detach()[rows]
    weights[1].requires_grad_()
    h = c = torch.zeros(4, 7, dtype=torch.float64)
    _, states = model(inputs)
    steps = []
    for t in range(50):
        h, c = peer.SubLSTMCell(inputs[:, t], (h, c), *weights, 3 * bias, -2 * bias)
        assert (c - states["c"][:, t]).abs().max() < 1e-13
        steps.append(h)
    expected = torch.stack(steps, 1)
    assert (expected - states["h"]).abs().max() < 1e-13
    gradient = torch.autograd.grad(states["h"].cos().sum(), model.recurrent_weight)[0]
    other = torch.autograd.grad(expected.cos().sum(), weights[1])[0]
    torch.testing.assert_close(gradient[rows], other, rtol=0, atol=1e-11)


@FORGET
def test_equals_the_equations(forget):
    """In numpy, gate by gate: W and R of each gate apart."""
    model, inputs = built(forget, 1.0), stimuli(20)
    _, states = model(inputs)
    w, r, b, b_f = (
        p.detach().numpy()
        for p in (model.input_weight, model.recurrent_weight, model.bias, model.forget_bias)
    )
    h, c = np.zeros((4, 7)), np.zeros((4, 7))

    def gate(k, x, bias):
        rows = slice(7 * k, 7 * k + 7)
        return 1 / (1 + np.exp(-(x @ w[rows].T + h @ r[rows].T + bias)))

    for t, x in enumerate(inputs.numpy().swapaxes(0, 1)):
        i, o, z = (gate(k, x, b[7 * k : 7 * k + 7]) for k in range(3))
        f = gate(3, x, b_f) if forget == "gated" else np.tile(1 / (1 + np.exp(-b_f)), (4, 1))
        c = f * c + z - i
        h = 1 / (1 + np.exp(-c)) - o
        for name, value in {"i": i, "o": o, "z": z, "f": f, "c": c, "h": h}.items():
            np.testing.assert_allclose(states[name][:, t].detach(), value, rtol=0, atol=1e-13)


@FORGET
def test_gradients_are_finite_differences(forget):
    model, inputs = built(forget, 0.7), stimuli(5)[:2].requires_grad_()
    names, values = zip(*model.named_parameters(), strict=True)

    def run(inputs, *parameters):
        return functional_call(model, dict(zip(names, parameters, strict=True)), (inputs,))[0]

    assert torch.autograd.gradcheck(run, (inputs, *values), eps=1e-6, atol=1e-8)


@FORGET
def test_without_parameters_nothing_happens(forget):
    _, states = built(forget, 0.0)(stimuli())
    assert (states["h"] == 0).all()
    assert (states["c"] == 0).all()
    assert (states["z"] == 0.5).all()


@FORGET
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_bounds(forget, scale):
    """|c| <= 1 / (1 - max f), and a unit with z = 1 and i = 0 comes near it."""
    model = built(forget, scale)
    _, s = model(stimuli(200))
    assert (s["c"].abs() <= 1 / (1 - s["f"].amax())).all()
    assert s["h"].abs().max() < 1
    with torch.no_grad():
        model.bias[:7], model.bias[14:] = -1e3, 1e3
        model.recurrent_weight.zero_()
        model.input_weight.zero_()
    _, s = model(stimuli(200))
    slow = s["f"][0, -1] ** 200 < 1e-4
    assert slow.sum() > 3
    torch.testing.assert_close(
        s["c"][0, -1, slow], 1 / (1 - s["f"][0, -1, slow]), rtol=1e-4, atol=0
    )


def test_fixed_forget_is_one_constant_a_unit():
    model = built("fixed", 1.0)
    _, states = model(stimuli())
    assert (states["f"] == torch.sigmoid(model.forget_bias)).all()
    assert states["f"][0, 0].unique().numel() == 7
    assert model.input_weight.shape == (21, 3)


def test_other_forget_is_refused():
    with pytest.raises(RepsimError, match="forget is 'none'; give 'gated' or 'fixed'"):
        SubLSTM(3, 7, 2, forget="none")


@pytest.mark.slow
@FORGET
def test_learns_digits(forget):
    """8 rows of 8 pixels, 50 units, 360 test images; one seed alone varies by 0.8 %."""
    digits = runpy.run_path(str(DIGITS))
    images, labels = digits["load_digits_by_rows"]()
    name = f"subLSTM {forget}"
    found = [digits["train"](name, images, labels, seed) for seed in range(4)]
    assert 0.96 <= sum(found) / 4 <= 0.99
