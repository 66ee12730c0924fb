"""Mamba against PyPI's mambapy, its quadratic dual, exact integration and its own theorem."""

import math

import pytest
import torch

from model_zoo.mamba import DISCRETISATIONS, Mamba, initial_delta_bias, selective_scan
from model_zoo.scan import SCANS
from repsim.errors import RepsimError

SCAN = pytest.mark.parametrize("scan", SCANS)
DISCRETISATION = pytest.mark.parametrize("discretisation", DISCRETISATIONS)
PEER = {
    "norm_weight": "norm.weight",
    "in_weight": "mixer.in_proj.weight",
    "conv_weight": "mixer.conv1d.weight",
    "conv_bias": "mixer.conv1d.bias",
    "select_weight": "mixer.x_proj.weight",
    "delta_weight": "mixer.dt_proj.weight",
    "delta_bias": "mixer.dt_proj.bias",
    "a_log": "mixer.A_log",
    "skip": "mixer.D",
    "out_weight": "mixer.out_proj.weight",
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def built(**options):
    return Mamba(3, 18, 2, generator=seeded(0), **options).double()


def system(n_steps=30, n_channels=5, n_states=4):
    """x, delta, a, b, c of selective_scan for 2 trials."""
    x, delta = normal(2, n_steps, n_channels), normal(2, n_steps, n_channels, seed=2)
    b, c = normal(2, n_steps, n_states, seed=3), normal(2, n_steps, n_states, seed=4)
    a = -torch.exp(normal(n_channels, n_states, seed=5))
    return x, torch.nn.functional.softplus(delta), a, b, c


@pytest.fixture
def peer():
    """mambapy's layers with our weights; it casts A to float32, which is undone here."""
    module = pytest.importorskip("mambapy.mamba")

    def copied(model, pscan):
        n_units = model.input_weight.shape[0]
        config = module.MambaConfig(d_model=n_units, n_layers=len(model.layers), pscan=pscan)
        twin = module.Mamba(config).double()
        for ours, theirs in zip(model.layers, twin.layers, strict=True):
            assert len(list(theirs.parameters())) == len(PEER)
            for name, parameter in ours.named_parameters():
                target = theirs.get_parameter(PEER[name])
                target.data.copy_(parameter.detach().reshape(target.shape))
            for kept in (theirs.mixer.A_log, theirs.mixer.D):
                kept.float = lambda kept=kept: kept
        return twin

    return copied


@SCAN
@pytest.mark.parametrize("pscan", [False, True])
def test_equals_mambapy(peer, scan, pscan):
    model = built(scan=scan)
    embedded = normal(4, 37, 3) @ model.input_weight.T + model.input_bias
    outputs, states = model(normal(4, 37, 3))
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # mambapy's first state has the default type
    try:
        twin = peer(model, pscan)
        expected = twin(embedded)
    finally:
        torch.set_default_dtype(previous)
    assert (states["layer2.residual"] - expected).abs().max() < 1e-13
    scale = torch.rsqrt(expected.square().mean(-1, keepdim=True) + 1e-5)
    assert (outputs - expected * scale @ model.output_weight.T).abs().max() < 1e-12
    states["layer2.residual"].cos().sum().backward()
    expected.cos().sum().backward()
    for ours, theirs in zip(model.layers, twin.layers, strict=True):
        for name, parameter in ours.named_parameters():
            gradient = theirs.get_parameter(PEER[name]).grad.reshape(parameter.shape)
            assert (parameter.grad - gradient).abs().max() < 1e-10, name


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


@DISCRETISATION
def test_models_with_both_scans_agree(discretisation):
    options = {"input_discretisation": discretisation}
    models = built(**options), built(scan="parallel", **options)
    results = [model(normal(2, 150, 3)) for model in models]
    assert (results[0][0] - results[1][0]).abs().max() < 1e-12
    for name, state in results[0][1].items():
        assert (state - results[1][1][name]).abs().max() < 1e-12, name


@SCAN
def test_causality(scan):
    """A changed input leaves what came before untouched, to the bit, and moves what follows."""
    model, inputs = built(scan=scan), normal(2, 20, 3)
    changed = inputs.clone()
    changed[:, 12] += 1
    one, other = model(inputs), model(changed)
    pairs = [(one[0], other[0]), *((one[1][name], other[1][name]) for name in one[1])]
    for before, after in pairs:
        assert torch.equal(before[:, :12], after[:, :12])
        assert ((before[:, 12:] - after[:, 12:]).abs().amax((0, 2)) > 0)[:4].all()


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


def test_initial_values():
    model = Mamba(3, 20, 2, n_states=6, n_layers=1, generator=seeded(0))
    layer = model.layers[0]
    assert layer.delta_weight.shape == (40, 2)
    assert layer.delta_weight.abs().max() <= 2**-0.5
    expected = torch.arange(1.0, 7).expand(40, 6)
    torch.testing.assert_close(layer.a_log.exp(), expected, rtol=1e-6, atol=0)
    assert (layer.skip == 1).all()
    delta = torch.nn.functional.softplus(initial_delta_bias(20_000, seeded(0)).double())
    place = (delta.log10() + 3).sort().values / 2  # uniform on [0, 1]
    assert (place - torch.linspace(0, 1, 20_000)).abs().max() < 0.015  # Kolmogorov-Smirnov, p 1e-4
    assert delta.min() > 0.9999e-3
    assert delta.max() < 0.1001


def test_names_and_sizes_of_the_states():
    _, states = built(n_layers=1, n_states=5)(normal(2, 4, 3))
    sizes = {"conv": 36, "delta": 36, "h": 180, "y": 36, "gated": 36, "residual": 18}
    assert {name: state.shape[-1] for name, state in states.items()} == {
        f"layer1.{name}": size for name, size in sizes.items()
    }


def test_other_options_are_refused():
    with pytest.raises(RepsimError, match="discretisation is 'exact'; give 'euler' or 'zoh'"):
        built(input_discretisation="exact")
    with pytest.raises(RepsimError, match="scan is 'tree'; give 'sequential' or 'parallel'"):
        built(scan="tree")
