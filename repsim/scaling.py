"""Points in the plane whose distances resemble given ones: classical multidimensional scaling.

    B = -J D^2 J / 2,  J = I - 1 1' / n
    points = the two leading eigenvectors of B, each times the root of its eigenvalue

Exact for distances between points of a plane, up to turning and reflection; the sign of each axis
is fixed, so that equal distances give equal points.

Source: Torgerson 1952, Psychometrika 17; Borg and Groenen 2005, Modern Multidimensional Scaling,
chapter 12.
"""

import numpy as np


def classical_scaling(distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Coordinates (set, 2), and the share of the squared distances that they keep, in [0, 1].

    distances  (set, set); the mean of both directions is taken and the diagonal passed over
    """
    both = (distances + distances.T) / 2
    squared = np.where(np.eye(len(both), dtype=bool), 0.0, both) ** 2
    centred = squared - squared.mean(axis=0)
    centred = -(centred - centred.mean(axis=1, keepdims=True)) / 2
    values, vectors = np.linalg.eigh(centred)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = np.maximum(values[:2], 0.0)
    points = np.zeros((len(both), 2))
    points[:, : len(kept)] = vectors[:, :2] * np.sqrt(kept)
    largest = np.abs(points).argmax(axis=0)
    points *= np.where(points[largest, [0, 1]] < 0, -1.0, 1.0)
    total = np.abs(values).sum()
    return points, float(kept.sum() / total) if total > 0 else 1.0
