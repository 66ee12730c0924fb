"""Debiased linear CKA: the U-statistic of HSIC (Song et al. 2012) in numerator and denominator.

With K, L linear Gram matrices of centred columns, k and l their diagonals and n samples,

    HSIC_1(K, L) n(n-3) = ||X'Y||^2 - n/(n-2) k.l + tr K tr L / ((n-1)(n-2))

which is Song's estimator after 1'K1 = 0, so no (sample, sample) matrix is needed. CKA is HSIC_1(K,
L) over the root of HSIC_1(K, K) HSIC_1(L, L).
"""

from typing import Any

from array_api_compat import array_namespace

from repsim.contract import metric
from repsim.errors import InputError
from repsim.metrics.linear_cka import prepare as prepare_cka


def prepare(x: Any) -> tuple[Any, Any, Any, Any]:
    """Centred samples, their Gram matrix if small, squared lengths, and HSIC_1 with itself."""
    if x.shape[0] < 4:
        raise InputError(
            f"the U-statistic needs at least 4 samples; there are {x.shape[0]}. Add samples."
        )
    xp = array_namespace(x)
    x, gram, norm = prepare_cka(x)
    lengths = xp.sum(x * x, axis=1)
    within = unbiased_hsic(norm**2, lengths, lengths)
    if not within > 1e-12 * norm**2:
        raise InputError(
            f"the unbiased HSIC of the set with itself is {float(within):.2g}, not positive, "
            f"with {x.shape[0]} samples. Add samples, or use linear_cka."
        )
    return x, gram, lengths, within


def unbiased_hsic(between: Any, k: Any, ell: Any) -> Any:
    """Song's estimator times n(n-3), from ||X'Y||^2 and the diagonals of both Gram matrices."""
    xp = array_namespace(k)
    n = k.shape[0]
    return between - n / (n - 2) * xp.sum(k * ell) + xp.sum(k) * xp.sum(ell) / ((n - 1) * (n - 2))


@metric(
    kind="similarity",
    range=(-1, 1),
    invariant_to={"translation", "isotropic_scaling", "permutation", "orthogonal"},
    prepare=prepare,
    arrays="any",
    source="Song et al. 2012, JMLR 13, eq. 5; Murphy et al. 2024, arXiv:2405.01012",
)
def debiased_cka(x: tuple, y: tuple) -> Any:
    """CKA whose expectation is 0 for unrelated sets, however many units; in [-1, 1], 1 = same
    geometry.

    x, y      (sample, unit), the same samples, at least 4; any number of units
    raises    InputError for fewer than 4 samples, a set without variance, or unequal samples
    cost      samples * units^2, or samples^2 * units, whichever is less
    """
    xp = array_namespace(x[0])
    if x[1] is not None and y[1] is not None:
        between = xp.sum(x[1] * y[1])
    else:
        between = xp.linalg.matrix_norm(x[0].T @ y[0]) ** 2
    return unbiased_hsic(between, x[2], y[2]) / xp.sqrt(x[3] * y[3])
