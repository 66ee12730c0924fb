"""Controls: metrics whose score is known beforehand, or that show what a score is made of.

They stand beside every board. One outside its known interval marks the test case as broken.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repsim.contract import TRANSFORMATIONS, metric
from repsim.errors import InputError
from repsim.metrics.angular_procrustes import angular_procrustes
from repsim.metrics.dsa_spectrum import dsa_spectrum


@metric(control=True, range=(0, 0), invariant_to=TRANSFORMATIONS, triangle=True, arrays="any")
def constant(x: Any, y: Any) -> float:
    """Nought for every pair: scores exactly chance where ties count half."""
    return 0.0


@metric(control=True, range=(0, 1), symmetric=False, arrays="any")
def random(x: Any, y: Any, *, rng: np.random.Generator) -> float:
    """A uniform number in [0, 1) for every pair: scores chance, up to the spread over seeds."""
    return float(rng.random())


def reorder_trials(x: Any, *, rng: np.random.Generator) -> Any:
    """Samples after the trials are put in random order, prepared as for angular_procrustes."""
    x = x[_order(x, len(x), rng)]
    return angular_procrustes.prepare(array_namespace(x).reshape(x, (-1, x.shape[-1])))


@metric(
    control=True,
    view="trajectories",
    range=angular_procrustes.range,
    invariant_to=angular_procrustes.invariant_to,
    prepare=reorder_trials,
    arrays="any",
)
def shuffled_trials(x: Any, y: Any) -> Any:
    """angular_procrustes after the trials of each set are put in random order.

    What it still sees needs no correspondence of trials: the mean time course.
    """
    return angular_procrustes.function(x, y)


def reorder_time(x: Any, *, delays: int, rank: int, rng: np.random.Generator) -> Any:
    """Eigenvalues fitted after the time steps are put in random order, the same in every trial."""
    return dsa_spectrum.prepare(x[:, _order(x, x.shape[1], rng)], delays=delays, rank=rank)


@metric(
    control=True,
    view="trajectories",
    invariant_to=dsa_spectrum.invariant_to,
    prepare=reorder_time,
    parameters=dsa_spectrum.parameters,
    arrays="any",
)
def shuffled_time(x: Any, y: Any) -> Any:
    """dsa_spectrum after the time steps of each set are put in random order.

    What it still sees is no dynamics: the cloud of states alone.
    """
    return dsa_spectrum.function(x, y)


STATISTIC = {
    "control": True,
    "view": "trajectories",
    "invariant_to": angular_procrustes.invariant_to,
    "triangle": True,
}


def log_relative_speed(x: np.ndarray) -> float:
    """Log of the mean squared step over the variance."""
    step, spread = np.diff(x, axis=1), x - x.mean(axis=(0, 1))
    if not (step.any() and spread.any()):
        raise InputError("the trajectories never move. Check how the set was recorded.")
    return float(np.log((step**2).mean() / (spread**2).mean()))


@metric(prepare=log_relative_speed, **STATISTIC)
def relative_speed(x: float, y: float) -> float:
    """How far apart the logarithms of one number a set are: mean squared step over variance.

    What it tells apart needs no model of the dynamics.
    """
    return abs(x - y)


def radial_profile_of(x: np.ndarray) -> np.ndarray:
    """Distances of samples from their mean over the average one, amid every per cent: (100,)."""
    radii = np.linalg.norm(x - x.mean(axis=(0, 1)), axis=-1)
    if not radii.any():
        raise InputError("all samples are equal. Check how the set was recorded.")
    return np.percentile(radii / radii.mean(), np.arange(100) + 0.5)


@metric(prepare=radial_profile_of, **STATISTIC)
def radial_profile(x: np.ndarray, y: np.ndarray) -> float:
    """Mean difference between sorted distances of the samples from their mean.

    What it tells apart needs neither time nor common samples: the shape of the cloud alone.
    """
    return float(np.abs(x - y).mean())


@metric(control=True, view="truth", range=(0, np.inf))
def oracle(distance: float) -> float:
    """The true distance of a test case: scores the ceiling, or the case is broken."""
    return distance


def _order(x: Any, n: int, rng: np.random.Generator) -> Any:
    xp = array_namespace(x)
    return xp.asarray(rng.permutation(n), device=x.device)
