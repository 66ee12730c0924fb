"""A task of three lines, and networks that train on it in a moment."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch

from model_zoo.rnn import LeakyRNN
from model_zoo.training import train

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
