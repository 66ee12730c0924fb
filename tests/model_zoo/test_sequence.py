"""Products with and without a network axis, the record of the states, and initial values."""

import pytest
import torch

from model_zoo.sequence import (
    ACTIVATIONS,
    THROUGH,
    WRITE,
    activation_named,
    affine,
    affine_step,
    glorot,
    recorded,
    uniform,
    zeros,
)
from repsim.errors import RepsimError


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("networks", [(), (6,)])
@pytest.mark.parametrize("own_inputs", [False, True])
def test_affine(networks, own_inputs):
    x = normal(*(networks if own_inputs else ()), 4, 5, 3)
    weight, bias = normal(*networks, 2, 3, seed=1), normal(*networks, 2, seed=2)
    k, own = "k" * len(networks), "k" * (x.ndim - 3)
    expected = torch.einsum(f"{own}rti,{k}ui->{k}rtu", x, weight)
    torch.testing.assert_close(affine(x, weight), expected, rtol=0, atol=1e-14)
    expected = expected + bias[..., None, None, :]
    torch.testing.assert_close(affine(x, weight, bias), expected, rtol=0, atol=1e-14)
    step = affine_step(x[..., 2, :], weight, bias)
    torch.testing.assert_close(step, expected[..., 2, :], rtol=0, atol=1e-14)


def test_zeros_have_the_networks_of_both():
    assert zeros(normal(4, 3), normal(2, 3), 7).shape == (4, 7)
    assert zeros(normal(4, 3), normal(6, 2, 3), 7).shape == (6, 4, 7)
    assert zeros(normal(6, 4, 3), normal(2, 3), 7).shape == (6, 4, 7)
    assert zeros(normal(4, 3).float(), normal(2, 3), 7).dtype == torch.float64


def test_recorded():
    names = ("h", "c")
    assert recorded(True, names) == names
    assert recorded(False, names) == ()
    assert recorded(("c",), names) == ("c",)
    with pytest.raises(RepsimError, match="no state 'f'"):
        recorded(("c", "f"), names)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_torch(name):
    x = normal(100)
    torch.testing.assert_close(activation_named(name)(x), getattr(torch.nn.functional, name)(x))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.float64, 1e-15)])
def test_written_activations_are_those_of_torch(name, dtype, tolerance):
    x = 3 * normal(100).to(dtype)
    out = torch.empty_like(x)
    WRITE[name](x, out)
    x.requires_grad_()
    expected = ACTIVATIONS[name](x)
    torch.testing.assert_close(out, expected.detach(), rtol=tolerance, atol=tolerance)
    grad, of_x = normal(100, seed=1).to(dtype), torch.empty_like(out)
    THROUGH[name](grad, out, of_x)
    expected = torch.autograd.grad(expected, x, grad)[0]
    torch.testing.assert_close(of_x, expected, rtol=0, atol=10 * tolerance)


def test_initial_values_fill_their_range():
    """Bounds of n_units^(-1/2) and, gate by gate, of Glorot; the deviation is bound / sqrt(3)."""
    generator = torch.Generator().manual_seed(0)
    found = uniform(80, 50, fan_in=25, generator=generator)
    gates = glorot(4 * 30, 70, n_gates=4, generator=generator)
    for values, bound in ((found, 0.2), (gates, (6 / 100) ** 0.5)):
        assert 0.99 * bound < values.abs().max() <= bound
        assert abs(values.mean()) < 0.05 * bound
        assert values.detach().std() == pytest.approx(bound / 3**0.5, rel=0.05)
