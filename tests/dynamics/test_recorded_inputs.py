"""Recordings of driven systems in any container; what cannot be told apart is named."""

import numpy as np
import pytest
import torch
import xarray as xr

from repsim.dynamics.subspace import dmd_with_control, identify_system
from repsim.errors import InputError


def recording(n_trials=10, n_steps=40, n_units=3, n_inputs=2, seed=0):
    """Outputs of a stable system that sees its state, and the inputs that drive it."""
    rng = np.random.default_rng(seed)
    step = 0.8 * np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
    inputs = rng.standard_normal((n_trials, n_steps, n_inputs))
    kicks = inputs @ rng.standard_normal((n_inputs, n_units))
    states = [rng.standard_normal((n_trials, n_units))]
    for t in range(n_steps - 1):
        states.append(states[-1] @ step.T + kicks[:, t])
    return np.stack(states, axis=1), inputs


OUTPUTS, INPUTS = recording()
FITS = {
    "identify_system": lambda y, u: identify_system(y, u, 3, delays=5),
    "dmd_with_control": dmd_with_control,
}
EVERY_FIT = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
CONTAINERS = {
    "lists": np.ndarray.tolist,
    "tensors": lambda x: torch.tensor(x, requires_grad=True),
    "labelled": lambda x: xr.DataArray(x, dims=("trial", "time", "unit")).transpose(),
}


@EVERY_FIT
@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_are_one_recording(fit, container):
    expected = fit(OUTPUTS, INPUTS)
    found = fit(CONTAINERS[container](OUTPUTS), CONTAINERS[container](INPUTS))
    for part in ("state", "control", "readout", "feedthrough"):
        assert type(getattr(found, part)) is np.ndarray
        assert np.allclose(getattr(found, part), getattr(expected, part), atol=1e-12)


def changed(array, where, value):
    array = array.copy()
    array[where] = value
    return array


@EVERY_FIT
@pytest.mark.parametrize(
    ("outputs", "inputs", "told"),
    [
        (1j * OUTPUTS, INPUTS, "must be real numbers; these have dtype complex128"),
        (OUTPUTS, torch.tensor(INPUTS).cdouble(), "must be real numbers"),
        (OUTPUTS.astype(str), INPUTS, "must be real numbers"),
        (changed(OUTPUTS, (0, 3, 1), np.nan), INPUTS, "outputs: 1 of 1200 entries are NaN"),
        (OUTPUTS, changed(INPUTS, (0, 3), np.inf), "inputs: 2 of 800 entries are NaN or inf"),
        (OUTPUTS, INPUTS[..., :0], r"array of inputs is empty: shape \(10, 40, 0\)"),
        (OUTPUTS[..., :0], INPUTS, r"array of outputs is empty: shape \(10, 40, 0\)"),
        (OUTPUTS[:0], INPUTS[:0], "array of outputs is empty"),
        (OUTPUTS, INPUTS[0], r"inputs have shape \(40, 2\); give \(trial, time, input\)"),
        (None, INPUTS, "must be real numbers"),
    ],
)
def test_what_is_no_recording_is_refused(fit, outputs, inputs, told):
    with pytest.raises(InputError, match=told):
        fit(outputs, inputs)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (changed(INPUTS, (..., 1), 3.0), "input 1 of 2 never varies. Leave it out, or check"),
        (np.zeros_like(INPUTS), "input 0 of 2 never varies"),
        (INPUTS[..., [0, 0]], "1 of the 2 inputs give the others, .* Leave out inputs that rep"),
        (INPUTS[..., [0, 1, 1]] @ np.diag([1, 1, -2e5]) + 7, "2 of the 3 inputs give the others"),
        (INPUTS @ [[1, 0, 1], [0, 1, 1]], "2 of the 3 inputs give the others"),
    ],
)
def test_inputs_that_tell_nothing_of_their_own_are_named(inputs, told):
    with pytest.raises(InputError, match=told):
        identify_system(OUTPUTS, inputs, 3, delays=5)


def test_outputs_that_never_vary_are_refused():
    with pytest.raises(InputError, match="the outputs never vary"):
        identify_system(np.full_like(OUTPUTS, 0.1), INPUTS, 3, delays=5)


def test_each_input_has_a_unit_of_its_own():
    expected = identify_system(OUTPUTS, INPUTS, 3, delays=5)
    for sizes in ([1, 1e-12], [1e20, 1], [1e-20, 1e20]):
        found = identify_system(OUTPUTS, INPUTS * sizes, 3, delays=5)
        found, there = found.impulse_response(8) * sizes, expected.impulse_response(8)
        assert np.allclose(found, there, atol=1e-9)


def test_trials_of_one_step_more_than_two_windows_are_enough():
    outputs, inputs = recording(n_trials=60, n_steps=11)
    found = identify_system(outputs, inputs, 3, delays=5)
    assert np.allclose(abs(found.eigenvalues), 0.8, atol=1e-8)
    with pytest.raises(InputError, match="60 trials x 10 steps"):
        identify_system(outputs[:, :10], inputs[:, :10], 3, delays=5)
