"""Numbers that a model or a training is given, refused in words where they make no sense."""

from collections.abc import Callable
from typing import Any

from repsim.errors import RepsimError


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value as an int.

    raises   RepsimError where it is no whole number, or smaller than least
    """
    try:
        if int(value) == value and value >= least:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise RepsimError(f"{name} is {value!r}. Give a whole number, {least} or more.")


def number(name: str, value: Any, fits: Callable[[float], bool], wanted: str) -> float:
    """The value as a float.

    raises   RepsimError where it is no number or does not fit; wanted says what would
    """
    try:
        if fits(float(value)):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise RepsimError(f"{name} is {value!r}; {wanted}.")


def leak(alpha: Any) -> float:
    """Alpha as a float.

    raises   RepsimError where it is not above 0 and at most 1
    """
    wanted = "it is dt / tau, above 0 and at most 1"
    return number("alpha", alpha, lambda x: 0 < x <= 1, wanted)
