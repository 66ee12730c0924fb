"""Invariances claimed for x alone, y alone, both or all, against the truth: only it passes."""

import numpy as np
import pytest

from repsim.checks import run_check
from repsim.contract import metric

norm = np.linalg.norm


def gap(x, y):
    return norm(x - y)


def centred(x):
    return x - x.mean(axis=0)


def scaled(x):
    return x / norm(x)


SIDED = {
    "translation": {
        "": lambda x, y: gap(x, y) + norm(x),
        "x": lambda x, y: gap(centred(x), y),
        "y": lambda x, y: gap(x, centred(y)),
        "both": gap,
        "all": lambda x, y: gap(centred(x), centred(y)),
    },
    "isotropic_scaling": {
        "": gap,
        "x": lambda x, y: gap(scaled(x), y),
        "y": lambda x, y: gap(x, scaled(y)),
        "both": lambda x, y: gap(x, y) / (norm(x) + norm(y)),
        "all": lambda x, y: gap(scaled(x), scaled(y)),
    },
}
CLAIMS = {"": [], "x": ["{}:x"], "y": ["{}:y"], "both": ["{}:both"], "all": ["{}"]}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("truth", CLAIMS)
@pytest.mark.parametrize("name", SIDED)
def test_an_invariance_claimed_for_the_wrong_side_is_caught(name, truth, claim):
    promises = [promise.format(name) for promise in CLAIMS[claim]]
    planted = metric(SIDED[name][truth], symmetric=False, invariant_to=promises)
    result = run_check(planted, f"invariance_{name}")
    if truth == claim:
        assert result.status == "pass"
        return
    assert result.status == "fail"
    held = {"all": {"x", "y", "both"}, "": set()}
    over = held.get(claim, {claim}) - held.get(truth, {truth})
    words = {"x": "x alone", "y": "y alone", "both": "both alike"}
    told = result.message.partition("but moves " if over else "not declared, but leaves")[2]
    assert {side for side in words if words[side] in told} == (over or held.get(truth, {truth}))
