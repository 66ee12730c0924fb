"""Numbers that a model or a training is given, refused in words where they make no sense."""

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


def share(name: str, value: Any) -> float:
    """The value as a float above 0 and at most 1.

    raises   RepsimError where it is not
    """
    try:
        if 0 < float(value) <= 1:
            return float(value)
    except (TypeError, ValueError):
        pass
    raise RepsimError(f"{name} is {value!r}; it is dt / tau, above 0 and at most 1.")
