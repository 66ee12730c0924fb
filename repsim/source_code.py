"""A hash of the sources that something is made of, so that an edit moves what is kept.

Counted are the modules of the classes and functions given, and of what these import, as far as
they are ours: from the same top-level package or, for a file of its own such as a script, from its
folder. What comes from elsewhere counts only by what it is given.
"""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from repsim.errors import RepsimError


def code_version(*things: Any) -> str:
    """Hash of the sources of classes, functions and modules.

    raises   RepsimError for what was defined at a prompt or in a notebook, which has no file
    """
    sources: dict[str, bytes] = {}
    pending = sorted({_module_name(thing) for thing in things})
    while pending:
        name = pending.pop()
        if name in sources:
            continue
        path = _file(name)
        sources[name] = path.read_bytes() if path is not None else b""
        pending += [one for one in _imports(name, path, sources[name]) if _ours(one, name, path)]
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(name.encode() + sources[name])
    return digest.hexdigest()[:16]


def _module_name(thing: Any) -> str:
    while isinstance(thing, partial):
        thing = thing.func
    if isinstance(thing, str):
        return thing
    module = inspect.getmodule(thing) or inspect.getmodule(type(thing))
    name = getattr(module, "__name__", None)
    if name is None or (name == "__main__" and _file(name) is None):
        called = getattr(thing, "__qualname__", type(thing).__name__)
        raise RepsimError(
            f"{called} is defined at a prompt or in a notebook, so the cache could not tell when "
            "it changes. Put it into a file and import it, or work without the cache."
        )
    return name


def _file(name: str) -> Path | None:
    """The source file of a module; None for what is no module, or not written in Python."""
    loaded = sys.modules.get(name)
    if getattr(loaded, "__spec__", None) is None and loaded is not None:  # a script
        origin = getattr(loaded, "__file__", None)
    else:
        try:
            spec = find_spec(name)
        except ModuleNotFoundError:  # the name of something in a module
            return None
        origin = spec.origin if spec is not None else None
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.exists() else None


def _imports(name: str, path: Path | None, source: bytes) -> Iterator[str]:
    package = name if path is not None and path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if node.level and not package:  # of a script run as python -m
                package = sys.modules[name].__package__
            base = resolve_name(base, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _ours(one: str, name: str, path: Path | None) -> bool:
    """Whether what a module imports is counted too."""
    if one.partition(".")[0] == name.partition(".")[0]:
        return True
    if path is None or "." in name or path.stem == "__init__":
        return False
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    folder = path.resolve().parent
    if installed or folder == Path(ast.__file__).resolve().parent:
        return False
    top = _file(one.partition(".")[0])
    return top is not None and folder in top.resolve().parents
