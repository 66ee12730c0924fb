"""The selective scan against its quadratic dual, exact integration, the paper's theorem and finite
differences.
"""

import math

import pytest
import torch

from model_zoo.scan import SCANS
from model_zoo.selection import DISCRETISATIONS, selective_scan

SCAN = pytest.mark.parametrize("scan", SCANS)
DISCRETISATION = pytest.mark.parametrize("discretisation", DISCRETISATIONS)


def normal(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def system(n_steps=30, n_channels=5, n_states=4):
    """x, delta, a, b, c of selective_scan for 2 trials."""
    x, delta = normal(2, n_steps, n_channels), normal(2, n_steps, n_channels, seed=2)
    b, c = normal(2, n_steps, n_states, seed=3), normal(2, n_steps, n_states, seed=4)
    a = -torch.exp(normal(n_channels, n_states, seed=5))
    return x, torch.nn.functional.softplus(delta), a, b, c


@SCAN
@DISCRETISATION
def test_equals_the_quadratic_dual(scan, discretisation):
    """y_t = sum over s <= t of C_t (product of decays from s + 1 to t) (bar B)_s x_s."""
    x, delta, a, b, c = system()
    y, _ = selective_scan(x, delta, a, b, c, None, discretisation, scan)
    exponent = delta[..., None] * a  # (trial, time, D, N)
    step = delta[..., None] if discretisation == "euler" else (exponent.exp() - 1) / a
    drive = step * b[:, :, None] * x[..., None]
    so_far = exponent.cumsum(1)
    weights = (so_far[:, :, None] - so_far[:, None]).exp()  # (trial, t, s, D, N)
    weights = weights * torch.ones(30, 30).tril()[:, :, None, None]
    expected = torch.einsum("rtn,rtsdn,rsdn->rtd", c, weights, drive)
    assert (y - expected).abs().max() < 1e-12


@SCAN
def test_scan_goes_on_from_a_state(scan):
    x, delta, a, b, c = system()
    y, h = selective_scan(x, delta, a, b, c, scan=scan)
    later = (v[:, 11:] for v in (x, delta))
    rest, _ = selective_scan(*later, a, b[:, 11:], c[:, 11:], h[10], scan=scan)
    assert (rest - y[:, 11:]).abs().max() < 1e-13


@SCAN
@DISCRETISATION
def test_gradients_are_finite_differences(scan, discretisation):
    """Of outputs and states, by all inputs and the first state."""
    inputs = [*system(4, 3, 2), normal(2, 3, 2, seed=6)]
    inputs = [values.detach().requires_grad_() for values in inputs]

    def both(*inputs):
        return selective_scan(*inputs, discretisation, scan)

    assert torch.autograd.gradcheck(both, inputs)
    for pick in (0, 1):
        assert torch.autograd.gradcheck(lambda *inputs, i=pick: both(*inputs)[i], inputs)


def test_every_route_gives_the_same_gradient():
    gradients = []
    for scan in SCANS:
        inputs = [values.requires_grad_() for values in system(150)]
        y, h = selective_scan(*inputs, scan=scan)
        gradients.append(torch.autograd.grad(y.cos().sum() + h.sin().sum(), inputs))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@SCAN
@DISCRETISATION
def test_networks_along_a_leading_axis(scan, discretisation):
    systems = [system(12), [0.5 * values for values in system(12)]]
    together = [torch.stack(values) for values in zip(*systems, strict=True)]
    y, h = selective_scan(*together, None, discretisation, scan)
    for k, alone in enumerate(systems):
        expected = selective_scan(*alone, None, discretisation, scan)
        torch.testing.assert_close((y[k], h[:, k]), expected, rtol=0, atol=1e-14)


@SCAN
def test_gating_theorem_needs_exact_discretisation(scan):
    """N = 1, A = -1, B = 1: h_t = (1 - g) h_{t-1} + g x_t, g = sigmoid of delta's argument."""
    x, argument = normal(2, 40, 3), 2 * normal(2, 40, 3, seed=2)
    one = torch.ones(2, 40, 1, dtype=torch.float64)
    a = -torch.ones(3, 1, dtype=torch.float64)
    delta = torch.nn.functional.softplus(argument)
    gates, h, expected = torch.sigmoid(argument), torch.zeros(2, 3, dtype=torch.float64), []
    for t in range(40):
        h = (1 - gates[:, t]) * h + gates[:, t] * x[:, t]
        expected.append(h)
    expected = torch.stack(expected, 1)
    exact, euler = (
        selective_scan(x, delta, a, one, one, None, kind, scan)[0] for kind in ("zoh", "euler")
    )
    assert (exact - expected).abs().max() < 1e-14
    assert (euler - expected).abs().max() > 0.5


def test_zoh_is_the_exact_solution_for_a_held_input():
    """dh/dt = A h + B x over delta, by the exponential of [[A, B x], [0, 0]]; euler to order 2."""
    x, delta, a, b, c = system(n_steps=1)
    h = normal(2, 5, 4, seed=6)
    generator = torch.zeros(2, 5, 4, 2, 2, dtype=torch.float64)
    generator[..., 0, 0] = a
    generator[..., 0, 1] = b[:, 0, None] * x[:, 0, :, None]
    errors = []
    for shrink in (1, 1e-2, 1e-3):
        flow = torch.linalg.matrix_exp(generator * (shrink * delta[:, 0, :, None, None, None]))
        expected = flow[..., 0, 0] * h + flow[..., 0, 1]
        exact, euler = (
            selective_scan(x, shrink * delta, a, b, c, h, kind)[1][0] for kind in ("zoh", "euler")
        )
        assert (exact - expected).abs().max() < 1e-13
        errors.append(float((euler - expected).abs().max()))
    assert math.log10(errors[1] / errors[2]) == pytest.approx(2, abs=0.1)
