"""Tensors in, tensors out: the same values as numpy, gradients that match finite differences."""

import numpy as np
import pytest
import torch

from repsim.metrics import METRICS
from repsim.metrics.procrustes import in_few_coordinates
from repsim.plugins import get_metric

SAMPLES = ("linear_cka", "debiased_cka", "rbf_cka", "procrustes", "angular_procrustes")
SMALL = {"delays": 2, "rank": 3}
TRAJECTORIES = {
    "dsa": SMALL,
    "dsa_spectrum": SMALL,
    "dsa_spectrum(order=1)": SMALL,
    "shuffled_trials": {},
    "shuffled_time": SMALL,
}
BOTH = {**{name: {} for name in SAMPLES}, **TRAJECTORIES}
ANY = [name for name in METRICS if get_metric(name).arrays == "any"]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def chosen(name):
    return get_metric(name, **BOTH.get(name, {}))


def pair(view, n_x=4, n_y=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    if view == "samples":
        x = rng.standard_normal((9, n_x))
        return x.astype(dtype), (x[:, :n_y] + rng.standard_normal((9, n_y))).astype(dtype)
    x, y = (rng.standard_normal((5, 12, n)).cumsum(axis=1) for n in (n_x, n_y))
    return x.astype(dtype), y.astype(dtype)


def value(found, x, y):
    return found(x, y, rng=np.random.default_rng(0))


@pytest.mark.parametrize("name", [*SAMPLES, "dsa_spectrum", "dsa_spectrum(order=1)"])
def test_gradients_match_finite_differences(name):
    found = chosen(name)
    x, y = (torch.tensor(array, requires_grad=True) for array in pair(found.view))
    assert torch.autograd.gradcheck(
        lambda a, b: found(a, b), (x, y), eps=1e-6, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_gradients_match_differences_along_a_line(name):
    """Cheaper than every entry in turn; for dsa the best C is held fixed (envelope theorem)."""
    found = chosen(name)
    x, y = (torch.tensor(array, requires_grad=True) for array in pair(found.view))
    slopes = torch.autograd.grad(value(found, x, y), (x, y))
    generator = torch.Generator().manual_seed(0)
    x, y, step = x.detach(), y.detach(), 1e-5
    for _ in range(2):
        u, v = (torch.randn(a.shape, generator=generator, dtype=a.dtype) for a in (x, y))
        ahead = value(found, x + step * u, y + step * v)
        behind = value(found, x - step * u, y - step * v)
        slope = (slopes[0] * u).sum() + (slopes[1] * v).sum()
        assert slope.item() == pytest.approx((ahead - behind).item() / (2 * step), rel=1e-4)


@pytest.mark.parametrize(("n_x", "n_y"), [(14, 12), (14, 3)])
@pytest.mark.parametrize("name", SAMPLES)
def test_gradients_with_more_units_than_samples(name, n_x, n_y):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, n_x))
    y = x @ rng.standard_normal((n_x, n_y)) * 0.3 + rng.standard_normal((9, n_y))
    found = get_metric(name)
    x, y = (torch.tensor(array, requires_grad=True) for array in (x, y))
    assert torch.autograd.gradcheck(lambda a, b: found(a, b), (x, y), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_step_down_the_gradient_brings_sets_closer(name):
    found = get_metric(name)
    x, y = (torch.tensor(array) for array in pair("samples"))
    x.requires_grad_(True)
    before = found.distance(x, y)
    (gradient,) = torch.autograd.grad(before, x)
    assert gradient.shape == x.shape
    after = found.distance(x.detach() - 1e-3 * gradient, y)
    assert 0 < before.item() - after.item() < 2e-3 * gradient.norm().item() ** 2


@pytest.mark.parametrize("name", [*SAMPLES, "dsa", "dsa_spectrum", "dsa_spectrum(order=1)"])
def test_gradients_are_finite_where_sets_are_equal(name):
    found = chosen(name)
    x, _ = (torch.tensor(array) for array in pair(found.view))
    y = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(found(x, y), y)
    assert torch.isfinite(gradient).all()


def test_the_gradient_of_procrustes_survives_equal_singular_values():
    x = torch.eye(6, dtype=torch.float64)[:, :3].requires_grad_(True)
    y = 2 * torch.eye(6, dtype=torch.float64)[:, :3]
    (gradient,) = torch.autograd.grad(get_metric("procrustes")(x, y), x)
    residual = (x - x.mean(0) - y + y.mean(0)).detach()
    assert torch.allclose(gradient, residual / residual.norm(), atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ANY)
def test_tensors_give_a_tensor_without_axes(name, device):
    found = chosen(name)
    plain = pair(found.view)
    result = value(found, *(torch.tensor(array, device=device) for array in plain))
    assert isinstance(result, torch.Tensor)
    assert result.shape == ()
    assert result.device.type == device
    assert result.dtype == torch.float64
    expected = value(found, *plain)
    assert isinstance(expected, float)
    assert result.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_tensor_and_an_array_give_a_tensor(name):
    x, y = pair("samples")
    mixed = get_metric(name)(torch.tensor(x), y)
    assert isinstance(mixed, torch.Tensor)
    assert mixed.item() == pytest.approx(get_metric(name)(x, y), rel=1e-12)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", BOTH)
def test_float32_keeps_four_digits(name, library):
    found = chosen(name)
    x, y = pair(found.view, dtype=np.float32)
    exact = value(found, x.astype(np.float64), y.astype(np.float64))
    if library == "torch":
        x, y = torch.tensor(x), torch.tensor(y)
    assert float(value(found, x, y)) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("name", SAMPLES)
def test_float32_tensors_stay_float32(name):
    x, y = (torch.tensor(array) for array in pair("samples", dtype=np.float32))
    assert get_metric(name)(x, y).dtype == torch.float32
    assert get_metric(name)(x.half(), y.half()).dtype == torch.float32
    assert get_metric(name)(x, y.double()).dtype == torch.float64


@pytest.mark.parametrize("name", ["procrustes", "angular_procrustes"])
def test_no_gradient_is_lost_in_preparation(name):
    """gradcheck through qr for wide sets: the few coordinates are a rotation of the samples."""
    x = torch.tensor(np.random.default_rng(0).standard_normal((4, 9)), requires_grad=True)
    few = in_few_coordinates(x)
    assert few.shape == (4, 4)
    assert torch.allclose(few @ few.T, x @ x.T)
    y = torch.tensor(np.random.default_rng(1).standard_normal((4, 9)))
    found = get_metric(name)
    assert torch.autograd.gradcheck(lambda a: found(a, y), (x,))


@pytest.mark.parametrize("name", SAMPLES)
def test_tensors_are_left_alone(name):
    x, y = (torch.tensor(array) for array in pair("samples"))
    before = x.clone(), y.clone()
    get_metric(name)(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
