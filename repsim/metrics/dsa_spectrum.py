"""Dynamical similarity by spectra: Wasserstein distance between the eigenvalues of two fitted
operators.

Blind to eigenvectors, hence cheaper and coarser than dsa; see repsim.dynamics.spectral_distance.
"""

from typing import Any

from repsim.contract import metric
from repsim.dynamics.choice import choose
from repsim.dynamics.koopman import prepare_operator
from repsim.dynamics.operator import fit_operator
from repsim.dynamics.spectra import spectral_distance


def prepare(
    x: Any,
    *,
    delays: int | None = None,
    rank: int | None = None,
    interval: int = 1,
    ridge: float = 1e-8,
    operator: Any = None,
) -> Any:
    """The eigenvalues of the fitted operator, (rank,), or of what a given operator model fits."""
    if operator is not None:
        return prepare_operator(x, operator=operator, eigenvalues=True)
    return fit_operator(x, delays, rank, interval=interval, ridge=ridge).eigenvalues


@metric(
    view="trajectories",
    invariant_to={"isotropic_scaling", "permutation", "orthogonal"},
    triangle=True,
    choose=choose,
    prepare=prepare,
    parameters={"delays": 10, "rank": 20},
    instead={"operator": ("delays", "rank", "interval", "ridge")},
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
