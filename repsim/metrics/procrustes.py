"""Procrustes size-and-shape distance (Williams et al. 2021, arXiv:2110.14739).

    d(X, Y) = min over orthogonal Q of ||X - Y Q||,  d^2 = ||X||^2 + ||Y||^2 - 2 ||X'Y||_*

X, Y with centred columns; the set with fewer units is padded with zeros.
"""

from typing import Any

from array_api_compat import array_namespace

from repsim.arrays import held_fixed
from repsim.contract import metric
from repsim.metrics.linear_cka import centred


def prepare(x: Any) -> Any:
    """Centred samples, in at most as many coordinates as there are samples."""
    return in_few_coordinates(centred(x))


def in_few_coordinates(x: Any) -> Any:
    """The same samples up to a rotation, (sample, min(sample, unit))."""
    if x.shape[1] <= x.shape[0]:
        return x
    return array_namespace(x).linalg.qr(x.T)[1].T


def aligned_residual(x: Any, y: Any) -> Any:
    """Min over orthogonal Q of ||X - YQ||, exact also where it is nearly zero.

    Gradients hold the best Q fixed (envelope theorem), so that equal singular values do no harm.
    """
    xp = array_namespace(x)
    x, y = (x, y) if x.shape[1] <= y.shape[1] else (y, x)
    u, _, vh = xp.linalg.svd(held_fixed(x).T @ held_fixed(y), full_matrices=False)
    return xp.linalg.matrix_norm(x @ (u @ vh) - y)


@metric(
    invariant_to={"translation", "permutation", "orthogonal"},
    triangle=True,
    prepare=prepare,
    arrays="any",
    source="Williams et al. 2021, arXiv:2110.14739, section 2; Schoenemann 1966",
)
def procrustes(x: Any, y: Any) -> Any:
    """Distance left after the best rotation or reflection; in [0, inf), in units of the
    activations.

    x, y      (sample, unit), the same samples; any number of units
    raises    InputError for a set without variance, or unequal samples
    cost      samples * units^2 + units^3, or with samples in place of units where these are fewer
    """
    return aligned_residual(x, y)
