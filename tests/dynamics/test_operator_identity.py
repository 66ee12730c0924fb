"""Names of operator models: models that differ never share one, and a process changes nothing."""

import copy
import functools
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

import repsim
from repsim.dynamics.koopman import describe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pydmd = pytest.importorskip("pydmd", reason="pydmd comes with the extra 'koopman'")
    pykoopman = pytest.importorskip("pykoopman", reason="pykoopman comes with it, too")


class Model:
    def __init__(self, rank=None):
        self.rank = rank

    def fit(self, x, y):
        self.A = np.linalg.lstsq(x, y, rcond=None)[0].T


def test_names_are_short_and_say_what_differs():
    delays = pykoopman.observables.TimeDelay(n_delays=3)
    lifted = pykoopman.Koopman(observables=delays, regressor=pykoopman.regression.EDMD(svd_rank=4))
    name = "Koopman(observables=TimeDelay(n_delays=3), regressor=EDMD(svd_rank=4))"
    assert describe(lifted) == name
    assert re.fullmatch(r"Model\(rank=3\)#[0-9a-f]{8}", describe(Model(rank=3)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pydmd.HODMD(svd_rank_extra=3), pydmd.HODMD(svd_rank_extra=4)),
        (pydmd.HankelDMD(d=3), pydmd.HankelDMD(d=3, tikhonov_regularization=50.0)),
        (pydmd.HankelDMD(d=3), pydmd.HankelDMD(d=3, forward_backward=True)),
        (pydmd.EDMD(svd_rank=-1), pydmd.EDMD(svd_rank=1)),
        (pydmd.BOPDMD(eig_constraints={"stable"}), pydmd.BOPDMD(eig_constraints={"imag"})),
        (Model(np.zeros(3)), Model(np.ones(3))),
        (Model(lambda x: x**2), Model(lambda x: x**3)),
        (Model(functools.partial(max, 1)), Model(functools.partial(max, 2))),
        (Model(np.sin), Model(np.cos)),
    ],
    ids=[
        "held-inside",
        "penalty-inside",
        "both-ways-inside",
        "digit-of-the-default",
        "sets",
        "arrays",
        "functions",
        "partials",
        "ufuncs",
    ],
)
def test_models_that_differ_have_names_that_differ(one, other):
    assert describe(one) != describe(other)
    assert describe(one) == describe(copy.deepcopy(one))
    assert " at 0x" not in describe(one)


CLASS = """
import functools, numpy as np

class Base:
    __slots__ = ()

    def penalty(self):
        return 1.0

class Own(Base):
    strength = 1.0
    __slots__ = ("A", "rank")

    def __init__(self, rank=2):
        self.rank = rank

    def fit(self, x, y):
        self.A = np.linalg.lstsq(x, y, rcond=None)[0].T

    @property
    def scale(self):
        return 2.0

    @staticmethod
    def shift():
        return 3.0

    @functools.cached_property
    def kept(self):
        return 4.0

    again = functools.partialmethod(fit, 5.0)
"""


def own(text):
    space = {"__name__": "own"}
    exec(text, space)
    return space["Own"]


def name_of(text, rank=2):
    return describe(own(text)(rank))


def test_an_edited_class_has_another_name():
    edits = [("].T", "]"), *((f"{n}.0", f"{n}.5") for n in range(1, 6)), ("strength", "force")]
    texts = [CLASS, *(CLASS.replace(*edit) for edit in edits)]
    assert len({name_of(text) for text in texts}) == len(edits) + 1
    assert name_of(CLASS + "# a remark") == name_of(CLASS)


def test_what_is_held_in_slots_counts():
    assert name_of(CLASS, rank=2) != name_of(CLASS, rank=3)
    assert "rank=3" in name_of(CLASS, rank=3)


def test_classes_that_hold_themselves_have_a_name():
    assert name_of(CLASS + "Own.same, Own.one, Own.pair = Own, Own(), [Own()]") != name_of(CLASS)


def test_the_metric_is_named_by_the_code_of_its_operator():
    def metric(text):
        return repsim.get_metric("dsa_spectrum", operator=own(text)())

    assert metric(CLASS).id == metric(CLASS).id
    assert metric(CLASS).id != metric(CLASS.replace("].T", "]")).id


def test_names_are_the_same_in_another_process(tmp_path):
    (tmp_path / "own.py").write_text(CLASS)
    code = "import numpy as np; from repsim.dynamics.koopman import describe; import own; "
    code += "things = [{'stable', 'imag', 'one'}, np.arange(3.0), dict(a=np.sin), own.Own(3)]; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(describe(things), describe(own.Own))"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    kind = own(CLASS)
    things = [{"one", "stable", "imag"}, np.arange(3.0), {"a": np.sin}, kind(3)]
    assert done.stdout.strip() == f"{describe(things)} {describe(kind)}"
