"""The linear operator that carries delay coordinates one step on: Hankel dynamic mode
decomposition.

H = [x_t, x_{t-tau}, ..., x_{t-(q-1)tau}]      q delays, interval tau, windows within a trial only
H = V S W'                                     V: whitened principal coordinates, the first `rank`
are kept A = argmin ||V_+ - V_- A'||^2 + ridge ||A||^2  over pairs of neighbouring windows of one
trial
"""

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from repsim.errors import InputError, RepsimError


@dataclass(frozen=True)
class Operator:
    """A fitted operator: v_{t+1} = matrix v_t in whitened delay coordinates, v = basis' h."""

    matrix: Any
    basis: Any
    singular_values: Any
    delays: int
    interval: int

    @property
    def eigenvalues(self) -> Any:
        """Eigenvalues of the operator, one a mode; 1 is a constant, |z| < 1 decays."""
        return array_namespace(self.matrix).linalg.eigvals(self.matrix)


def delay_embed(trajectories: Any, delays: int, interval: int = 1) -> Any:
    """(trial, time, unit) -> (trial, time - (delays - 1) interval, delays * unit), the newest
    first.

    raises  InputError when a trial is too short for the window
    """
    for name, value in (("delays", delays), ("interval", interval)):
        if not isinstance(value, int) or value < 1:
            raise RepsimError(f"{name} is {value!r}; give a whole number of at least 1.")
    n_steps = trajectories.shape[1]
    reach = (delays - 1) * interval
    if n_steps - reach < 2:
        raise InputError(
            f"{delays} delays at interval {interval} need at least {reach + 2} time steps; "
            f"the trials have {n_steps}. "
            f"Use delays <= {max((n_steps - 2) // interval + 1, 1)} or longer trials."
        )
    xp = array_namespace(trajectories)
    lagged = [
        trajectories[:, reach - j * interval : n_steps - j * interval, :] for j in range(delays)
    ]
    return xp.concat(lagged, axis=-1)


def fit_operator(
    trajectories: Any, delays: int, rank: int, *, interval: int = 1, ridge: float = 1e-8
) -> Operator:
    """Fit the operator of a set of trajectories.

    trajectories  (trial, time, unit), numpy or torch; computed in float64
    delays        number of delayed copies; interval the steps between them
    rank          number of principal coordinates kept
    ridge         penalty on the operator, relative to whitened coordinates of unit norm
    raises        InputError for trials shorter than the window, a rank above what the data carry,
                  or too few transitions to determine the operator
    source        Ostrow et al. 2023, arXiv:2306.10168, section 3; Arbabi and Mezic 2017,
                  arXiv:1611.06664
    """
    xp = array_namespace(trajectories)
    embedded = delay_embed(xp.astype(trajectories, xp.float64), delays, interval)
    n_trials, n_windows, n_columns = embedded.shape
    _check_rank(rank, n_trials * (n_windows - 1), n_columns)
    coordinates, singular_values, basis = _whitened(xp.reshape(embedded, (-1, n_columns)), rank)
    coordinates = xp.reshape(coordinates, (n_trials, n_windows, rank))
    before = xp.reshape(coordinates[:, :-1], (-1, rank))
    after = xp.reshape(coordinates[:, 1:], (-1, rank))
    gram = before.T @ before + ridge * xp.eye(rank, dtype=xp.float64, device=before.device)
    matrix = xp.linalg.solve(gram, before.T @ after).T
    return Operator(matrix, basis, singular_values, delays, interval)


def _whitened(rows: Any, rank: int) -> tuple[Any, Any, Any]:
    """The first `rank` left singular vectors, the singular values kept, and rows -> coordinates."""
    xp = array_namespace(rows)
    scale = xp.max(xp.abs(rows))
    if not scale > 0:
        raise InputError(
            "all values are zero, so there are no dynamics to fit. Check how the set was recorded."
        )
    values, right = _principal(rows / scale, rank)
    carried = int(xp.sum(values > 2.3e-16 * max(rows.shape) * values[0]))
    if rank > carried:
        raise InputError(
            f"rank {rank} is above what the data carry: {carried} of {rows.shape[1]} delay "
            f"coordinates stand out from rounding. Use rank <= {carried}, or more delays."
        )
    values = values[:rank] * scale
    basis = right[:, :rank] / values
    return rows @ basis, values, basis


def _principal(rows: Any, rank: int) -> tuple[Any, Any]:
    """Singular values and right singular vectors, by the Gram matrix where that keeps the digits.

    Its eigenvalues are squared, so a direction 1e-4 as strong as the first still has 8 digits.
    """
    xp = array_namespace(rows)
    if rows.shape[0] > rows.shape[1]:
        squared, vectors = xp.linalg.eigh(rows.T @ rows)
        squared, vectors = xp.flip(squared, axis=0), xp.flip(vectors, axis=1)
        if squared[rank - 1] > 1e-8 * squared[0]:
            return xp.sqrt(xp.clip(squared, 0, None)), vectors
    _, values, right = xp.linalg.svd(rows, full_matrices=False)
    return values, right.T


def _check_rank(rank: int, n_transitions: int, n_columns: int) -> None:
    if not isinstance(rank, int) or rank < 1:
        raise RepsimError(f"rank is {rank!r}; give a whole number of at least 1.")
    if rank > n_columns:
        raise InputError(
            f"rank {rank} is above the {n_columns} delay coordinates (delays x units). "
            f"Use rank <= {n_columns}, or more delays."
        )
    if n_transitions < rank:
        raise InputError(
            f"{n_transitions} transitions cannot determine a {rank} x {rank} operator. "
            f"Use rank <= {n_transitions}, fewer delays, or more data."
        )
