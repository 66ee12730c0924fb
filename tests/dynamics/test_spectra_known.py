"""Eigenvalues of systems whose spectrum is known, by every route."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from repsim.dynamics import whitening
from repsim.dynamics.operator import fit_operator

ROUTES = {"lags": (1e-300, 1e-300), "gram": (np.inf, 1e-300), "svd": (np.inf, np.inf)}
SPECTRA = {
    "decays": [0.95, 0.8, 0.5],
    "rotations": [np.exp(0.3j), np.exp(1.1j)],
    "slow and fast decay": [0.99 * np.exp(0.1j), 0.7, 0.9 * np.exp(2j)],
    "oscillation at the Nyquist limit": [-0.9, 0.9],
    "growth": [1.02 * np.exp(0.4j), 0.9],
    "close together": [0.95 * np.exp(0.50j), 0.95 * np.exp(0.62j)],
}


def real_system(spectrum):
    """A real block matrix with these eigenvalues and their conjugates."""
    size = sum(1 if np.isreal(value) else 2 for value in spectrum)
    step, at = np.zeros((size, size)), 0
    for value in map(complex, spectrum):
        if value.imag:
            step[at : at + 2, at : at + 2] = [[value.real, -value.imag], [value.imag, value.real]]
        else:
            step[at, at] = value.real
        at += 2 if value.imag else 1
    return step


def observed(step, n_units, seed, lengths):
    """Trials of states from random starts, seen through a random embedding."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.standard_normal((n_units, len(step))))[0]
    trials = []
    for length in lengths:
        states = [rng.standard_normal(len(step))]
        for _ in range(length - 1):
            states.append(step @ states[-1])
        trials.append(np.stack(states) @ mixing.T)
    return trials


def distance(found, expected):
    """The largest gap between matched eigenvalues."""
    gaps = np.abs(np.asarray(found)[:, None] - np.asarray(expected)[None])
    return gaps[linear_sum_assignment(gaps)].max()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("delays", [1, 4])
@pytest.mark.parametrize("name", SPECTRA)
def test_noise_free_spectra_to_eight_digits(monkeypatch, name, delays, route):
    monkeypatch.setattr(whitening, "WELL_CONDITIONED", ROUTES[route][0])
    monkeypatch.setattr(whitening, "FAIRLY_CONDITIONED", ROUTES[route][1])
    step = real_system(SPECTRA[name])
    for seed in range(4):
        trials = observed(step, 9, seed, (40, 25, 31, 60, 28))
        found = fit_operator(trials, delays, len(step), ridge=0)
        assert found.route == route
        assert distance(found.eigenvalues, np.linalg.eigvals(step)) < 1e-8


@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_rule_keeps_eight_digits_where_delays_replace_units(name, interval):
    """Two units of up to five states: the delay coordinates are ill-conditioned."""
    step = real_system(SPECTRA[name])
    trials = observed(step, 2 if len(step) <= 2 else len(step), 1, (50, 44, 60))
    found = fit_operator(
        [trial[:, :2] for trial in trials], 6, len(step), interval=interval, ridge=0
    )
    assert distance(found.eigenvalues, np.linalg.eigvals(step)) < 1e-8


def test_torch_finds_the_same_spectrum():
    step = real_system(SPECTRA["slow and fast decay"])
    trials = [torch.tensor(trial) for trial in observed(step, 9, 0, (40, 30))]
    found = fit_operator(trials, 2, len(step), ridge=0).eigenvalues
    assert distance(found.numpy(), np.linalg.eigvals(step)) < 1e-8


def test_noise_shrinks_the_eigenvalues():
    """Errors in variables: |z| falls by about the noise share of the variance."""
    step = real_system([np.exp(0.3j)])
    clean = np.stack(observed(step, 2, 0, (200,) * 50))
    share = 0.1 * np.mean(clean**2)
    noisy = clean + np.random.default_rng(0).normal(0, np.sqrt(share), clean.shape)
    found = np.abs(fit_operator(noisy, 1, 2).eigenvalues)
    assert found == pytest.approx(1 / 1.1, abs=5e-3)
    more_delays = np.abs(fit_operator(noisy, 30, 2).eigenvalues)
    assert np.all(np.abs(more_delays - 1) < 0.02)
