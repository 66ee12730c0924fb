"""What a metric is: a function of two sets of activations and the facts declared about it.

The function sees bare arrays: no labels, names or coordinates. Validation happens here, before it
is called, so that its body is mathematics; what depends on one set alone goes into `prepare`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repsim.arrays import Sets, guarded, one_number, read_only, read_set, same_library
from repsim.errors import InputError, MetricError, RepsimError
from repsim.signature import code_hash, differ, is_required, keywords, named

KINDS = ("distance", "similarity")
VIEWS = ("samples", "trajectories", "truth")
TRANSFORMATIONS = (
    "translation",
    "isotropic_scaling",
    "permutation",
    "orthogonal",
    "invertible_linear",
)
SIDES = ("x", "y", "both")


@dataclass(frozen=True, eq=False)
class Metric:
    """A function of two prepared sets, with the facts declared about it.

    kind          "distance" (smaller = closer) or "similarity" (larger = closer)
    best          the value for two equal sets; range the interval that holds every value
    view          what the function is given: "samples", two (sample, unit) arrays with the same
                  samples in the same order; "trajectories", two (trial, time, unit) arrays;
                  "truth", the known distances of a test case (controls only)
    invariant_to  transformations of the units that leave the value alone: names of TRANSFORMATIONS,
                  done to either set or both; "translation:y" restricts the promise to one side,
                  "translation:both" to the same transformation done to both. None: nothing is
                  declared (a bare function)
    choose        (arrays of all sets, **parameters) -> parameters decided from the data, shared by
                  all sets and blind to their relations; for parameters given as "auto"
    compare_pairs (prepared sets, first, second) -> the values of set first[k] and set second[k]
                  for all k in one go, where batching pays
    arrays        "any": numpy or torch, gradients flow; "numpy": torch input is converted
    matched       trajectories pair up, step by step of the same trials, as samples always do
    control       a yardstick with a known answer, not a contestant
    code          hash of the source file of a metric that is not ours
    instead       a parameter -> those it stands in for, which are dropped when it is given
    """

    name: str
    function: Callable
    kind: str = "distance"
    best: float = 0.0
    range: tuple[float, float] = (0.0, math.inf)
    view: str = "samples"
    symmetric: bool | None = None
    invariant_to: frozenset[str] | None = None
    triangle: bool = False
    version: int = 1
    source: str = ""
    choose: Callable | None = None
    prepare: Callable | None = None
    compare_pairs: Callable | None = None
    arrays: str = "numpy"
    matched: bool = False
    control: bool = False
    code: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __call__(self, x: Any, y: Any, *, rng: np.random.Generator | None = None) -> Any:
        """The value in the metric's own orientation: a float for numpy, a 0-d tensor for torch.

        x, y      (trial, time, unit) or (sample, unit): numpy, torch or DataArray
        rng       for metrics that draw; seeded from the inputs when left out
        raises    InputError for data this metric cannot use, MetricError for a misbehaving function
        """
        sets = self.prepare_sets({"x": x, "y": y}, rng)
        return self.compare_prepared(sets, 0, 1, rng)

    def distance(self, x: Any, y: Any, *, rng: np.random.Generator | None = None) -> Any:
        """The same, oriented so that smaller is closer: a similarity s gives best - s."""
        return self.oriented(self(x, y, rng=rng))

    def oriented(self, value: Any) -> Any:
        """Values turned so that smaller is closer."""
        return value if self.kind == "distance" else self.best - value

    @property
    def id(self) -> str:
        """The name with the parameters that have no default or differ from it, sorted."""
        defaults = _parameters(self)
        given = [(k, v) for k, v in sorted(self.parameters.items()) if differ(defaults[k], v)]
        shown = [f"{k}={named(v) if named(v) is not v else repr(v)}" for k, v in given]
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    def __str__(self) -> str:
        return self.id

    def with_parameters(self, **parameters: Any) -> "Metric":
        """The same metric with other parameters; it stands as another row on a board."""
        known = _parameters(self)
        for name in parameters:
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise RepsimError(f"{self.name} has no parameter {name!r}. It has: {listed}.")
        given = [name for name, value in parameters.items() if value is not None]
        dropped = {old for name in given for old in self.instead.get(name, ())}
        if clash := dropped & set(parameters):
            raise RepsimError(
                f"{self.name}: {', '.join(sorted(clash))} and the model given are two ways to the "
                "same. Give one."
            )
        kept = {k: v for k, v in self.parameters.items() if k not in dropped}
        return dataclasses.replace(self, parameters=kept | parameters)

    def prepare_sets(
        self,
        sets: Mapping[str, Any],
        rng: np.random.Generator | None = None,
        blocks: Sequence[Sequence[int]] | None = None,
    ) -> Sets:
        """Check all sets, bring them to one array library and prepare each once; samples are
        matched within blocks, positions of the sets that are compared among themselves.
        """
        if self.view == "truth":
            raise RepsimError(
                f"{self.name} is given the truth of a test case; use it with repsim.score only."
            )
        read = [read_set(name, value, self.view, self.name) for name, value in sets.items()]
        prepared = Sets(same_library(read, self.arrays), dict(self.parameters))
        if self.view == "samples" or self.matched:
            for members in [range(len(read))] if blocks is None else blocks:
                prepared.take(members).check_matched(self.name)
        if self.choose is not None:
            arrays = [one.array for one in prepared.read]
            prepared.chosen = self._call("all sets", self.choose, arrays, **self.parameters)
            prepared.parameters |= prepared.chosen
        if self.prepare is not None:
            arguments = self._arguments(self.prepare, prepared, rng)
            prepared.values = [
                self._call(f"set {one.name!r}", self.prepare, one.array, **arguments)
                for one in prepared.read
            ]
            if self.code is not None:
                prepared.values = [read_only(value) for value in prepared.values]
        return prepared

    def compare_prepared(
        self, sets: Sets, first: int, second: int, rng: np.random.Generator | None = None
    ) -> Any:
        """The value for one pair of prepared sets."""
        arguments = self._arguments(self.function, sets, rng)
        pair = f"{sets.read[first].name!r} and {sets.read[second].name!r}"
        value = self._call(
            pair, self.function, sets.values[first], sets.values[second], **arguments
        )
        return one_number(value, self.id, pair, sets.read[first].array)

    def compare_prepared_pairs(
        self, sets: Sets, first: Sequence[int], second: Sequence[int]
    ) -> np.ndarray:
        """The values of many pairs at once, by compare_pairs."""
        arguments = self._arguments(self.compare_pairs, sets, None)
        values = self._call(
            "its pairs", self.compare_pairs, sets.values, first, second, **arguments
        )
        values = values.detach().cpu() if hasattr(values, "detach") else values
        values = np.asarray(values, dtype=float)
        if values.shape != (len(first),) or not np.isfinite(values).all():
            raise MetricError(f"{self.id} gave no finite number for some of the pairs.")
        return values

    def _arguments(
        self, function: Callable, sets: Sets, rng: np.random.Generator | None
    ) -> dict[str, Any]:
        names = keywords(function)
        given = sets.parameters
        arguments = {name: given[name] for name in names if name in given}
        if "rng" in names:
            arguments["rng"] = sets.rng() if rng is None else rng
        missing = [name for name in names if name not in arguments and is_required(names[name])]
        if missing:
            raise RepsimError(
                f"{self.name} needs {' and '.join(missing)}; write {self.name}({missing[0]}=...)."
            )
        return arguments

    def _call(self, what: str, function: Callable, *arrays: Any, **arguments: Any) -> Any:
        with guarded(arrays, self.id, self.code is None) as given:
            try:
                return function(*given, **arguments)
            except InputError as error:
                raise InputError(f"{self.id}, {what}: {error}") from error
            except MetricError:
                raise
            except RepsimError as error:
                raise MetricError(f"{self.id}, {what}: {error}") from error
            except (Exception, SystemExit) as error:
                if "read-only" in str(error):
                    raise MetricError(
                        f"{self.id} modifies its input ({error}). Work on a copy: x = x.copy()."
                    ) from error
                raise MetricError(
                    f"{self.id} raised {type(error).__name__} on {what}: {error}"
                ) from error


def metric(
    function: Callable | None = None,
    /,
    *,
    kind: str = "distance",
    best: float | None = None,
    range: tuple[float, float] | None = None,
    symmetric: bool = True,
    invariant_to: Iterable[str] = (),
    view: str = "samples",
    name: str | None = None,
    **facts: Any,
) -> Any:
    """Declare a metric: `@repsim.metric(kind="similarity", invariant_to={"orthogonal"})`.

    Takes the fields of Metric. A plain function is a metric too, with nothing declared; declaring
    lets `repsim check` hold it to its promises. kind="similarity" has best 1 unless told otherwise.
    """
    if function is None:
        return functools.partial(
            metric, kind=kind, best=best, range=range, symmetric=symmetric,
            invariant_to=invariant_to, view=view, name=name, **facts,
        )  # fmt: skip
    if isinstance(invariant_to, str):
        invariant_to = (invariant_to,)
    _check_facts(function, kind, view, invariant_to)
    if not function.__module__.startswith("repsim."):
        parts = facts.get("prepare"), facts.get("compare_pairs")
        facts.setdefault("code", code_hash(function, *parts))
    best = best if best is not None else (1.0 if kind == "similarity" else 0.0)
    return Metric(
        name=name or _name(function),
        function=function,
        kind=kind,
        best=best,
        range=range or ((-math.inf, best) if kind == "similarity" else (best, math.inf)),
        symmetric=symmetric,
        invariant_to=frozenset(invariant_to),
        view=view,
        **facts,
    )


def as_metric(thing: Any) -> Metric:
    """A Metric as it is; a bare function as a distance about which nothing is declared."""
    if isinstance(thing, Metric):
        return thing
    if not callable(thing):
        raise RepsimError(
            f"{thing!r} is no metric. Give a name, file.py:function, or a function of two arrays."
        )
    return Metric(name=_name(thing), function=thing, code=code_hash(thing))


def _name(function: Callable) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "metric" if name == "<lambda>" else name


def _check_facts(function: Callable, kind: str, view: str, invariant_to: Iterable[str]) -> None:
    name = _name(function)
    for word, value, allowed in (("kind", kind, KINDS), ("view", view, VIEWS)):
        if value not in allowed:
            raise RepsimError(f"{name}: {word} is {value!r}; it is one of {', '.join(allowed)}.")
    for promise in invariant_to:
        transformation, _, side = promise.partition(":")
        if transformation not in TRANSFORMATIONS or side not in ("", *SIDES):
            raise RepsimError(
                f"{name}: invariant_to holds {promise!r}; use {', '.join(TRANSFORMATIONS)}, "
                "alone or followed by :x, :y or :both."
            )


def _parameters(metric: Metric) -> dict[str, Any]:
    parts = [metric.prepare, metric.function, metric.compare_pairs]
    named = (keywords(part) for part in parts if part is not None)
    return {name: value for found in named for name, value in found.items() if name != "rng"}
