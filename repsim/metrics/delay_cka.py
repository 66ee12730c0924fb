"""Linear CKA between delay-embedded trajectories: a geometric baseline for DSA.

    CKA(H_X, H_Y),   H = [x_t, x_{t-tau}, ..., x_{t-(q-1)tau}]   one row a window

q delays, tau the interval, windows within a trial only; see delay_procrustes.
"""

from typing import Any

from repsim.contract import metric
from repsim.metrics.delay_procrustes import windows
from repsim.metrics.linear_cka import linear_cka


def prepare(x: Any, *, delays: int, interval: int = 1) -> Any:
    """The windows as linear_cka wants them."""
    return linear_cka.prepare(windows(x, delays, interval))


@metric(
    kind="similarity",
    view="trajectories",
    matched=True,
    range=(0, 1),
    invariant_to={"translation", "isotropic_scaling", "permutation", "orthogonal"},
    prepare=prepare,
    parameters={"delays": 10},
    arrays="any",
    source="Kornblith et al. 2019, arXiv:1905.00414, eq. 3, on the delay embedding of "
    "Ostrow et al. 2023, arXiv:2306.10168, section 3",
)
def delay_cka(x: Any, y: Any) -> Any:
    """Squared covariance between windows of two sets over that within each; in [0, 1], 1 = same.

    Biased towards 1 when delays * unit outnumbers the windows, as linear_cka is.
    x, y      (trial, time, unit), the same trials and time steps; any number of units
    delays    number of delayed copies in a window, interval steps apart
    raises    InputError for unequal trials or steps, trials shorter than the window, or a set
              without variance
    cost      that of linear_cka with delays * unit columns
    """
    return linear_cka.function(x, y)
