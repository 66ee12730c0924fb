"""Operators: embedding within trials, eigenvalues of known systems, refusals with numbers."""

import math
import re

import numpy as np
import pytest
import torch
import xarray as xr

from repsim.dynamics.choice import choose_delays_and_rank
from repsim.dynamics.operator import delay_embed, fit_operator
from repsim.errors import InputError, RepsimError
from repsim.plugins import get_metric


def rotation(angle, radius=1.0):
    cosine, sine = radius * np.cos(angle), radius * np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def linear(step, n_trials, n_steps, seed=0):
    """Noise-free trajectories of x_{t+1} = step x_t."""
    states = [np.random.default_rng(seed).standard_normal((n_trials, len(step)))]
    for _ in range(n_steps - 1):
        states.append(states[-1] @ step.T)
    return np.stack(states, axis=1)


def noisy(n_trials=9, n_steps=40, n_units=5, seed=0):
    rng = np.random.default_rng(seed)
    states = [rng.standard_normal((n_trials, 4))]
    step = np.kron(np.diag([0.97, 0.9]), rotation(0.4))
    for _ in range(n_steps - 1):
        states.append(states[-1] @ step.T + 0.3 * rng.standard_normal((n_trials, 4)))
    return np.stack(states, axis=1) @ rng.standard_normal((4, n_units))


def by_angle(eigenvalues):
    values = np.asarray(eigenvalues)
    return values[np.lexsort((values.real.round(6), values.imag.round(6)))]


def assert_same_eigenvalues(found, expected, tolerance=1e-8):
    assert np.allclose(by_angle(found), by_angle(expected), rtol=0, atol=tolerance)


def blocks(*parts):
    size = sum(len(part) for part in parts)
    step, at = np.zeros((size, size)), 0
    for part in parts:
        step[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return step


SYSTEMS = {
    "decays": np.diag([0.9, 0.5, 0.2]),
    "rotation": rotation(0.3),
    "damped rotation and decay": blocks(rotation(0.7, 0.95), np.array([[0.8]])),
    "two rotations": blocks(rotation(0.3), rotation(1.1)),
    "growth and a constant": np.diag([1.05, 1.0]),
    "not normal": np.array([[0.9, 1.0], [0.0, 0.7]]),
}


def test_embedding_puts_the_newest_first():
    trajectories = np.arange(6.0).reshape(1, 6, 1)
    embedded = delay_embed(trajectories, 3)
    assert embedded.tolist() == [[[2, 1, 0], [3, 2, 1], [4, 3, 2], [5, 4, 3]]]


def test_embedding_keeps_units_together_and_counts_the_interval():
    trajectories = np.stack([np.arange(7.0), np.arange(7.0) + 100], axis=1)[None]
    embedded = delay_embed(trajectories, 3, interval=2)
    assert embedded.shape == (1, 3, 6)
    assert embedded[0, 0].tolist() == [4, 104, 2, 102, 0, 100]
    assert embedded[0, -1].tolist() == [6, 106, 4, 104, 2, 102]


def test_embedding_stays_within_trials():
    trajectories = np.arange(3)[:, None, None] * 100.0 + np.arange(8)[None, :, None]
    embedded = delay_embed(trajectories, 4)
    assert embedded.shape == (3, 5, 4)
    assert np.all(embedded // 100 == np.arange(3)[:, None, None])


@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(("delays", "interval"), [(1, 1), (4, 1), (4, 3), (2, 11)])
def test_embedding_shape(library, delays, interval):
    embedded = delay_embed(library(noisy(3, 20, 2)), delays, interval)
    assert tuple(embedded.shape) == (3, 20 - (delays - 1) * interval, 2 * delays)


def test_embedding_goes_by_the_names_of_dimensions_and_keeps_the_precision():
    trajectories = noisy(3, 20, 2).astype(np.float32)
    labelled = xr.DataArray(trajectories, dims=("trial", "time", "unit"))
    for order in (labelled.dims, labelled.dims[::-1]):
        embedded = delay_embed(labelled.transpose(*order), 4)
        assert np.array_equal(embedded, delay_embed(trajectories, 4))
        assert embedded.dtype == np.float32


@pytest.mark.parametrize("n_trials", [2, 5])
@pytest.mark.parametrize("name", SYSTEMS)
def test_eigenvalues_of_known_systems(name, n_trials):
    step = SYSTEMS[name]
    trajectories = linear(step, n_trials, 12)
    found = fit_operator(trajectories, delays=1, rank=len(step), ridge=0)
    assert_same_eigenvalues(found.eigenvalues, np.linalg.eigvals(step))


@pytest.mark.parametrize("interval", [1, 2])
@pytest.mark.parametrize("name", SYSTEMS)
def test_delays_stand_in_for_unseen_units(name, interval):
    """One unit that mixes all states, delayed often enough, carries the whole system."""
    step = SYSTEMS[name]
    trajectories = linear(step, 4, 20) @ np.arange(1.0, len(step) + 1)[:, None]
    found = fit_operator(trajectories, len(step), len(step), interval=interval, ridge=0)
    assert_same_eigenvalues(found.eigenvalues, np.linalg.eigvals(step), 1e-6)


def test_no_transition_leads_from_one_trial_to_the_next():
    """Trials that decay from 1: a jump back to the next start would raise the eigenvalue."""
    trajectories = np.tile(0.5 ** np.arange(4.0), (50, 1))[:, :, None]
    found = fit_operator(trajectories, 1, 1, ridge=0)
    assert_same_eigenvalues(found.eigenvalues, [0.5], 1e-12)


def test_order_of_the_trials_does_not_matter():
    trajectories = noisy()
    shuffled = trajectories[np.random.default_rng(0).permutation(len(trajectories))]
    first, second = (fit_operator(a, 3, 6).eigenvalues for a in (trajectories, shuffled))
    assert_same_eigenvalues(first, second, 1e-9)


@pytest.mark.parametrize("rank", [2, 6, 12])
@pytest.mark.parametrize("ridge", [0.0, 1e-8, 0.1])
def test_operator_is_least_squares_in_principal_coordinates(ridge, rank):
    """By the singular values of the whole embedding, whichever route ours takes."""
    trajectories, delays = noisy(), 3
    embedded = np.concatenate([trajectories[:, 2 - j : 40 - j] for j in range(delays)], axis=-1)
    left, values, _ = np.linalg.svd(embedded.reshape(-1, 15), full_matrices=False)
    coordinates = left[:, :rank].reshape(9, 38, rank)
    before = coordinates[:, :-1].reshape(-1, rank)
    after = coordinates[:, 1:].reshape(-1, rank)
    before = np.vstack([before, np.sqrt(ridge) * np.eye(rank)])
    after = np.vstack([after, np.zeros((rank, rank))])
    expected = np.linalg.lstsq(before, after, rcond=None)[0].T
    found = fit_operator(trajectories, delays, rank, ridge=ridge)
    assert_same_eigenvalues(found.eigenvalues, np.linalg.eigvals(expected))
    assert np.linalg.norm(found.matrix) == pytest.approx(np.linalg.norm(expected), rel=1e-9)
    assert np.allclose(found.singular_values, values[:rank], rtol=1e-8)


def test_basis_gives_whitened_coordinates():
    trajectories = noisy()
    found = fit_operator(trajectories, 3, 6)
    rows = delay_embed(trajectories, 3).reshape(-1, 15)
    coordinates = rows @ found.basis
    assert np.allclose(coordinates.T @ coordinates, np.eye(6), atol=1e-10)
    values = np.linalg.svd(rows, compute_uv=False)
    assert np.allclose(found.singular_values, values[:6], rtol=1e-10)
    assert (found.delays, found.interval) == (3, 1)


def test_operator_carries_coordinates_one_step_on():
    trajectories = linear(SYSTEMS["not normal"], 4, 12)
    found = fit_operator(trajectories, 1, 2, ridge=0)
    coordinates = trajectories @ found.basis
    assert np.allclose(coordinates[:, 1:], coordinates[:, :-1] @ found.matrix.T, atol=1e-12)


@pytest.mark.parametrize("strength", [1e-3, 1e-5, 1e-7])
def test_weak_directions_keep_their_eigenvalue(strength):
    step = np.diag([0.95, 0.6])
    trajectories = linear(step, 6, 30) * [1, strength] @ rotation(0.5)
    found = fit_operator(trajectories, 1, 2, ridge=0)
    assert_same_eigenvalues(found.eigenvalues, [0.95, 0.6], 1e-7)
    rows = trajectories.reshape(-1, 2)
    values = np.linalg.svd(rows, compute_uv=False)
    assert np.allclose(found.singular_values, values, rtol=1e-7, atol=0)
    assert np.allclose((rows @ found.basis).T @ (rows @ found.basis), np.eye(2), atol=1e-7)


@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_rotated_and_scaled_units_have_the_same_eigenvalues(library, scale):
    trajectories = noisy()
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    first = fit_operator(library(trajectories), 3, 8)
    second = fit_operator(library(scale * trajectories @ turn), 3, 8)
    assert_same_eigenvalues(first.eigenvalues, second.eigenvalues)


def test_torch_agrees_with_numpy_and_float32_is_computed_in_float64():
    trajectories = noisy()
    plain = fit_operator(trajectories, 3, 6)
    tensor = fit_operator(torch.tensor(trajectories), 3, 6)
    assert_same_eigenvalues(plain.eigenvalues, tensor.eigenvalues.numpy(), 1e-10)
    single = fit_operator(torch.tensor(trajectories, dtype=torch.float32), 3, 6)
    assert single.matrix.dtype == torch.float64
    assert_same_eigenvalues(plain.eigenvalues, single.eigenvalues.numpy(), 1e-5)


def test_ridge_shrinks_the_operator():
    norms = [np.linalg.norm(fit_operator(noisy(), 3, 6, ridge=r).matrix) for r in (0, 0.1, 1, 10)]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 0.2 * norms[0]


def test_input_is_left_alone():
    trajectories = noisy()
    before = trajectories.copy()
    fit_operator(trajectories, 3, 6)
    assert np.array_equal(trajectories, before)


ONE_DIRECTION = np.outer(np.sin(np.arange(20.0) ** 2), [1, 2, 3])[None]
REFUSED = {
    "short trials": (
        noisy(3, 9), (5, 2), {"interval": 2},
        r"5 delays at interval 2 need at least 10 time steps; the trials have 9. Use delays <= 4 ",
    ),
    "rank above columns": (
        noisy(), (2, 11), {}, r"rank 11 is above the 10 delay coordinates .* Use rank <= 10",
    ),
    "rank above the data": (
        ONE_DIRECTION, (1, 2), {},
        r"rank 2 is above what the data carry: 1 of 3 delay coordinates .* Use rank <= 1",
    ),
    "too few transitions": (
        noisy(2, 3), (1, 5), {}, r"4 transitions cannot determine a 5 x 5 operator. Use rank <= 4",
    ),
    "zeros": (np.zeros((2, 9, 3)), (1, 1), {}, "all values are zero, so there are no dynamics"),
    "no delays": (noisy(), (0, 1), {}, "delays is 0; give a whole number of at least 1"),
    "half a delay": (noisy(), (1.5, 1), {}, "delays is 1.5; give a whole number"),
    "no interval": (noisy(), (2, 1), {"interval": 0}, "interval is 0; give a whole number"),
    "no rank": (noisy(), (1, 0), {}, "rank is 0; give a whole number of at least 1"),
    "half a rank": (noisy(), (1, 2.5), {}, "rank is 2.5; give a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_numbers_and_the_way_out(case):
    trajectories, (delays, rank), options, sentence = case
    with pytest.raises(RepsimError, match=sentence):
        fit_operator(trajectories, delays, rank, **options)


@pytest.mark.parametrize("ridge", [-0.5, -1, math.nan, math.inf, True, "a", None, [1e-8]])
def test_a_ridge_that_is_no_penalty_is_refused(ridge):
    told = re.escape(f"ridge is {ridge!r}; give a finite number of at least 0")
    with pytest.raises(RepsimError, match=told):
        fit_operator(noisy(), 2, 4, ridge=ridge)
    with pytest.raises(RepsimError, match=told):
        choose_delays_and_rank([noisy(), noisy(seed=1)], ridge=ridge)


@pytest.mark.parametrize("name", ["dsa", "dsa_spectrum"])
@pytest.mark.parametrize("ridge", [-0.5, math.nan])
def test_metrics_of_operators_refuse_it_too(name, ridge):
    chosen = get_metric(name, delays=2, rank=4, ridge=ridge)
    with pytest.raises(RepsimError, match=f"ridge is {ridge}; give a finite number"):
        chosen(noisy(), noisy(seed=1))


@pytest.mark.parametrize("ridge", [0, 1, np.float32(0.5), np.float64(0), np.int64(2)])
def test_numbers_of_any_kind_are_penalties(ridge):
    found = fit_operator(noisy(), 2, 4, ridge=ridge)
    assert np.array_equal(found.matrix, fit_operator(noisy(), 2, 4, ridge=float(ridge)).matrix)


def test_data_at_fault_are_told_apart_from_options_at_fault():
    with pytest.raises(InputError):
        fit_operator(noisy(), 2, 11)
    with pytest.raises(RepsimError) as told:
        fit_operator(noisy(), 2, 2.5)
    assert not isinstance(told.value, InputError)


def test_numbers_of_numpy_are_whole_numbers():
    found = fit_operator(noisy(), np.int64(3), np.int64(6), interval=np.int64(1))
    assert found.matrix.shape == (6, 6)
