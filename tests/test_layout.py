import ast
import subprocess
import sys
from pathlib import Path

import pytest

import repsim
from repsim.metrics import OPT_IN

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("repsim", "testcases", "model_zoo")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LONG = [
    *FILES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
]
LATE = ("torch", "sklearn", "seaborn", "matplotlib", "pykoopman", "ot", "pandas", "scipy", "xarray")
FORBIDDEN = {
    "repsim": {"testcases", "model_zoo", "tests", "benchmarks"},
    "model_zoo": {"testcases", "tests", "benchmarks"},
    "testcases": {"tests", "benchmarks"},
}
VAGUE = {"utils", "util", "helpers", "helper", "base", "core", "common", "misc"}
NAMES = list(repsim.METRICS)


def name_of(path):
    return str(path.relative_to(ROOT))


def imported(path):
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def public_functions(path):
    body = ast.parse(path.read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def loaded_by(code):
    """Modules in memory after running the code in a process of its own."""
    code += "\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_repsim_loads_nothing_heavy():
    loaded = loaded_by("import repsim; dir(repsim); repsim.__version__")
    assert "repsim" in loaded
    assert loaded & set(LATE) == set()
    assert "numpy" not in loaded


@pytest.mark.parametrize(
    "code",
    [
        "import repsim; list(repsim.METRICS)",
        "import repsim; repsim.get_metric('linear_cka')",
        "import repsim; [repsim.METRICS[name] for name in repsim.METRICS]",
        "import repsim.cli",
    ],
)
def test_the_table_of_metrics_is_light(code):
    heavy = {"torch", "sklearn", "seaborn", "matplotlib", "pykoopman", "ot"}
    assert loaded_by(code) & heavy == set()


def test_every_promised_name_leads_somewhere():
    for name in repsim.__all__:
        assert getattr(repsim, name) is not None
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = repsim.nothing


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path):
    folder = path.relative_to(ROOT).parts[0]
    assert imported(path) & FORBIDDEN[folder] == set()


def test_the_walk_over_imports_sees_them(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("import testcases.attractor\ndef f():\n    from model_zoo import MODELS\n")
    assert imported(path) == {"testcases", "model_zoo"}
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_has_a_name_that_says_nothing(path):
    assert set(path.relative_to(ROOT).with_suffix("").parts) & VAGUE == set()


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.parent != ROOT / "repsim" / "metrics"], ids=name_of
)
def test_no_function_is_named_like_its_module(path):
    assert path.stem not in public_functions(path)


@pytest.mark.parametrize("path", LONG, ids=name_of)
def test_no_file_is_longer_than_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_states_its_facts(name):
    metric = repsim.METRICS[name]
    assert metric.name == name
    assert metric.version >= 1
    assert bool(metric.source) != metric.control
    assert metric.function.__doc__
    assert metric.symmetric is not None
    assert metric.code is None


def test_every_metric_file_is_in_the_table():
    files = {p.stem for p in (ROOT / "repsim" / "metrics").glob("*.py")} - {"__init__", "controls"}
    assert files == {name for name in NAMES if not repsim.METRICS[name].control} | set(OPT_IN)
