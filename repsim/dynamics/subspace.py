"""Linear systems driven by known inputs, identified from what they put out.

x_{t+1} = A x_t + B u_t,   y_t = C x_t + D u_t       x hidden, u and y recorded
z_t = [u_{t-1}, ..., u_{t-q}, y_{t-1}, ..., y_{t-q}]  the past, within a trial only
f_t = [y_t, ..., y_{t+q-1}] = G z_t + H [u_t, ..., u_{t+q-1}]
G z has rank `order`; its row space is the state. With the states, A, B, C, D are regressions.

The state's coordinates are free: (T A T^-1, T B, C T^-1, D) is the same system. Fitted systems
come with white states (unit covariance over the recording), which depends on the inputs drawn.
Coordinates that depend on the system alone leave nothing free but a rotation:
`observable_coordinates`, [C; CA; CA^2; ...] has orthonormal columns: a direction of the state is as
    long as the output it leaves; the same for outputs seen through different rotations
`reachable_coordinates`, [B, AB, A^2 B, ...] has orthonormal rows, unit covariance under white unit
    inputs; the same for outputs seen through any invertible maps, but directions that inputs hardly
    reach, noise in a fit of too high an order among them, are blown up to unit size
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from repsim.activations import as_activations, as_numpy, check_values
from repsim.arrays import held_fixed, real_array
from repsim.dynamics.operator import delay_embed
from repsim.dynamics.trials import whole
from repsim.errors import InputError

ROUNDING = 1e-11


@dataclass(frozen=True)
class DrivenSystem:
    """x_{t+1} = state x_t + control u_t, y_t = readout x_t + feedthrough u_t.

    strengths   singular values of the part of the future that the past predicts, largest first;
                a gap after `order` of them says that the order is right
    """

    state: np.ndarray
    control: np.ndarray
    readout: np.ndarray
    feedthrough: np.ndarray
    strengths: np.ndarray | None = None

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues of the recurrence, one a mode; the same in all coordinates."""
        return np.linalg.eigvals(self.state)

    def controllability(self, n_blocks: int) -> np.ndarray:
        """[B, AB, ..., A^(n_blocks - 1) B], (order, n_blocks * input)."""
        blocks = [self.control]
        for _ in range(whole("n_blocks", n_blocks) - 1):
            blocks.append(self.state @ blocks[-1])
        return np.concatenate(blocks, axis=1)

    def impulse_response(self, n_steps: int) -> np.ndarray:
        """C A^k B for k < n_steps, (n_steps, unit, input); the same in all coordinates."""
        n_inputs = self.control.shape[1]
        response = self.readout @ self.controllability(whole("n_steps", n_steps))
        return response.reshape(len(self.readout), n_steps, n_inputs).transpose(1, 0, 2)

    def in_coordinates(self, transform: np.ndarray, inverse: np.ndarray) -> "DrivenSystem":
        """The same system with states transform @ x; inverse undoes transform."""
        return DrivenSystem(
            transform @ self.state @ inverse,
            transform @ self.control,
            self.readout @ inverse,
            self.feedthrough,
            self.strengths,
        )


def reachable_coordinates(system: DrivenSystem, horizon: int = 50) -> DrivenSystem:
    """The system in coordinates where [B, AB, ..., A^(horizon-1) B] has orthonormal rows.

    horizon   steps of white unit input from rest after which the state covariance is 1
    raises    InputError when the inputs do not reach every direction of the state
    source    input-normal coordinates, Moore 1981, IEEE Trans. Autom. Control 26:17, section II
    """
    horizon = whole("horizon", horizon)
    left, values, _ = np.linalg.svd(system.controllability(horizon), full_matrices=False)
    order = len(system.state)
    reached = int((values > 1e-9 * values[0]).sum()) if values[0] > 0 else 0
    if reached < order:
        raise InputError(
            f"the inputs reach {reached} of the {order} directions of the state in {horizon} "
            f"steps. Use order <= {max(reached, 1)}, or check that the inputs drive these units."
        )
    return system.in_coordinates((left / values).T, left * values)


def observable_coordinates(system: DrivenSystem, horizon: int = 50) -> DrivenSystem:
    """The system in coordinates where [C; CA; ...; C A^(horizon-1)] has orthonormal columns.

    A direction of the state is then as long as the output it leaves behind, and one that inputs
    hardly reach has small rows in [B, AB, ...]. Left alone by rotations of the outputs only.
    horizon   steps of output that are counted
    raises    InputError when the outputs do not show every direction of the state
    source    output-normal coordinates, Moore 1981, section II
    """
    horizon = whole("horizon", horizon)
    _, values, right = np.linalg.svd(_observability(system, horizon), full_matrices=False)
    order = len(system.state)
    shown = int((values > 1e-9 * values[0]).sum()) if values[0] > 0 else 0
    if shown < order:
        raise InputError(
            f"the outputs show {shown} of the {order} directions of the state in {horizon} steps. "
            f"Use order <= {max(shown, 1)}."
        )
    return system.in_coordinates(values[:, None] * right, right.T / values)


def _observability(system: DrivenSystem, n_blocks: int) -> np.ndarray:
    """[C; CA; ...; C A^(n_blocks - 1)], (n_blocks * unit, order)."""
    blocks = [np.linalg.qr(system.readout)[1]]
    for _ in range(n_blocks - 1):
        blocks.append(blocks[-1] @ system.state)
    return np.concatenate(blocks)


def identify_system(outputs: Any, inputs: Any, order: int, *, delays: int = 10) -> DrivenSystem:
    """Subspace identification: the driven system behind recorded inputs and outputs.

    outputs   (trial, time, unit); inputs (trial, time, input), acting on the step they are given;
              arrays of any library, nested lists, or DataArrays (trial, time, unit) both
    order     dimension of the state; the first `order` principal coordinates of the outputs serve
    delays    steps of past and of future, q above; order <= q * unit, trials of more than 2 q steps
    returns   the system in white states; constant offsets of outputs and inputs do not matter
    raises    InputError for unmatched shapes, NaN, short trials, too little data, an order above
              what the data carry, or inputs that never vary, repeat others or are determined by
              the past
    cost      windows * (q * (order + input))^2
    source    oblique projection as in Van Overschee and De Moor 1994, Automatica 30:75; states
              from the past as in Larimore 1990, Proc. CDC 596
    """
    order, delays = whole("order", order), whole("delays", delays)
    outputs, inputs = _recorded(outputs, inputs)
    _check_size(outputs, inputs, order, delays)
    y = _standard(outputs, "the outputs never vary. Check how they were recorded.")
    u, y = _free(inputs), _principal(y, order)
    windows_u, windows_y = delay_embed(u, delays), delay_embed(y, delays)
    past = np.concatenate([windows_u, windows_y], axis=-1)
    to_state, strengths = _predictor(
        _rows(past[:, :-delays]),
        _rows(windows_u[:, delays:]),
        _rows(windows_y[:, delays:]),
        order,
    )
    states = past @ to_state
    now = np.concatenate([states[:, :-1], inputs[:, delays:]], axis=-1)
    transition, emission = (_regress(now, after) for after in (states[:, 1:], outputs[:, delays:]))
    return DrivenSystem(
        transition[:, :order], transition[:, order:], emission[:, :order], emission[:, order:],
        strengths,
    )  # fmt: skip


def dmd_with_control(states: Any, inputs: Any) -> DrivenSystem:
    """Least squares of x_{t+1} on x_t and u_t, for a state that is observed in full.

    states    (trial, time, unit); inputs (trial, time, input); constant offsets do not matter
    returns   the system in the coordinates of the units, with the identity as readout
    raises    InputError for unmatched shapes, NaN, or too few transitions
    source    Proctor, Brunton and Kutz 2016, SIAM J. Appl. Dyn. Syst. 15:142
    """
    states, inputs = _recorded(states, inputs)
    order, n_inputs = states.shape[-1], inputs.shape[-1]
    n_transitions = states.shape[0] * (states.shape[1] - 1)
    if n_transitions <= order + n_inputs:
        raise InputError(
            f"{n_transitions} transitions cannot determine {order} states and {n_inputs} inputs. "
            f"Give more than {order + n_inputs}."
        )
    now = np.concatenate([states[:, :-1], inputs[:, :-1]], axis=-1)
    fitted = _regress(now, states[:, 1:])
    blind = np.zeros((order, n_inputs))
    return DrivenSystem(fitted[:, :order], fitted[:, order:], np.eye(order), blind)


def _predictor(
    past: np.ndarray, future_inputs: np.ndarray, future: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Past -> white state, and the singular values of what the past predicts of the future."""
    past, future_inputs, future = (a - a.mean(axis=0) for a in (past, future_inputs, future))
    directions, sizes, right = np.linalg.svd(past, full_matrices=False)
    kept = sizes > 2.3e-16 * max(past.shape) * sizes[0]
    directions, scaled = directions[:, kept], right[kept].T / sizes[kept]
    free = future_inputs - directions @ (directions.T @ future_inputs)
    if np.linalg.norm(free, -2) <= 1e-9 * np.linalg.norm(future_inputs, 2):
        raise InputError(
            "the inputs to come are determined by the past, so their effect cannot be told from "
            "the state's. Use inputs that vary freely from step to step, or fewer delays."
        )
    driven = np.linalg.lstsq(free, future, rcond=None)[0]
    predicted = directions.T @ (future - future_inputs @ driven)
    turn, strengths, _ = np.linalg.svd(predicted, full_matrices=False)
    carried = int((strengths > ROUNDING * strengths[0]).sum())
    if order > carried:
        raise InputError(
            f"order {order} is above what the data carry: the past predicts {carried} directions "
            f"of the future. Use order <= {carried}."
        )
    return scaled @ turn[:, :order] * len(past) ** 0.5, strengths


def _regress(now: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Least squares of after on now with a constant, (columns of after, columns of now).

    Columns are brought to one size first, so that small ones are not taken for rounding.
    """
    now, after = (_rows(a - a.mean(axis=(0, 1))) for a in (now, after))
    sizes = np.abs(now).max(axis=0)
    sizes[sizes == 0] = 1
    return np.linalg.lstsq(now / sizes, after, rcond=None)[0].T / sizes


def _principal(outputs: np.ndarray, n_kept: int) -> np.ndarray:
    """The outputs in at most n_kept principal coordinates; what is left has the same A and B."""
    if outputs.shape[-1] <= n_kept:
        return outputs
    _, _, right = np.linalg.svd(_rows(outputs), full_matrices=False)
    return outputs @ right[:n_kept].T


def _rows(a: np.ndarray) -> np.ndarray:
    return a.reshape(-1, a.shape[-1])


def _free(inputs: np.ndarray) -> np.ndarray:
    """The inputs, each standard, where none repeats others."""
    n_inputs = inputs.shape[-1]
    told = "input {} of {} never varies. Leave it out, or check how it was recorded."
    standard = [_standard(inputs[..., [k]], told.format(k, n_inputs)) for k in range(n_inputs)]
    standard = np.concatenate(standard, axis=-1)
    sizes = np.linalg.svd(_rows(standard), compute_uv=False)
    n_free = int((sizes > 1e-9 * sizes[0]).sum())
    if n_free < n_inputs:
        raise InputError(
            f"{n_free} of the {n_inputs} inputs give the others, so their effects cannot be told "
            "apart. Leave out inputs that repeat or combine others."
        )
    return standard


def _standard(a: np.ndarray, otherwise: str) -> np.ndarray:
    """Without offsets and in units of the spread, so that inputs and outputs weigh alike."""
    centred = a - a.mean(axis=(0, 1))
    largest = np.abs(centred).max()
    if not largest > 1e-12 * np.abs(a).max():
        raise InputError(otherwise)
    centred = centred / largest
    return centred / (centred**2).mean() ** 0.5


def _recorded(outputs: Any, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and inputs of the same trials and steps, in float64."""
    arrays = []
    for name, recording in (("outputs", outputs), ("inputs", inputs)):
        labelled = isinstance(recording, xr.DataArray)
        recording = as_activations(recording).values if labelled else real_array(recording)
        if recording.ndim != 3:
            raise InputError(
                f"{name} have shape {tuple(recording.shape)}; give (trial, time, {name[:-1]}). "
                "One trial is (1, time, unit)."
            )
        check_values(recording, f"the array of {name}")
        arrays.append(as_numpy(held_fixed(recording)).astype(np.float64, copy=False))
    outputs, inputs = arrays
    if outputs.shape[:2] != inputs.shape[:2]:
        raise InputError(
            f"outputs have {outputs.shape[0]} trials x {outputs.shape[1]} steps and inputs "
            f"{inputs.shape[0]} x {inputs.shape[1]}. Give the inputs of the same trials and steps."
        )
    return outputs, inputs


def _check_size(outputs: np.ndarray, inputs: np.ndarray, order: int, delays: int) -> None:
    n_trials, n_steps, n_units = outputs.shape
    seen = min(n_units, order)
    if order > delays * seen:
        raise InputError(
            f"order {order} is above the {delays * seen} delay coordinates (delays x units). "
            f"Use order <= {delays * seen}, or more delays."
        )
    n_windows = n_trials * (n_steps - 2 * delays + 1)
    needed = delays * (seen + 2 * inputs.shape[-1]) + 1
    if n_steps <= 2 * delays or n_windows < needed:
        raise InputError(
            f"{n_trials} trials x {n_steps} steps hold {max(n_windows, 0)} windows of {2 * delays} "
            f"steps; {delays} delays of {seen} outputs and {inputs.shape[-1]} inputs need "
            f"{needed}. Use fewer delays, a lower order, or longer trials."
        )
