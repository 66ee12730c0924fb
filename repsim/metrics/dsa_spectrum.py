"""Dynamical similarity by spectra: Wasserstein distance between the eigenvalues of two fitted
operators.

Blind to eigenvectors, hence cheaper and coarser than dsa; see repsim.dynamics.spectral_distance.
"""

from typing import Any

from repsim.contract import metric
from repsim.dynamics.operator import fit_operator
from repsim.dynamics.spectra import spectral_distance


def prepare(x: Any, *, delays: int, rank: int, interval: int = 1, ridge: float = 1e-8) -> Any:
    """The eigenvalues of the fitted operator, (rank,)."""
    return fit_operator(x, delays, rank, interval=interval, ridge=ridge).eigenvalues


@metric(
    view="trajectories",
    invariant_to={"isotropic_scaling", "permutation", "orthogonal"},
    triangle=True,
    prepare=prepare,
    parameters={"delays": 10, "rank": 20},
    arrays="any",
    source="Ostrow et al. 2023, arXiv:2306.10168, section 3.3",
)
def dsa_spectrum(a: Any, b: Any, *, order: float = 2) -> Any:
    """Wasserstein distance of an order between operator eigenvalues, in eigenvalue units; in [0,
    inf).

    x, y      (trial, time, unit); any number of trials, steps and units, in any order of trials
    delays, rank, interval, ridge   as in dsa
    order     p of the Wasserstein distance; not squared
    raises    InputError for trials shorter than the window, or a rank above what the data carry
    """
    return spectral_distance(a, b, order)
