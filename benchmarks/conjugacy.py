"""repsim.dynamics.conjugacy against dsa-metric: angles reached and time, on fitted operators.

    python benchmarks/conjugacy.py --pairs 100 --seeds 6     (20 s a pair, nearly all the peer's)
    python benchmarks/conjugacy.py --peer-results FILE       (finished runs of the peer are reused)

The operators are Hankel-DMD fits of rank 24 to Lorenz at four r and to random leaky RNNs at four
gains, seen through tanh embeddings with 1 % noise, 6 delays, interval 2.
"""

import argparse
import hashlib
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from dsa import peer_residual

from repsim.dynamics.alignment import conjugacy

SYSTEMS = [("lorenz", r) for r in (0.5, 10, 28, 40)] + [
    ("network", g) for g in (0.8, 1.2, 1.5, 2.0)
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--seeds", type=int, default=6)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--system-seed", type=int, default=0)
    options.add_argument("--peer-results", type=Path, help="JSON lines, kept and reused")
    options.add_argument("--efforts", nargs="+", default=["thorough", "balanced", "fast"])
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    timing()
    operators = fitted_operators(20, 24, chosen.system_seed).astype(np.float32)
    pairs = np.array(list(itertools.combinations(range(20), 2)))
    pairs = np.random.default_rng(0).permutation(pairs)[: chosen.pairs]
    stacked = operators[pairs[:, 0]], operators[pairs[:, 1]]
    peer = peer_angles(*stacked, chosen.seeds, chosen.peer_results)
    for effort in chosen.efforts:
        against_the_peer(*(x.astype(float) for x in stacked), peer, effort)


def timing() -> None:
    """Seconds of the fast effort for all pairs of 20 operators, and for one pair."""
    rng = np.random.default_rng(1)
    conjugacy(*rng.normal(size=(2, 4, 4)))
    print("     n   190 pairs   one pair")
    for rank in (10, 20, 30):
        operators = fitted_operators(20, rank)
        rows, columns = np.triu_indices(20, 1)
        together = seconds(operators[rows], operators[columns])
        print(f"{rank:6d} {together:9.2f} s {1e3 * seconds(operators[0], operators[1]):7.0f} ms")


def seconds(a: np.ndarray, b: np.ndarray) -> float:
    start = time.perf_counter()
    conjugacy(a, b, effort="fast")
    return time.perf_counter() - start


def peer_angles(a: np.ndarray, b: np.ndarray, n_seeds: int, path: Path | None) -> np.ndarray:
    """Angles of dsa-metric's defaults, (pair, seed); runs that path holds are not run again."""
    lines = path.read_text().splitlines() if path and path.exists() else []
    finished = dict(json.loads(line) for line in lines)
    residuals = np.empty((len(a), n_seeds))
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        name = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:16]
        for seed in range(n_seeds):
            key = f"{name} {seed}"
            if key not in finished:
                finished[key] = peer_residual(torch.tensor(x), torch.tensor(y), seed)
                if path:
                    with path.open("a") as file:
                        file.write(json.dumps([key, finished[key]]) + "\n")
            residuals[k, seed] = finished[key]
    return 2 * np.arcsin(residuals / 2)


def against_the_peer(a: np.ndarray, b: np.ndarray, peer: np.ndarray, effort: str) -> None:
    """Our angles against every run of the peer, and against the best of each pair's."""
    ours = conjugacy(a, b, effort=effort).angle
    single, least = ours[:, None] - peer, ours - peer.min(axis=1)
    print(
        f"{effort}: above {np.sum(single > 1e-6)} of {single.size} single runs; "
        f"against the best of {peer.shape[1]}, {len(a)} pairs: lower in {np.mean(least < 0):.0%}, "
        f"above in {np.sum(least > 1e-6)}, mean {least.mean():+.1e}, worst {least.max():+.1e}"
    )


def fitted_operators(count: int, rank: int, seed: int = 0) -> np.ndarray:
    """Operators (count, rank, rank), the systems in turn."""
    rng = np.random.default_rng(seed)
    return np.stack([fitted_operator(*SYSTEMS[i % len(SYSTEMS)], rank, rng) for i in range(count)])


def fitted_operator(kind: str, parameter: float, rank: int, rng: np.random.Generator) -> np.ndarray:
    path = lorenz(parameter, rng) if kind == "lorenz" else network(parameter, rng)
    path = (path - path.mean((0, 1))) / path.std()
    x = np.tanh(path @ rng.normal(size=(path.shape[2], 10)) / np.sqrt(path.shape[2]))
    x = x + 0.01 * rng.normal(size=x.shape)
    length = x.shape[1] - 10
    windows = np.concatenate([x[:, k : k + length] for k in range(10, -1, -2)], axis=2)
    basis = np.linalg.svd(windows.reshape(-1, windows.shape[2]), full_matrices=False)[0][:, :rank]
    basis = basis.reshape(len(x), length, rank)
    before, after = basis[:, :-1].reshape(-1, rank), basis[:, 1:].reshape(-1, rank)
    return np.linalg.solve(before.T @ before + 1e-8 * np.eye(rank), before.T @ after).T


def lorenz(
    r: float, rng: np.random.Generator, n_steps: int = 100, step: float = 0.02
) -> np.ndarray:
    """50 trajectories (trial, time, 3), on the attractor where r > 20."""
    x = rng.normal(size=(50, 3)) * 5 + np.array([0, 0, min(r, 20)])
    path = []
    for _ in range(n_steps + 100 * (r > 20)):
        one = lorenz_velocity(x, r)
        two = lorenz_velocity(x + step / 2 * one, r)
        three = lorenz_velocity(x + step / 2 * two, r)
        four = lorenz_velocity(x + step * three, r)
        x = x + step / 6 * (one + 2 * two + 2 * three + four)
        path.append(x)
    return np.stack(path[-n_steps:], axis=1)


def lorenz_velocity(x: np.ndarray, r: float) -> np.ndarray:
    first, second, third = x.T
    return np.stack(
        [10 * (second - first), first * (r - third) - second, first * second - 8 / 3 * third],
        axis=1,
    )


def network(
    gain: float, rng: np.random.Generator, n_steps: int = 100, n_units: int = 64
) -> np.ndarray:
    """50 trajectories of a leaky network with random weights and 10 % noise in its input."""
    weights = gain * rng.normal(size=(n_units, n_units)) / np.sqrt(n_units)
    x, path = rng.normal(size=(50, n_units)), []
    for _ in range(n_steps):
        x = 0.8 * x + 0.2 * np.tanh(x @ weights.T + 0.1 * rng.normal(size=x.shape))
        path.append(x)
    return np.stack(path, axis=1)


if __name__ == "__main__":
    main()
