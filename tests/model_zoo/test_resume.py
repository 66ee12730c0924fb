import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sign_task import CLOSE, SHORT, Sign, furthest, make, together

from model_zoo.gru import GRU
from model_zoo.training import train
from repsim.cache import read_tensors
from repsim.errors import RepsimError


class Killed(BaseException):
    pass


def test_killed_training_goes_on_where_it_stopped(tmp_path):
    whole = together(checkpoints=(0.5,))
    calls = []

    def kill(done, total, accuracies):
        calls.append(done)
        if len(calls) == 3:
            raise Killed

    with pytest.raises(Killed):
        together(folder=tmp_path, checkpoints=(0.5,), progress=kill)
    calls.clear()
    again = together(
        folder=tmp_path, checkpoints=(0.5,), progress=lambda done, *_: calls.append(done)
    )
    assert calls[0] == 60
    assert calls[-1] == 120
    assert furthest(again.parameters, whole.parameters) == 0
    assert furthest(again.checkpoints[0.5], whole.checkpoints[0.5]) == 0
    calls.clear()
    together(folder=tmp_path, checkpoints=(0.5,), progress=lambda done, *_: calls.append(done))
    assert calls == [120]
    assert len(list(tmp_path.glob("*/step_*"))) == 3


SCRIPT = """
import sys
from sign_task import Sign, make
from model_zoo.training import train
train(make(2), Sign(), seeds=(0, 1), steps=4000, test_every=10, batch=16, n_tests=32, workers=0,
      criterion=None, folder=sys.argv[1])
"""


def test_a_killed_process_leaves_what_the_next_one_goes_on_from(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    states = [tmp_path / f"network_000{k}" / "state.safetensors" for k in range(2)]
    deadline = time.monotonic() + 60
    while not all(one.exists() for one in states) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    found = [read_tensors(one) for one in states]
    for k, (arrays, record) in enumerate(found):
        steps = record["step"]
        assert 10 <= steps < 4000
        alone = train(make(2)[k], Sign(), **SHORT | {"steps": steps}, seeds=k, criterion=None)
        for name, one in alone.networks[0].parameters.items():
            assert np.abs(arrays["parameter." + name] - one.numpy()).max() < CLOSE


def test_a_torn_file_costs_one_network_only(tmp_path):
    first = together(folder=tmp_path)
    (tmp_path / "network_0001" / "state.safetensors").write_bytes(b"torn")
    done = []
    again = together(folder=tmp_path, progress=lambda n, *_: done.append(n))
    assert done[0] == 80
    assert furthest(again.parameters, first.parameters) < CLOSE


def test_another_training_is_not_mixed_in(tmp_path):
    together(folder=tmp_path)
    with pytest.raises(RepsimError, match="batch is 16 there and 8 here"):
        together(folder=tmp_path, batch=8)
    with pytest.raises(RepsimError, match="initial_values"):
        together(make(3, kind=GRU, n_units=8)[::-1], folder=tmp_path)
    assert json.loads((tmp_path / "training.json").read_text())["seeds"] == [0, 1, 2]
