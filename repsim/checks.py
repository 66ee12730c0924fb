"""What every metric must keep: public, so that a user's metric is held to the same list as ours.

Each check draws small data of its own and asks one question. Declared facts are tested both ways:
what is declared must hold, and what is not declared must break, for x alone, for y alone and for
both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from repsim.contract import SIDES, TRANSFORMATIONS, Metric
from repsim.errors import InputError, MetricError, RepsimError
from repsim.examples import example, random_transformation
from repsim.plugins import get_metric

SAME = 1e-4
IMPLIES = {
    "orthogonal": {"permutation"},
    "invertible_linear": {"orthogonal", "permutation", "isotropic_scaling"},
}
Outcome = tuple[str, str]


@dataclass(frozen=True)
class CheckResult:
    """One check of one metric: status is "pass", "fail" or "not applicable", message says why."""

    metric: str
    check: str
    status: str
    message: str


def check(metric: Any) -> list[CheckResult]:
    """Run every check on a metric, given by name, file.py:function, Metric or function."""
    metric = get_metric(metric)
    return [run_check(metric, name) for name in CHECKS]


def run_check(metric: Metric, name: str) -> CheckResult:
    """Run one check; what the metric raises is a finding, not an error."""
    if metric.view == "truth":
        return CheckResult(metric.id, name, "not applicable", "is given the truth, not activations")
    try:
        status, message = CHECKS[name](metric)
    except InputError as error:
        status, message = "not applicable", str(error)
    except MetricError as error:
        status, message = "fail", str(error)
    return CheckResult(metric.id, name, status, message)


def check_direction(metric: Metric) -> None:
    """Refuse a metric that finds every set farther from itself than from another.

    raises  RepsimError that says how to declare the other direction
    """
    pairs = [example(metric, seed) for seed in range(8)]
    own = [distance(metric, x, x) for x, _ in pairs]
    other = [distance(metric, x, y) for x, y in pairs]
    if not all(a > b + SAME * abs(b) for a, b in zip(own, other, strict=True)):
        return
    sign = 1 if metric.kind == "distance" else -1
    own_value, other_value = (metric.oriented(one) for one in (own[0], other[0]))
    relation, kind = ("larger", "similarity") if sign == 1 else ("smaller", "distance")
    raise RepsimError(
        f"{metric.name}(x, x) = {own_value:.4g} is {relation} than {metric.name}(x, y) = "
        f"{other_value:.4g}: it looks like a {kind}. "
        f'Declare it: repsim.metric(kind="{kind}")({metric.name}).'
    )


def distance(metric: Metric, x: Any, y: Any) -> float:
    """The distance, with the same random numbers every time."""
    return float(metric.distance(x, y, rng=np.random.default_rng(0)))


def _verdict(good: bool, message: str) -> Outcome:
    return ("pass", "") if good else ("fail", message)


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * max(abs(a), abs(b)) + 1e-9


def _one_number(metric: Metric) -> Outcome:
    distance(metric, *example(metric, 0))
    return "pass", ""


def _self_is_closest(metric: Metric) -> Outcome:
    for seed in range(5):
        x, y = example(metric, seed)
        own, other = distance(metric, x, x), distance(metric, x, y)
        if not own < other - SAME * abs(other):
            return "fail", f"distance of x to itself is {own:.4g}, to another set {other:.4g}"
    return "pass", ""


def _self_is_best(metric: Metric) -> Outcome:
    if metric.invariant_to is None:
        return "not applicable", "no best value is declared"
    x, y = example(metric, 0)
    value, scale = float(metric(x, x, rng=np.random.default_rng(0))), distance(metric, x, y)
    message = f"the value of x with itself is {value:.6g}; declared best is {metric.best:g}"
    return _verdict(abs(value - metric.best) <= 1e-6 * max(abs(scale), 1e-3), message)


def _stays_in_range(metric: Metric) -> Outcome:
    low, high = metric.range
    if metric.invariant_to is None:
        return "not applicable", "no range is declared"
    for seed in range(5):
        x, y = example(metric, seed)
        for pair in ((x, y), (y, x), (x, x), (x, -3 * x)):
            value = float(metric(*pair, rng=np.random.default_rng(0)))
            if not low - 1e-9 <= value <= high + 1e-9:
                return "fail", f"gave {value:.6g}, outside [{low:g}, {high:g}]"
    return "pass", ""


def _deterministic(metric: Metric) -> Outcome:
    x, y = example(metric, 1)
    first, second = (float(metric(x.copy(), y.copy())) for _ in range(2))
    return _verdict(first == second, f"the same input gave {first!r} and {second!r}")


def _leaves_inputs_alone(metric: Metric) -> Outcome:
    pair = example(metric, 2)
    before = [array.copy() for array in pair]
    prepared = metric.prepare_sets(dict(zip("xy", pair, strict=True)))
    first, again = (float(metric.compare_prepared(prepared, 0, 1)) for _ in range(2))
    if not all(np.array_equal(a, b) for a, b in zip(before, pair, strict=True)):
        return "fail", "the arrays are not what they were before the call"
    return _verdict(first == again, f"the same prepared sets gave {first!r}, then {again!r}")


def _symmetric(metric: Metric) -> Outcome:
    pairs = [example(metric, seed) for seed in range(3)]
    values = [(distance(metric, x, y), distance(metric, y, x)) for x, y in pairs]
    measured = all(_same(*both) for both in values)
    if metric.symmetric is None:
        return (
            "not applicable",
            f"nothing declared; measured: {'' if measured else 'not '}symmetric",
        )
    forward, backward = max(values, key=lambda both: abs(both[0] - both[1]))
    if metric.symmetric:
        return _verdict(measured, f"d(x, y) = {forward:.6g} but d(y, x) = {backward:.6g}")
    return _verdict(not measured, "declared asymmetric, but d(x, y) = d(y, x) every time")


def _triangle(metric: Metric) -> Outcome:
    if not metric.triangle:
        return "not applicable", "not declared"
    for seed in range(20):
        x, y = example(metric, seed)
        z, _ = example(metric, seed + 100)
        for a, b, c in ((x, y, z), (x, z, y), (y, x, z), (x, (x + z) / 2, z)):
            direct, detour = distance(metric, a, c), distance(metric, a, b) + distance(metric, b, c)
            if direct > detour * (1 + 1e-9) + 1e-12:
                return "fail", f"d(a, c) = {direct:.6g} exceeds d(a, b) + d(b, c) = {detour:.6g}"
    return "pass", ""


def _invariance(transformation: str) -> Callable[[Metric], Outcome]:
    def verdict(metric: Metric) -> Outcome:
        measured = _measured_sides(metric, transformation)
        told = f"leaves the value alone for {_words(measured)}"
        if metric.invariant_to is None:
            return "not applicable", f"nothing declared; measured: {told}"
        declared = declared_sides(metric, transformation)
        if declared - measured:
            return (
                "fail",
                f"declared for {_words(declared)}, but moves {_words(declared - measured)}",
            )
        return _verdict(measured == declared, f"not declared, but {told}")

    return verdict


def declared_sides(metric: Metric, transformation: str) -> set[str]:
    """For which of x, y and both a metric declares an invariance, implications included."""
    sides: set[str] = set()
    for promise in metric.invariant_to or ():
        name, _, side = promise.partition(":")
        if transformation == name or transformation in IMPLIES.get(name, ()):
            sides |= {side} if side else set(SIDES)
    return sides | {"both"} if {"x", "y"} <= sides else sides


def _measured_sides(metric: Metric, transformation: str) -> set[str]:
    measured = set(SIDES)
    for seed in range(3):
        x, y = example(metric, seed)
        move = random_transformation(transformation, x.shape[-1], np.random.default_rng(seed + 50))
        before = distance(metric, x, y)
        moved = {"x": (move(x), y), "y": (x, move(y)), "both": (move(x), move(y))}
        measured -= {s for s in SIDES if not _same(before, distance(metric, *moved[s]))}
    return measured


def _words(sides: set[str]) -> str:
    names = {"x": "x alone", "y": "y alone", "both": "both alike"}
    return ", ".join(names[side] for side in SIDES if side in sides) or "no side"


def _float32_is_near(metric: Metric) -> Outcome:
    """Far from the origin where the metric says that this does not matter."""
    far = 1000 if declared_sides(metric, "translation") == set(SIDES) else 0
    x, y = (np.float32(array + far) for array in example(metric, 3))
    exact, rough = distance(metric, np.float64(x), np.float64(y)), distance(metric, x, y)
    message = f"float32 gives {rough:.6g}, float64 {exact:.6g} on the same numbers"
    return _verdict(abs(rough - exact) <= 1e-3 * max(abs(exact), 1e-6), message)


def _more_units_than_samples(metric: Metric) -> Outcome:
    x, y = example(metric, 4, (70, 70))
    distance(metric, x, y)
    return "pass", ""


def _unequal_units(metric: Metric) -> Outcome:
    x, y = example(metric, 5, (8, 5))
    try:
        distance(metric, x, y)
        distance(metric, y, x)
    except RepsimError as error:
        return "not applicable", f"needs equal unit counts: {error}"
    return "pass", ""


def _order_does_not_matter(metric: Metric) -> Outcome:
    x, y = example(metric, 6)
    order = np.random.default_rng(0).permutation(len(x))
    before, after = distance(metric, x, y), distance(metric, x[order], y[order])
    rows = "samples" if metric.view == "samples" else "trials"
    return _verdict(
        _same(before, after), f"{rows} in another order: {before:.6g}, then {after:.6g}"
    )


def _refuses_nan(metric: Metric) -> Outcome:
    x, y = example(metric, 7)
    x[3] = np.nan
    try:
        distance(metric, x, y)
    except InputError as error:
        return _verdict("NaN" in str(error), f"the error does not name NaN: {error}")
    return "fail", "NaN went through"


def _refuses_unequal_samples(metric: Metric) -> Outcome:
    if metric.view != "samples" and not metric.matched:
        return "not applicable", "trajectories need no common samples"
    x, y = example(metric, 8)
    try:
        distance(metric, x, y := y[:-7])
    except InputError as error:
        named = all(str(one[..., 0].size) in str(error) for one in (x, y))
        return _verdict(named, f"the error does not name the counts: {error}")
    return "fail", f"{x[..., 0].size} and {y[..., 0].size} samples were compared"


def _torch_agrees(metric: Metric) -> Outcome:
    if metric.arrays != "any":
        return "not applicable", "declared for numpy; tensors are converted"
    import torch

    x, y = example(metric, 9)
    plain = distance(metric, x, y)
    tensors = torch.tensor(x), torch.tensor(y)
    tensor = metric.distance(*tensors, rng=np.random.default_rng(0))
    if not all(np.array_equal(a, b) for a, b in zip((x, y), tensors, strict=True)):
        return "fail", "the tensors are not what they were before the call"
    return _verdict(_same(plain, float(tensor)), f"numpy {plain:.9g}, torch {float(tensor):.9g}")


CHECKS: dict[str, Callable[[Metric], Outcome]] = {
    "one_number": _one_number,
    "self_is_closest": _self_is_closest,
    "self_is_best": _self_is_best,
    "stays_in_range": _stays_in_range,
    "deterministic": _deterministic,
    "leaves_inputs_alone": _leaves_inputs_alone,
    "symmetric": _symmetric,
    "triangle": _triangle,
    **{f"invariance_{name}": _invariance(name) for name in TRANSFORMATIONS},
    "float32_is_near": _float32_is_near,
    "more_units_than_samples": _more_units_than_samples,
    "unequal_units": _unequal_units,
    "order_does_not_matter": _order_does_not_matter,
    "refuses_nan": _refuses_nan,
    "refuses_unequal_samples": _refuses_unequal_samples,
    "torch_agrees": _torch_agrees,
}
