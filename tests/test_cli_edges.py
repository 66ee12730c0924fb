"""The command line at its edges: places not to be written, closed pipes, odd files and names."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli import command_line
from test_leaderboard import scores

import repsim

REPSIM = f"{sys.executable} -c 'from repsim.cli import main; main()'"
SMALL = ("--suite", "attractor/lorenz_regimes", "--quick", "--seeds", "1", "--workers", "1")
REPORT = [f"report.{kind}" for kind in ("csv", "html", "json", "png")]
VALUES = np.random.default_rng(0).standard_normal((6, 20, 4))


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Runs the command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", VALUES)
    np.save("b.npy", VALUES[..., :3] + 1)
    Path("afile").touch()
    return command_line(monkeypatch, capfd)


def names_in(folder):
    return sorted(one.name for one in Path(folder).iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("score", "constant", *SMALL, "--save", "afile"),
        ("score", "constant", *SMALL, "--save", "afile/card"),
        ("board", "constant", *SMALL, "--output", "afile"),
        ("compare", "a.npy", "b.npy", "--output", "afile/x"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_is_run(run, words):
    status, output, errors = run(*words)
    assert (status, output) == (2, "")
    assert errors.startswith("repsim: Cannot write to 'afile")
    assert not Path("results").exists()


def test_distances_are_shown_even_where_they_cannot_be_written(run):
    Path("x.nc").mkdir()
    status, output, errors = run("compare", "a.npy", "b.npy", "--output", "x")
    assert status == 2
    assert f"{repsim.compare([VALUES, VALUES[..., :3]]).values[0, 1]:.4g}" in output
    (sentence,) = errors.splitlines()
    assert sentence.startswith("repsim: ")
    assert "x.nc" in sentence
    assert "Unexpected" not in sentence


def test_a_card_is_saved_where_nobody_reads_to_the_end(tmp_path):
    line = f"{REPSIM} score constant {' '.join(SMALL)} --save card | head -1"
    subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert names_in(tmp_path / "card") == REPORT


def board_of(run, rows, *words):
    """The table of a board that ranks these rows and runs nothing."""
    Path("results").mkdir(exist_ok=True)
    Path("results/scores.jsonl").write_text("\n".join(map(json.dumps, rows)))
    status, output, _ = run("board", *words, "--no-run", "--seeds", "2", "--json")
    assert status == 0
    return json.loads(output)


def test_a_board_of_one_case_holds_no_other(run):
    other = scores("linear_cka", 0.9, 0.8, case="suite/b")
    rows = scores("procrustes", 0.7, 0.6, case="suite/a") + other
    (line,) = board_of(run, rows, "--suite", "suite/a")
    assert line["metric"] == "procrustes"
    assert "suite/b" not in line
    (line,) = board_of(run, rows + scores("linear_cka", 0.6, 0.6), "--suite", "suite")
    assert line["metric"] == "linear_cka"


def test_a_metric_is_ranked_as_it_is_now_and_not_as_it_was_last(run):
    Path("mine.py").write_text("def mine(x, y):\n    return 0.0\n")
    now = {"code": repsim.get_metric("mine.py:mine").code, "date": "2026-01-01T00:00:00+00:00"}
    rows = scores("mine", 0.9, 0.9, **now) + scores(
        "mine", 0.6, 0.6, code="of an edit since undone"
    )
    (line,) = board_of(run, rows, "mine.py:mine", "--suite", "suite")
    assert line["suite/a"] == 0.9


def test_metrics_are_checked_where_nothing_is_run(run):
    status, _, errors = run("board", "nonsense", "--no-run")
    assert (status, "No metric called 'nonsense'" in errors) == (2, True)


@pytest.mark.parametrize("more", [(), ("--timeout", "60")])
def test_a_similarity_is_not_shown_as_a_distance(run, more):
    Path("mine.py").write_text(
        "import numpy as np\n\ndef same(x, y):\n"
        "    return float(np.corrcoef(x.ravel()[:60], y.ravel()[:60])[0, 1])\n"
    )
    status, output, errors = run("compare", "a.npy", "b.npy", "--metric", "mine.py:same", *more)
    assert (status, output) == (2, "")
    assert "it looks like a similarity" in errors


@pytest.mark.parametrize(
    "line",
    [
        "compare a.npy b.npy --metric mine.py:mine",
        "compare a.npy b.npy --metric mine.py:mine --timeout 60",
        "check mine.py:mine",
        "score mine.py:mine",
        "board mine.py:mine",
    ],
)
def test_what_a_users_file_prints_is_not_among_the_json(run, line):
    Path("mine.py").write_text(
        f"print('at import')  # {line}\n\ndef mine(x, y):\n    print('in a call')\n"
        "    return float(abs(x.std() - y.std()))\n"
    )
    small = SMALL if line.startswith(("score", "board")) else ()
    status, output, errors = run(*line.split(), *small, "--json")
    assert status == 0
    json.loads(output)
    assert "at import" in errors
    assert "in a call" in errors


def test_the_same_file_twice_is_told_without_python(run):
    status, _, errors = run("compare", "a.npy", "b.npy", "a.npy")
    assert status == 2
    assert "'a.npy' is given twice. Give it once, or as a copy of another name." in errors


def test_a_key_may_have_colons(run):
    np.savez("f.npz", **{"layer:0": VALUES, "b.x:1": VALUES + 1, "c": VALUES})
    status, output, _ = run("compare", "f.npz:layer:0", "f.npz:b.x:1", "f.npz:c")
    assert status == 0
    assert "f:layer:0" in output
    assert "No file 'g.npz'" in run("compare", "g.npz:layer:0", "a.npy")[2]
    assert "No 'layer:1' in f.npz" in run("compare", "f.npz:layer:1", "a.npy")[2]


@pytest.mark.parametrize("words", [(), ("cache",), ("--debug",)])
def test_no_command_gets_the_help(run, words):
    status, output, errors = run(*words)
    assert (status, errors) == (0, "")
    assert output.lstrip().startswith("Usage: ")
    assert "Commands:" in output


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("check constant", False),
        ("compare a.npy b.npy", False),
        ("score constant", True),
        ("board constant", True),
    ],
)
def test_a_command_that_is_stopped_says_whether_anything_is_kept(run, line, kept, monkeypatch):
    def stop(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr("repsim.plugins.as_metric", stop)
    status, _, errors = run(*line.split())
    assert status == 130
    assert errors.startswith("Stopped.")
    assert ("is kept" in errors) == kept


def test_damaged_results_are_told_in_one_sentence(tmp_path):
    (tmp_path / "results").mkdir()
    lines = [json.dumps(row) for row in scores("linear_cka", 0.9, 0.8)]
    (tmp_path / "results" / "scores.jsonl").write_text("\n".join([*lines, "torn"]))
    line = f"{REPSIM} score constant {' '.join(SMALL)} && {REPSIM} board --no-run --suite suite"
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, capture_output=True, check=True, text=True
    )
    told = [line for line in done.stderr.splitlines() if "unreadable line" in line]
    assert len(told) == 2  # once a command
    assert all(line.startswith("results/scores.jsonl: passed over 1") for line in told)
    assert "Warning" not in done.stderr


def test_the_help_of_check_says_what_its_timeout_is_of(run):
    assert "Seconds for all checks." in run("check", "--help")[1]


def test_samples_are_compared_with_the_same_samples_in_trials_as_in_python(run):
    samples = VALUES.reshape(-1, 4)[:, :2] ** 2
    np.save("samples.npy", samples)
    status, output, _ = run("compare", "a.npy", "samples.npy", "--json")
    assert status == 0
    assert json.loads(output)["distances"] == repsim.compare([VALUES, samples]).values.tolist()
