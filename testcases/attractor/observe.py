"""How a population of units sees states: random maps, and the noise of recordings.

Every map is drawn by a function (rng, n_dims, n_units) and takes states (..., dim) to activity
(..., unit). States should be of order one in every dimension; `standardised` makes them so.

    map                  what it keeps
    random_orthogonal    distances and angles
    linear               straight lines; distances are stretched
    smooth_embedding     distinct states stay distinct, nearby ones nearby; all geometry bends
    relu_population      nothing for sure; rates, never below 0
    cosine_tuning        nothing for sure; every unit swings between -1 and 1
    bump_tuning          of angles: distinct angles stay distinct
"""

from collections.abc import Callable

import numpy as np

from repsim.errors import InputError

Observation = Callable[[np.ndarray], np.ndarray]


def standardised(states: np.ndarray) -> np.ndarray:
    """Every dimension of (trial, time, dim) states at mean 0 and standard deviation 1."""
    return (states - states.mean((0, 1))) / states.std((0, 1))


def random_orthogonal(rng: np.random.Generator, n_dims: int, n_units: int) -> Observation:
    """A rotation into the units: states @ Q, Q of orthonormal rows, uniformly distributed."""
    rows = _orthonormal(rng, n_dims, n_units)
    return lambda states: states @ rows


def linear(rng: np.random.Generator, n_dims: int, n_units: int) -> Observation:
    """Gaussian weights of variance 1 / n_dims."""
    weights = rng.standard_normal((n_dims, n_units)) / n_dims**0.5
    return lambda states: states @ weights


def smooth_embedding(
    rng: np.random.Generator, n_dims: int, n_units: int, layers: int = 2, leak: float = 0.2
) -> Observation:
    """A random smooth invertible map: rotations into and among the units, bent one unit at a time.

        h <- leak h + tanh(h + b), then a random rotation; `layers` times, b standard normal

    The bend rises everywhere (slope from leak to 1 + leak), so every layer is invertible and the
    whole is a diffeomorphism onto its image. More layers and less leak bend more; layers=0 leaves
    the rotation.
    """
    enter = _orthonormal(rng, n_dims, n_units) * (n_units / n_dims) ** 0.5
    bends = [
        (rng.standard_normal(n_units), _orthonormal(rng, n_units, n_units)) for _ in range(layers)
    ]

    def see(states: np.ndarray) -> np.ndarray:
        activity = states @ enter
        for shift, rotation in bends:
            activity = (leak * activity + np.tanh(activity + shift)) @ rotation
        return activity

    return see


def relu_population(rng: np.random.Generator, n_dims: int, n_units: int) -> Observation:
    """Rates max(0, states @ w + b): unit preferred directions w, thresholds b uniform in +-1."""
    preferred = rng.standard_normal((n_dims, n_units))
    preferred /= np.linalg.norm(preferred, axis=0)
    thresholds = rng.uniform(-1, 1, n_units)
    return lambda states: np.maximum(states @ preferred + thresholds, 0)


def cosine_tuning(rng: np.random.Generator, n_dims: int, n_units: int) -> Observation:
    """cos(states @ w + b): w Gaussian of variance 1 / n_dims, phases b uniform."""
    weights = rng.standard_normal((n_dims, n_units)) / n_dims**0.5
    phases = rng.uniform(0, 2 * np.pi, n_units)
    return lambda states: np.cos(states @ weights + phases)


def bump_tuning(rng: np.random.Generator, n_units: int, sharpness: float) -> Observation:
    """Bumps on a circle: angles (...), radians, to activity (..., unit) in (0, 1).

        1 / (1 + exp(-sharpness cos(angle - preferred)))

    Preferred angles are evenly spaced, turned together at random and put in random order. A small
    sharpness gives a flat circle, a large one boxes as wide as half the circle.
    """
    spaced = np.arange(n_units) * (2 * np.pi / n_units) + rng.uniform(0, 2 * np.pi)
    preferred = rng.permutation(spaced)

    def see(angles: np.ndarray) -> np.ndarray:
        return (1 + np.tanh(sharpness / 2 * np.cos(angles[..., None] - preferred))) / 2

    return see


def poisson_counts(rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Spike counts with the expected counts `rates`, as floats; mean and variance are equal.

    raises  InputError for negative rates
    """
    if rates.min() < 0:
        raise InputError(
            f"poisson_counts got a rate of {rates.min():.3g}. Rates are expected counts: clip at 0."
        )
    return rng.poisson(rates).astype(float)


def add_noise(
    activity: np.ndarray, snr: float, rng: np.random.Generator, shared: float = 0.0
) -> np.ndarray:
    """Activity (trial, time, unit) with white noise of variance signal variance / snr in each unit.

    snr     variance of a unit's activity over that of its noise
    shared  the part of the noise variance that all units have in common, drawn anew at every time
            step: two units' noises correlate by this much
    """
    private = rng.standard_normal(activity.shape)
    spread = activity.std((0, 1)) * snr**-0.5
    if not shared:
        return activity + spread * private
    common = rng.standard_normal((*activity.shape[:-1], 1))
    return activity + spread * (shared**0.5 * common + (1 - shared) ** 0.5 * private)


def _orthonormal(rng: np.random.Generator, n_rows: int, n_columns: int) -> np.ndarray:
    """Orthonormal rows, uniform over all such: QR of a Gaussian matrix, signs made unique."""
    if n_rows > n_columns:
        raise InputError(
            f"{n_rows} dimensions do not fit into {n_columns} units. Take at least as many units."
        )
    basis, triangle = np.linalg.qr(rng.standard_normal((n_columns, n_rows)))
    return (basis * np.sign(np.diag(triangle))).T
