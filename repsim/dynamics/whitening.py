"""Second moments of whitened delay coordinates: all that an operator of any rank is made of.

The rule looks at the weakest coordinate in use over the strongest, since the rounding of lagged
covariances (repsim.dynamics.lags) grows with the square of its inverse:
above 1e-2     "lags": all moments from lagged covariances; the embedding is never formed
above 1e-4     "gram": the Gram matrix and moments are summed over the embedding, by chunks
else           "svd": the embedding is factored, chunk by chunk where it is large
"""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repsim.activations import as_numpy
from repsim.arrays import held_fixed
from repsim.dynamics.lags import lag_grams
from repsim.dynamics.ranks import HARD_THRESHOLD, rank_by_rule
from repsim.dynamics.trials import Trials
from repsim.errors import InputError, RepsimError

WELL_CONDITIONED = 1e-2  # weakest singular value in use over the strongest, for the lag route
FAIRLY_CONDITIONED = 1e-4  # the same, for the Gram matrix of the embedding


@dataclass(frozen=True)
class Whitened:
    """Moments over windows in whitened coordinates v = basis' h; leading parts serve lower ranks.

    singular_values  (rank,); basis (delays * unit, rank)
    before           sum of v_t v_t' over the windows that have a next one
    cross            sum of v_t v_{t+1}'
    carried          singular values that stand out from rounding; None where more than rank do
    route            "lags", "gram" or "svd"
    """

    singular_values: Any
    basis: Any
    before: Any
    cross: Any
    carried: int | None
    route: str

    def matrix(self, rank: int, ridge: float) -> Any:
        """The minimum over A of sum |v_{t+1} - A v_t|^2 + ridge |A|^2 for the first coordinates."""
        xp = array_namespace(self.before)
        penalty = check_ridge(ridge) * xp.eye(rank, dtype=xp.float64, device=self.before.device)
        return xp.linalg.solve(self.before[:rank, :rank] + penalty, self.cross[:rank, :rank]).T


def check_ridge(ridge: Any) -> float:
    """A finite real number, at least 0."""
    if not isinstance(ridge, Real) or isinstance(ridge, bool) or not 0 <= ridge < float("inf"):
        raise RepsimError(f"ridge is {ridge!r}; give a finite number of at least 0.")
    return float(ridge)


def whiten(trials: Trials, rank: Any, strict: bool = True) -> Whitened:
    """Whiten the delay embedding and gather its moments, by the route its conditioning allows.

    rank    a number, or a rule of repsim.dynamics.ranks; a rule keeps to what the data carry
    strict  refuse a number above what the data carry; else keep to it, too
    raises  InputError for a rank above what the data carry
    """
    if trials.n_rows > trials.n_columns:
        found = _by_lags(trials, rank)
        if found is not None:
            return found
    return _by_svd(trials, rank, strict)


def _by_lags(trials: Trials, rank: Any) -> Whitened | None:
    """The moments from lagged covariances; None where too few digits would be left."""
    gram, last, cross = lag_grams(trials)
    values, basis, weakest = _eigen((gram + gram.T) / 2, rank, trials)
    if not weakest > FAIRLY_CONDITIONED:
        return None
    xp = array_namespace(gram)
    if weakest > WELL_CONDITIONED:
        unit = xp.eye(values.shape[0], dtype=xp.float64, device=gram.device)
        before, cross = unit - basis.T @ last @ basis, basis.T @ cross @ basis
        route = "lags"
    else:
        values, basis, _ = _eigen(_gram(trials), rank, trials)
        before, cross = _over_windows(trials, basis)
        route = "gram"
    return Whitened(values * trials.scale, basis / trials.scale, before, cross, None, route)


def _gram(trials: Trials) -> Any:
    total = 0.0
    for embedded in trials.embedded():
        rows = array_namespace(embedded).reshape(embedded, (-1, trials.n_columns))
        total = total + rows.T @ rows
    return total


def _eigen(gram: Any, rank: Any, trials: Trials) -> tuple[Any, Any, float]:
    """Singular values kept, rows -> whitened coordinates, and the weakest over the strongest."""
    xp = array_namespace(gram)
    squared, vectors = xp.linalg.eigh(gram)
    values = xp.sqrt(xp.clip(xp.flip(squared, axis=0), 0, None))
    plain = as_numpy(held_fixed(values))
    kept = _kept(rank, plain, trials)
    weakest = plain[kept - 1]
    if rank == HARD_THRESHOLD:
        weakest = min(weakest, np.median(plain))
    if not weakest > 0:
        return values, vectors, 0.0
    values = values[:kept]
    return values, xp.flip(vectors, axis=1)[:, :kept] / values, float(weakest / plain[0])


def _by_svd(trials: Trials, rank: Any, strict: bool) -> Whitened:
    values, right = _principal(_few_rows(trials))
    plain = as_numpy(held_fixed(values))
    longest = max(trials.n_rows, trials.n_columns)
    carried = int(np.sum(plain > 2.3e-16 * longest * plain[0]))
    kept = _kept(rank, plain, trials)
    if strict and isinstance(rank, int) and rank > carried:
        raise InputError(
            f"rank {rank} is above what the data carry: {carried} of {trials.n_columns} delay "
            f"coordinates stand out from rounding. Use rank <= {carried}, or more delays."
        )
    values = values[: min(kept, carried)]
    basis = right[:, : min(kept, carried)] / values
    before, cross = _over_windows(trials, basis)
    scale = trials.scale
    return Whitened(values * scale, basis / scale, before, cross, carried, "svd")


def _kept(rank: Any, values: np.ndarray, trials: Trials) -> int:
    """A rule never asks for more than the transitions determine."""
    kept = rank_by_rule(rank, values, trials.n_rows, trials.n_columns)
    return kept if isinstance(rank, int) else min(kept, trials.n_transitions)


def _over_windows(trials: Trials, basis: Any) -> tuple[Any, Any]:
    """Sums of v_t v_t' and v_t v_{t+1}' over the transitions."""
    before = cross = 0.0
    for embedded in trials.embedded():
        coordinates = embedded @ basis
        xp = array_namespace(coordinates)
        now, then = (
            xp.reshape(part, (-1, basis.shape[1]))
            for part in (coordinates[:, :-1], coordinates[:, 1:])
        )
        before, cross = before + now.T @ now, cross + now.T @ then
    return before, cross


def _few_rows(trials: Trials) -> Any:
    """Rows with the singular values and right vectors of the embedding, by QR where it is tall."""
    kept = None
    for embedded in trials.embedded():
        xp = array_namespace(embedded)
        rows = xp.reshape(embedded, (-1, trials.n_columns))
        kept = rows if kept is None else xp.concat([kept, rows], axis=0)
        if kept.shape[0] > 4 * trials.n_columns and rows.shape[0] < trials.n_rows:
            kept = xp.linalg.qr(kept)[1]
    return kept


def _principal(rows: Any) -> tuple[Any, Any]:
    """Singular values and right singular vectors."""
    _, values, right = array_namespace(rows).linalg.svd(rows, full_matrices=False)
    return values, right.T
