"""Files beside a user's file: each file gets its own, whatever else has their name."""

import itertools
import sys
import threading

import numpy as np
import pytest
from test_run import tiny_case

import repsim
from repsim.errors import RepsimError

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 20, 4))
FROM = "from {0} import k\n\ndef mine(x, y):\n    return k()\n"
MODULE = "import {0}\n\ndef mine(x, y):\n    return {0}.k()\n"
THROUGH = "from {0}_pack import other\n\ndef mine(x, y):\n    return other()\n"
LATE = "def mine(x, y):\n    from {0} import k\n    return k()\n"


NUMBERS = itertools.count()


@pytest.fixture
def name(monkeypatch):
    """A name that no other test gives to a file; the path is put back."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return f"beside_{next(NUMBERS)}"


def folder(place, name, value, source, called="mine"):
    """A folder with mine.py and what it imports; the metric's value is the number given."""
    (place / f"{name}_pack").mkdir(parents=True)
    (place / f"{name}.py").write_text(f"VALUE = {value}\n\ndef k():\n    return VALUE\n")
    (place / f"{name}_pack" / "__init__.py").write_text("from .part import other\n")
    (place / f"{name}_pack" / "part.py").write_text(f"from {name} import k as other\n")
    (place / "mine.py").write_text(source.format(name).replace("mine", called))
    return f"{place}/mine.py:{called}"


@pytest.mark.parametrize("source", [FROM, MODULE, THROUGH])
def test_two_folders_may_have_files_of_one_name(tmp_path, name, source):
    folders = [folder(tmp_path / str(v), name, v, source, f"mine{v}") for v in (1, 2, 3)]
    path = [*sys.path, *(str(tmp_path / str(v)) for v in (1, 2, 3))]
    metrics = [repsim.get_metric(one) for one in folders]
    assert [one(X, Y) for one in metrics] == [1, 2, 3]
    assert [repsim.get_metric(one)(X, Y) for one in reversed(folders)] == [3, 2, 1]
    assert sys.path == path
    for workers in (0, 1):
        rows = repsim.evaluate(metrics, tiny_case(), seeds=1, workers=workers)
        values = [np.ravel(np.array(row["distances"][0], float))[1] for row in rows]
        assert values == [1, 2, 3]


def test_what_the_session_has_imported_stays_and_is_not_taken_for_a_neighbour(tmp_path, name):
    folder(tmp_path / "session", name, 7.0, FROM)
    sys.path.insert(0, str(tmp_path / "session"))
    session = __import__(name)
    assert repsim.get_metric(folder(tmp_path / "a", name, 1.0, FROM))(X, Y) == 1
    assert sys.modules[name] is session
    assert repsim.get_metric(f"{tmp_path}/session/mine.py:mine")(X, Y) == 7
    assert sys.modules[name] is session


def test_an_import_inside_a_function_finds_the_file_beside_or_is_refused(tmp_path, name):
    first = repsim.get_metric(folder(tmp_path / "a", name, 1.0, LATE))
    for workers in (0, 1):
        (row,) = repsim.evaluate([first], tiny_case(), seeds=1, workers=workers)
        assert row["distances"][0][0][1] == 1
    with pytest.raises(RepsimError, match=rf"imports '{name}' inside a function.*{tmp_path}/a\."):
        repsim.get_metric(folder(tmp_path / "b", name, 2.0, LATE))
    assert repsim.get_metric(folder(tmp_path / "c", name, 3.0, FROM))(X, Y) == 3
    assert first(X, Y) == 1


@pytest.mark.parametrize("source", [FROM, MODULE, THROUGH, LATE])
def test_an_edited_neighbour_is_run_as_it_is_now(tmp_path, name, source):
    path = folder(tmp_path, name, 1.0, source)
    assert repsim.get_metric(path)(X, Y) == 1
    (tmp_path / f"{name}.py").write_text("def k():\n    return 22.0\n")
    assert repsim.get_metric(path)(X, Y) == 22


def test_a_lone_neighbour_may_hold_what_cannot_be_sent(tmp_path, name):
    path = folder(tmp_path, name, 1.0, MODULE)
    with open(tmp_path / f"{name}.py", "a") as file:
        file.write("import threading\nLOCK = threading.Lock()\n")
    (row,) = repsim.evaluate([path], tiny_case(), seeds=1, workers=1)
    assert row["status"] == "ok"
    assert type(sys.modules[name].LOCK) is type(threading.Lock())


def test_installed_packages_are_theirs_and_stay(tmp_path, name):
    for one in ("numpy", "repsim", "random"):
        (tmp_path / f"{one}.py").write_text("1 / 0\n")
    source = "import numpy, random, repsim\n\ndef mine(x, y):\n    return 1.0\n"
    for k in range(2):
        (tmp_path / "mine.py").write_text(source + k * "\n")
        assert repsim.get_metric(f"{tmp_path}/mine.py:mine")(X, Y) == 1
    assert (sys.modules["numpy"], sys.modules["repsim"]) == (np, repsim)
