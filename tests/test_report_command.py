"""repsim score as a command: what it leaves behind, and what an interrupt does."""

import json
import os
import signal
import subprocess
import sys
import time

from repsim.results import FILE, read_rows

REPSIM = (sys.executable, "-c", "from repsim.cli import main; main()")
SLOW = """
import time
def slow(x, y):
    time.sleep(0.02)
    return float(abs(x.std() - y.std()))
"""
LINE = ("score", "mine.py:slow", "--suite", "attractor/lorenz_regimes", "--quick")


def test_an_interrupt_keeps_what_is_done_and_the_same_command_goes_on(tmp_path):
    (tmp_path / "mine.py").write_text(SLOW)
    command = [*REPSIM, *LINE, "--seeds", "2", "--workers", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    running = subprocess.Popen(command, **pipes)
    lines = tmp_path / "results" / FILE
    end = time.monotonic() + 120
    while not (lines.exists() and lines.read_text().count("\n") >= 2):
        assert time.monotonic() < end
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "run the same command again to go on" in errors
    assert "Traceback" not in errors
    kept = read_rows(tmp_path / "results")
    assert 2 <= len(kept) < 16
    assert not (tmp_path / "report").exists()

    done = subprocess.run(command, check=True, timeout=300, **pipes)
    rows = {row["row"]: row for row in read_rows(tmp_path / "results")}
    assert len(rows) == 16  # protocols x seeds x (metric and controls)
    assert all(rows[row["row"]] == row for row in kept)  # none was run again
    assert "2 of 2" in done.stdout
    assert (tmp_path / "report" / "slow" / "report.html").exists()


def test_the_card_is_saved_under_the_name_of_the_metric(tmp_path):
    words = [*REPSIM, "score", "rbf_cka(bandwidth=0.5)", *LINE[2:], "--seeds", "1", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    card = tmp_path / "report" / "rbf_cka-bandwidth=0.5"
    assert sorted(os.listdir(card)) == [f"report.{kind}" for kind in ("csv", "html", "json", "png")]
    assert str(card.relative_to(tmp_path) / "report.html") in done.stderr
    assert json.loads(done.stdout) == json.loads((card / "report.json").read_text())
