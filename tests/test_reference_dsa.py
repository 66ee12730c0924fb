"""dsa-metric behind our contract: the same numbers, nothing leaks, and its faults are on record."""

import importlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from repsim.dynamics.spectra import spectral_distance
from repsim.errors import InputError, RepsimError
from repsim.metrics import reference_dsa as module
from repsim.metrics.dsa import dsa

SHORT = {"delays": 3, "rank": 8, "iterations": 60}
reference_dsa = module.reference_dsa


def peer(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name, reason=f"{name} comes with the extra 'peers'")
        return importlib.import_module(name)


simdist, dmd = peer("DSA.simdist"), peer("DSA.dmd")


def trajectories(seed, n_units=4):
    rng = np.random.default_rng(seed)
    step = 0.95 * np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
    states = [rng.standard_normal((8, n_units))]
    for _ in range(39):
        states.append(states[-1] @ step.T + 0.2 * rng.standard_normal((8, n_units)))
    return np.stack(states, axis=1)


def rotated(x, seed=0):
    rng = np.random.default_rng(seed)
    return x @ np.linalg.qr(rng.standard_normal((x.shape[-1],) * 2))[0]


def short(**parameters):
    return reference_dsa.with_parameters(**(SHORT | parameters))


@pytest.mark.parametrize("comparison", module.COMPARISONS)
@pytest.mark.parametrize("seed", [0, 5])
def test_the_number_is_that_of_dsa_metric(comparison, seed):
    x, y = trajectories(0), trajectories(1)
    fitted = [dmd.DMD(torch.tensor(data), n_delays=3, rank=8) for data in (x, y)]
    for one in fitted:
        one.fit()
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    theirs = simdist.SimilarityTransformDist(iters=60, lr=5e-3, score_method=comparison)
    expected = float(theirs.fit_score(*(one.A_v for one in fitted)))
    torch.random.set_rng_state(state)
    assert short(comparison=comparison, seed=seed)(x, y) == expected


def test_the_callers_generator_is_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = short()(trajectories(0), trajectories(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    assert short()(trajectories(0), trajectories(1)) == first
    with torch.no_grad():
        assert short()(trajectories(0), trajectories(1)) == first


def test_operators_are_copied_before_they_are_normalised():
    prepared = [module.prepare(trajectories(seed), delays=3, rank=8) for seed in (0, 1)]
    before = [one.copy() for one in prepared]
    reference_dsa.function(*prepared, iterations=5)
    assert all((one == old).all() for one, old in zip(prepared, before, strict=True))
    assert prepared[0].dtype == np.float32
    assert abs(np.linalg.norm(prepared[0]) - 1) > 0.1


def test_wasserstein_is_our_spectral_distance_squared():
    x, y = trajectories(0), trajectories(1)
    operators = [module.prepare(data, delays=3, rank=8).astype(float) for data in (x, y)]
    ours = spectral_distance(*(np.linalg.eigvals(one) for one in operators), order=2)
    assert short(comparison="wasserstein")(x, y) == pytest.approx(ours**2, rel=1e-4)


def test_a_rotated_copy_is_not_recognised():
    """0.18 rad after the full 1500 steps, for most seeds; repsim's dsa finds 0."""
    x = trajectories(0)
    theirs = short(iterations=1500)(x, rotated(x))
    assert 0.01 < theirs < 0.5
    assert dsa.with_parameters(delays=3, rank=8)(x, rotated(x)) < 1e-4


def test_it_is_neither_symmetric_nor_of_one_seed():
    x, y = trajectories(0), trajectories(1)
    assert short()(x, y) != short()(y, x)
    assert short()(x, y) != short(seed=1)(x, y)
    assert reference_dsa.symmetric is False


def test_scale_is_left_out_up_to_rounding():
    x, y = trajectories(0), trajectories(1)
    assert short()(3 * x, y) == pytest.approx(short()(x, y), abs=1e-4)
    assert reference_dsa.invariant_to == {"isotropic_scaling"}


def test_the_defaults_are_those_of_the_package():
    assert reference_dsa.id == "reference_dsa(delays=10, rank=20)"
    assert reference_dsa.view == "trajectories"
    assert reference_dsa.kind == "distance"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"delays": 40},
            r"40 delays at interval 1 need at least 41 time steps; the trials have 40",
        ),
        ({"delays": 38}, r"dsa-metric cannot fit this set: .*reduce the number of delays"),
    ],
)
def test_data_it_cannot_use(parameters, message):
    with pytest.raises(InputError, match=message):
        short(**parameters)(trajectories(0), trajectories(1))


@pytest.mark.parametrize("name", ["rank", "delays", "interval"])
@pytest.mark.parametrize("value", [0, -1, 2.0, 0.5, "auto", True])
def test_numbers_that_are_not_whole_are_refused(name, value):
    told = re.escape(f"{name} is {value!r}; give a whole number of at least 1")
    with pytest.raises(RepsimError, match=told):
        short(**{name: value})(trajectories(0), trajectories(1))


@pytest.mark.parametrize("value", [0.0, 0.1, np.arange(4.0)], ids=["zero", "constant", "levels"])
def test_data_that_never_vary_are_refused(value):
    with pytest.raises(InputError, match="the trajectories never vary"):
        short()(np.zeros((8, 40, 4)) + value, trajectories(1))


@pytest.mark.parametrize("comparison", module.COMPARISONS)
def test_operators_of_two_sizes_are_refused(comparison):
    x, y = trajectories(0), trajectories(1, n_units=2)
    told = r"these are 8 x 8 and 6 x 6, .* Use rank <= 6, or more delays"
    with pytest.raises(InputError, match=told):
        short(comparison=comparison)(x, y)
    assert short(comparison=comparison, rank=6)(x, y) > 0


def test_numbers_of_numpy_are_whole_numbers():
    plain = {"delays": 3, "rank": 8, "interval": 2, "seed": 3}
    found = short(**{name: np.int64(value) for name, value in plain.items()})
    assert found(trajectories(0), trajectories(1)) == short(**plain)(
        trajectories(0), trajectories(1)
    )


@pytest.mark.parametrize("comparison", module.COMPARISONS)
def test_the_callers_precision_is_left_alone(comparison):
    expected = short(comparison=comparison)(trajectories(0), trajectories(1))
    torch.set_default_dtype(torch.float64)
    try:
        assert short(comparison=comparison)(trajectories(0), trajectories(1)) == expected
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_unknown_comparison_is_refused():
    with pytest.raises(RepsimError, match=r"comparison is 'best'; it is one of angular, wasser"):
        short(comparison="best")(trajectories(0), trajectories(1))


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    def missing(name, *rest, **keywords):
        if name.startswith("DSA"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **keywords)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'repsim-bench\[peers\]'"):
        short()(trajectories(0), trajectories(1))


def test_it_is_imported_when_used():
    code = "import repsim.metrics.reference_dsa, sys; print('DSA' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
