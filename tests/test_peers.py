"""Other people's implementations agree: rsatoolbox, POT and dsa-metric, where installed."""

import contextlib
import importlib
import io
import warnings

import numpy as np
import pytest
import torch

from repsim.dynamics.operator import fit_operator
from repsim.dynamics.spectra import spectral_distance
from repsim.plugins import get_metric


def quietly(module):
    """Import a peer, whose warnings are not ours to mend."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        pytest.importorskip(module, reason=f"{module} comes with the extra 'peers'")
        return importlib.import_module(module)


def samples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 8))
    return x, x @ rng.standard_normal((8, 8)) * 0.5 + rng.standard_normal((60, 8))


def trajectories(n_trials=7, n_steps=40, n_units=4, seed=0):
    rng = np.random.default_rng(seed)
    states = [rng.standard_normal((n_trials, n_units))]
    step = 0.95 * np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
    for _ in range(n_steps - 1):
        states.append(states[-1] @ step.T + 0.2 * rng.standard_normal((n_trials, n_units)))
    return np.stack(states, axis=1)


def spectra(n, m):
    rng = np.random.default_rng(0)
    return [rng.uniform(size=k) * np.exp(1j * rng.uniform(-np.pi, np.pi, k)) for k in (n, m)]


def in_order(values):
    values = np.asarray(values)
    return values[np.lexsort((values.real.round(5), values.imag.round(5)))]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("cosine_cov", lambda x, y: get_metric("linear_cka")(x, y)),
        ("bures", lambda x, y: np.cos(get_metric("angular_procrustes")(x, y))),
        ("bures_metric", lambda x, y: get_metric("procrustes")(x, y) ** 2 / x.shape[1]),
    ],
    ids=["cosine_cov", "bures", "bures_metric"],
)
def test_rsatoolbox_compares_the_same_geometry(comparison, expected):
    data, rdm = quietly("rsatoolbox.data"), quietly("rsatoolbox.rdm")
    pair = samples()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, y = (rdm.calc_rdm(data.Dataset(a), method="euclidean") for a in pair)
        theirs = rdm.compare(x, y, method=comparison).item()
    tolerance = 1e-12 if comparison == "cosine_cov" else 1e-6  # theirs adds to the diagonal
    assert expected(*pair) == pytest.approx(theirs, rel=tolerance)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (4, 7), (1, 6)])
@pytest.mark.parametrize("order", [1, 2])
def test_pot_moves_the_same_mass(n, m, order):
    transport = quietly("ot")
    first, second = spectra(n, m)
    cost = abs(first[:, None] - second[None, :]) ** order
    theirs = transport.emd2(np.full(n, 1 / n), np.full(m, 1 / m), cost)
    assert spectral_distance(first, second, order) ** order == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize("sizes", [(4, 4), (4, 6)])
def test_wasserstein_of_dsa_metric_is_ours_squared(sizes):
    peer = quietly("DSA.simdist")
    rng = np.random.default_rng(0)
    operators = [rng.standard_normal((n, n)) / n for n in sizes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer.SimilarityTransformDist(score_method="wasserstein", iters=1)
        squared = theirs.fit_score(*(torch.tensor(a) for a in operators))
    largest = max(sizes)  # theirs makes both equal in size by modes that die at once
    ours = spectral_distance(
        *(np.pad(np.linalg.eigvals(a), (0, largest - len(a))) for a in operators)
    )
    assert ours**2 == pytest.approx(float(squared), rel=1e-6)


@pytest.mark.parametrize("n_trials", [1, 7])
@pytest.mark.parametrize("lamb", [0.0, 1e-3])
@pytest.mark.parametrize(("delays", "interval", "rank"), [(1, 1, 4), (3, 1, 8), (3, 2, 5)])
def test_dsa_metric_fits_the_same_operator(delays, interval, rank, lamb, n_trials):
    peer = quietly("DSA.dmd")
    data = trajectories(n_trials, 40 if n_trials > 1 else 120)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        theirs = peer.DMD(torch.tensor(data), delays, delay_interval=interval, rank=rank, lamb=lamb)
        theirs.fit()
    matrix = theirs.A_v.numpy().astype(np.float64)
    ours = fit_operator(data, delays, rank, interval=interval, ridge=lamb)
    assert matrix.shape == (rank, rank)
    assert np.linalg.norm(ours.matrix) == pytest.approx(np.linalg.norm(matrix), rel=1e-5)
    assert np.allclose(in_order(ours.eigenvalues), in_order(np.linalg.eigvals(matrix)), atol=1e-5)
