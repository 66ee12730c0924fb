"""A metric from a user's file, which may import the files beside it.

The folder of the file goes to the end of the path, so that imports inside functions and in workers
find what lies there. Where a file beside it has the name of one that comes from another folder, all
files beside it are imported for this file alone: the rest of the process keeps the others, and
workers get them by value.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from repsim.contract import Metric, as_metric
from repsim.errors import RepsimError

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_loaded: dict[Path, bytes] = {}  # what was in the files beside users' files when they were imported


@dataclass
class Sources:
    """A file and the files beside it that it imports.

    contents  of each file
    beside    top names of what is imported; late: of what is imported within functions
    """

    path: Path
    contents: dict[Path, bytes] = field(default_factory=dict)
    beside: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        pending, folder = [self.path], self.path.parent
        while pending:
            one = pending.pop()
            if one in self.contents or not one.is_file() or not one.is_relative_to(folder):
                continue
            self.contents[one] = one.read_bytes()
            if one != self.path:
                self.beside.add(one.relative_to(folder).parts[0].removesuffix(".py"))
            pending += self._imported(one)

    @property
    def code(self) -> str:
        """Hash of it all, so that an edit of any file is noticed."""
        return hashlib.sha256(b"".join(self.contents.values())).hexdigest()[:16]

    def _imported(self, one: Path) -> list[Path]:
        try:
            tree = ast.parse(self.contents[one])
        except (SyntaxError, ValueError):
            return []
        functions = [n for n in ast.walk(tree) if isinstance(n, FUNCTIONS)]
        self.late |= {words[0] for n in functions for level, words in _imports(n) if not level}
        files = []
        for level, words in _imports(tree):
            place = one.parent if level else self.path.parent
            for _ in range(level - 1):
                place = place.parent
            for word in words:
                place /= word
                files += [place.with_suffix(".py"), place / "__init__.py"]
        return files


def metric_of_file(spec: str) -> Metric:
    """The metric of "file.py:function".

    raises  RepsimError for a missing file or function, and for a file that does not run
    """
    path_text, dot, name = spec.rpartition(".py")
    path_text, name = path_text + dot, name.lstrip(":")
    path = Path(path_text)
    if not path.is_file() or not name:
        missing = "No function of" if path.is_file() else "No file"
        raise RepsimError(f"{missing} {path_text!r}. Write file.py:function.")
    sources = Sources(path)
    module_name = f"repsim_user_{path.stem}_{sources.code}"
    module = sys.modules.get(module_name) or _execute(sources, module_name)
    if not hasattr(module, name):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise RepsimError(
            f"No {name!r} in {path_text}. It has: {', '.join(public) or 'no functions'}."
        )
    return replace(as_metric(getattr(module, name)), code=sources.code)


def _execute(sources: Sources, module_name: str) -> Any:
    import cloudpickle

    path = sources.path
    found = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(found)
    with _own_neighbours(sources), redirect_stdout(sys.stderr):
        sys.modules[module_name] = module
        try:
            exec(compile(path.read_bytes(), path, "exec"), vars(module))  # never a stale .pyc
        except (Exception, SystemExit) as error:
            del sys.modules[module_name]
            raise RepsimError(f"{path} does not run: {type(error).__name__}: {error}.") from error
    cloudpickle.register_pickle_by_value(module)
    return module


@contextmanager
def _own_neighbours(sources: Sources) -> Iterator[None]:
    """Within, the file's imports find the files beside it, as they are now."""
    import cloudpickle

    folder = sources.path.parent.resolve()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    beside = sources.beside - sys.stdlib_module_names - _installed() if sources.beside else set()
    foreign = {name: place for name in beside if (place := _folder_of(name)) != folder}
    texts = {one: text for one, text in sources.contents.items() if one != sources.path}
    if any(_loaded.get(one, text) != text for one, text in texts.items()):
        _take_out(beside - set(foreign))
    _loaded.update(texts)
    if late := sorted(foreign.keys() & sources.late):
        raise RepsimError(
            f"{sources.path} imports {late[0]!r} inside a function, and there is another in "
            f"{foreign[late[0]]}. Import it at the top of the file, or rename one of them."
        )
    if not foreign:
        yield
        return
    others = _take_out(beside)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in beside & sys.modules.keys():
            cloudpickle.register_pickle_by_value(sys.modules[name])
        _take_out(beside)
        sys.modules.update(others)


def _imports(tree: ast.AST) -> Iterator[tuple[int, list[str]]]:
    """The dots before, and the words of, each name that could be that of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            words = node.module.split(".") if node.module else []
            yield from ((node.level, [*words, alias.name]) for alias in node.names)


@functools.cache
def _installed() -> set[str]:
    """Names that mean the same whatever lies beside a file."""
    return set(packages_distributions())


def _folder_of(name: str) -> Path | None:
    """Where an import of this name is, or would be, found; None for what is no file."""
    known = sys.modules.get(name)
    spec = importlib.util.find_spec(name) if known is None else getattr(known, "__spec__", None)
    if spec is None or not (spec.has_location or spec.submodule_search_locations):
        return None
    places = list(spec.submodule_search_locations or [spec.origin])
    return Path(places[0]).parent.resolve()


def _take_out(names: set[str]) -> dict[str, Any]:
    """Takes these and their parts out of the modules that are imported."""
    taken = [one for one in sys.modules if one.partition(".")[0] in names]
    return {one: sys.modules.pop(one) for one in taken}
