"""Dynamical similarity analysis (Ostrow et al. 2023, arXiv:2306.10168).

    d(X, Y) = min over orthogonal C of the angle between A_X and C A_Y C'

A the operators of repsim.dynamics.fit_operator, as directions in matrix space (unit Frobenius
norm).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repsim.activations import as_numpy
from repsim.contract import metric
from repsim.dynamics.choice import choose
from repsim.dynamics.koopman import prepare_operator
from repsim.dynamics.operator import fit_operator
from repsim.errors import RepsimError

COMPARISONS = ("angular", "euclidean")


def prepare(
    x: Any,
    *,
    delays: int | None = None,
    rank: int | None = None,
    interval: int = 1,
    ridge: float = 1e-8,
    operator: Any = None,
) -> Any:
    """The fitted operator, (rank, rank), or what a given operator model fits, (n, n)."""
    if operator is not None:
        return prepare_operator(x, operator=operator)
    return fit_operator(x, delays, rank, interval=interval, ridge=ridge).matrix


def compare_pairs(
    operators: list[Any],
    first: Sequence[int],
    second: Sequence[int],
    *,
    comparison: str = "angular",
    effort: str = "fast",
) -> Any:
    """Many distances at once: pairs of equal sizes and starting points of the search are one batch.

    An operator is at 0 from itself, which needs no search.
    """
    xp = array_namespace(operators[0])
    batches: dict[tuple[int, int], list[int]] = {}
    for k, (i, j) in enumerate(zip(first, second, strict=True)):
        if i != j:
            batches.setdefault((len(operators[i]), len(operators[j])), []).append(k)
    values = np.zeros(len(first))
    for batch in batches.values():
        a, b = (xp.stack([operators[side[k]] for k in batch]) for side in (first, second))
        values[batch] = as_numpy(_solve(a, b, comparison, effort))
    return values


def _solve(a: Any, b: Any, comparison: str, effort: str) -> Any:
    from repsim.dynamics.alignment import conjugacy

    if comparison not in COMPARISONS:
        raise RepsimError(
            f"dsa: comparison is {comparison!r}; it is one of {', '.join(COMPARISONS)}."
        )
    solution = conjugacy(a, b, effort=effort)
    return solution.angle if comparison == "angular" else solution.residual


@metric(
    view="trajectories",
    range=(0, 3.141592653589793),
    invariant_to={"isotropic_scaling", "permutation", "orthogonal"},
    choose=choose,
    prepare=prepare,
    parameters={"delays": 10, "rank": 20},
    instead={"operator": ("delays", "rank", "interval", "ridge")},
    compare_pairs=compare_pairs,
    arrays="any",
    source="Ostrow et al. 2023, arXiv:2306.10168, section 3",
)
def dsa(a: Any, b: Any, *, comparison: str = "angular", effort: str = "fast") -> Any:
    """How far two fitted dynamics are from being one in rotated coordinates.

    x, y        (trial, time, unit); any number of trials, steps and units, in any order of trials
    delays      number of delayed copies, interval steps apart
    rank        number of whitened principal coordinates of the delay embedding; "auto" for one or
                both: by held-out prediction, shared by all sets
    ridge       penalty of the fit
    operator    a pykoopman or PyDMD model, or any object with fit and a matrix, instead of the four
                above; invariances then hold as far as its observables keep them
    comparison  "angular": radians in [0, pi]; "euclidean": ||A - C B C'|| for unit norms, in [0, 2]
    effort      of the search for C: "fast", "balanced" or "thorough", at 1, 1.6 and 4 times the
                work for angles up to .002 rad smaller; see repsim.dynamics.conjugacy
    raises      InputError for trials shorter than the window, or a rank above what the data carry
    """
    return _solve(a, b, comparison, effort)
