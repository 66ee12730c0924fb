import json
import re
from pathlib import Path

import numpy as np
import pytest
from test_cli import command_line

import repsim
from model_zoo.line import Line

SMALL = ("--units", "8", "--steps", "10", "--trials", "12")
TASK = "perceptual_decision/basic(timing='short', dt_ms=50)"


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Runs the command line with a cache of its own."""
    monkeypatch.setenv("REPSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return command_line(monkeypatch, capfd)


def test_the_second_run_loads_and_a_damaged_network_is_trained_again(run, tmp_path, monkeypatch):
    command = ("record", "leaky_rnn", "--task", TASK, "--seed", "1", "-o", "out.nc", *SMALL)
    status, first, said = run(*command)
    assert status == 0
    assert "Training 1 of 1 leaky_rnn networks" in said
    kept = repsim.load("out.nc")
    Path("out.nc").unlink()
    with monkeypatch.context() as without_training:
        without_training.setattr("model_zoo.trained._train", None)
        status, second, said = run(*command)
    assert (status, second) == (0, first)
    assert "Training" not in said
    assert repsim.load("out.nc").identical(kept)
    next((tmp_path / "cache" / "networks").iterdir()).write_bytes(b"torn")
    status, third, said = run(*command)
    assert (status, third) == (0, first)
    assert "damaged" in said
    assert "Training 1 of 1" in said


def test_a_recording_has_the_conditions_behaviour_and_the_same_trials_for_all(run):
    words = ("--task", TASK, *SMALL, "--json")
    status, answer, _ = run("record", "leaky_rnn", "-o", "a.nc", "--states", "h", *words)
    assert status == 0
    facts = json.loads(answer)
    assert facts["task"] == "perceptual_decision/basic"
    run("record", "gru", "-o", "b.nc", "--states", "h", "--states", "u", *words)
    first, second = repsim.load("a.nc"), repsim.load("b_h.nc")
    assert first.sizes["trial"] == 12
    assert first.sizes["unit"] == 8
    assert np.array_equal(first.coherence, second.coherence)
    assert np.array_equal(first.epoch, second.epoch)
    assert first.attrs["accuracy"] == facts["accuracy"]
    assert set(first.correct.values) <= {0, 1}
    assert float(np.diff(first.time)[0]) == 50
    assert run("compare", "a.nc", "b_h.nc")[0] == 0


def test_the_cache_is_listed_and_cleared(run):
    assert "The cache is empty" in run("cache", "list")[1]
    run("record", "leaky_rnn", "--task", TASK, "-o", "out.nc", *SMALL)
    status, table, folder = run("cache", "list")
    assert status == 0
    assert "perceptual_decision/basic" in table
    assert "cache" in folder
    assert len(json.loads(run("cache", "list", "--json")[1])["entries"]) == 2
    assert "1 entry deleted" in run("cache", "clear", "--kind", "networks")[1]
    assert "1 entry deleted" in run("cache", "clear")[1]


def test_stopped_training_is_kept_and_goes_on(run, tmp_path, monkeypatch):

    command = ("record", "leaky_rnn", "--task", TASK, "-o", "out.nc", *SMALL[:2], "--steps", "200")
    put = Line.put

    def stop(self, *words):
        put(self, *words)
        raise KeyboardInterrupt

    monkeypatch.setattr(Line, "put", stop)
    status, _, said = run(*command)
    assert status == 130
    assert "run the same command again" in said
    assert len(list((tmp_path / "cache" / "unfinished").iterdir())) == 1
    monkeypatch.setattr(Line, "put", put)
    calls = []
    monkeypatch.setattr(Line, "put", lambda self, *words: (calls.append(1), put(self, *words)))
    status, _, said = run(*command)
    assert status == 0
    assert len(calls) == 1
    assert list((tmp_path / "cache" / "unfinished").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("leaky_rn", "--task", TASK, "-o", "a.nc"), "No model called 'leaky_rn'. Nearest: "),
        (("gru", "--task", "perceptual", "-o", "a.nc"), "No task called 'perceptual'"),
        (("gru", "--task", TASK, "-o", "a.xyz"), "Unknown kind of file '.xyz'"),
        (("gru(alfa=1)", "--task", TASK, "-o", "a.nc", *SMALL), "Model 'gru' cannot be built"),
        (("gru", "--task", "flip_flop(pace=1)", "-o", "a.nc"), "Task 'flip_flop' cannot be made"),
        (
            ("gru", "--task", TASK, "-o", "a.nc", "--states", "z", *SMALL),
            "No state 'z'. gru has: h",
        ),
        (("gru", "--task", TASK, "-o", "a.nc", "--learning-rate", "inf"), "learning_rate is inf"),
        (("gru(alpha=1e999)", "--task", TASK, "-o", "a.nc"), "alpha"),
        (("gru", "--task", TASK, "-o", "a.nc", "--seed", "9" * 20), "less than or equal to 92"),
    ],
)
def test_bad_input_gets_one_sentence(run, words, sentence):
    status, _, said = run("record", *words)
    assert status == 2
    assert re.search(sentence, said)
    assert "Traceback" not in said
    assert "Unexpected" not in said
    assert "Training" not in said


def test_a_diverged_network_is_named_as_such_each_time(run):
    words = ("--task", "flip_flop(n_steps=20)", *SMALL, "--learning-rate", "1e30", "-o", "a.nc")
    for _ in range(2):
        status, _, said = run("record", "gru", *words)
        assert status == 2
        assert "Training diverged" in said
        assert "Lower --learning-rate, which is 1e+30" in said


def test_a_state_named_twice_is_written_once(run):
    words = ("--task", TASK, *SMALL, "--states", "h", "--states", "h", "-o", "a.nc")
    assert run("record", "gru", *words)[0] == 0
    assert [one.name for one in Path().glob("*.nc")] == ["a.nc"]


@pytest.mark.parametrize("states", [(), ("--states", "h", "--states", "u")])
def test_a_folder_in_the_way_is_kept_and_told_before_training(run, states):
    folder = Path("run_u.nc" if states else "run.nc")
    folder.mkdir()
    (folder / "precious").touch()
    words = ("record", "gru", "--task", TASK, "-o", "run.nc", *states, *SMALL)
    status, _, said = run(*words)
    assert status == 2
    assert "is a folder" in said
    assert "Training" not in said
    assert (folder / "precious").exists()
