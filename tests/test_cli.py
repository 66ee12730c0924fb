import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import repsim
from repsim import cli
from repsim.results import read_rows

REPSIM = (sys.executable, "-c", "from repsim.cli import main; main()")
COMMANDS = ("list", "check", "score", "compare", "board", "show")
ONE_CASE = ("--suite", "attractor/lorenz_regimes", "--quick")
SMALL = (*ONE_CASE, "--workers", "1", "--results", "results")
PNG = b"\x89PNG\r\n\x1a\n"
METRICS = """
import time
import numpy as np, repsim
def fine(x, y):
    return float(abs(x.std() - y.std()))
def raises(x, y):
    return [1, 2, 3][len(x)]
def not_a_number(x, y):
    return np.nan
def vector(x, y):
    return x.mean(0)
def modifies(x, y):
    x -= 1
    return 0.0
def never(x, y):
    time.sleep(600)
def backwards(x, y):
    return -fine(x, y)
@repsim.metric(symmetric=True)
def lopsided(x, y):
    return float(abs(x[0, 0] - 2 * y[0, 0]))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with files of every kind of fault."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(METRICS)
    rng = np.random.default_rng(0)
    good = rng.standard_normal((6, 20, 4))
    holes, infinite = good.copy(), good.copy()
    holes[0, 0, 0], infinite[1, 1, :2] = np.nan, np.inf
    arrays = {
        "good": good, "more": good + 1, "holes": holes, "infinite": infinite, "empty": good[:0],
        "line": good[0, 0], "boxes": good[None], "fewer": good[:5], "one": good[:1, :1],
        "single": good[:1, :1], "flat": np.ones((6, 20, 3)),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)
    np.savez("two.npz", first=good, second=good)
    np.save("pickled.npy", np.array([{}]), allow_pickle=True)
    Path("bare.npy").write_bytes(pickle.dumps(good))
    Path("torn.nc").write_bytes(b"\x89HDF")
    return tmp_path


def command_line(monkeypatch, capfd):
    """Runs the command line where it is: exit status, output, error stream."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["repsim", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def run(folder, monkeypatch, capfd):
    return command_line(monkeypatch, capfd)


BAD = {
    "compare good.npy holes.npy": ["holes.npy", "1 of 480", "NaN"],
    "compare good.npy infinite.npy": ["infinite.npy", "2 of 480", "inf"],
    "compare good.npy empty.npy": ["empty.npy", "(0, 20, 4)"],
    "compare good.npy line.npy": ["line.npy", "1 axis", "(4,)"],
    "compare good.npy boxes.npy": ["boxes.npy", "4 axes", "(1, 6, 20, 4)"],
    "compare good.npy fewer.npy": ["'good' has 120", "'fewer' has 100"],
    "compare one.npy single.npy": ["has 1", "at least 2"],
    "compare good.npy flat.npy": ["'flat'", "120 samples", "equal"],
    "compare good.npy flat.npy --metric procrustes": ["'flat'", "120 samples", "equal"],
    "compare good.npy more.npy --metric dsa(delays=50)": ["50", "20"],
    "compare good.npy more.npy --metric dsa(delays=2,rank=99)": ["99", "8"],
    "compare good.npy one.npy --metric dsa": ["'one'", "one time step"],
    "compare good.npy pickled.npy": ["pickled.npy", "pickled objects"],
    "compare good.npy bare.npy": ["bare.npy", "pickled objects"],
    "compare good.npy torn.nc": ["torn.nc", "Cannot read"],
    "compare good.npy nothing.npy": ["nothing.npy", "No file"],
    "compare good.npy mine.py": [".py", ".npz"],
    "compare good.npy two.npz": ["two.npz", "2 arrays", "two.npz:first"],
    "compare good.npy two.npz:third": ["third", "first, second"],
    "compare good.npy": ["at least 2 sets", "1 given"],
    "compare good.npy more.npy --metric linear_ckaa": ["linear_ckaa", "Nearest: linear_cka"],
    "compare good.npy more.npy --metric oracle": ["oracle", "repsim.score"],
    "compare good.npy more.npy --metric dsa(depth=3)": ["depth", "delays"],
    "compare good.npy more.npy --metric dsa(3": ["dsa(3", "parameter=value"],
    "compare good.npy more.npy --metric yours.py:f": ["No file 'yours.py'"],
    "compare good.npy more.npy --metric mine.py:f": ["No 'f' in mine.py", "fine"],
    "compare good.npy more.npy --metric mine.py:raises": ["raises", "IndexError", "good"],
    "compare good.npy more.npy --metric mine.py:not_a_number": ["nan", "finite number"],
    "compare good.npy more.npy --metric mine.py:vector": ["shape (4,)", "one number"],
    "compare good.npy more.npy --metric mine.py:modifies": ["modifies its input", "copy"],
    "compare good.npy more.npy --output mine.py/out": ["mine.py"],
    "score linear_ckaa": ["linear_ckaa", "Nearest: linear_cka"],
    "score mine.py:backwards": ["backwards", "similarity"],
    "score linear_cka --suite attracter": ["attracter", "Nearest: attractor"],
    "score linear_cka --protocol guessed": ["guessed", "It has: controlled"],
    "score linear_cka --seeds 0": ["--seeds", "1"],
    "score linear_cka --results mine.py/results --quick --seeds 1": ["mine.py", "Cannot write"],
    "check linear_ckaa": ["linear_ckaa", "Nearest: linear_cka"],
    "check mine.py:never --timeout 1": ["1 s", "--timeout"],
    "board linear_ckaa": ["linear_ckaa", "Nearest: linear_cka"],
    "board --no-run": ["No results", "results"],
    "show 3f9a": ["No results", "results"],
    "list things": ["things", "metrics"],
    "frobnicate": ["frobnicate"],
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_sentence_and_status_2(run, line):
    status, output, errors = run(*line.split())
    assert errors.startswith("repsim: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in output + errors
    assert [word for word in BAD[line] if word not in errors] == []
    assert status == 2


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("raises", "IndexError"),
        ("not_a_number", "returned nan"),
        ("vector", "one number"),
        ("modifies", "modifies its input"),
        ("never", "within 5 s"),
    ],
)
def test_a_metric_that_cannot_be_scored_ends_with_the_reason_and_keeps_the_rest(run, metric, words):
    timeout = "5" if metric == "never" else "30"
    line = ("score", f"mine.py:{metric}", *SMALL, "--seeds", "1", "--timeout", timeout)
    status, _, errors = run(*line)
    ended = {row["id"]: row["status"] for row in read_rows("results")}
    assert ended == {metric: "failed", "oracle": "ok", "random": "ok", "constant": "ok"}
    assert status == 2
    (sentence,) = [line for line in errors.splitlines() if line.startswith("repsim: ")]
    assert words in sentence


def test_debug_shows_the_traceback_and_nothing_else_does(folder):
    plain, debug = (
        subprocess.run([*REPSIM, "score", "nothing", *more], capture_output=True, text=True)
        for more in ([], ["--debug"])
    )
    assert (plain.returncode, "Traceback" in plain.stderr) == (2, False)
    assert "Traceback" in debug.stderr
    assert "No metric called 'nothing'" in debug.stderr
    assert debug.returncode != 0


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run, command):
    status, output, _ = run(command, "--help")
    assert status == 0
    assert f"Example: repsim {command} " in output


def test_the_top_shows_the_commands_and_the_version(run):
    assert [c for c in COMMANDS if c not in run("--help")[1]] == []
    assert run("--version")[:2] == (0, f"{repsim.__version__}\n")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("list metrics", "metric"),
        ("list cases", "case"),
        ("list models", None),
        ("check mine.py:fine", "check"),
        ("score constant --quick --seeds 1", "sentences"),
        ("compare good.npy two.npz:first", "distances"),
        ("board constant --quick --seeds 1 --suite attractor/lorenz_regimes", None),
    ],
)
def test_json_is_all_that_is_printed(run, line, key):
    status, output, _ = run(*line.split(), "--json")
    found = json.loads(output)
    assert status == 0
    if key is not None:
        assert key in (found[0] if isinstance(found, list) else found)


def test_a_pipe_gets_whole_lines_and_a_narrow_terminal_lines_that_fit():
    def lines(**environment):
        here = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
        command = (*REPSIM, "list", "metrics")
        run = subprocess.run(command, capture_output=True, env=here | environment, check=True)
        return run.stdout.decode().splitlines()

    heads, *metrics = lines()
    assert heads.split() == ["metric", "view", "kind", "what"]
    assert [line.split("  ")[0] for line in metrics] == [
        repsim.METRICS[name].id for name in (*repsim.METRICS, *repsim.METRICS.opt_in)
    ]
    assert [line for line in metrics if not line.rstrip().endswith(".")] == []  # no half sentence
    narrow = lines(COLUMNS="80")
    assert max(map(len, narrow)) <= 80
    names = [line.split("  ")[0] for line in narrow if not line.startswith(" ")]
    assert names == [line.split("  ")[0] for line in metrics]  # none broken


def test_a_metric_in_five_lines_gets_its_card_with_one_command(run):
    Path("own.py").write_text(
        "import numpy as np\n\n\ndef own(x, y):\n"
        "    return 1 - abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1])\n"
    )
    status, output, errors = run("score", "own.py:own", *SMALL, "--seeds", "2", "--save", "card")
    assert (status, "Traceback" in errors) == (0, False)
    for words in ("own", "attractor/lorenz_regimes", "2 of 2", "control oracle: 1.000, agrees"):
        assert words in output
    assert sorted(os.listdir("card")) == [f"report.{k}" for k in ("csv", "html", "json", "png")]


def test_three_files_of_different_kinds_are_compared(run):
    rng = np.random.default_rng(0)
    sets = [rng.standard_normal((8, 5, n_units)) for n_units in (3, 4, 6)]
    repsim.save(sets[0], "a.nc")
    np.savez("b.npz", v1=sets[1], v2=sets[0])
    repsim.save(sets[2], "c.pt")
    files = ("a.nc", "b.npz:v1", "c.pt")
    status, output, _ = run("compare", *files, "--metric", "procrustes", "--output", "new/out")
    expected = repsim.compare(sets, "procrustes", ["a", "b:v1", "c"])
    assert status == 0
    assert f"{expected.values[0, 1]:.4g}" in output
    with xr.open_dataarray("new/out.nc", engine="h5netcdf") as saved:
        xr.testing.assert_identical(saved.load(), expected)
    assert Path("new/out.png").read_bytes()[:8] == PNG


def test_files_of_one_name_are_told_apart_and_dots_in_the_output_are_kept(run):
    os.mkdir("other")
    np.save("other/good.npy", np.random.default_rng(1).standard_normal((6, 20, 5)))
    status, output, _ = run("compare", "good.npy", "other/good.npy", "--output", "run.1")
    assert status == 0
    assert "other/good.npy" in output
    assert Path("run.1.nc").exists()


def test_check_says_which_promise_is_broken_with_status_1(run):
    status, output, _ = run("check", "mine.py:lopsided")
    assert status == 1
    assert "d(x, y) =" in output
    assert run("check", "linear_cka")[0] == 0


def test_a_row_of_a_case_in_blocks_is_shown_with_dashes_between_them(run):
    chosen = {"suite": "attractor/mixing", "seeds": 1, "quick": True, "results": "results"}
    (row,) = repsim.evaluate("linear_cka", **chosen)
    status, output, _ = run("show", row["row"])
    assert status == 0
    assert f"{row['distances'][0][0][1]:.4g}" in output
    assert "–" in output
    assert "blocks" not in output


def test_the_board_writes_its_page_and_its_rows_can_be_shown(run):
    words = ("board", "linear_cka", "mine.py:raises", *ONE_CASE, "--seeds", "2")
    status, output, _ = run(*words, "--output", "site")
    assert status == 0
    assert "linear_cka" in output
    assert "IndexError" in output
    page, table = Path("site/index.html").read_text(), Path("site/leaderboard.md").read_text()
    assert "linear_cka" in page
    assert "linear_cka" in table
    row = next(r for r in read_rows("results") if r["id"] == "linear_cka" and r["seed"] == 1)
    status, output, _ = run("show", row["row"][:10], "--json")
    assert (status, json.loads(output)) == (0, row)
    assert f"{row['value']}" in run("show", row["row"])[1]
    assert run("show", "")[0] == 2
    lines = Path("results/scores.jsonl").read_bytes()
    assert run("board", "--no-run", "--quick", "--output", "again")[0] == 0
    assert Path("again/index.html").exists()
    assert Path("results/scores.jsonl").read_bytes() == lines
