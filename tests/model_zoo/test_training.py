import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model_zoo.gru import GRU
from model_zoo.progress import AccuracyBar, spread
from model_zoo.rnn import LeakyRNN
from model_zoo.training import train
from repsim.cache import read_tensors
from repsim.errors import RepsimError

SHORT = {"steps": 40, "test_every": 10, "batch": 16, "n_tests": 32, "workers": 0}
CLOSE = 1e-4


@dataclass(frozen=True)
class Sign:
    """Say at the end whether the noisy input was above zero."""

    name: str = "sign"
    loss: str = "cross_entropy"
    n_inputs: int = 2
    n_outputs: int = 2
    longest: int = 12

    def trials(self, rng, n_trials):
        n_steps = int(rng.integers(6, self.longest + 1))
        wanted = rng.integers(0, 2, n_trials)
        inputs = rng.standard_normal((n_trials, n_steps, 2)).astype(np.float32)
        inputs[..., 0] += 2 * wanted[:, None] - 1
        mask = np.zeros((n_trials, n_steps), np.float32)
        mask[:, -2:] = 1
        targets = np.repeat(wanted[:, None], n_steps, 1)
        if self.loss == "mse":
            targets = np.eye(2, dtype=np.float32)[targets]
        return SimpleNamespace(inputs=inputs, targets=targets, mask=mask, wanted=wanted)

    def accuracy(self, outputs, trials):
        return float((outputs[:, -2:].mean(1).argmax(-1) == trials.wanted).mean())

    def ceiling(self):
        return 1.0


def make(n_networks=3, n_units=8, kind=LeakyRNN, **options):
    return [
        kind(2, n_units, 2, generator=torch.Generator().manual_seed(k), **options)
        for k in range(n_networks)
    ]


def together(models=None, task=None, **changed):
    models = make() if models is None else models
    options = SHORT | {"seeds": range(len(models)), "criterion": None} | changed
    return train(models, task or Sign(), **options)


def furthest(first, second):
    return max(
        (first[name] - second[name]).abs().max().item() for name in first if first[name].numel()
    )


@pytest.mark.parametrize("kind", [LeakyRNN, GRU])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_network_learns_together_what_it_learns_alone(kind, loss):
    task = Sign(loss=loss)
    models = make(kind=kind)
    rates = (1e-3, 1e-2, 3e-2)
    ensemble = together(models, task, learning_rate=rates)
    for k, rate in enumerate(rates):
        alone = train(models[k], task, **SHORT, seeds=k, learning_rate=rate, criterion=None)
        start = dict(models[k].named_parameters())
        moved = furthest(alone.networks[0].parameters, start)
        assert moved > 100 * CLOSE * (rate > 1e-3)
        assert furthest(ensemble.networks[k].parameters, alone.networks[0].parameters) < CLOSE
        assert ensemble.networks[k].history[-1]["accuracy"] == pytest.approx(
            alone.networks[0].history[-1]["accuracy"], abs=0.05
        )


def test_the_steps_are_those_of_torchs_adam_with_clipping():
    model, task = make(1)[0], Sign(longest=6)
    found = train(
        model, task, **SHORT | {"steps": 10}, seeds=5, learning_rate=1e-2, criterion=None, clip=0.1
    )
    peer = make(1)[0].train()
    adam = torch.optim.Adam(peer.parameters(), 1e-2)
    stream = np.random.default_rng([5, 0, 0])
    for _ in range(10):
        trials = task.trials(stream, 16)
        outputs, _ = peer(torch.from_numpy(trials.inputs), record=False)
        scored = outputs[:, -2:].flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(
            scored, torch.from_numpy(trials.targets[:, -2:]).flatten()
        )
        adam.zero_grad()
        loss.backward()
        assert torch.nn.utils.clip_grad_norm_(peer.parameters(), 0.1) > 0.1
        adam.step()
    assert furthest(found.networks[0].parameters, dict(peer.named_parameters())) < 1e-6


def test_the_same_seeds_give_the_same_bits_and_others_do_not():
    first, second = together(), together()
    other = together(seeds=(7, 8, 9))
    assert furthest(first.parameters, second.parameters) == 0
    assert first.networks[0].history == second.networks[0].history
    assert furthest(first.parameters, other.parameters) > 0


def test_the_models_that_are_given_do_not_change():
    models = make()
    before = [one.recurrent_weight.clone() for one in models]
    ensemble = together(models)
    assert all(torch.equal(m.recurrent_weight, b) for m, b in zip(models, before, strict=True))
    inputs = torch.randn(4, 6, 2)
    assert not torch.equal(ensemble[1](inputs)[0], models[1].eval()(inputs)[0])


def test_learning_pays_and_each_network_stops_at_its_goal():
    ensemble = together(
        make(4, 16), learning_rate=(1e-2, 1e-2, 1e-2, 1e-6), criterion=0.9, steps=400,
        n_tests=200,
    )  # fmt: skip
    assert ensemble.steps[3] == 400
    assert max(ensemble.steps[:3]) < 400
    for k in range(3):
        assert ensemble.networks[k].history[-1]["accuracy"] >= 0.9
        assert all(entry["accuracy"] < 0.9 for entry in ensemble.networks[k].history[:-1])
        assert ensemble.accuracies[k] > 0.85
    assert ensemble.accuracies[3] < 0.9
    assert ensemble.ceiling == 1.0


def test_only_the_named_parameters_are_trained():
    models = make(2)
    ensemble = together(models, trained="input_weight", learning_rate=1e-2)
    for k, model in enumerate(models):
        for name, start in model.named_parameters():
            changed = not torch.equal(start, ensemble.networks[k].parameters[name])
            assert changed == (name == "input_weight")


def test_checkpoints_are_the_networks_on_the_way():
    ensemble = together(checkpoints=(0, 0.5, 1))
    half = together(steps=20)
    for k, model in enumerate(make()):
        start = dict(ensemble.at(k, 0).named_parameters())
        assert furthest(start, dict(model.named_parameters())) == 0
        middle = dict(ensemble.at(k, 0.5).named_parameters())
        assert furthest(middle, half.networks[k].parameters) < CLOSE
    assert furthest(ensemble.checkpoints[1], ensemble.parameters) == 0
    with pytest.raises(RepsimError, match=r"No checkpoint at 0\.25.*0, 0\.5, 1"):
        ensemble.at(0, 0.25)


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
from tests.model_zoo.test_training import Sign, make
from model_zoo.training import train
train(make(2), Sign(), seeds=(0, 1), steps=4000, test_every=10, batch=16, n_tests=32, workers=0,
      criterion=None, folder=sys.argv[1])
"""


def test_a_killed_process_leaves_what_the_next_one_goes_on_from(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
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


def test_processes_train_the_same_networks():
    here = together()
    there = together(workers=2)
    assert furthest(here.parameters, there.parameters) < CLOSE


class Failing(Sign):
    def trials(self, rng, n_trials):
        raise RepsimError(f"no trials for {n_trials}")


def test_an_error_in_a_process_comes_out_and_ends_the_others():
    with pytest.raises(RepsimError, match="no trials for 16"):
        together(workers=2, task=Failing())


class Huge(Sign):
    def trials(self, rng, n_trials):
        trials = super().trials(rng, n_trials)
        trials.inputs[:] = np.inf
        return trials


def test_a_network_that_diverges_stops_and_says_so():
    ensemble = together(make(2, activation="relu"), Huge())
    assert all(one.diverged and one.finished and one.step == 10 for one in ensemble.networks)
    assert np.isnan(ensemble.accuracies).all()


def test_noise_is_drawn_for_each_network_from_its_own_seed():
    models = make(2, noise=0.3)
    both = together(models)
    alone = train(models[1], Sign(), **SHORT, seeds=1, criterion=None)
    assert furthest(both.networks[1].parameters, alone.networks[0].parameters) < CLOSE
    silent = together(make(2))
    assert furthest(both.parameters, silent.parameters) > CLOSE


@pytest.mark.parametrize(("steps", "taken"), [(5, 5), (15, 20)])
def test_training_takes_whole_rounds(steps, taken):
    assert together(make(1), steps=steps).steps == (taken,)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"models": []}, "No networks"),
        ({"models": [*make(1), *make(1, 9)]}, "differ in class or size"),
        ({"seeds": 3}, "one seed would see the same trials"),
        ({"seeds": (1, 2)}, "2 seeds for 3 networks"),
        ({"learning_rate": (1e-3, 1e-3)}, "2 learning rates for 3"),
        ({"steps": 0}, "steps is 0 and test_every 10"),
        ({"trained": ("input_weight", "weights")}, "No parameter 'weights'.*recurrent_weight"),
        ({"checkpoints": (0.5, 2)}, "Checkpoint 2"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(changed, words):
    with pytest.raises(RepsimError, match=words):
        together(**changed)


def test_the_bar_shows_the_spread():
    assert spread([0.5, None, 0.75, 1.0]) == "accuracy 0.50 | 0.75 | 1.00"
    assert spread([None]) == ""
    with AccuracyBar("training", hidden=True) as bar:
        bar.update(10, 120, [0.5])
    assert bar.bar.tasks[0].completed == 10
