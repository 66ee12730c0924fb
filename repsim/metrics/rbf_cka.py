"""CKA with a Gaussian kernel (Kornblith et al. 2019, arXiv:1905.00414).

k(a, b) = exp(-|a - b|^2 / (2 s^2)),  s = bandwidth times the median distance between samples
CKA     = <HKH, HLH> / (||HKH|| ||HLH||)
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from repsim.contract import metric
from repsim.errors import InputError, RepsimError
from repsim.metrics.linear_cka import centred

LARGEST = 20_000


def prepare(x: Any, *, bandwidth: float = 1.0) -> Any:
    """The centred kernel matrix, flattened and of unit norm."""
    if not bandwidth > 0:
        raise RepsimError(
            f"rbf_cka: bandwidth is {bandwidth}; give a positive multiple of the median distance."
        )
    n = x.shape[0]
    if n > LARGEST:
        raise InputError(
            f"the kernel of {n} samples needs {8e-9 * n * n:.0f} GB; at most {LARGEST} samples "
            "fit. Subsample."
        )
    xp = array_namespace(x)
    squared = squared_distances(centred(x))
    median = median_distance(squared)
    if not median > 0:
        raise InputError(
            f"the median distance between its {n} samples is 0: more than half are equal. "
            "Drop repeated samples, or use linear_cka."
        )
    kernel = xp.exp(squared / (-2 * (bandwidth * median) ** 2))
    means = xp.mean(kernel, axis=0)
    kernel = kernel - means
    kernel -= (means - xp.mean(means))[:, None]
    return xp.reshape(kernel, (-1,)) / xp.linalg.matrix_norm(kernel)


def median_distance(squared: Any) -> Any:
    """The median distance between two different samples."""
    xp = array_namespace(squared)
    different = xp.concat([row[i:] for i, row in enumerate(squared, 1)])
    middle = [(different.shape[0] - 1) // 2, different.shape[0] // 2]
    partly_sorted = (
        np.partition(different, middle) if is_numpy_array(different) else xp.sort(different)
    )
    return (partly_sorted[middle[0]] ** 0.5 + partly_sorted[middle[1]] ** 0.5) / 2


def squared_distances(x: Any) -> Any:
    """All squared distances between rows; never negative, exactly zero on the diagonal."""
    xp = array_namespace(x)
    lengths = xp.sum(x * x, axis=1)
    squared = x @ (-2 * x.T)
    squared += lengths  # in place: at thousands of samples, a new array costs more than the sum
    squared += lengths[:, None]
    each = xp.arange(x.shape[0])
    squared[each, each] = 0
    return xp.clip(squared, 0, None)


@metric(
    kind="similarity",
    range=(0, 1),
    invariant_to={"translation", "isotropic_scaling", "permutation", "orthogonal"},
    prepare=prepare,
    arrays="any",
    source="Kornblith et al. 2019, arXiv:1905.00414, section 3; Cortes et al. 2012, JMLR 13",
)
def rbf_cka(x: Any, y: Any) -> Any:
    """Alignment of centred Gaussian kernels; in [0, 1], 1 = same geometry at the scale of the
    bandwidth.

    x, y        (sample, unit), the same samples; any number of units
    bandwidth   multiple of each set's median distance between samples
    raises      InputError for a set without variance, over 20,000 samples, or unequal samples
    cost        samples^2 * units
    """
    return x @ y
