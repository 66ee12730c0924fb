"""How a test case judges distances: is what should be farther apart really farther apart?

    concordance = P( d_p > d_q | t_p > t_q ) + P( d_p = d_q | t_p > t_q ) / 2

over pairs of pairs of sets p, q with ideal answers t. With two ideal answers it is the area under
the ROC curve; Kendall's tau is 2 concordance - 1 where nothing ties. Any metric that answers
without looking scores 1/2 in expectation, the ideal answer scores 1.

A rule sees the matrix of distances and the truth, one row a set; never the metric. Where the truth
has a column "block", only sets of one block are compared, and blocks count alike; a column "level"
says what a block is about, such as its signal-to-noise ratio.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from repsim.errors import RepsimError

THRESHOLD = 0.75  # half-way from chance to the ceiling


@dataclass(frozen=True)
class Rule:
    """A judgement of distances; chance and ceiling are known, not estimated.

    ideal   truth -> (set, set): how distances should rank; NaN where nothing is asked
    """

    name: str
    ideal: Callable[[pd.DataFrame], np.ndarray]
    chance: float = 0.5
    ceiling: float = 1.0

    def judge(self, distances: np.ndarray, truth: pd.DataFrame) -> float:
        """The concordance of (set, set) distances with the truth, the mean over blocks."""
        return float(self.by_block(distances, truth)["value"].mean())

    def by_block(self, distances: np.ndarray, truth: pd.DataFrame) -> pd.DataFrame:
        """One row a block, in the order of the truth: block, level (NaN without one), value."""
        ideal = self.ideal(truth)
        rows = []
        for block, members in blocks(truth).items():
            level = float(truth["level"].iloc[members[0]]) if "level" in truth else np.nan
            inside = np.ix_(members, members)
            rows.append((block, level, concordance(np.asarray(distances)[inside], ideal[inside])))
        return pd.DataFrame(rows, columns=["block", "level", "value"])


def blocks(truth: pd.DataFrame) -> dict[object, np.ndarray]:
    """The positions of the sets of each block; all sets are one block where there is no column."""
    if "block" not in truth:
        return {"all": np.arange(len(truth))}
    names = truth["block"].to_numpy()
    return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names)}


def concordance(distances: np.ndarray, ideal: np.ndarray) -> float:
    """Probability that the farther pair of sets, by the ideal, is farther; ties count half.

    distances, ideal  (set, set); both directions of a pair count, the diagonal does not, nor does
                      NaN in ideal
    raises            RepsimError where the ideal distinguishes no two pairs, or a distance that is
                      asked for is not finite
    """
    from scipy.stats import rankdata

    asked = ~np.eye(len(ideal), dtype=bool) & ~np.isnan(ideal)
    wanted, found = ideal[asked], distances[asked]
    if not np.isfinite(found).all():
        raise RepsimError(
            f"{np.sum(~np.isfinite(found))} of {len(found)} distances are missing. "
            "Judge the matrix that was computed for this truth."
        )
    ranks = rankdata(found)
    agreed, counted = 0.0, 0
    levels = np.unique(wanted)
    for i, low in enumerate(levels):
        below, above = ranks[wanted == low], ranks[np.isin(wanted, levels[i + 1 :])]
        order = rankdata(np.concatenate([above, below]))[: len(above)]
        agreed += order.sum() - len(above) * (len(above) + 1) / 2
        counted += len(above) * len(below)
    if not counted:
        raise RepsimError("All pairs are alike by this truth. Give sets of at least two kinds.")
    return float(agreed / counted)


def different_label(truth: pd.DataFrame) -> np.ndarray:
    """1 between sets of different labels, 0 within a label: what an oracle would answer."""
    labels = truth["label"].to_numpy()
    return (labels[:, None] != labels[None, :]).astype(float)


def signal_above_noise(truth: pd.DataFrame) -> np.ndarray:
    """1 between a "base" and its "signal", 0 between it and its "noise", nothing else asked."""
    labels = truth["label"].to_numpy()
    answer = {("base", "signal"): 1.0, ("base", "noise"): 0.0}
    answer |= {(y, x): value for (x, y), value in answer.items()}
    return np.array([[answer.get((x, y), np.nan) for y in labels] for x in labels])


SEPARATION = Rule("separation", different_label)
SENSITIVITY = Rule("sensitivity", signal_above_noise)


@dataclass(frozen=True)
class DoseResponse:
    """How a value falls as the level does.

    level, value   ascending levels and the values there, means where a level occurs twice
    fitted         the least-squares fit that never falls with the level
    threshold      the level at which the fit crosses `crossing`, between levels by its logarithm;
                   nan where it is above at all levels (0 would be a claim) or below at all
    """

    level: np.ndarray
    value: np.ndarray
    fitted: np.ndarray
    threshold: float


def dose_response(
    level: np.ndarray, value: np.ndarray, crossing: float = THRESHOLD
) -> DoseResponse:
    """Isotonic fit of values over positive levels, such as signal-to-noise ratios.

    level, value  (n,), in any order; levels above 0
    source        Barlow et al. 1972, Statistical Inference under Order Restrictions
    """
    from sklearn.isotonic import IsotonicRegression

    means = (
        pd.Series(np.asarray(value, float)).groupby(np.asarray(level, float)).agg(["mean", "size"])
    )
    level, value, weight = (
        means.index.to_numpy(),
        means["mean"].to_numpy(),
        means["size"].to_numpy(),
    )
    fitted = IsotonicRegression().fit(np.log(level), value, weight).predict(np.log(level))
    return DoseResponse(level, value, fitted, _crossing(level, fitted, crossing))


def _crossing(level: np.ndarray, fitted: np.ndarray, crossing: float) -> float:
    above = fitted >= crossing
    if above.all() or not above.any():
        return np.nan
    right = int(np.argmax(above))
    left = right - 1
    share = (crossing - fitted[left]) / (fitted[right] - fitted[left])
    return float(np.exp(np.log(level[left]) + share * np.log(level[right] / level[left])))
