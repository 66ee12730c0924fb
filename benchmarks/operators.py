"""repsim.dynamics.fit_operator against explicit Hankel SVD, dsa-metric and PyDMD.

    python benchmarks/operators.py               (about 3 minutes)

Speed and peak memory of fits to random walks and to driven rotations; then the bias of the
eigenvalues of a noisy linear system with known spectrum. Medians of several runs.
"""

import argparse
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from repsim.dynamics.operator import delay_embed, fit_operator

SPECTRUM = np.array([0.99 * np.exp(0.2j), 0.97 * np.exp(0.7j), 0.95 * np.exp(1.5j)])
EIGENVALUES = np.concatenate([SPECTRUM, SPECTRUM.conj()])
NOISE = (0.0, 0.01, 0.03, 0.1, 0.3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--systems", type=int, default=20)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    sizes = {
        f"{chosen.systems} x (50, 100, 10), 10 delays, rank 30": (
            chosen.systems,
            (50, 100, 10),
            10,
            30,
        ),
        "1 x (200, 500, 30), 20 delays, rank 50": (1, (200, 500, 30), 20, 50),
    }
    for title, (n_systems, shape, delays, rank) in sizes.items():
        speed(
            title, systems(n_systems, shape), delays, rank, chosen.repeats if n_systems > 1 else 3
        )
    bias(chosen.repeats * 4)


def systems(n_systems: int, shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Random walks with decay, mixed: well-conditioned embeddings."""
    n_trials, n_steps, n_units = shape
    found = []
    for seed in range(n_systems):
        rng = np.random.default_rng(seed)
        states = [rng.standard_normal((n_trials, n_units))]
        for _ in range(n_steps - 1):
            states.append(0.95 * states[-1] + rng.standard_normal((n_trials, n_units)))
        found.append(np.stack(states, axis=1) @ rng.standard_normal((n_units, n_units)))
    return found


def speed(title: str, sets: list[np.ndarray], delays: int, rank: int, repeats: int) -> None:
    """Seconds and peak memory for all sets, and the largest difference of eigenvalues from ours."""
    fits = {
        "repsim": lambda x: fit_operator(x, delays, rank).matrix,
        "explicit SVD": lambda x: explicit(x, delays, rank),
        "dsa-metric": lambda x: peer(x, delays, rank),
    }
    print(f"\n{title}\n{'':14s}{'seconds':>10s}{'times':>8s}{'peak MB':>10s}{'difference':>12s}")
    ours = [np.linalg.eigvals(fits["repsim"](x)) for x in sets]
    reference = None
    for name, fit in fits.items():
        try:
            found = [np.linalg.eigvals(fit(x)) for x in sets]
        except ImportError:
            print(f"{name:14s}  not installed")
            continue
        taken = statistics.median(seconds(fit, sets) for _ in range(repeats))
        reference = reference or taken
        gap = max(largest_gap(a, b) for a, b in zip(found, ours, strict=True))
        megabytes = peak(fit, sets[0]) / 1e6 if name != "dsa-metric" else float("nan")
        print(f"{name:14s}{taken:10.3f}{taken / reference:8.1f}{megabytes:10.1f}{gap:12.1e}")


def explicit(trajectories: np.ndarray, delays: int, rank: int) -> np.ndarray:
    """The textbook: embed, SVD, least squares."""
    embedded = delay_embed(trajectories, delays)
    rows = embedded.reshape(-1, embedded.shape[-1])
    left = np.linalg.svd(rows, full_matrices=False)[0][:, :rank]
    coordinates = left.reshape(*embedded.shape[:2], rank)
    before, after = (x.reshape(-1, rank) for x in (coordinates[:, :-1], coordinates[:, 1:]))
    return np.linalg.solve(before.T @ before + 1e-8 * np.eye(rank), before.T @ after).T


def peer(trajectories: np.ndarray, delays: int, rank: int) -> np.ndarray:
    from DSA.dmd import DMD

    fitted = DMD(trajectories, n_delays=delays, rank=rank, lamb=1e-8)
    fitted.fit()
    return np.asarray(fitted.A_v)


def seconds(fit: Callable, sets: list[np.ndarray]) -> float:
    start = time.perf_counter()
    for x in sets:
        fit(x)
    return time.perf_counter() - start


def peak(fit: Callable, x: np.ndarray) -> int:
    """Bytes that numpy takes beyond the data."""
    tracemalloc.start()
    fit(x)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def bias(repeats: int) -> None:
    """Median over repeats of the mean distance from the true eigenvalues, and shift of |z|."""
    print(f"\nmean |error| of eigenvalues (mean of |z| - |true z|), median of {repeats}")
    print("one series of 500 steps, 10 units, 6 states; noise as a share of the signal's deviation")
    print("".join([f"{'':22s}", *(f"{noise:>20g}" for noise in NOISE)]))
    for name, fit in methods().items():
        cells = []
        for noise in NOISE:
            runs = [one_run(fit, noise, seed) for seed in range(repeats)]
            if any(run is None for run in runs):
                cells.append(f"{'-':>20s}")
                continue
            error, shift = np.median(runs, axis=0)
            cells.append(f"{error:10.1e} ({shift:+.0e})".rjust(20))
        print(f"{name:22s}" + "".join(cells), flush=True)


def methods() -> dict[str, Callable]:
    found: dict[str, Callable] = {
        f"repsim, {d} delays": lambda x, d=d: fit_operator(x[None], d, 6).eigenvalues
        for d in (1, 5, 20)
    }
    try:
        import pydmd
    except ImportError:
        return found
    plain = {"DMD": {"svd_rank": 6}, "FbDMD": {"svd_rank": 6}, "OptDMD": {"svd_rank": 6}}
    plain |= {"SubspaceDMD": {"svd_rank": 6}}
    for name, options in plain.items():
        found[f"PyDMD {name}"] = lambda x, n=name, o=options: getattr(pydmd, n)(**o).fit(x.T).eigs
    return found


def one_run(fit: Callable, noise: float, seed: int) -> tuple[float, float] | None:
    trajectory = noisy_series(noise, seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(fit(trajectory))
    except (ValueError, np.linalg.LinAlgError, AttributeError):
        return None
    if len(found) < 6:
        return None
    gaps = np.abs(found[:, None] - EIGENVALUES)
    rows, columns = linear_sum_assignment(gaps)
    shift = np.abs(found[rows]) - np.abs(EIGENVALUES[columns])
    return float(gaps[rows, columns].mean()), float(shift.mean())


def noisy_series(noise: float, seed: int) -> np.ndarray:
    """(time, unit): kept going by a small drive, so that 500 steps carry signal, plus noise."""
    rng = np.random.default_rng(seed)
    step = np.zeros((6, 6))
    for i, value in enumerate(SPECTRUM):
        turn = [[value.real, -value.imag], [value.imag, value.real]]
        step[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = turn
    states = [rng.standard_normal(6)]
    drive = 0.0 if noise == 0 else 0.2
    for _ in range(499 if drive else 99):
        states.append(step @ states[-1] + drive * rng.standard_normal(6))
    seen = np.stack(states) @ np.linalg.qr(rng.standard_normal((10, 6)))[0].T
    return seen + noise * seen.std() * rng.standard_normal(seen.shape)


def largest_gap(a: np.ndarray, b: np.ndarray) -> float:
    gaps = np.abs(a[:, None] - b)
    return float(gaps[linear_sum_assignment(gaps)].max())


if __name__ == "__main__":
    main()
