"""The first attractor test of Guilhot et al. 2024 (arXiv:2410.24070): as published, and under control.

    python docs/reproduce_guilhot2024.py [number of seeds]

Prints mean distances within and across Lorenz regimes and the AUC that an across distance exceeds a within one, with
the standard deviation over seeds, beside the numbers computed by the paper's code. Distances in the paper's units:
CKA and Procrustes as angles times 2 / pi, DSA in radians.
"""

import sys
from collections.abc import Callable

import numpy as np

import repsim

PAPER = {
    "CKA": ("linear_cka", (0.793, 0.890, 0.868)),
    "Procrustes": ("angular_procrustes", (0.675, 0.778, None)),
    "DSA": ("dsa(delays=33, interval=6, rank=20)", (0.221, 0.481, 0.971)),
}
CONTROLLED = {"DSA": "dsa"}
UNITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "CKA": lambda d: np.arccos(np.clip(1 - d, -1, 1)) * 2 / np.pi,
    "Procrustes": lambda d: d * 2 / np.pi,
    "DSA": lambda d: d,
}


def main() -> None:
    """Print one table a protocol."""
    n_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for protocol in ("published", "controlled"):
        metrics = {
            name: CONTROLLED.get(name, spec) if protocol == "controlled" else spec
            for name, (spec, _) in PAPER.items()
        }
        rows = repsim.evaluate(
            metrics.values(), "attractor/lorenz_regimes", seeds=n_seeds, protocol=protocol
        )
        print(f"\n### {protocol}, {n_seeds} seeds\n")
        print("| metric | within | across | AUC | paper: within | across | AUC |")
        print("|---|---|---|---|---|---|---|")
        for name, spec in metrics.items():
            own = [row for row in rows if row["id"] == repsim.get_metric(spec).id]
            paper = " | ".join("" if v is None else f"{v:.3f}" for v in PAPER[name][1])
            print(f"| {name}: `{spec}` | {' | '.join(summary(own, UNITS[name]))} | {paper} |")


def summary(rows: list[dict], in_units: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    """Mean and standard deviation over seeds of the within mean, the across mean and the AUC."""
    found = []
    for row in rows:
        if row["status"] != "ok":
            raise SystemExit(row["reason"])
        distances, labels = in_units(np.array(row["distances"])), np.array(row["labels"])
        same = labels[:, None] == labels[None, :]
        off_diagonal = ~np.eye(len(labels), dtype=bool)
        within, across = distances[same & off_diagonal].mean(), distances[~same].mean()
        found.append((within, across, row["value"]))
    means, spreads = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    return [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True)]


if __name__ == "__main__":
    main()
