"""The hash of a function's code: what it tells apart, and that it is the same everywhere."""

import collections
import dataclasses
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

import repsim
from repsim.signature import code_hash

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 20, 4))


@dataclasses.dataclass(slots=True)
class Slotted:
    """Attributes without a dict."""

    a: float


class Holder:
    """Attributes with one."""

    def __init__(self, **held):
        self.held = held


class Net(torch.nn.Module):
    """A module with a setting that is no weight."""

    def __init__(self, seed, setting=1):
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.setting = torch.nn.Linear(3, 2), setting


def holding(held):
    return lambda x, y: float(abs(x.std() - y.std())) if held is not None else 0.0


def traced(seed):
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(torch.nn.Linear(3, 2), torch.ones(1, 3))


ONE, OTHER = [1], [2]
DIFFERENT = [
    ([ONE, ONE, OTHER], [ONE, OTHER, OTHER]),
    ({"a": 1.0}, {"a": -50.0}),
    ({"a": {"b": [1]}}, {"a": {"b": [2]}}),
    ({"a": 1}, {"b": 1}),
    ({1, 2}, {1, 3}),
    (frozenset({"a"}), frozenset({"b"})),
    (torch.zeros(3), torch.ones(3)),
    (torch.zeros(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bfloat16)),
    (torch.zeros(3), torch.zeros(3, dtype=torch.float64)),
    (torch.eye(3).to_sparse(), 2 * torch.eye(3).to_sparse()),
    (torch.zeros(3, requires_grad=True), torch.ones(3, requires_grad=True)),
    (Net(0), Net(1)),
    (Net(0), Net(0, setting=2)),
    (traced(0), traced(1)),
    (Holder(a=1), Holder(a=2)),
    (Slotted(1.0), Slotted(2.0)),
    (collections.deque([1]), collections.deque([2])),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array([{"a": 1}]), np.array([{"a": 2}])),
    ((1, 21), (11, 2)),
    (np.add, np.multiply),
    (np, torch),
]


@pytest.mark.parametrize(("first", "second"), DIFFERENT, ids=lambda one: type(one).__name__)
def test_what_a_function_holds_counts(first, second):
    assert code_hash(holding(first)) != code_hash(holding(second))


def test_defaults_count():
    def made(weights):
        def mine(x, y, weights=weights, *, more=weights):
            return weights["a"]

        return mine

    assert code_hash(made({"a": 1})) != code_hash(made({"a": 2}))


@pytest.mark.parametrize("held", [{"b": 1, "a": 2}, {3, 1, 2}, Net(0), Holder(a={"b": 1})])
def test_the_same_things_made_twice_are_the_same(held):
    again = dict(reversed(held.items())) if isinstance(held, dict) else held
    again = Net(0) if isinstance(held, Net) else again
    again = Holder(a={"b": 1}) if isinstance(held, Holder) else again
    assert code_hash(holding(held)) == code_hash(holding(again))


def test_things_that_hold_themselves_are_hashed():
    held = Holder()
    held.held["me"] = held
    assert code_hash(holding(held)) == code_hash(holding(held))


def test_a_name_that_is_assigned_later_is_no_error():
    def mine(x, y):
        return later

    code = code_hash(mine)
    later = 1.0
    assert code != code_hash(mine)
    assert repsim.get_metric(mine)(X, Y) == later


ELSEWHERE = """
import re, sys
sys.path.insert(0, "tests")
import numpy as np, torch
from test_signature import DIFFERENT, Holder, Net, Slotted, holding
from repsim.signature import code_hash
nested = {frozenset("abc"), frozenset("de"), (1, frozenset("xyz")), print, Slotted, np.sin}
keys = {frozenset("abc"): 1, holding: {"u", "v", "w"}, Net: re.compile("a+")}
print(*(code_hash(holding(one)) for one in (nested, keys, Holder(a={"b", "c"}))))
print(*(code_hash(holding(one)) for pair in DIFFERENT for one in pair))
"""


def test_another_process_finds_the_same():
    def answer(seed):
        here = os.environ | {"PYTHONHASHSEED": seed}
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE], cwd=root, env=here, capture_output=True, check=True
        )
        return done.stdout.split()

    first, second = answer("1"), answer("2")
    assert first == second
    assert len(set(first)) > len(DIFFERENT)


def test_a_compiled_function_is_the_same_before_and_after_its_first_call():
    numba = pytest.importorskip("numba")
    mine = numba.njit(lambda x, y: x[0, 0] - y[0, 0])
    before = code_hash(mine)
    mine(X, Y)
    assert code_hash(mine) == before
    assert code_hash(numba.njit(lambda x, y: x[0, 0] + y[0, 0])) != before
