"""Names of operator models: what tells one from another, the same in every process."""

import functools
import hashlib
import inspect
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from repsim.signature import code_hash

LIBRARIES = {"abc", "builtins", "numpy", "pydmd", "pykoopman", "sklearn", "torch", "typing"}


def describe(thing: Any, depth: int = 6) -> str:
    """A short name, the same in every process: the class, arguments that are not defaults, and a
    hash for arrays, functions, the code of classes outside LIBRARIES, and what cannot be read off
    the arguments.

    Functions that the class calls by their global names do not count.
    """
    thing = thing.item() if isinstance(thing, np.generic) else thing
    if thing is None or isinstance(thing, bool | int | float | complex | str):
        return repr(thing)
    if isinstance(thing, list | tuple | Mapping):
        items = thing.items() if isinstance(thing, Mapping) else thing
        return f"[{', '.join(describe(item, depth) for item in items)}]"
    if isinstance(thing, Set):
        return f"{{{', '.join(sorted(describe(item, depth) for item in thing))}}}"
    if isinstance(thing, type):
        code = _code(thing, depth - 1) if depth else []
        return f"{thing.__name__}#{_digest(thing.__qualname__, *code)}"
    thing = thing.detach().cpu().numpy() if hasattr(thing, "detach") else thing
    if isinstance(thing, np.ndarray):
        return f"array{thing.shape}#{_digest(thing.dtype, thing.tobytes())}"
    if inspect.isroutine(thing) or isinstance(thing, np.ufunc | functools.partial):
        return f"{getattr(thing, '__name__', type(thing).__name__)}#{code_hash(thing)[:8]}"
    return _describe_object(thing, depth - 1) if depth else type(thing).__name__


def held(thing: Any) -> dict[str, Any]:
    """What an object keeps, in its __dict__ and in slots."""
    slots = [
        name
        for kind in type(thing).__mro__
        for name, member in vars(kind).items()
        if inspect.ismemberdescriptor(member) and hasattr(thing, name)
    ]
    return dict(getattr(thing, "__dict__", {})) | {name: getattr(thing, name) for name in slots}


def _describe_object(thing: Any, depth: int) -> str:
    """PyDMD keeps its arguments under _name, some in the solver _Atilde, some in a DMD inside."""
    own, code = held(thing), _code(type(thing), depth)
    places = [own, getattr(own.get("_Atilde"), "__dict__", {})]
    try:
        arguments = inspect.signature(type(thing)).parameters
    except ValueError:
        arguments = {}
    shown, unread = [], "_sub_dmd" in own or not (arguments or hasattr(thing, "get_params"))
    for name, argument in arguments.items():
        found = [place[key] for place in places for key in (name, f"_{name}") if key in place]
        unread = unread or not found
        text, default = describe(found[0] if found else None, depth), argument.default
        usual = ("None", "[]", "{}") if default is None else (describe(default),)
        if found and text not in usual:
            shown.append(f"{name}={text}")
    rest = [describe(dict(sorted(own.items())), depth)] if unread and own else []
    digest = f"#{_digest(*code, *rest)}" if code or rest else ""
    return f"{type(thing).__name__}({', '.join(shown)}){digest}"


def _code(kind: type, depth: int) -> list[str]:
    """Functions and constants of a class and of its bases, those of LIBRARIES left out."""
    bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] not in LIBRARIES]
    return [
        f"{name}={describe(_functions(member), min(depth, 1))}"
        for base in bases
        for name, member in sorted(vars(base).items())
        if not name.startswith("__") or inspect.isroutine(_functions(member))
    ]


def _functions(member: Any) -> Any:
    """The functions of a property, class method or static method; others as they are."""
    if isinstance(member, property):
        return [member.fget, member.fset, member.fdel]
    return getattr(member, "__func__", member)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
