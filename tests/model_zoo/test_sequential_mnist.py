"""The benchmark on MNIST: it goes on where it stopped, and its page says what the models do."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
N_TRAIN, N_KEPT, N_TEST = 20, 10, 20


@pytest.fixture
def benchmark(monkeypatch):
    """Small: 5 units, rounds of 10 of 20 images, one batch."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("sequential_mnist")
    small = {"KEPT": N_KEPT, "ROUND": 10, "BATCH": 10, "UNITS": 5, "GROWING": 1}
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "keep_freed_memory", lambda: None)
    return module


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    sizes = {"train": N_TRAIN + N_KEPT, "test": N_TEST}
    made = {f"x_{k}": rng.integers(0, 256, (n, 28, 28), np.uint8) for k, n in sizes.items()}
    made |= {f"y_{k}": rng.integers(0, 10, n, np.uint8) for k, n in sizes.items()}
    np.savez(tmp_path / "mnist.npz", **made)
    return str(tmp_path / "mnist.npz")


def run(benchmark, monkeypatch, images, folder, *options):
    monkeypatch.setattr(sys, "argv", ["", images, "--folder", str(folder), *options])
    benchmark.main()


def weights(benchmark, folder, k):
    return [
        torch.load(benchmark.saved_round(folder, name, k))["model"] for name in benchmark.MODELS
    ]


def test_it_goes_on_where_it_stopped(benchmark, monkeypatch, images, tmp_path):
    run(benchmark, monkeypatch, images, tmp_path / "a", "--rounds", "2")
    for rounds in ("1", "2"):
        run(benchmark, monkeypatch, images, tmp_path / "b", "--rounds", rounds)
    first = weights(benchmark, tmp_path / "a", 0)
    at_once, resumed = (weights(benchmark, tmp_path / folder, 1) for folder in "ab")
    for before, one, other in zip(first, at_once, resumed, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert not any(torch.equal(one[name], before[name]) for name in one)
    with pytest.raises(SystemExit, match="Name another folder"):
        run(benchmark, monkeypatch, images, tmp_path / "b", "--rounds", "3", "--rate", "1e-4")


def test_the_page_shows_the_test_accuracy_of_the_best_round(
    benchmark, monkeypatch, images, tmp_path
):
    run(benchmark, monkeypatch, images, tmp_path, "--rounds", "2")
    run(benchmark, monkeypatch, images, tmp_path, "--rounds", "0", "--write", f"{tmp_path}/p.md")
    lines = (tmp_path / "p.md").read_text().splitlines()
    assert sum(line.startswith("The order is ") for line in lines) == 1
    x, y = benchmark.read_mnist(images, "cpu")["test"]
    for name in benchmark.MODELS:
        kept = [torch.load(benchmark.saved_round(tmp_path, name, k))["kept"] for k in range(2)]
        best = int(np.argmax(kept))
        model = benchmark.new_model(name, 0)
        model.load_state_dict(torch.load(benchmark.saved_round(tmp_path, name, best))["model"])
        found = (model(x)[0][:, -1].argmax(-1) == y).double().mean()
        (line,) = [line for line in lines if line.startswith(f"| {name} |")]
        assert line.split("|")[2:5] == [
            f" {100 * found:.2f} ",
            f" {100 * kept[best]:.2f} ",
            f" {best + 1} ",
        ]


def test_an_epoch_is_every_image_once(benchmark):
    first, second = (
        torch.cat([benchmark.images_of_round(2 * epoch + k, N_TRAIN, 0) for k in range(2)])
        for epoch in range(2)
    )
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(N_TRAIN))
    assert not torch.equal(first, second)


def test_all_models_start_with_the_same_memories(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "UNITS", 400)
    models = {name: benchmark.new_model(name, 0) for name in benchmark.MODELS}
    lstm = models.pop("LSTM").bias.split(400)
    for model in models.values():
        i, _, z = model.bias.split(400)
        assert torch.equal(model.forget_bias, lstm[1])
        assert torch.equal(i, -lstm[1])
        assert torch.equal(z, -lstm[1])
    steps = 1 / (1 - torch.sigmoid(lstm[1].detach()))  # time constants
    assert 2 <= steps.min() < 20
    assert 700 < steps.max() <= 784
    assert float(steps.median()) == pytest.approx(393, abs=40)


def test_order_in_words(benchmark):
    found = benchmark.in_words({"a": 97.0, "b": 98.0, "c": 96.5})
    assert found == "b (+0.00), a (-1.00), c (-1.50)"
