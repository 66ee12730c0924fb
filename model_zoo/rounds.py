"""One round of training for networks side by side: gradient steps on fresh trials, then a test.

loss_k = sum(mask (.) error) / sum(mask)                error: cross entropy, or mean square
g_k <- g_k min(1, clip / |g_k|)                         norm over all trained values of network k
m <- m + (1 - 0.9) (g - m)      v <- v + (1 - 0.999) (g^2 - v)
p <- p - rate_k / (1 - 0.9^t) m / (sqrt(v / (1 - 0.999^t)) + 1e-8)

g, m, v (network, value), all trained parameters of a network in one row. Nothing mixes networks:
the total loss is a sum, and every network has trials, norm, rate and count of steps of its own, so
that it learns what it would learn alone. Trials depend on the seed of the network and the step at
which the round begins, so that training goes on from a saved state as if it had not stopped.

Source of the optimiser: Kingma and Ba 2015 (arXiv:1412.6980), algorithm 1.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

TRAINING, TESTING, FINAL = 0, 1, 2  # which stream of trials
FINAL_BATCH = 64
DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Settings:
    """What all networks of a training share.

    steps       gradient steps at most, a multiple of test_every
    test_every  steps in a round
    batch       trials in a step
    n_tests     trials in a test
    goal        test accuracy at which a network stops; None: none does
    clip        largest norm of a network's gradient; None: any
    trained     names of the parameters that change
    """

    steps: int
    test_every: int
    batch: int
    n_tests: int
    goal: float | None
    clip: float | None
    trained: tuple[str, ...]
    device: str = "cpu"


@dataclass(frozen=True)
class Network:
    """One network in training: where it stands, and all that is needed to go on.

    parameters    name -> values
    mean, square  (value,) running means of the gradient and of its square
    history       after each round: step, loss, accuracy
    """

    seed: int
    learning_rate: float
    parameters: dict[str, Tensor]
    mean: Tensor
    square: Tensor
    step: int = 0
    seconds: float = 0.0
    finished: bool = False
    diverged: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


@torch.enable_grad()
def run_round(
    model: nn.Module, task: Any, settings: Settings, networks: Sequence[Network]
) -> list[Network]:
    """The networks after one more round each; model is only the form they are poured into."""
    started, device = time.perf_counter(), settings.device
    model = model.to(device)
    streams = [np.random.default_rng([one.seed, TRAINING, one.step]) for one in networks]
    parameters = _stacked(networks, device)
    optimiser = _Adam(networks, settings, {n: parameters[n] for n in settings.trained})
    model.train()
    for _ in range(settings.test_every):
        trials = [task.trials(stream, settings.batch) for stream in streams]
        losses = _losses(model, parameters, task, trials, streams, device)
        optimiser.update(torch.autograd.grad(losses.sum(), optimiser.trained.values()))
    streams = [np.random.default_rng([one.seed, TESTING, one.step]) for one in networks]
    accuracies = _accuracies(model, parameters, task, streams, settings.n_tests, settings.batch)
    last_losses = losses.detach().tolist()
    seconds = (time.perf_counter() - started) / len(networks)
    after = []
    for k, before in enumerate(networks):
        step = before.step + settings.test_every
        loss, accuracy = last_losses[k], accuracies[k]
        diverged = accuracy is None or not np.isfinite(loss)
        reached = settings.goal is not None and not diverged and accuracy >= settings.goal
        entry = {"step": step, "loss": loss, "accuracy": accuracy}
        after.append(
            replace(
                before,
                parameters={name: p[k].detach().cpu().clone() for name, p in parameters.items()},
                mean=optimiser.mean[k].cpu().clone(),
                square=optimiser.square[k].cpu().clone(),
                step=step,
                seconds=before.seconds + seconds,
                finished=reached or diverged or step >= settings.steps,
                diverged=diverged,
                history=before.history if diverged else [*before.history, entry],
            )
        )
    return after


class _Adam:
    """Adam for K networks, each with its own rate, count of steps and norm of the gradient."""

    def __init__(
        self, networks: Sequence[Network], settings: Settings, trained: dict[str, Tensor]
    ) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, device=settings.device, dtype=torch.float64)[:, None]

        self.trained = {name: one.requires_grad_() for name, one in trained.items()}
        self.mean = torch.stack([one.mean for one in networks]).to(settings.device)
        self.square = torch.stack([one.square for one in networks]).to(settings.device)
        self.rate = column([one.learning_rate for one in networks])
        self.step = column([one.step for one in networks])
        self.clip = settings.clip

    @torch.no_grad()
    def update(self, gradients: Sequence[Tensor]) -> None:
        """One step down these gradients, in the order of the trained parameters."""
        gradient = torch.cat([one.flatten(1) for one in gradients], 1)
        if self.clip is not None:
            norm = gradient.norm(dim=1, keepdim=True)
            gradient *= (self.clip / (norm + 1e-6)).clamp(max=1)
        self.step += 1
        self.mean.lerp_(gradient, 1 - DECAY_MEAN)
        self.square.mul_(DECAY_SQUARE).addcmul_(gradient, gradient, value=1 - DECAY_SQUARE)
        size = (self.rate / (1 - DECAY_MEAN**self.step)).to(gradient)
        correction = (1 - DECAY_SQUARE**self.step).to(gradient)
        change = self.mean * size / ((self.square / correction).sqrt_() + EPSILON)
        parts = change.split([one[0].numel() for one in gradients], 1)
        for values, part in zip(self.trained.values(), parts, strict=True):
            values.sub_(part.view_as(values))


def _stacked(networks: Sequence[Network], device: str) -> dict[str, Tensor]:
    names = networks[0].parameters
    return {n: torch.stack([one.parameters[n] for one in networks]).to(device) for n in names}


def _losses(
    model: nn.Module,
    parameters: dict[str, Tensor],
    task: Any,
    trials: Sequence[Any],
    streams: Sequence[np.random.Generator],
    device: str,
) -> Tensor:
    """The loss of every network on its own trials."""
    dtype = next(iter(parameters.values())).dtype
    inputs = _side_by_side([one.inputs for one in trials], device).to(dtype)
    targets = _side_by_side([one.targets for one in trials], device)
    mask = _side_by_side([one.mask for one in trials], device).to(dtype)
    extra = _noise(model, trials, streams, inputs)
    outputs, _ = functional_call(model, parameters, (inputs,), {"record": False, **extra})
    if task.loss == "cross_entropy":
        error = functional.cross_entropy(outputs.movedim(-1, 1), targets, reduction="none")
    else:
        error = (outputs - targets).square().mean(-1)
    return (error * mask).sum((1, 2)) / mask.sum((1, 2))


def _noise(
    model: nn.Module, trials: Sequence[Any], streams: Sequence[np.random.Generator], like: Tensor
) -> dict[str, Tensor]:
    """Private noise for a model that has it, drawn for each network from its own stream."""
    if not getattr(model, "noise", 0):
        return {}
    generators = [torch.Generator().manual_seed(int(s.integers(2**63))) for s in streams]
    drawn = [
        model.draw_noise(*one.inputs.shape[:2], generator=generator).numpy()
        for one, generator in zip(trials, generators, strict=True)
    ]
    return {"noise": _side_by_side(drawn, like.device).to(like)}


def _side_by_side(arrays: Sequence[np.ndarray], device: Any) -> Tensor:
    """(network, trial, time, ...); what is shorter is filled with zeros, which no mask counts."""
    n_steps = max(one.shape[1] for one in arrays)
    filled = [
        np.pad(one, [(0, 0), (0, n_steps - one.shape[1])] + [(0, 0)] * (one.ndim - 2))
        for one in arrays
    ]
    return torch.from_numpy(np.stack(filled)).to(device)


def final_accuracies(
    model: nn.Module, task: Any, networks: Sequence[Network], n_tests: int, device: str
) -> np.ndarray:
    """Accuracy of each network on trials that played no part in its training; NaN if diverged."""
    found = []
    for one in networks:
        stream = np.random.default_rng([one.seed, FINAL])
        parameters = _stacked([one], device)
        found += _accuracies(model.to(device), parameters, task, [stream], n_tests, FINAL_BATCH)
    return np.array(found, dtype=float)


@torch.no_grad()
def _accuracies(
    model: nn.Module,
    parameters: dict[str, Tensor],
    task: Any,
    streams: Sequence[np.random.Generator],
    n_tests: int,
    batch: int,
) -> list[float | None]:
    """Accuracy of every network on fresh trials; None where its outputs are not finite."""
    model.eval()
    some = next(iter(parameters.values()))
    n_correct, n_done = np.zeros(len(streams)), 0
    while n_done < n_tests:
        n_trials = min(batch, n_tests - n_done)
        trials = [task.trials(stream, n_trials) for stream in streams]
        inputs = _side_by_side([one.inputs for one in trials], some.device).to(some.dtype)
        outputs, _ = functional_call(model, parameters, (inputs,), {"record": False})
        outputs = outputs.cpu().numpy()
        for k, one in enumerate(trials):
            mine = outputs[k, :, : one.inputs.shape[1]]
            finite = np.isfinite(mine).all()
            n_correct[k] += task.accuracy(mine, one) * n_trials if finite else np.nan
        n_done += n_trials
    return [float(n) / n_done if np.isfinite(n) else None for n in n_correct]
