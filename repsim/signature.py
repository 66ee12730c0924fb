"""What a metric's function tells of itself: keywords, defaults, names, and changes of its code."""

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
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


def beyond_two(function: Callable) -> list[str]:
    """Positional parameters without a default that stand after the two sets."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in found if p.kind in kinds and is_required(p.default)][2:]


def is_required(default: Any) -> bool:
    """Whether a keyword has no default."""
    return default is inspect.Parameter.empty


def named(value: Any) -> Any:
    """A parameter as it can be printed and stored: a model by its short name, the rest as it is."""
    if not _is_model(value):
        return value
    from repsim.dynamics.koopman import describe

    return describe(value)


def differ(default: Any, value: Any) -> bool:
    """Whether a parameter has to be named; models are never compared by value."""
    return default is not value and (_is_model(value) or default != value)


def _is_model(value: Any) -> bool:
    return hasattr(value, "__dict__") or hasattr(value, "fit")


def code_hash(*functions: Any) -> str:
    """Tells versions of functions apart, so that results of an edited metric are never reused.

    Counts code, defaults, what a closure holds and partial arguments, down to the entries of arrays
    and containers; not what other functions, found by their global names, do. The same in every
    process.
    """
    digest = hashlib.sha256()
    pending, seen = list(functions), {}
    while pending:
        one = pending.pop()
        if not isinstance(one, (*PLAIN, tuple, frozenset)):  # Python shares these as it likes
            if id(one) in seen:
                digest.update(f"as number {seen[id(one)][0]}\n".encode())
                continue
            seen[id(one)] = len(seen), one  # kept alive, or another thing could get its id
        parts = _parts(one)
        digest.update(f"{one!r}\n".encode() if parts is None else f"{len(parts)} parts\n".encode())
        pending += parts or []
    return digest.hexdigest()[:16]


def _parts(one: Any) -> list[Any] | None:
    """What makes up a thing, in a fixed order; None for what its print tells in full."""
    if isinstance(one, functools.partial):
        return [one.func, one.args, one.keywords]
    if inspect.ismethod(one):
        return [one.__func__, one.__self__]
    if inspect.isfunction(one):
        held = [_held(cell) for cell in one.__closure__ or ()]
        return [one.__code__, one.__defaults__, one.__kwdefaults__, *held]
    if inspect.iscode(one):
        return [one.co_code, one.co_names, *one.co_consts]
    if isinstance(one, PLAIN):
        return None
    if isinstance(one, (tuple, list)):
        return list(one)
    if isinstance(one, (set, frozenset)):
        return sorted(one, key=_place)
    if isinstance(one, Mapping):
        return [type(one).__qualname__, *sorted(one.items(), key=lambda item: _place(item[0]))]
    if hasattr(one, "py_func"):  # compiled by numba, which keeps what it compiled beside it
        return [one.py_func, getattr(one, "targetoptions", None)]
    if inspect.ismodule(one) or inspect.isclass(one):
        return [getattr(one, "__qualname__", one.__name__)]
    if hasattr(one, "detach"):
        return [str(one.dtype), _plain_array(one)]
    if hasattr(one, "tobytes"):
        return _parts_of_array(one)
    if not hasattr(one, "__dict__"):
        return _parts_of_state(one)
    called = [getattr(type(one), name, None) for name in ("__call__", "forward")]
    weights = one.state_dict() if hasattr(one, "state_dict") else None
    return [type(one).__qualname__, *called, weights, vars(one)]


def _held(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return inspect.Parameter.empty


def _place(key: Any) -> str:
    """By what to sort the entries of a set: no address and no hash of Python's."""
    return repr(key) if isinstance(key, PLAIN) else code_hash(key)


def _plain_array(tensor: Any) -> Any:
    """Of the same values, in numpy; what numpy has no type for is widened."""
    plain = tensor.detach().cpu().to_dense()
    small = plain.dtype.is_floating_point and plain.dtype.itemsize < 4
    return (plain.float() if small else plain).numpy()


def _parts_of_array(one: Any) -> list[Any]:
    kind, shape = getattr(one, "dtype", type(one).__qualname__), getattr(one, "shape", None)
    holds_objects = getattr(kind, "hasobject", False)
    return [str(kind), shape, one.tolist() if holds_objects else one.tobytes()]


def _parts_of_state(one: Any) -> list[Any]:
    """What a thing without attributes would pickle; its type alone where it does not."""
    try:
        state = one.__reduce_ex__(4)
    except Exception:
        return [type(one).__qualname__]
    if isinstance(state, str):
        return [state]
    parts = [list(part) if isinstance(part, Iterator) else part for part in state[1:]]
    return [type(one).__qualname__, *parts]
