"""Distance between the eigenvalues of two operators.

    W_p(l, m) = ( min over transport plans T of sum_ij T_ij |l_i - m_j|^p )^(1/p)     T with uniform
    margins

in eigenvalue units (dsa-metric reports W_2 squared).
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repsim.activations import as_numpy
from repsim.errors import RepsimError


def spectral_distance(a: Any, b: Any, order: float = 2) -> Any:
    """Wasserstein distance between two sets of eigenvalues, each of weight 1 in all.

    a, b     complex or real eigenvalues, (n,) and (m,); numpy or torch (gradients flow)
    order    1 or 2, or any p >= 1
    returns  in [0, inf), 0 when the eigenvalues agree
    cost     assignment, n^3, when n = m; an exact linear programme otherwise
    source   Ostrow et al. 2023, arXiv:2306.10168, section 3.3; Redman et al. 2024, arXiv:2302.09160
    """
    if not order >= 1:
        raise RepsimError(f"order is {order}; a Wasserstein distance needs order >= 1.")
    xp = array_namespace(a)
    cost = xp.abs(a[:, None] - b[None, :]) ** order
    plan = xp.asarray(transport_plan(as_numpy(cost)), dtype=cost.dtype, device=cost.device)
    total = xp.sum(plan * cost)
    return total ** (1 / order) if total > 0 else total


def transport_plan(cost: np.ndarray) -> np.ndarray:
    """The cheapest plan between uniform weights: (n, m), rows sum to 1/n, columns to 1/m."""
    n, m = cost.shape
    if n == m:
        from scipy.optimize import linear_sum_assignment

        plan = np.zeros((n, m))
        plan[linear_sum_assignment(cost)] = 1 / n
        return plan
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    row_sums = kron(eye_array(n), np.ones((1, m)))
    column_sums = kron(np.ones((1, n)), eye_array(m))
    margins = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    solution = linprog(
        cost.ravel(), A_eq=vstack([row_sums, column_sums]), b_eq=margins, method="highs"
    )
    return np.maximum(solution.x, 0).reshape(n, m)
