import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sign_task import CLOSE, SHORT, Sign, furthest, make, together
from torch import nn

from model_zoo import training
from model_zoo.gru import GRU
from model_zoo.rnn import LeakyRNN
from model_zoo.training import train
from repsim.cache import read_tensors
from repsim.errors import RepsimError
from testcases.compositional.flip_flop import flip_flop_task


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": 1.0}, "model noise is '0.0' there and '1.0' here"),
        ({"alpha": 0.9}, "model alpha is '0.2' there and '0.9' here"),
        ({"activation": "relu"}, r"model activation .* here; also other: .*initial_values"),
    ],
)
def test_models_of_other_settings_are_not_taken_over(tmp_path, options, words):
    together(make(1), folder=tmp_path)
    with pytest.raises(RepsimError, match=words):
        together(make(1, **options), folder=tmp_path)


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.inner = make(1)[0]
        self.register_buffer("mask", torch.tensor(mask))

    def forward(self, inputs, **options):
        return self.inner(inputs * self.mask, **options)


def test_models_with_other_buffers_are_not_taken_over(tmp_path):
    together([Masked((1.0, 1.0))], folder=tmp_path)
    with pytest.raises(RepsimError, match="model mask is 'hash"):
        together([Masked((1.0, 0.0))], folder=tmp_path)
    together([Masked((1.0, 1.0))], folder=tmp_path)


def reversed_trials(rng, n_trials, **parameters):
    trials = flip_flop_task(**parameters).trials(rng, n_trials)
    return replace(trials, targets=-trials.targets)


def test_a_task_with_another_draw_is_not_taken_over(tmp_path):
    task = flip_flop_task(n_steps=20)
    model = LeakyRNN(3, 8, 3)
    together([model], task, folder=tmp_path)
    with pytest.raises(RepsimError, match="task_parameters"):
        together([model], replace(task, draw=reversed_trials), folder=tmp_path)
    together([model], replace(task), folder=tmp_path)


def test_edited_code_goes_on_with_nothing(tmp_path, monkeypatch):
    together(folder=tmp_path)
    monkeypatch.setattr(training, "code_version", lambda *things: "edited")
    with pytest.raises(RepsimError, match=r"code is .* there and 'edited' here. Give another"):
        together(folder=tmp_path)


PROMPT = """
import sys
from sign_task import Sign, make, together
class Mine(type(make(1)[0])):
    def forward(self, inputs, state=None, **options):
        outputs, states = super().forward(inputs, state, **options)
        return SIGN outputs, states
together(make(1, kind=Mine), folder=sys.argv[1])
"""


def test_a_class_from_a_prompt_is_known_by_its_code(tmp_path):
    def run(sign):
        command = [sys.executable, "-c", PROMPT.replace("SIGN", sign), str(tmp_path)]
        return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)

    assert run("+").returncode == 0
    assert run("+").returncode == 0
    assert "holds another training: code is" in run("-").stderr


@pytest.mark.parametrize("first", [(), (0.5,)])
def test_other_checkpoints_are_not_made_of_what_is_there(tmp_path, first):
    together(folder=tmp_path, checkpoints=first)
    with pytest.raises(RepsimError, match=r"checkpoints is .* there and \[0.25, 0.75\] here"):
        together(folder=tmp_path, checkpoints=(0.75, 0.25))
    again = together(folder=tmp_path, checkpoints=first)
    for fraction, kept in together(checkpoints=first).checkpoints.items():
        assert furthest(again.checkpoints[fraction], kept) == 0


def test_the_order_of_the_checkpoints_does_not_matter(tmp_path):
    first = together(folder=tmp_path, checkpoints=(0.25, 0.75))
    again = together(folder=tmp_path, checkpoints=(0.75, 0.25))
    for fraction in (0.25, 0.75):
        assert furthest(first.checkpoints[fraction], again.checkpoints[fraction]) == 0
