"""What a metric's function tells of itself: keywords, defaults, names, and changes of its code."""

import functools
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

PLAIN = (str, bytes, int, float, complex, type(None), type(...))


def keywords(function: Callable) -> dict[str, Any]:
    """Parameters of a function that are not its arrays, with their defaults."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    keyword = [p for p in found if p.kind is p.KEYWORD_ONLY]
    positional = [
        p for p in found if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty
    ]
    return {p.name: p.default for p in (*positional, *keyword)}


def is_required(default: Any) -> bool:
    """Whether a keyword has no default."""
    return default is inspect.Parameter.empty


def named(value: Any) -> Any:
    """A parameter as it can be printed and stored: a model by its short name, the rest as it is."""
    if not hasattr(value, "__dict__"):
        return value
    from repsim.dynamics.koopman import describe

    return describe(value)


def differ(default: Any, value: Any) -> bool:
    """Whether a parameter has to be named; models are never compared by value."""
    return default is not value and (hasattr(value, "__dict__") or default != value)


def code_hash(*functions: Any) -> str:
    """Tells versions of functions apart, so that results of an edited metric are never reused.

    Counts code, defaults, what a closure holds and partial arguments; not what other functions,
    found by their global names, do.
    """
    digest = hashlib.sha256()
    pending, seen = list(functions), set()
    while pending:
        one = pending.pop()
        if id(one) in seen and not isinstance(one, PLAIN):
            continue
        seen.add(id(one))
        parts = _parts(one)
        digest.update(repr(one).encode() if parts is None else f"{len(parts)} parts".encode())
        pending += parts or []
    return digest.hexdigest()[:16]


def _parts(one: Any) -> list[Any] | None:
    """What makes up a thing, in a fixed order; None for what its print tells in full."""
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *sorted(one.keywords.items())]
    if inspect.ismethod(one):
        return [one.__func__, one.__self__]
    if inspect.isfunction(one):
        held = [cell.cell_contents for cell in one.__closure__ or ()]
        return [one.__code__, one.__defaults__, *(one.__kwdefaults__ or {}).items(), *held]
    if inspect.iscode(one):
        return [one.co_code, one.co_names, *one.co_consts]
    if isinstance(one, (tuple, list)):
        return list(one)
    if isinstance(one, frozenset):
        return sorted(one, key=repr)
    if isinstance(one, PLAIN):
        return None
    if hasattr(one, "tobytes"):
        return [str(one.dtype), one.tobytes()]
    if inspect.ismodule(one) or inspect.isclass(one) or not hasattr(one, "__dict__"):
        return [getattr(one, "__qualname__", type(one).__qualname__)]
    called = [type(one).__call__] if callable(one) else []
    return [type(one).__qualname__, *called, *sorted(vars(one).items())]
