"""The tasks of the benchmark are learned to 95 % of what the ideal observer achieves."""

import pytest
import torch

from model_zoo.training import train
from repsim.plugins import MODELS, TASKS

UNITS = {"mamba": 16}


def learned(model, rule):
    task = TASKS[f"perceptual_decision/{rule}"](timing="short")
    network = MODELS[model](
        task.n_inputs,
        UNITS.get(model, 64),
        task.n_outputs,
        generator=torch.Generator().manual_seed(0),
    )
    return train(
        network, task, seeds=0, learning_rate=3e-3, steps=2000, test_every=50, criterion=0.98,
        n_tests=1024, workers=0,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["basic", "anti", "delay"])
@pytest.mark.parametrize("model", ["leaky_rnn", "gru", "lstm", "sublstm", "mamba"])
def test_a_model_learns_a_task_to_its_ceiling(model, rule):
    ensemble = learned(model, rule)
    assert ensemble.ceiling == TASKS[f"perceptual_decision/{rule}"](timing="short").ceiling() < 0.9
    assert ensemble.accuracies[0] >= 0.95 * ensemble.ceiling
    assert ensemble.steps[0] < 2000
