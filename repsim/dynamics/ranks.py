"""How many principal coordinates to keep: a number, a share of variance, or a hard threshold."""

import functools
import math
from numbers import Real
from typing import Any

import numpy as np

from repsim.errors import RepsimError

HARD_THRESHOLD = "gavish-donoho"


def check_rank(rank: Any) -> Any:
    """A whole number, a fraction between 0 and 1, or "gavish-donoho"."""
    from repsim.dynamics.trials import whole

    if isinstance(rank, str) and rank == HARD_THRESHOLD:
        return rank
    if isinstance(rank, Real) and 0 < rank < 1:
        return float(rank)
    return whole("rank", rank, f', a share of variance below 1, or "{HARD_THRESHOLD}"')


def rank_by_rule(rank: Any, singular_values: np.ndarray, n_rows: int, n_columns: int) -> int:
    """The rank that a rule gives on the singular values of a (n_rows, n_columns) matrix.

    rank     a fraction: the fewest coordinates whose squares sum to that share; "gavish-donoho":
             the values above hard_threshold(beta) times their median, beta the smaller side over
             the larger. The threshold is optimal for white noise; the rows of a delay embedding
             share entries, so it is a rule of thumb here
    returns  at least 1
    source   Gavish and Donoho 2014, arXiv:1305.5870, section III.B
    """
    if rank == HARD_THRESHOLD:
        beta = min(n_rows, n_columns) / max(n_rows, n_columns)
        kept = np.sum(singular_values > hard_threshold(beta) * np.median(singular_values))
        return max(int(kept), 1)
    if isinstance(rank, float):
        share = np.cumsum(singular_values**2) / np.sum(singular_values**2)
        return min(int(np.searchsorted(share, rank)) + 1, len(share))
    return rank


@functools.lru_cache(maxsize=256)
def hard_threshold(beta: float) -> float:
    """omega(beta) = lambda(beta) / sqrt(median of the Marchenko-Pastur law), about 2.858 at 1.

    lambda(beta)^2 = 2 (beta + 1) + 8 beta / (beta + 1 + sqrt(beta^2 + 14 beta + 1))

    beta    in (0, 1]
    source  Gavish and Donoho 2014, arXiv:1305.5870, equations 11 and 5
    """
    if not 0 < beta <= 1:
        raise RepsimError(f"beta is {beta}; give the smaller side over the larger, in (0, 1].")
    square = 2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1))
    return math.sqrt(square / marchenko_pastur_median(beta))


def marchenko_pastur_median(beta: float) -> float:
    """Median of sqrt((b - t)(t - a)) / (2 pi beta t) on [a, b] = [(1 - sqrt(beta))^2,
    (1 + sqrt(beta))^2].

    With t = 1 + beta - 2 sqrt(beta) cos(u) the density is smooth in u in [0, pi].
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq

    root = math.sqrt(beta)

    def density(u: float) -> float:
        place = (1 - root) ** 2 + 4 * root * math.sin(u / 2) ** 2
        return 2 * math.sin(u) ** 2 / (math.pi * place) if place > 0 else 2 / math.pi

    def excess(u: float) -> float:
        return quad(density, 0, u, epsabs=1e-13, epsrel=1e-12)[0] - 0.5

    u = brentq(excess, 0, math.pi, xtol=1e-14)
    return (1 - root) ** 2 + 4 * root * math.sin(u / 2) ** 2
