import os
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from sign_task import CLOSE, SHORT, Sign, furthest, make, together

from model_zoo.gru import GRU
from model_zoo.progress import AccuracyBar, spread
from model_zoo.rnn import LeakyRNN
from model_zoo.training import train
from repsim.errors import RepsimError


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


def test_processes_train_the_same_networks():
    here = together()
    there = together(workers=2)
    assert furthest(here.parameters, there.parameters) < CLOSE


@dataclass(frozen=True)
class Failing(Sign):
    home: int = field(default_factory=os.getpid)

    def trials(self, rng, n_trials):
        if os.getpid() == self.home:
            return super().trials(rng, n_trials)
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
        (
            {"models": [*make(1), *make(1, 9)]},
            r"input_weight is \(8, 2\).* in network 0 and \(9, 2\)",
        ),
        ({"seeds": 3}, "one seed would see the same trials"),
        ({"seeds": (1, 2)}, "2 seeds for 3 networks"),
        ({"learning_rate": (1e-3, 1e-3)}, "2 learning rates for 3"),
        ({"steps": 0}, "steps is 0"),
        ({"trained": ("input_weight", "weights")}, "No parameter 'weights'.*recurrent_weight"),
        ({"checkpoints": (0.5, 2)}, "A checkpoint is 2"),
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
