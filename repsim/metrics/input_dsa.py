"""Dynamical similarity of driven systems (InputDSA; Huang, Ostrow et al. 2025, arXiv:2510.25943).

    x_{t+1} = A x_t + B u_t,    K = [B, AB, A^2 B, ...]    of each set, inputs u known
    C = argmin over orthogonal C of ||C K_1 - K_2||  = U V',   K_2 K_1' = U S V'
    joint ||C K_1 - K_2||     state ||C A_1 C' - A_2||     control ||C B_1 - B_2||

A, B from repsim.dynamics.subspace, in coordinates that a system fixes up to a rotation, whatever
drove it. One rotation C serves all three.
"""

from typing import Any

import numpy as np

from repsim.contract import metric
from repsim.dynamics.subspace import (
    DrivenSystem,
    identify_system,
    observable_coordinates,
    reachable_coordinates,
)
from repsim.dynamics.trials import whole
from repsim.errors import InputError, RepsimError

COMPONENTS = ("joint", "state", "control")
COMPARISONS = ("euclidean", "angular")
COORDINATES = {"observable": observable_coordinates, "reachable": reachable_coordinates}


def prepare(
    x: Any,
    *,
    n_inputs: int,
    order: int,
    delays: int = 10,
    horizon: int = 50,
    coordinates: str = "observable",
) -> DrivenSystem:
    """The identified system in its coordinates; the last n_inputs units are its inputs."""
    _check_word("coordinates", coordinates, COORDINATES)
    n_inputs, horizon = whole("n_inputs", n_inputs), whole("horizon", horizon)
    if n_inputs >= x.shape[-1]:
        raise InputError(
            f"n_inputs is {n_inputs} of {x.shape[-1]} units; at least 1 unit is an input and 1 "
            "an output. Concatenate activations and inputs along unit, inputs last."
        )
    x = np.asarray(x, dtype=np.float64)
    system = identify_system(x[..., :-n_inputs], x[..., -n_inputs:], order, delays=delays)
    return COORDINATES[coordinates](system, horizon)


def input_dsa_components(
    a: DrivenSystem, b: DrivenSystem, *, horizon: int = 50, comparison: str = "euclidean"
) -> dict[str, float]:
    """Joint, state and control distance of two systems in the coordinates given.

    horizon     number of blocks of K; the order is enough to reach what can be reached
    comparison  "euclidean": Frobenius norms; "angular": angles of the same pairs, radians
    raises      InputError for unequal orders or numbers of inputs, and for an angle to zero
    """
    _check_word("comparison", comparison, COMPARISONS)
    _check_sizes(a, b)
    horizon = whole("horizon", horizon)
    first, second = a.controllability(horizon), b.controllability(horizon)
    u, _, vh = np.linalg.svd(second @ first.T)
    turn = u @ vh
    pairs = {
        "joint": (turn @ first, second),
        "state": (turn @ a.state @ turn.T, b.state),
        "control": (turn @ a.control, b.control),
    }
    if comparison == "euclidean":
        return {name: float(np.linalg.norm(x - y)) for name, (x, y) in pairs.items()}
    return {name: float(_angle(name, x, y)) for name, (x, y) in pairs.items()}


def _angle(name: str, x: np.ndarray, y: np.ndarray) -> float:
    """Keeps all digits of small angles."""
    if not (x.any() and y.any()):
        raise InputError(
            f"the {name} matrix of a system is zero, and there is no angle to it. "
            'Use comparison="euclidean".'
        )
    chord = np.linalg.norm(x / np.linalg.norm(x) - y / np.linalg.norm(y))
    return 2 * np.arcsin(min(chord / 2, 1.0))


def _check_word(what: str, word: str, known: Any) -> None:
    if word not in known:
        raise RepsimError(f"{what} is {word!r}; it is one of {', '.join(known)}.")


def _check_sizes(a: DrivenSystem, b: DrivenSystem) -> None:
    for what, axis in (("states", 0), ("inputs", 1)):
        if a.control.shape[axis] != b.control.shape[axis]:
            raise InputError(
                f"input_dsa compares systems with equally many {what}; the first has "
                f"{a.control.shape[axis]} and the second {b.control.shape[axis]}. "
                "Fit both with one order and the same inputs."
            )


@metric(
    view="trajectories",
    invariant_to={"translation", "isotropic_scaling"},
    prepare=prepare,
    parameters={"n_inputs": 1, "order": 6},
    source="Huang, Ostrow et al. 2025, arXiv:2510.25943, with the rotation of the formula above",
)
def input_dsa(
    a: Any, b: Any, *, component: str = "joint", comparison: str = "euclidean", horizon: int = 50
) -> float:
    """How far two driven systems are from being one in rotated coordinates, inputs given.

    x, y        (trial, time, unit), the last n_inputs units the inputs:
                np.concatenate([activations, inputs], axis=-1); any number of trials and steps
    order       dimension of the state; delays the steps of past and future it is found from
    component   "joint" holds also where order is above the truth; "state" and "control" weigh
                every direction alike, and "state" then compares noise
    coordinates "observable": rotated outputs are the same; "reachable": so are outputs in any
                invertible map, and joint is at most sqrt(2 order); needs the right order
    comparison  "euclidean": in [0, inf); "angular": radians in [0, pi]
    horizon     number of blocks of K, and steps that the coordinates count
    raises      InputError as identify_system does, or for a state not observable or not reachable
    cost        that of identify_system a set, order^3 + order^2 * horizon * n_inputs a pair
    """
    _check_word("component", component, COMPONENTS)
    return input_dsa_components(a, b, horizon=horizon, comparison=comparison)[component]
