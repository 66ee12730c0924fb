"""The linear operator that carries delay coordinates one step on: Hankel dynamic mode
decomposition.

H = [x_t, x_{t-tau}, ..., x_{t-(q-1)tau}]      q delays, interval tau, windows within a trial only
H = V S W'                                     V: whitened principal coordinates, the first `rank`
are kept A = argmin ||V_+ - V_- A'||^2 + ridge ||A||^2  over pairs of neighbouring windows of one
trial

H itself is formed only where conditioning demands it (repsim.dynamics.whitening).
"""

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from repsim.dynamics.ranks import check_rank
from repsim.dynamics.trials import Trials, delay_embed
from repsim.dynamics.whitening import check_ridge, whiten
from repsim.errors import InputError

__all__ = ["Operator", "delay_embed", "fit_operator"]


@dataclass(frozen=True)
class Operator:
    """A fitted operator: v_{t+1} = matrix v_t in whitened delay coordinates, v = basis' h.

    matrix           (rank, rank)
    basis            (delays * unit, rank), newest lag first
    singular_values  (rank,), of the delay embedding
    route            "lags", "gram" or "svd": how it was computed
    """

    matrix: Any
    basis: Any
    singular_values: Any
    delays: int
    interval: int
    route: str = "svd"

    @property
    def eigenvalues(self) -> Any:
        """Eigenvalues of the operator, one a mode; 1 is a constant, |z| < 1 decays."""
        return array_namespace(self.matrix).linalg.eigvals(self.matrix)

    @property
    def rank(self) -> int:
        """Number of whitened coordinates."""
        return self.matrix.shape[0]

    @property
    def readout(self) -> Any:
        """(unit, rank): the least-squares map from coordinates to the newest sample."""
        n_units = self.basis.shape[0] // self.delays
        return self.basis[:n_units] * self.singular_values**2

    def predict(self, trajectories: Any, n_steps: int) -> Any:
        """What follows the end of each trial; see repsim.dynamics.prediction."""
        from repsim.dynamics import prediction

        return prediction.following(self, trajectories, n_steps)

    def score(self, trajectories: Any, n_steps: int = 1) -> float:
        """Error of 1 to n_steps-step predictions over that of persistence (MASE); 1 is chance."""
        from repsim.dynamics import prediction

        return prediction.scaled_error(self, trajectories, n_steps)

    def aic(self, trajectories: Any) -> float:
        """Akaike's criterion of the one-step predictions; smaller is better."""
        from repsim.dynamics import prediction

        return prediction.information_criterion(self, trajectories)


def fit_operator(
    trajectories: Any,
    delays: int,
    rank: int | float | str,
    *,
    interval: int = 1,
    ridge: float = 1e-8,
) -> Operator:
    """Fit the operator of a set of trajectories.

    trajectories  (trial, time, unit), numpy or torch, or a DataArray with these dimensions; or a
                  sequence of (time, unit) trials of any lengths, each an array, a memory map or a
                  function that returns one
    delays        number of delayed copies; interval the steps between them
    rank          number of principal coordinates kept; a fraction below 1: as many as carry that
                  share of variance; "gavish-donoho": those above the optimal hard threshold
    ridge         penalty on the operator, at least 0, relative to whitened coordinates of unit norm
    returns       Operator in float64
    raises        InputError for trials shorter than the window, a rank above what the data carry,
                  or too few transitions to determine the operator
    cost          2 delays time unit^2 a trial (3 for interval > 1) and (delays unit)^3; memory
                  (delays unit)^2 and a few trials. Where the weakest coordinate kept is below
                  1e-2 of the strongest: delays times that, memory delays times one chunk of trials
    source        Ostrow et al. 2023, arXiv:2306.10168, section 3; Arbabi and Mezic 2017,
                  arXiv:1611.06664
    """
    rank, ridge = check_rank(rank), check_ridge(ridge)
    trials = Trials(trajectories, delays, interval)
    if isinstance(rank, int):
        _check_enough(rank, trials.n_transitions, trials.n_columns)
    whitened = whiten(trials, rank)
    return Operator(
        matrix=whitened.matrix(whitened.basis.shape[1], ridge),
        basis=whitened.basis,
        singular_values=whitened.singular_values,
        delays=trials.delays,
        interval=trials.interval,
        route=whitened.route,
    )


def _check_enough(rank: int, n_transitions: int, n_columns: int) -> None:
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
