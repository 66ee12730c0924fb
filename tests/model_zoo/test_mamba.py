"""Mamba against PyPI's mambapy, one scan against the other, causality and initial values."""

import pytest
import torch

from model_zoo.mamba import Mamba, initial_delta_bias
from model_zoo.scan import SCANS
from repsim.errors import RepsimError

SCAN = pytest.mark.parametrize("scan", SCANS)
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


@pytest.mark.parametrize("discretisation", ["euler", "zoh"])
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


@pytest.mark.parametrize("size", ["n_layers", "n_states", "expand", "width"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "x"])
def test_sizes_below_one_are_refused(size, value):
    with pytest.raises(RepsimError, match=rf"{size} is .* whole number, 1 or more"):
        built(**{size: value})


def test_the_state_after_a_sequence_keeps_no_other_steps():
    layer = built().layers[0]
    stream = normal(2, 50, layer.norm_weight.shape[0])
    before = [normal(2, *shape) for shape in layer.state_shapes]
    for after in layer(stream, before, False)[1]:
        assert after.untyped_storage().nbytes() == 8 * after.numel()
