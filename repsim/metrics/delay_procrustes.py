"""Angular Procrustes distance between delay-embedded trajectories: a geometric baseline for DSA.

    d(X, Y) = theta(H_X, H_Y),   H = [x_t, x_{t-tau}, ..., x_{t-(q-1)tau}]   one row a window

theta the angle of angular_procrustes; q delays, tau the interval, windows within a trial only. It
sees what DSA sees of the order in time, but compares windows at the same place of the same trial,
and fits no dynamics. Where angular_procrustes is 0, so is this.
"""

from typing import Any

from array_api_compat import array_namespace

from repsim.contract import metric
from repsim.dynamics.operator import delay_embed
from repsim.metrics.angular_procrustes import angular_procrustes


def windows(x: Any, delays: int, interval: int) -> Any:
    """The windows of all trials as samples, (trial * time', delays * unit)."""
    rows = delay_embed(x, delays, interval)
    return array_namespace(rows).reshape(rows, (-1, rows.shape[-1]))


def prepare(x: Any, *, delays: int, interval: int = 1) -> Any:
    """The windows as angular_procrustes wants them."""
    return angular_procrustes.prepare(windows(x, delays, interval))


@metric(
    view="trajectories",
    matched=True,
    range=(0, 1.5707963267948966),
    invariant_to={"translation", "isotropic_scaling", "permutation", "orthogonal"},
    triangle=True,
    prepare=prepare,
    parameters={"delays": 10},
    arrays="any",
    source="Williams et al. 2021, arXiv:2110.14739, section 2, on the delay embedding of "
    "Ostrow et al. 2023, arXiv:2306.10168, section 3",
)
def delay_procrustes(x: Any, y: Any) -> Any:
    """Angle left after the best rotation of the windows; radians in [0, pi/2], 0 = same shape.

    x, y      (trial, time, unit), the same trials and time steps; any number of units
    delays    number of delayed copies in a window, interval steps apart
    raises    InputError for unequal trials or steps, trials shorter than the window, or a set
              without variance
    cost      that of procrustes with delays * unit columns
    """
    return angular_procrustes.function(x, y)
