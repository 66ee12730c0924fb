"""Driven systems are found again: eigenvalues, impulse response, coordinates, refusals."""

import numpy as np
import pytest

from repsim.dynamics.subspace import (
    DrivenSystem,
    dmd_with_control,
    identify_system,
    observable_coordinates,
    reachable_coordinates,
)
from repsim.errors import InputError, RepsimError


def random_system(rng, order=4, n_inputs=2, n_units=7, radius=0.9):
    state = rng.standard_normal((order, order))
    state *= radius / np.abs(np.linalg.eigvals(state)).max()
    control, readout = rng.standard_normal((order, n_inputs)), rng.standard_normal((n_units, order))
    return DrivenSystem(state, control, readout, rng.standard_normal((n_units, n_inputs)))


def run(system, inputs, rng, noise=0.0, start=1.0):
    x = start * rng.standard_normal((len(inputs), len(system.state)))
    outputs = []
    for u in inputs.swapaxes(0, 1):
        outputs.append(x @ system.readout.T + u @ system.feedthrough.T)
        x = x @ system.state.T + u @ system.control.T + noise * rng.standard_normal(x.shape)
    return np.stack(outputs, axis=1)


def rotation(rng, n, determinant=1):
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    q[0] *= determinant * np.sign(np.linalg.det(q))
    return q


def in_order(values):
    return values[np.lexsort((values.imag.round(6), values.real.round(6)))]


def gap(found, true):
    """Largest error in eigenvalues and in the impulse response, the direct path included."""
    eigenvalues = np.abs(in_order(found.eigenvalues) - in_order(true.eigenvalues)).max()
    response = np.abs(found.impulse_response(12) - true.impulse_response(12)).max()
    return max(eigenvalues, response, np.abs(found.feedthrough - true.feedthrough).max())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("order", "n_inputs", "n_units"), [(1, 1, 1), (3, 1, 2), (4, 2, 7), (5, 3, 2), (6, 2, 40)]
)
def test_a_noise_free_system_is_found_exactly(order, n_inputs, n_units, seed):
    rng = np.random.default_rng(seed)
    true = random_system(rng, order, n_inputs, n_units)
    inputs = rng.standard_normal((15, 60, n_inputs))
    found = identify_system(run(true, inputs, rng), inputs, order, delays=6)
    assert gap(found, true) < 1e-8
    assert found.strengths[order - 1] > 1e6 * found.strengths[order:].max(initial=0)


def test_an_unstable_system_is_found_from_short_trials():
    rng = np.random.default_rng(1)
    true = random_system(rng, 3, 1, 4, radius=1.05)
    inputs = rng.standard_normal((80, 14, 1))
    assert gap(identify_system(run(true, inputs, rng), inputs, 3, delays=4), true) < 1e-8


def test_trials_are_never_joined():
    """Every trial starts anywhere: a fit across their ends would not be exact."""
    rng = np.random.default_rng(2)
    true = random_system(rng)
    inputs = rng.standard_normal((30, 21, 2))
    outputs = run(true, inputs, rng, start=50)
    assert gap(identify_system(outputs, inputs, 4, delays=4), true) < 1e-8
    shuffled = rng.permutation(30)
    again = identify_system(outputs[shuffled], inputs[shuffled], 4, delays=4)
    assert gap(again, true) < 1e-8
    joined = identify_system(outputs.reshape(1, -1, 7), inputs.reshape(1, -1, 2), 4, delays=4)
    assert gap(joined, true) > 1e-3


def test_offsets_do_not_matter():
    rng = np.random.default_rng(3)
    true = random_system(rng)
    inputs = rng.standard_normal((10, 60, 2))
    outputs = run(true, inputs, rng)
    assert gap(identify_system(outputs + 100, inputs - 30, 4, delays=5), true) < 1e-8
    constant = identify_system(run(true, inputs + 5, rng) - 7, inputs, 4, delays=5)
    assert gap(constant, true) < 1e-8


def test_the_error_falls_with_more_data():
    errors = []
    for n_trials in (10, 400):
        rng = np.random.default_rng(4)
        true = random_system(rng, n_units=5, radius=0.8)
        inputs = rng.standard_normal((n_trials, 50, 2))
        outputs = run(true, inputs, rng, noise=0.1)
        outputs = outputs + 0.1 * rng.standard_normal(outputs.shape)
        errors.append(gap(identify_system(outputs, inputs, 4, delays=6), true))
    assert errors[1] < 0.4 * errors[0]
    assert errors[1] < 0.02


def test_states_are_white_over_the_recording():
    rng = np.random.default_rng(5)
    true = random_system(rng, radius=0.7)
    inputs = rng.standard_normal((100, 60, 2))
    found = identify_system(run(true, inputs, rng), inputs, 4, delays=5)
    blocks = found.controllability(200)
    assert np.allclose(blocks @ blocks.T, np.eye(4), atol=0.1)  # the inputs were white too


def test_dmd_with_control_is_exact_where_the_state_is_seen():
    rng = np.random.default_rng(6)
    true = random_system(rng, 5, 2, 5)
    seen = DrivenSystem(true.state, true.control, np.eye(5), np.zeros((5, 2)))
    inputs = rng.standard_normal((6, 30, 2))
    found = dmd_with_control(run(seen, inputs, rng) + 4, inputs)
    assert np.allclose(found.state, true.state, atol=1e-10)
    assert np.allclose(found.control, true.control, atol=1e-10)
    assert gap(found, seen) < 1e-10


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("horizon", [4, 50])
def test_reachable_coordinates_leave_a_rotation_only(determinant, horizon):
    rng = np.random.default_rng(7)
    first = random_system(rng)
    change = rotation(rng, 4, determinant) * [0.2, 1, 3, 0.7]
    second = first.in_coordinates(change, np.linalg.inv(change))
    a, b = (reachable_coordinates(system, horizon) for system in (first, second))
    blocks = a.controllability(horizon)
    turn = b.controllability(horizon) @ blocks.T
    assert np.allclose(blocks @ blocks.T, np.eye(4), atol=1e-10)
    assert np.allclose(turn @ turn.T, np.eye(4), atol=1e-10)
    assert np.allclose(turn @ a.state @ turn.T, b.state, atol=1e-10)
    assert np.allclose(turn @ a.control, b.control, atol=1e-10)
    assert gap(a, first) < 1e-10


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("horizon", [4, 50])
def test_observable_coordinates_leave_a_rotation_only(determinant, horizon):
    rng = np.random.default_rng(8)
    first = random_system(rng)
    change = rotation(rng, 4) * [0.2, 1, 3, 0.7]
    second = first.in_coordinates(change, np.linalg.inv(change))
    seen = rotation(rng, 7, determinant)
    turned = DrivenSystem(
        second.state, second.control, seen @ second.readout, seen @ second.feedthrough
    )
    a, b = (observable_coordinates(system, horizon) for system in (first, turned))
    shown = a.impulse_response(horizon)
    powers = [a.readout @ np.linalg.matrix_power(a.state, k) for k in range(horizon)]
    turn = sum(p.T @ seen.T @ b.readout @ np.linalg.matrix_power(b.state, k)
               for k, p in enumerate(powers)).T  # fmt: skip
    assert np.allclose(sum(p.T @ p for p in powers), np.eye(4), atol=1e-10)
    assert np.allclose(shown, first.impulse_response(horizon), atol=1e-10)
    assert np.allclose(turn @ turn.T, np.eye(4), atol=1e-10)
    assert np.allclose(turn @ a.state @ turn.T, b.state, atol=1e-10)
    assert np.allclose(turn @ a.control, b.control, atol=1e-10)


def test_directions_that_outputs_hide_are_refused():
    system = DrivenSystem(np.diag([0.5, 0.9]), np.ones((2, 1)), np.eye(2)[:1], np.zeros((1, 1)))
    with pytest.raises(InputError, match="show 1 of the 2 directions"):
        observable_coordinates(system)


def test_directions_out_of_reach_are_refused():
    system = DrivenSystem(np.diag([0.5, 0.9]), np.array([[1.0], [0]]), np.eye(2), np.zeros((2, 1)))
    with pytest.raises(InputError, match="reach 1 of the 2 directions"):
        reachable_coordinates(system)
    still = DrivenSystem(system.state, np.zeros((2, 1)), np.eye(2), np.zeros((2, 1)))
    with pytest.raises(InputError, match="reach 0 of the 2 directions"):
        reachable_coordinates(still)


def test_inputs_are_left_alone_and_the_answer_repeats():
    rng = np.random.default_rng(8)
    inputs = rng.standard_normal((10, 40, 2))
    outputs = run(random_system(rng), inputs, rng)
    for array in (inputs, outputs):
        array.flags.writeable = False
    first, second = (identify_system(outputs, inputs, 4, delays=5) for _ in range(2))
    assert np.array_equal(first.state, second.state)


@pytest.mark.parametrize(
    ("shape", "inputs_shape", "order", "delays", "message"),
    [
        ((10, 40), (10, 40, 1), 3, 5, r"outputs have shape \(10, 40\)"),
        ((10, 40, 3), (9, 40, 1), 3, 5, "10 trials x 40 steps and inputs 9 x 40"),
        ((10, 40, 2), (10, 40, 1), 12, 5, "order 12 is above the 10 delay coordinates"),
        ((10, 9, 3), (10, 9, 1), 3, 5, "10 trials x 9 steps hold 0 windows of 10 steps"),
        ((1, 30, 3), (1, 30, 1), 3, 5, "hold 21 windows of 10 steps; .* need 26"),
    ],
)
def test_what_cannot_be_fitted_is_refused(shape, inputs_shape, order, delays, message):
    rng = np.random.default_rng(9)
    with pytest.raises(InputError, match=message):
        identify_system(
            rng.standard_normal(shape), rng.standard_normal(inputs_shape), order, delays=delays
        )


def test_inputs_that_tell_nothing_are_refused():
    rng = np.random.default_rng(10)
    outputs, steps = rng.standard_normal((10, 40, 3)), np.arange(40.0)
    phases = rng.uniform(0, 6, (10, 1))
    with pytest.raises(InputError, match="input 0 of 1 never varies"):
        identify_system(outputs, np.ones((10, 40, 1)), 3, delays=5)
    with pytest.raises(InputError, match="determined by the past"):
        identify_system(outputs, np.sin(steps / 3 + phases)[..., None], 3, delays=5)
    with pytest.raises(RepsimError, match="order is 0"):
        identify_system(outputs, outputs[..., :1], 0)
    with pytest.raises(InputError, match="3 transitions cannot determine 3 states and 1 inputs"):
        dmd_with_control(outputs[:1, :4], outputs[:1, :4, :1])


@pytest.mark.parametrize("value", [0, -3, 2.5, True, None])
def test_numbers_of_steps_are_whole(value):
    system = random_system(np.random.default_rng(0))
    asked = {
        "n_blocks": system.controllability,
        "n_steps": system.impulse_response,
        "horizon": lambda n: observable_coordinates(system, n),
        "horizon ": lambda n: reachable_coordinates(system, n),
    }
    for name, ask in asked.items():
        with pytest.raises(RepsimError, match=rf"{name.strip()} is {value!r}; give a whole number"):
            ask(value)
        ask(np.int64(5))


def test_an_order_above_the_truth_is_refused_without_noise():
    rng = np.random.default_rng(11)
    inputs = rng.standard_normal((20, 40, 1))
    outputs = run(random_system(rng, 3, 1, 6), inputs, rng)
    with pytest.raises(InputError, match=r"order 5 is above what the data carry: .* 3 directions"):
        identify_system(outputs, inputs, 5, delays=5)
