"""Many networks side by side against one after another with torch's own, forward and backward.

    python benchmarks/ensemble.py            (about 3 minutes on two cores; prints markdown)
    python benchmarks/ensemble.py --model lstm --units 64
    python benchmarks/ensemble.py --device cuda

Every network has its own 64 trials of 100 steps, 7 inputs, 3 outputs, cross entropy on all steps.
One network-step is one time step of one network's batch, there and back: states, readout, loss and
all gradients. The peer is torch.nn.RNN or LSTM with a torch.nn.Linear readout, with as many threads
as serve it best; ours are the same weights in VanillaRNN or LSTM, in groups that fit the cache, on
processes of one thread. The two take turns, and a number is the median of the turns. `difference`
is the largest difference between our gradients and the peer's, over the peer's largest.
"""

import argparse
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.functional import cross_entropy

from model_zoo.line import keep_freed_memory
from model_zoo.lstm import LSTM
from model_zoo.rnn import VanillaRNN
from model_zoo.training import fitting_threads, networks_together
from repsim.workers import Worker

TRIALS, TIME, INPUTS, OUTPUTS = 64, 100, 7, 3
MODELS, PEERS = {"rnn": VanillaRNN, "lstm": LSTM}, {VanillaRNN: nn.RNN, LSTM: nn.LSTM}
UNITS, NETWORKS = (16, 32, 64, 128, 256), (1, 4, 16, 64)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", choices=MODELS, default="rnn")
    options.add_argument("--units", type=int, nargs="+", default=UNITS)
    options.add_argument("--networks", type=int, nargs="+", default=NETWORKS)
    options.add_argument("--turns", type=int, default=7)
    options.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args()
    workers = [Worker() for _ in range(chosen.workers if chosen.device == "cpu" else 0)]
    for worker in workers:
        worker.call(keep_freed_memory)
    peer = f"nn.{chosen.model.upper()}, threads"
    print(f"| units | networks | side by side | {peer} | times faster | difference |")
    print("|---|---|---|---|---|---|")
    for n_units in chosen.units:
        for n_networks in chosen.networks:
            print(row(n_units, n_networks, workers, chosen), flush=True)
    for worker in workers:
        worker.close()


def row(n_units: int, n_networks: int, workers: list[Worker], chosen: Any) -> str:
    """One line of the table, network-steps a second."""
    data = [batch(seed) for seed in range(n_networks)]
    models = [model_of(chosen.model, seed, n_units) for seed in range(n_networks)]
    ours, peers, best = [], {1: [], chosen.workers: []}, chosen.workers
    for _ in range(chosen.turns):
        ours.append(side_by_side(models, data, workers, chosen))
        for threads, rates in peers.items():
            rates.append(one_after_another(models, data, threads, chosen))
    medians = {threads: np.median(rates) for threads, rates in peers.items()}
    best = max(medians, key=medians.get)
    mine = np.median(ours)
    apart = difference(models[:4], data[:4])
    return (
        f"| {n_units} | {n_networks} | {mine:,.0f} | {medians[best]:,.0f}, {best} | "
        f"{mine / medians[best]:.2f} | {apart:.0e} |"
    )


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Inputs (trial, time, input) and classes (trial, time)."""
    rng = torch.Generator().manual_seed(seed)
    inputs = torch.randn(TRIALS, TIME, INPUTS, generator=rng)
    return inputs, torch.randint(0, OUTPUTS, (TRIALS, TIME), generator=rng)


def model_of(name: str, seed: int, n_units: int) -> nn.Module:
    """A network of its seed."""
    generator = torch.Generator().manual_seed(seed)
    return MODELS[name](INPUTS, n_units, OUTPUTS, generator=generator)


def group_pass(
    models: list[nn.Module], data: list[tuple[Tensor, Tensor]], device: str
) -> Callable[[], list[Tensor]]:
    """Forward and backward of some networks side by side; returns the gradients."""
    parameters, _ = stack_module_state(models)
    parameters = {k: v.detach().to(device).requires_grad_() for k, v in parameters.items()}
    inputs, targets = (torch.stack(one).to(device) for one in zip(*data, strict=True))
    model = models[0].to(device)

    def run() -> list[Tensor]:
        outputs, _ = functional_call(model, parameters, (inputs,), {"record": False})
        error = cross_entropy(outputs.movedim(-1, 1), targets, reduction="none")
        return torch.autograd.grad(error.mean((1, 2)).sum(), list(parameters.values()))

    return run


def peer_pass(
    model: nn.Module, data: tuple[Tensor, Tensor], device: str
) -> Callable[[], list[Tensor]]:
    """Forward and backward of the peer with the weights of a model."""
    n_units = model.n_units
    rnn = PEERS[type(model)](INPUTS, n_units, batch_first=True)
    readout = nn.Linear(n_units, OUTPUTS)
    copied = (model.input_weight, model.recurrent_weight, model.bias, torch.zeros_like(model.bias))
    for mine, theirs in zip(copied, rnn.parameters(), strict=True):
        theirs.data.copy_(mine)
    readout.load_state_dict({"weight": model.output_weight, "bias": model.output_bias})
    rnn, readout = rnn.to(device), readout.to(device)
    inputs, targets = (one.to(device) for one in data)
    parameters = [*rnn.parameters(), *readout.parameters()]

    def run() -> list[Tensor]:
        outputs = readout(rnn(inputs)[0]).flatten(0, 1)
        return torch.autograd.grad(cross_entropy(outputs, targets.flatten()), parameters)

    return run


def timed(passes: list[Callable], seconds: float, device: str) -> tuple[int, float, float]:
    """How often all passes ran, from when to when, for at least so many seconds."""
    for one in passes:
        one()
    synchronise(device)
    count, started = 0, time.time()
    while time.time() - started < seconds:
        for one in passes:
            one()
        synchronise(device)
        count += 1
    return count, started, time.time()


def synchronise(device: str) -> None:
    """Wait for a GPU."""
    if device != "cpu":
        torch.cuda.synchronize()


def share_of_a_worker(
    models: list[nn.Module], data: list, together: int, seconds: float, device: str
) -> tuple[int, float, float]:
    """The turn of one process: its networks, in groups."""
    groups = [slice(k, k + together) for k in range(0, len(models), together)]
    passes = [group_pass(models[one], data[one], device) for one in groups]
    count, start, end = timed(passes, seconds, device)
    return count * len(models), start, end


def side_by_side(models: list, data: list, workers: list[Worker], chosen: Any) -> float:
    """Network-steps a second of all processes."""
    n_workers = min(len(workers), len(models)) if len(models) > 1 else 0
    together = networks_together(models[0], TRIALS, len(models), n_workers, chosen.device)
    if n_workers == 0:
        torch.set_num_threads(chosen.workers)
        with fitting_threads(models[0], TRIALS):
            done = [share_of_a_worker(models, data, together, chosen.seconds, chosen.device)]
    else:
        done = [None] * n_workers

        def serve(k: int) -> None:
            share = models[k::n_workers], data[k::n_workers]
            done[k] = workers[k].call(share_of_a_worker, *share, together, chosen.seconds, "cpu")

        threads = [threading.Thread(target=serve, args=(k,)) for k in range(n_workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(count * TIME / (end - start) for count, start, end in done)


def one_after_another(models: list, data: list, threads: int, chosen: Any) -> float:
    """Network-steps a second of the peer."""
    torch.set_num_threads(threads)
    pairs = list(zip(models, data, strict=True))[:4]  # each takes the same time
    passes = [peer_pass(model, one, chosen.device) for model, one in pairs]
    count, start, end = timed(passes, chosen.seconds, chosen.device)
    return count * len(passes) * TIME / (end - start)


def difference(models: list, data: list) -> float:
    """Largest difference of the gradients, over the largest gradient."""
    ours = group_pass(models, data, "cpu")()
    worst = 0.0
    for k, (model, one) in enumerate(zip(models, data, strict=True)):
        w_in, w_rec, b, _, w_out, b_out = peer_pass(model, one, "cpu")()
        for mine, theirs in zip(ours, (w_in, w_rec, b, w_out, b_out), strict=True):
            worst = max(worst, ((mine[k] - theirs).abs().max() / theirs.abs().max()).item())
    return worst


if __name__ == "__main__":
    main()
