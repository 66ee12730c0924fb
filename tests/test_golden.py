"""Golden values: a score that moves without its version is told, with what to do about it."""

import json
from pathlib import Path

import numpy as np
import pytest

from repsim.metrics import METRICS
from repsim.plugins import get_metric

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
TOLERANCE = {"dsa": 1e-6}


def told(name, golden, version, value, tolerance=1e-9):
    """What to do about a value that is not the golden one; None where nothing moved."""
    if version != golden["version"]:
        return (
            f"{name} is version {version}, golden.json holds version {golden['version']}. "
            f'Write {{"version": {version}, "value": {value!r}}} there.'
        )
    if abs(value - golden["value"]) <= tolerance * max(abs(golden["value"]), 1e-12):
        return None
    digits = next(d for d in range(4, 18) if f"{value:.{d}g}" != f"{golden['value']:.{d}g}")
    return (
        f"{name} moved from {golden['value']:.{digits}g} to {value:.{digits}g}. If intended, raise "
        'its version and note it in CHANGELOG under "scores that moved".'
    )


def samples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 8))
    return x, x @ rng.standard_normal((8, 8)) * 0.5 + rng.standard_normal((60, 8))


def trajectories():
    """Three damped rotations driven by noise, seen by 6 and by 9 units."""
    rng = np.random.default_rng(1)
    radius = np.repeat([0.99, 0.95, 0.9], 2)
    sets = []
    for speeds, n_units in (((0.1, 0.3, 0.6), 6), ((0.15, 0.35, 0.7), 9)):
        step = np.zeros((6, 6))
        for i, speed in enumerate(speeds):
            block = [[np.cos(speed), -np.sin(speed)], [np.sin(speed), np.cos(speed)]]
            step[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = block
        states = [rng.standard_normal((12, 6))]
        for _ in range(39):
            states.append((states[-1] * radius) @ step.T + 0.3 * rng.standard_normal((12, 6)))
        sets.append(np.stack(states, axis=1) @ rng.standard_normal((6, n_units)))
    return sets


def golden_value(name):
    found = get_metric(name)
    if found.view == "truth":
        return found.function(0.25)
    pair = samples() if found.view == "samples" else trajectories()
    return found(*pair, rng=np.random.default_rng(0))


@pytest.mark.parametrize("name", METRICS)
def test_golden_value(name):
    version, value = get_metric(name).version, golden_value(name)
    message = told(name, GOLDEN[name], version, value, TOLERANCE.get(name, 1e-9))
    assert message is None, message


def test_every_metric_has_a_golden_value():
    assert set(GOLDEN) == set(METRICS)
    assert all(set(entry) == {"version", "value"} for entry in GOLDEN.values())


def test_a_value_that_moves_without_its_version_is_told():
    golden = {"version": 1, "value": 0.8127}
    assert told("linear_cka", golden, 1, 0.8094) == (
        "linear_cka moved from 0.8127 to 0.8094. If intended, raise its version and note it in "
        'CHANGELOG under "scores that moved".'
    )


def test_a_small_move_shows_the_digits_that_differ():
    message = told("dsa", {"version": 1, "value": 0.5}, 1, 0.5 + 1e-8)
    assert message.startswith("dsa moved from 0.5 to 0.50000001. ")


def test_a_new_version_asks_for_a_new_golden_value():
    message = told("dsa", {"version": 1, "value": 0.5}, 2, 0.75)
    assert message == (
        'dsa is version 2, golden.json holds version 1. Write {"version": 2, "value": 0.75} there.'
    )
    assert told("dsa", {"version": 2, "value": 0.75}, 2, 0.75) is None


def test_rounding_is_no_move():
    golden = {"version": 1, "value": 0.5}
    assert told("linear_cka", golden, 1, 0.5 * (1 + 0.9e-9)) is None
    assert told("linear_cka", golden, 1, 0.5 * (1 + 1.1e-9)) is not None
    assert told("dsa", golden, 1, 0.5 * (1 + 0.9e-6), TOLERANCE["dsa"]) is None
    assert told("constant", {"version": 1, "value": 0.0}, 1, 1e-9) is not None
