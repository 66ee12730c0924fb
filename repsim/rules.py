"""How a test case judges distances: each rule with its chance level, its ceiling and the ideal
answer.

A rule sees the matrix of distances and the truth, one row a set; never the metric.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Rule:
    """judge(distances, truth) -> value; chance and ceiling are known, not estimated."""

    name: str
    judge: Callable[[np.ndarray, pd.DataFrame], float]
    ideal: Callable[[pd.DataFrame], np.ndarray]
    chance: float
    ceiling: float


def different_label(truth: pd.DataFrame) -> np.ndarray:
    """1 between sets of different labels, 0 within a label: what an oracle would answer."""
    labels = truth["label"].to_numpy()
    return (labels[:, None] != labels[None, :]).astype(float)


def between_above_within(distances: np.ndarray, truth: pd.DataFrame) -> float:
    """Probability that a between-label distance exceeds a within-label one; ties count half.

    Both directions of a pair count; the diagonal does not.
    """
    from scipy.stats import rankdata

    off_diagonal = ~np.eye(len(distances), dtype=bool)
    is_between = different_label(truth)[off_diagonal].astype(bool)
    ranks = rankdata(distances[off_diagonal])
    n_between, n_within = is_between.sum(), (~is_between).sum()
    return float(
        (ranks[is_between].sum() - n_between * (n_between + 1) / 2) / (n_between * n_within)
    )


SEPARATION = Rule("separation", between_above_within, different_label, chance=0.5, ceiling=1.0)
