"""First attractor test of Guilhot et al. 2024 (arXiv:2410.24070): published, and controlled.

    python docs/reproduce_guilhot2024.py [number of seeds]

Prints mean distances within and across Lorenz regimes and the AUC that an across distance exceeds
a within one, mean and standard deviation over seeds, beside the numbers of the paper's code. CKA
and Procrustes are angles times 2 / pi, DSA radians, as in the paper. The row "DSA, float32" takes
its operators from dsa-metric, which fits in single precision, and compares them with our solver.
"""

import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import repsim
from repsim.results import distances_of

PAPER = {
    "CKA": (0.793, 0.890, 0.868),
    "Procrustes": (0.675, 0.778, 0.856),
    "DSA": (0.221, 0.481, 0.971),
    "DSA, float32": (0.221, 0.481, 0.971),
}
UNITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "CKA": lambda d: np.arccos(np.clip(1 - d, -1, 1)) * 2 / np.pi,
    "Procrustes": lambda d: d * 2 / np.pi,
}


def single_precision_operator(x: np.ndarray) -> np.ndarray:
    """The operator that dsa-metric fits with 33 delays, interval 6, rank 20 and no ridge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from DSA import DMD

        model = DMD(x.copy(), n_delays=33, delay_interval=6, rank=20, lamb=0)
        model.fit()
    return np.array(model.A_v.numpy(), dtype=np.float64)


def contestants(protocol: str) -> dict[str, repsim.Metric]:
    """The paper's metrics, with its parameters or, under control, the frozen ones of the board."""
    controlled = protocol == "controlled"
    dsa = repsim.get_metric("dsa" if controlled else "dsa(delays=33, interval=6, rank=20)")
    found = {
        "CKA": repsim.get_metric("linear_cka"),
        "Procrustes": repsim.get_metric("angular_procrustes"),
        "DSA": dsa,
    }
    if not controlled and importlib.util.find_spec("DSA"):
        found["DSA, float32"] = replace(
            dsa, name="dsa_float32", choose=None, prepare=single_precision_operator, parameters={}
        )
    return found


def summary(rows: list[dict], in_units: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    """Mean and standard deviation over seeds of the within mean, the across mean and the AUC."""
    found = []
    for row in rows:
        if row["status"] != "ok":
            raise SystemExit(row["reason"])
        distances, labels = in_units(distances_of(row)), np.array(row["labels"])
        same = labels[:, None] == labels[None, :]
        off_diagonal = ~np.eye(len(labels), dtype=bool)
        within, across = distances[same & off_diagonal].mean(), distances[~same].mean()
        found.append((within, across, row["value"]))
    means, spreads = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    return [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True)]


def main() -> None:
    """Print one table a protocol."""
    n_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for protocol in ("published", "controlled"):
        metrics = contestants(protocol)
        rows = repsim.evaluate(
            metrics.values(), "attractor/lorenz_regimes", seeds=n_seeds, protocol=protocol
        )
        print(f"\n### {protocol}, {n_seeds} seeds\n")
        print("| metric | within | across | AUC | paper: within | across | AUC |")
        print("|---|---|---|---|---|---|---|")
        for name, metric in metrics.items():
            own = [row for row in rows if row["id"] == metric.id]
            cells = summary(own, UNITS.get(name, lambda d: d))
            paper = [f"{value:.3f}" for value in PAPER[name]]
            print(f"| {name}, `{metric.id}` | {' | '.join([*cells, *paper])} |", flush=True)


if __name__ == "__main__":
    main()
