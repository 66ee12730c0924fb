"""Runs that are killed or interrupted: nothing is lost, and no worker is left behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repsim.results import FILE

SLOW = """
import os, time
def slow(x, y):
    with open("calls", "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.01)
    return float(abs(x.std() - y.std()))
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize(
    ("command", "n_rows", "sent", "status"),
    [("board", 48, signal.SIGKILL, -9), ("score", 24, signal.SIGINT, 130)],
)
def test_a_run_that_is_stopped_repeats_and_loses_nothing(
    tmp_path, monkeypatch, command, n_rows, sent, status
):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SLOW)
    words = [sys.executable, "-c", "from repsim.cli import main; main()", command, "mine.py:slow"]
    words += ["--suite", "attractor/lorenz_regimes", "--quick", "--seeds", "3"]
    rows = tmp_path / "results" / FILE

    def n_lines():
        return rows.read_bytes().count(b"\n") if rows.exists() else 0

    with open("errors", "w") as errors:
        first = subprocess.Popen(words, stdout=errors, stderr=errors)
        assert until(lambda: n_lines() >= 3, 60)
        first.send_signal(sent)
        assert first.wait(20) == status
    workers = set(Path("calls").read_text().split()) - {str(first.pid)}
    assert workers
    assert until(lambda: not any(alive(pid) for pid in workers), 10)
    assert ("again to go on" in Path("errors").read_text()) == (sent == signal.SIGINT)
    assert "Traceback" not in Path("errors").read_text()
    kept = rows.read_bytes()
    assert 3 <= kept.count(b"\n") < n_rows
    second = subprocess.run(words, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert rows.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    ids = [json.loads(line)["row"] for line in rows.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == n_rows


def test_a_busy_worker_does_not_outlive_its_parent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SLOW.replace("0.01", "600"))
    code = "import repsim; repsim.evaluate(['mine.py:slow'], seeds=1, quick=True, workers=1)"
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    calls = Path("calls")
    assert until(lambda: calls.exists() and calls.read_text().endswith("\n"), 60)
    worker = int(calls.read_text())
    assert alive(worker)
    parent.kill()
    assert parent.wait(20) == -9
    assert until(lambda: not alive(worker), 10)
