import functools
import importlib.metadata
import os
import sys

import numpy as np
import pytest
from test_run import tiny_case

import repsim
from repsim import plugins
from repsim.errors import RepsimError
from repsim.plugins import Table, get_metric
from repsim.results import read_rows

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 20, 4))
MINE = "def mine(x, y):\n    return abs(x[0, 0] - y[0, 0])\n"


def installed(monkeypatch, *tables):
    """As if packages were installed that offer these tables of metrics."""
    entries = []
    for number, table in enumerate(tables):
        monkeypatch.setitem(sys.modules, f"plug_in_{number}", type(sys)("plug_in"))
        sys.modules[f"plug_in_{number}"].TABLE = table
        value = f"plug_in_{number}:TABLE"
        entries.append(importlib.metadata.EntryPoint("any", value, "repsim.metrics"))
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries * (group[-7:] == "metrics"))


def edited_result(folder, source):
    """The only row of mine.py:mine after the file is given this content."""
    path = folder / "mine.py"
    path.write_text(source)
    (row,) = repsim.evaluate([f"{path}:mine"], tiny_case(), seeds=1, results=folder / "results")
    return row


@pytest.mark.parametrize("name", [n for n in plugins.METRICS if n != "oracle"])
def test_a_name_leads_to_the_metric(name):
    assert get_metric(name).name == name


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("linear_ckka", "linear_cka"), ("procruste", "procrustes"), ("cka", "linear_cka")],
)
def test_an_unknown_name_offers_the_nearest(wrong, near):
    with pytest.raises(RepsimError, match=rf"No metric called '{wrong}'.*Nearest: .*{near}"):
        get_metric(wrong)


def test_a_name_near_to_nothing_says_where_the_list_is():
    with pytest.raises(RepsimError, match="repsim list metrics") as error:
        get_metric("zzz")
    assert "Nearest" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("dsa(delays=7)", {"delays": 7, "rank": 20}),
        (" dsa ( rank = 5 , delays = 3 ) ", {"delays": 3, "rank": 5}),
        ("dsa(comparison='euclidean')", {"delays": 10, "rank": 20, "comparison": "euclidean"}),
        ("dsa()", {"delays": 10, "rank": 20}),
    ],
)
def test_parameters_stand_in_brackets(text, parameters):
    assert get_metric(text).parameters == parameters


def test_keywords_go_before_the_text():
    assert get_metric("dsa(delays=7)", delays=3).parameters["delays"] == 3


def test_the_id_is_sorted_and_independent_of_how_it_was_written():
    written = ("dsa(rank=5, delays=3)", "dsa( delays=3,rank=5 )")
    assert {get_metric(text).id for text in written} == {"dsa(delays=3, rank=5)"}


@pytest.mark.parametrize(
    "text",
    [
        "dsa(delays=5)(rank=2)",
        "(1)(delays=5)",
        "dsa(10)",
        "dsa(delays=)",
        "dsa(delays=10",
        "dsa(**{})",
        "dsa(delays=open('x'))",
        "dsa)(",
    ],
)
def test_parameters_that_cannot_be_read_are_refused(text):
    with pytest.raises(RepsimError):
        get_metric(text)


def test_an_unknown_parameter_lists_those_there_are():
    with pytest.raises(
        RepsimError, match=r"'delay'.*comparison, delays, effort, interval, operator, rank, ridge"
    ):
        get_metric("dsa(delay=3)")
    with pytest.raises(RepsimError, match=r"procrustes has no parameter 'k'\. It has: none"):
        get_metric("procrustes", k=3)


@pytest.mark.parametrize("thing", [3, None, ["linear_cka"]])
def test_a_thing_that_is_no_metric_is_refused(thing):
    with pytest.raises(RepsimError, match="is no metric"):
        get_metric(thing)


def test_a_file_and_a_function(tmp_path):
    (tmp_path / "mine.py").write_text("def mine(x, y, *, k=2):\n    return k\n")
    assert get_metric(f"{tmp_path}/mine.py:mine")(X, Y) == 2
    assert get_metric(f"{tmp_path}/mine.py:mine(k=5)")(X, Y) == 5
    assert get_metric(f"{tmp_path}/mine.py:mine(k=5)").id == "mine(k=5)"


def test_a_declared_metric_of_a_file_keeps_its_facts(tmp_path):
    source = "import repsim\n@repsim.metric(kind='similarity')\ndef mine(x, y):\n    return 0.25\n"
    (tmp_path / "mine.py").write_text(source)
    metric = get_metric(f"{tmp_path}/mine.py:mine")
    assert (metric.kind, metric.distance(X, Y)) == ("similarity", 0.75)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "No file"),
        ("def other(x, y):\n    return 0\n", "No 'mine' in .*It has: other"),
        ("mine = 3\n", "is no metric"),
        ("1 / 0\n", "does not run: ZeroDivisionError"),
        ("def mine(x, y:\n", "does not run: SyntaxError"),
        ("import not_there_at_all\n", "does not run: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "does not run: SystemExit"),
    ],
)
def test_files_that_hold_no_metric_are_refused(tmp_path, source, words):
    if source is not None:
        (tmp_path / "mine.py").write_text(source)
    with pytest.raises(RepsimError, match=words):
        get_metric(f"{tmp_path}/mine.py:mine")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_may_import_its_neighbours(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / f"neighbour_{workers}.py").write_text("def twice(a):\n    return 2 * a\n")
    (tmp_path / "mine.py").write_text(
        f"from neighbour_{workers} import twice\n\ndef mine(x, y):\n    return twice(x[0, 0])\n"
    )
    (row,) = repsim.evaluate([f"{tmp_path}/mine.py:mine"], tiny_case(), seeds=1, workers=workers)
    assert row["status"] == "ok"


def test_an_edited_file_is_scored_again(tmp_path):
    before = edited_result(tmp_path, MINE)
    again = edited_result(tmp_path, MINE)
    after = edited_result(tmp_path, MINE.replace("abs(x", "abs(3 * x"))
    assert again == before
    assert after["code"] != before["code"]
    assert after["distances"] != before["distances"]
    assert len(read_rows(tmp_path / "results")) == 2


def test_an_edit_of_the_same_length_and_second_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    values = []
    for factor in (1, 2):
        (tmp_path / "mine.py").write_text(f"def mine(x, y):\n    return {factor}\n")
        os.utime(tmp_path / "mine.py", (1e9, 1e9))
        values.append(get_metric(f"{tmp_path}/mine.py:mine")(X, Y))
    assert values == [1, 2]


def test_an_edited_neighbour_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    source = "from edited_neighbour import factor\n\ndef mine(x, y):\n    return factor\n"
    codes = []
    for factor in (1.0, 2.0):
        sys.modules.pop("edited_neighbour", None)
        (tmp_path / "edited_neighbour.py").write_text(f"factor = {factor}\n")
        codes.append(edited_result(tmp_path, source)["code"])
    assert codes[0] != codes[1]


def parametrised(factor):
    return lambda x, y: factor * x[0, 0]


def with_default(factor):
    def mine(x, y, *, factor=factor):
        return factor * x[0, 0]

    return mine


def partial(factor):
    return functools.partial(lambda x, y, factor: factor * x[0, 0], factor=factor)


def declared(factor):
    source = f"def mine(x, y):\n    return {factor} * x[0, 0]\n"
    namespace = {"__name__": "user"}
    exec(source, namespace)
    return repsim.metric(namespace["mine"])


@pytest.mark.parametrize("make", [parametrised, with_default, partial, declared])
def test_results_of_another_function_are_not_reused(tmp_path, make):
    for n_rows, factor in enumerate((1.0, 2.0), 1):
        repsim.evaluate([make(factor)], tiny_case(), seeds=1, results=tmp_path)
        assert len(read_rows(tmp_path)) == n_rows


def test_installed_plug_ins_are_offered_beside_ours(monkeypatch):
    mine = repsim.metric(lambda x, y: 0.5, name="mine")
    installed(monkeypatch, {"mine": mine, "lazy": "repsim.metrics.procrustes:procrustes"})
    table = Table("metric", plugins.OWN_METRICS)
    assert table["mine"] is mine
    assert table["lazy"].name == "procrustes"
    assert list(table)[-2:] == ["mine", "lazy"]
    assert len(table) == len(plugins.OWN_METRICS) + 2
    assert "mine" in table
    assert "yours" not in table


@pytest.mark.parametrize("tables", [({"linear_cka": 1},), ({"mine": 1}, {"mine": 2})])
def test_two_metrics_of_one_name_are_refused(monkeypatch, tables):
    installed(monkeypatch, *tables)
    with pytest.raises(RepsimError, match=r"Two metrics are called.*plug_in_"):
        len(Table("metric", plugins.OWN_METRICS))


def test_the_suites_and_models_of_this_package_are_found():
    assert "attractor" in repsim.SUITES
    assert next(case.suite for case in repsim.SUITES["attractor"]) == "attractor"
    assert list(repsim.MODELS) == list(Table("model"))


@pytest.mark.parametrize("given", [{}, {"k": 3}])
def test_a_parameter_that_is_no_keyword_is_told_to_become_one(given):
    def needs(x, y, k):
        return k

    with pytest.raises(RepsimError, match=r"needs wants k .*def needs\(x, y, \*, k\)"):
        get_metric(needs, **given)
    assert get_metric(lambda x, y, k=2: k, **given)(X, Y) == given.get("k", 2)


@pytest.mark.parametrize("name", ["sp ace (1)/mine.py", "(a).py:b/(c/mine.py"])
@pytest.mark.parametrize(
    ("end", "value"), [("", 2), ("(k=5)", 5), (" ( k = 5 ) ", 5), ("(k='x.py:y(1)')", "x.py:y(1)")]
)
def test_a_path_may_have_brackets(tmp_path, name, end, value):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("def mine(x, y, *, k=2):\n    return k if k != 'x.py:y(1)' else 7\n")
    found = get_metric(f"{path}:mine{end}")
    assert found.parameters.get("k", 2) == value


def test_a_name_with_a_file_in_its_parameters_is_no_file():
    assert plugins.split_parameters("dsa(a='x.py:f')") == ("dsa", {"a": "x.py:f"})


@pytest.mark.parametrize("end", ["", ":"])
def test_a_file_without_a_function_is_told_to_name_one(tmp_path, end):
    (tmp_path / "mine.py").write_text(MINE)
    with pytest.raises(RepsimError, match=r"No function of .*mine\.py'\. Write file\.py:function"):
        get_metric(f"{tmp_path}/mine.py{end}")
