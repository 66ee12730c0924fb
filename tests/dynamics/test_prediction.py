"""Predictions in observation space: exact for linear systems, calibrated against persistence."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import xarray as xr

from repsim.dynamics.operator import fit_operator
from repsim.dynamics.prediction import scaled_errors
from repsim.errors import InputError, RepsimError


def rotating(n_trials=6, n_steps=40, n_units=5, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    turns = [r * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for r, a in TURNS]
    step = np.block([[turns[0], np.zeros((2, 2))], [np.zeros((2, 2)), turns[1]]])
    states = [rng.standard_normal((n_trials, 4))]
    for _ in range(n_steps - 1):
        states.append(states[-1] @ step.T)
    seen = np.stack(states, axis=1) @ rng.standard_normal((4, n_units))
    return seen + noise * rng.standard_normal(seen.shape)


TURNS = ((0.99, 0.4), (0.97, 1.1))


@pytest.mark.parametrize("delays", [1, 3])
@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_linear_systems_are_predicted_exactly(library, delays):
    trajectories = rotating()
    fitted = fit_operator(library(trajectories[:, :30]), delays, 4, ridge=0)
    found = fitted.predict(library(trajectories[:, :30]), 10)
    assert isinstance(found, type(library(trajectories)))
    assert np.allclose(found, trajectories[:, 30:], atol=1e-9)
    assert fitted.score(library(trajectories), 10) < 1e-9


def test_predictions_of_a_list_start_at_each_end():
    trajectories = rotating()
    fitted = fit_operator(trajectories, 3, 4, interval=2, ridge=0)
    lengths = (30, 12, 25)
    trials = [trial[:n] for trial, n in zip(trajectories[:3], lengths, strict=True)]
    for found, trial, n in zip(fitted.predict(trials, 5), trajectories[:3], lengths, strict=True):
        assert np.allclose(found, trial[n : n + 5], atol=1e-9)


def test_only_the_last_window_matters():
    trajectories = rotating(noise=0.1)
    fitted = fit_operator(trajectories, 3, 4, interval=2)
    found = fitted.predict(trajectories, 4)
    assert np.array_equal(found, fitted.predict(trajectories[:, -5:], 4))
    with pytest.raises(InputError, match="spans 5 time steps; the trials have 4"):
        fitted.predict(trajectories[:, -4:], 4)


def test_readout_is_the_least_squares_one():
    trajectories = rotating(noise=0.2)
    fitted = fit_operator(trajectories, 2, 4)
    windows = np.concatenate([trajectories[:, 1:], trajectories[:, :-1]], axis=-1).reshape(-1, 10)
    newest = trajectories[:, 1:].reshape(-1, 5)
    expected = np.linalg.lstsq(windows @ fitted.basis, newest, rcond=None)[0].T
    assert np.allclose(fitted.readout, expected, atol=1e-9)


def test_standing_still_scores_one():
    trajectories = rotating(noise=0.1)
    fitted = fit_operator(trajectories, 1, 5)
    still = dataclasses.replace(fitted, matrix=np.eye(5))
    for n_steps in (1, 7):
        assert still.score(trajectories, n_steps) == pytest.approx(1, abs=1e-9)


def test_white_noise_scores_one_over_root_two():
    """The mean is the best guess: E|x| / E|x - y| = 1 / sqrt(2) for normal x, y."""
    trajectories = np.random.default_rng(0).standard_normal((40, 200, 3))
    found = fit_operator(trajectories, 1, 3).score(trajectories, 3)
    assert found == pytest.approx(1 / math.sqrt(2), abs=5e-3)


def test_score_by_hand():
    trajectories = np.array([[1.0, 0.5, 0.3, 0.1]])[:, :, None]
    fitted = fit_operator(trajectories, 1, 1, ridge=0)
    rate = float(fitted.matrix[0, 0])
    x = trajectories[0, :, 0]
    pairs = [(0, 1), (1, 1), (0, 2), (1, 2)]
    expected = sum(abs(x[t + h] - rate**h * x[t]) for t, h in pairs)
    expected /= sum(abs(x[t + h] - x[t]) for t, h in pairs)
    assert fitted.score(trajectories, 2) == pytest.approx(expected, rel=1e-12)


def test_scale_of_the_units_cancels():
    trajectories = rotating(noise=0.2)
    one, other = (fit_operator(c * trajectories, 2, 4) for c in (1, 1e6))
    assert one.score(trajectories, 5) == pytest.approx(other.score(1e6 * trajectories, 5), rel=1e-9)


def test_several_ranks_at_once_and_the_same_samples():
    trajectories = rotating(noise=0.2)
    high = fit_operator(trajectories, 2, 6)
    low = fit_operator(trajectories, 2, 3)
    found = scaled_errors([low, high], trajectories, 4)
    assert found == pytest.approx([low.score(trajectories, 4), high.score(trajectories, 4)])
    later = scaled_errors([high], trajectories, 4, first=11)
    assert later == pytest.approx([high.score(trajectories[:, 10:], 4)])


def test_an_operator_that_explodes_scores_infinity():
    trajectories = rotating(noise=0.2)
    fitted = fit_operator(trajectories, 1, 5)
    wild = dataclasses.replace(fitted, matrix=1e200 * fitted.matrix)
    assert wild.score(trajectories, 5) == math.inf


def test_criterion_by_hand_and_its_minimum():
    trajectories = rotating(40, noise=0.05)
    fitted = fit_operator(trajectories, 2, 4)
    coordinates = (
        np.concatenate([trajectories[:, 1:], trajectories[:, :-1]], axis=-1) @ fitted.basis
    )
    predicted = coordinates[:, :-1] @ fitted.matrix.T @ fitted.readout.T
    residual = predicted - trajectories[:, 2:]
    expected = residual.size * math.log(np.mean(residual**2)) + 2 * (4 * 4 + 4 * 5)
    assert fitted.aic(trajectories) == pytest.approx(expected, rel=1e-10)
    values = [fit_operator(trajectories, 1, rank).aic(trajectories) for rank in range(1, 6)]
    assert values[3] == min(values[:4])


def test_facts_of_an_operator():
    fitted = fit_operator(rotating(), np.int64(3), 4, interval=2)
    assert (fitted.rank, fitted.delays, fitted.interval) == (4, 3, 2)
    assert fitted.readout.shape == (5, 4)
    assert fitted.basis.shape == (15, 4)


CONTAINERS = {
    "array": np.asarray,
    "tensor": torch.tensor,
    "labelled": lambda x: xr.DataArray(x, dims=("trial", "time", "unit")).transpose(),
    "nested lists": np.ndarray.tolist,
    "tensors": lambda x: list(torch.tensor(x)),
}


@pytest.mark.parametrize("given", CONTAINERS)
@pytest.mark.parametrize("fitted_to", CONTAINERS)
def test_an_operator_of_one_container_predicts_in_another(fitted_to, given):
    trajectories = rotating(noise=0.2)
    expected = fit_operator(trajectories, 3, 4)
    fitted = fit_operator(CONTAINERS[fitted_to](trajectories), 3, 4)
    data = CONTAINERS[given](trajectories)
    found = fitted.predict(data, 5)
    libraries = {type(part) for part in found} if isinstance(found, list) else {type(found)}
    assert libraries == {torch.Tensor if "tensor" in given else np.ndarray}
    predicted = np.stack([np.asarray(part) for part in found])
    assert np.allclose(predicted, expected.predict(trajectories, 5), atol=1e-9)
    assert fitted.score(data, 5) == pytest.approx(expected.score(trajectories, 5), rel=1e-9)
    assert fitted.aic(data) == pytest.approx(expected.aic(trajectories), rel=1e-9)


def test_gradients_flow_from_predictions_to_operator_and_data():
    trajectories = torch.tensor(rotating(noise=0.2), requires_grad=True)
    last = torch.tensor(rotating(noise=0.2), requires_grad=True)
    fit_operator(trajectories, 3, 4).predict(last, 5).sum().backward()
    assert trajectories.grad.abs().max() > 0
    assert last.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (rotating(n_units=4), "was fitted to 5 units; the trials have 4"),
        (rotating(n_units=6), "was fitted to 5 units; the trials have 6"),
        (rotating()[0], r"shape \(40, 5\); give \(trial, time, unit\)"),
        (torch.tensor(rotating()[0]), r"shape \(40, 5\)"),
        ([rotating()[0], rotating()[0, :, 0]], r"trial 1 has shape \(40,\)"),
        ("trials", "of type str"),
        (None, "of type NoneType"),
        (1j * rotating(), "must be real numbers"),
    ],
)
def test_data_of_another_kind_are_refused(data, told):
    fitted = fit_operator(rotating(), 3, 4)
    for judge in (lambda x: fitted.predict(x, 2), fitted.score, fitted.aic):
        with pytest.raises(RepsimError, match=told):
            judge(data)


def test_the_trial_that_differs_is_named():
    fitted = fit_operator(rotating(), 3, 4)
    with pytest.raises(InputError, match="to 5 units; trial 1 has 4"):
        fitted.predict([rotating()[0], rotating(n_units=4)[0]], 2)
    with pytest.raises(InputError, match="spans 3 time steps; trial 1 has 2"):
        fitted.predict([rotating()[0], rotating()[0, :2]], 2)


def test_refusals():
    trajectories = rotating()
    fitted = fit_operator(trajectories, 3, 4)
    with pytest.raises(InputError, match="need trials of at least 43; the shortest has 40"):
        fitted.score(trajectories, 40)
    with pytest.raises(RepsimError, match="n_steps is 0; give a whole number"):
        fitted.score(trajectories, 0)
    with pytest.raises(RepsimError, match="n_steps is 0"):
        fitted.predict(trajectories, 0)
    with pytest.raises(InputError, match="do not move"):
        fitted.score(np.ones((2, 20, 5)), 3)
