"""What can be read off a function: its keywords with defaults, and whether its code changed."""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any


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


def code_hash(function: Callable) -> str:
    """Tells two versions of a function apart: results of an edited metric are never reused."""
    digest = hashlib.sha256()
    code = getattr(function, "__code__", None)
    pending = [code] if code is not None else []
    while pending:
        code = pending.pop()
        digest.update(code.co_code + repr(code.co_names).encode())
        nested = [c for c in code.co_consts if inspect.iscode(c)]
        digest.update(repr([c for c in code.co_consts if not inspect.iscode(c)]).encode())
        pending += nested
    return digest.hexdigest()[:16]
