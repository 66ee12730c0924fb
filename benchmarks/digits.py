"""SubLSTM, with gated and with fixed forget, against LSTM on images read row by row.

    python benchmarks/digits.py                      (digits of scikit-learn, 2 minutes)

Sequential MNIST as in Costa et al. 2017, pixel by pixel, is sequential_mnist.py.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.lstm import LSTM
from model_zoo.sublstm import SubLSTM

MODELS: dict[str, Callable[..., nn.Module]] = {
    "LSTM": LSTM,
    "subLSTM gated": SubLSTM,
    "subLSTM fixed": lambda *sizes, **options: SubLSTM(*sizes, forget="fixed", **options),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    images, labels = load_digits_by_rows()
    print("digits, 8 rows of 8 pixels, 50 units, 1437 images to train and 360 to test")
    print(f"{'':16s}{'accuracy %':>12s}{'deviation':>11s}{'worst':>8s}{'seconds a run':>15s}")
    for name in MODELS:
        start = time.perf_counter()
        found = [
            100 * train(name, images, labels, seed, epochs=chosen.epochs)
            for seed in range(chosen.seeds)
        ]
        taken = (time.perf_counter() - start) / chosen.seeds
        spread = statistics.stdev(found) if len(found) > 1 else float("nan")
        mean = statistics.mean(found)
        print(f"{name:16s}{mean:12.2f}{spread:11.2f}{min(found):8.2f}{taken:15.1f}", flush=True)


def load_digits_by_rows() -> tuple[Tensor, Tensor]:
    """Images (1797, row 8, pixel 8) in [0, 1] and their labels."""
    found = load_digits()
    return torch.tensor(found.images / 16, dtype=torch.float32), torch.tensor(found.target)


def train(name: str, images: Tensor, labels: Tensor, seed: int, epochs: int = 60) -> float:
    """Accuracy on a fifth of the images, chosen by the seed, after Adam on the others."""
    training, test = train_test_split(
        np.arange(len(images)), test_size=360, random_state=seed, stratify=labels
    )
    generator = torch.Generator().manual_seed(seed)
    model = MODELS[name](images.shape[-1], 50, 10, generator=generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        one_epoch(model, optimiser, images[training], labels[training], 50, generator)
    return accuracy(model, images[test], labels[test])


def one_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    batch: int,
    generator: torch.Generator,
) -> None:
    """Cross-entropy of the output at the last step, gradient clipped to norm 1."""
    order = torch.randperm(len(images), generator=generator).to(images.device)
    for rows in order.split(batch):
        outputs, _ = model(images[rows], record=False)
        optimiser.zero_grad()
        functional.cross_entropy(outputs[:, -1], labels[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    n_right = 0  # a number: small tensors between large ones would keep the memory in pieces
    for part, expected in zip(images.split(500), labels.split(500), strict=True):
        outputs, _ = model(part, record=False)
        n_right += int((outputs[:, -1].argmax(-1) == expected).sum())
    return n_right / len(labels)


if __name__ == "__main__":
    main()
