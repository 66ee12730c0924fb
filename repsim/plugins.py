"""From a name, `name(parameter=value)`, `file.py:function` or an installed plug-in to the object.

Three doors: pass a function, name a file, or install a package with one entry point (group
repsim.metrics, suites, models, tasks or trainers) that points to a dict of names and objects.
Nothing is imported until it is asked for by name.
"""

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from repsim.contract import Metric, as_metric
from repsim.errors import RepsimError
from repsim.metrics import METRICS as OWN_METRICS
from repsim.metrics import OPT_IN
from repsim.signature import beyond_two
from repsim.user_file import metric_of_file

# a file with a function, or a name; then what stands in brackets
SPEC = re.compile(r"(.*?\.py(?::\w*)?\s*|[^(]*)(\(.*)?", re.DOTALL)


class Table(Mapping):
    """Names -> objects, resolved when asked for; plug-ins included."""

    def __init__(
        self,
        noun: str,
        own: Mapping[str, str] | None = None,
        opt_in: Mapping[str, str] | None = None,
    ) -> None:
        self.noun = noun
        self.opt_in = opt_in or {}
        self.own = own or {}
        self._names: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        names = self._load()
        if name in self.opt_in:
            return _resolve(self.opt_in[name])
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
            near += [known for known in names if name and name in known and known not in near]
            raise RepsimError(
                f"No {self.noun} called {name!r}. "
                + (f"Nearest: {', '.join(near)}. " if near else "")
                + f"All: repsim list {self.noun}s."
            )
        return _resolve(names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def __contains__(self, name: object) -> bool:
        return name in self._load() or name in self.opt_in

    def _load(self) -> dict[str, Any]:
        if self._names is None:
            names: dict[str, Any] = dict(self.own)
            for entry in entry_points(group=f"repsim.{self.noun}s"):
                for name, thing in dict(entry.load()).items():
                    if name in names:
                        raise RepsimError(
                            f"Two {self.noun}s are called {name!r}; one comes from plug-in "
                            f"{entry.value!r}. Rename it."
                        )
                    names[name] = thing
            self._names = names
        return self._names


METRICS = Table("metric", OWN_METRICS, OPT_IN)
SUITES = Table("suite")
MODELS = Table("model")
TASKS = Table("task")
TRAINERS = Table("trainer")


def get_metric(metric: Any, **parameters: Any) -> Metric:
    """The metric of a name, "dsa(delays=10, rank=20)", "file.py:function", a Metric or a bare
    function.

    raises  RepsimError for an unknown name (nearest names offered), parameter, file or function,
            and for a function of more than two sets
    """
    if isinstance(metric, str):
        spec, given = split_parameters(metric)
        found = metric_of_file(spec) if re.search(r"\.py(:|$)", spec) else METRICS[spec]
        parameters = {**given, **parameters}
    else:
        found = metric
    found = as_metric(found)
    if more := beyond_two(found.function):
        raise RepsimError(
            f"{found.name} wants {', '.join(more)} after the two sets. Make it a keyword: "
            f"def {found.name}(x, y, *, {', '.join(more)})."
        )
    return found.with_parameters(**parameters) if parameters else found


def split_parameters(text: str) -> tuple[str, dict[str, Any]]:
    """'dsa(delays=10)' -> ('dsa', {'delays': 10}); a path before may have brackets, too."""
    name, rest = SPEC.fullmatch(text.strip()).groups()
    if not rest:
        return name.strip(), {}
    try:
        call = ast.parse(f"f{rest}", mode="eval").body
        plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
        if not plain or any(k.arg is None for k in call.keywords):
            raise ValueError
        return name.strip(), {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError):
        raise RepsimError(
            f"Cannot read {text!r}. Write a metric as name or name(parameter=value, ...)."
        ) from None


def _resolve(thing: Any) -> Any:
    if not isinstance(thing, str):
        return thing
    module, _, name = thing.partition(":")
    return getattr(import_module(module), name)
