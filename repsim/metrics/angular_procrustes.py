"""Angular Procrustes distance (Williams et al. 2021, arXiv:2110.14739).

    theta(X, Y) = arccos( ||X'Y||_* / (||X|| ||Y||) ) = 2 arcsin( d(X / ||X||, Y / ||Y||) / 2 )

with d the size-and-shape distance; the second form keeps all digits of small angles.
"""

from typing import Any

from array_api_compat import array_namespace

from repsim.contract import metric
from repsim.metrics.procrustes import aligned_residual
from repsim.metrics.procrustes import prepare as prepare_procrustes


def prepare(x: Any) -> Any:
    """Centred samples of unit norm, in at most as many coordinates as there are samples."""
    x = prepare_procrustes(x)
    return x / array_namespace(x).linalg.matrix_norm(x)


@metric(
    range=(0, 1.5707963267948966),
    invariant_to={"translation", "isotropic_scaling", "permutation", "orthogonal"},
    triangle=True,
    prepare=prepare,
    arrays="any",
    source="Williams et al. 2021, arXiv:2110.14739, section 2: arccos of the normalised Bures",
)
def angular_procrustes(x: Any, y: Any) -> Any:
    """Angle left after the best rotation, whatever the scale; radians in [0, pi/2], 0 = same shape.

    x, y      (sample, unit), the same samples; any number of units
    raises    InputError for a set without variance, or unequal samples
    cost      that of procrustes
    """
    xp = array_namespace(x)
    return 2 * xp.asin(xp.clip(aligned_residual(x, y) / 2, None, 0.5**0.5))
