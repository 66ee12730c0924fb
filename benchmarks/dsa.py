"""repsim's dsa against dsa-metric end to end: time, loss on the same operators, scaling, memory.

    python benchmarks/dsa.py --pairs 20     (4 s a pair, nearly all the peer's; prints markdown)
    python benchmarks/dsa.py --seed 1       (other systems)

Twenty systems of (50 trials, 100 steps, 10 units): leaky networks and stable linear systems, both
driven by three signals and seen through a random readout with 5 % noise; 10 delays, rank 30.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

import repsim
from repsim.dynamics import conjugacy, fit_operator

SHAPE = (50, 100, 10)
DELAYS, RANK, SYSTEMS = 10, 30, 20
RANKS = (10, 20, 30, 50)
EFFORTS = ("thorough", "balanced", "fast")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pairs", type=int, default=20, help="pairs given to the peer")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seed", type=int, default=0, help="of the systems")
    options.add_argument("--memory", action="store_true", help="print the peak memory and stop")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    sets = systems(SYSTEMS, chosen.seed)
    if chosen.memory:
        before = peak()
        repsim.compare(sets, metric=f"dsa(delays={DELAYS}, rank={RANK})")
        print(f"{peak():.0f} MB, of which {peak() - before:.0f} MB during compare")
        return
    ours = end_to_end(sets)
    against_the_peer(sets, chosen.pairs, ours)
    scaling()
    print("\n## Peak memory\n", flush=True)
    subprocess.run([sys.executable, __file__, "--memory"], check=True)


def end_to_end(sets: list[np.ndarray]) -> dict[str, float]:
    """Seconds of repsim.compare for all pairs with each effort, the median of three."""
    repsim.compare(sets[:2], metric=f"dsa(delays={DELAYS}, rank=10)")
    print("## End to end\n\n| | pairs | wall, s | processor, s |\n|---|---|---|---|")
    medians = {}
    for effort in EFFORTS:
        clocks = []
        for _ in range(3):
            start = time.perf_counter(), time.process_time()
            repsim.compare(sets, metric=f'dsa(delays={DELAYS}, effort="{effort}", rank={RANK})')
            clocks.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        wall, processor = np.median(clocks, axis=0)
        print(f"| repsim, {effort} | 190 | {wall:.2f} | {processor:.2f} |", flush=True)
        medians[effort] = float(wall)
    return medians


def against_the_peer(sets: list[np.ndarray], n_pairs: int, ours: dict[str, float]) -> None:
    """Residuals of both solvers on dsa-metric's operators, and the peer's time."""
    from DSA import DMD

    clock = time.perf_counter()
    operators = []
    for x in sets:
        fitted = DMD(x, n_delays=DELAYS, rank=RANK)
        fitted.fit()
        operators.append(fitted.A_v.float())
    fitting = time.perf_counter() - clock
    rows, columns = np.triu_indices(len(sets), 1)
    chosen = np.random.default_rng(0).permutation(len(rows))[:n_pairs]
    pairs = [(operators[rows[i]], operators[columns[i]]) for i in chosen]
    clock = time.perf_counter()
    peer = np.array([peer_residual(*pair) for pair in pairs])
    seconds = fitting + (time.perf_counter() - clock) * len(rows) / len(pairs)
    print(f"| dsa-metric | 190, from {len(pairs)} | {seconds:.0f} | |")
    for effort in EFFORTS:
        print(f"\nTimes faster, {effort}: {seconds / ours[effort]:.0f}")
    print("\n## Angles on dsa-metric's operators, radians\n")
    print("| effort | pairs | lower | higher | worst excess | median difference |")
    print("|---|---|---|---|---|---|")
    stacked = [torch.stack(side).double() for side in zip(*pairs, strict=True)]
    for effort in EFFORTS:
        excess = conjugacy(*stacked, effort=effort).angle.numpy() - 2 * np.arcsin(peer / 2)
        higher = excess > 1e-6
        print(
            f"| {effort} | {len(pairs)} | {np.sum(excess < -1e-6)} | {higher.sum()} "
            f"| {max(excess.max(), 0):.1e} | {np.median(excess):+.1e} |",
            flush=True,
        )


def peer_residual(a: torch.Tensor, b: torch.Tensor, seed: int = 0) -> float:
    """||A - C B C'|| of one default run, in double precision at the peer's own C."""
    from DSA import SimilarityTransformDist

    torch.manual_seed(seed)
    solver = SimilarityTransformDist(iters=1500, lr=5e-3, score_method="angular")
    solver.fit_score(a.clone(), b.clone())
    c, a, b = (x.detach().double() for x in (solver.C_star, a, b))
    a, b = (x / torch.linalg.matrix_norm(x) for x in (a, b))
    return min(float(torch.linalg.matrix_norm(a - x @ b @ x.T)) for x in (c, c.T))


def scaling() -> None:
    """Seconds of the fast solver alone, all pairs; the first column is one pair in milliseconds."""
    counts = (5, 10, 20, 40)
    print("\n## Fast solver alone, seconds for all pairs\n")
    print("| n | one pair, ms | " + " | ".join(f"{k} systems" for k in counts) + " |")
    print("|---" * (2 + len(counts)) + "|", flush=True)
    sets = systems(max(counts))
    for rank in RANKS:
        fits = np.stack([fit_operator(x, DELAYS, rank).matrix for x in sets])
        cells = [f"{1e3 * min(seconds(fits[:1], fits[1:2]) for _ in range(3)):.0f}"]
        for count in counts:
            rows, columns = np.triu_indices(count, 1)
            cells.append(f"{seconds(fits[rows], fits[columns]):.2f}")
        print(f"| {rank} | " + " | ".join(cells) + " |", flush=True)


def seconds(a: np.ndarray, b: np.ndarray) -> float:
    start = time.perf_counter()
    conjugacy(a, b, effort="fast")
    return time.perf_counter() - start


def peak() -> float:
    """Resident memory at its highest so far, MB, torch's included; Linux keeps count of it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def systems(count: int, seed: int = 0) -> list[np.ndarray]:
    """Trajectories (trial, time, unit), linear systems and networks in turn."""
    rng = np.random.default_rng(seed)
    return [(network if i % 2 else linear)(rng) for i in range(count)]


def linear(rng: np.random.Generator, n: int = 12) -> np.ndarray:
    """Six damped rotations in oblique coordinates, driven by white noise."""
    radius, turn = rng.uniform(0.8, 0.99, size=n // 2), rng.uniform(0, 0.8, size=n // 2)
    matrix = np.zeros((n, n))
    for i, (r, w) in enumerate(zip(radius, turn, strict=True)):
        block = [[np.cos(w), -np.sin(w)], [np.sin(w), np.cos(w)]]
        matrix[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = r * np.array(block)
    oblique = np.eye(n) + 0.5 * rng.normal(size=(n, n)) / np.sqrt(n)
    matrix = oblique @ matrix @ np.linalg.inv(oblique)
    drive = 0.3 * rng.normal(size=(3, n))
    x, path = rng.normal(size=(SHAPE[0], n)), []
    for _ in range(SHAPE[1]):
        x = x @ matrix.T + rng.normal(size=(SHAPE[0], 3)) @ drive
        path.append(x)
    return observed(np.stack(path, axis=1), rng)


def network(rng: np.random.Generator, n: int = 64) -> np.ndarray:
    """A leaky network with random weights, driven by slow noise."""
    weights = rng.uniform(0.8, 1.8) * rng.normal(size=(n, n)) / np.sqrt(n)
    drive = rng.normal(size=(3, n))
    x, signal, path = rng.normal(size=(SHAPE[0], n)), rng.normal(size=(SHAPE[0], 3)), []
    for _ in range(SHAPE[1]):
        signal = 0.9 * signal + 0.3 * rng.normal(size=signal.shape)
        x = 0.8 * x + 0.2 * np.tanh(x @ weights.T + signal @ drive)
        path.append(x)
    return observed(np.stack(path, axis=1), rng)


def observed(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x = path @ rng.normal(size=(path.shape[2], SHAPE[2])) / np.sqrt(path.shape[2])
    return x / x.std() + 0.05 * rng.normal(size=x.shape)


if __name__ == "__main__":
    main()
