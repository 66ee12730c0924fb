"""Linear centred kernel alignment (Kornblith et al. 2019, arXiv:1905.00414).

CKA(X, Y) = ||Y'X||^2 / (||X'X|| ||Y'Y||)      X, Y with centred columns, Frobenius norms
"""

from typing import Any

from array_api_compat import array_namespace

from repsim.contract import metric
from repsim.errors import InputError


def centred(x: Any) -> Any:
    """Columns with mean zero; refuses a set in which nothing varies."""
    xp = array_namespace(x)
    result = x - xp.mean(x, axis=0)
    if not xp.max(xp.abs(result)) > 1e-12 * xp.max(xp.abs(x)):
        raise InputError(
            f"all {x.shape[0]} samples are equal in all {x.shape[1]} units, so there is no "
            "geometry to compare. "
            "Drop this set, or check how it was recorded."
        )
    return result


def prepare(x: Any) -> tuple[Any, Any, Any]:
    """Centred samples, their Gram matrix where units outnumber samples, and ||X'X||."""
    xp = array_namespace(x)
    x = centred(x)
    x = x / xp.max(xp.abs(x))
    # a copy: numpy's product of one buffer with itself can crash in threaded BLAS (numpy#19685)
    gram = x @ (1 * x.T) if x.shape[0] < x.shape[1] else None
    within = x.T @ x if gram is None else gram
    return x, gram, xp.linalg.matrix_norm(within)


@metric(
    kind="similarity",
    range=(0, 1),
    invariant_to={"translation", "isotropic_scaling", "permutation", "orthogonal"},
    prepare=prepare,
    arrays="any",
    source="Kornblith et al. 2019, arXiv:1905.00414, eq. 3; Robert and Escoufier 1976 (RV)",
)
def linear_cka(x: tuple, y: tuple) -> Any:
    """Squared covariance between the sets over the covariance within each; in [0, 1], 1 = same
    geometry.

    Biased towards 1 when units outnumber samples: see debiased_cka.
    x, y      (sample, unit), the same samples; any number of units
    raises    InputError for a set without variance, or unequal samples
    cost      samples * units^2, or samples^2 * units, whichever is less
    """
    xp = array_namespace(x[0])
    if x[1] is not None and y[1] is not None:
        between = xp.sum(x[1] * y[1])
    else:
        between = xp.linalg.matrix_norm(x[0].T @ y[0]) ** 2
    return between / (x[2] * y[2])
