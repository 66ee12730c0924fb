"""Distance between the eigenvalues of two operators.

    W_p(l, m) = ( min over transport plans T of sum_ij T_ij |l_i - m_j|^p )^(1/p)     T with uniform
    margins

in eigenvalue units (dsa-metric reports W_2 squared).
"""

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from repsim.activations import as_numpy
from repsim.errors import RepsimError

LARGEST = 1e6  # cost given to the linear programme, whose tolerances are absolute
TOLERANCE = 1e-10


def spectral_distance(a: Any, b: Any, order: float = 2) -> Any:
    """Wasserstein distance between two sets of eigenvalues, each of weight 1 in all.

    a, b     complex or real eigenvalues, (n,) and (m,); numpy or torch (gradients flow)
    order    1 or 2, or any finite p >= 1
    returns  in [0, inf), 0 when the eigenvalues agree
    raises   RepsimError for an empty or not finite set, or another shape
    cost     assignment, n^3, when n = m; otherwise a linear programme, exact to about 1e-14 of the
             largest |l - m|^p
    source   Ostrow et al. 2023, arXiv:2306.10168, section 3.3; Redman et al. 2024, arXiv:2302.09160
    """
    if not (isinstance(order, (int, float, np.number)) and 1 <= order < math.inf):
        raise RepsimError(f"order is {order}; a Wasserstein distance needs order >= 1, and finite.")
    a, b = _eigenvalues(a, "a", b), _eigenvalues(b, "b", a)
    xp = array_namespace(a)
    gaps = xp.abs(a[:, None] - b[None, :])
    plan = transport_plan(as_numpy(gaps), order)
    largest = float(as_numpy(gaps)[plan > 0].max())
    if largest == 0:
        return xp.sum(gaps * 0)
    plan = xp.asarray(plan, dtype=gaps.dtype, device=gaps.device)
    return largest * xp.sum(plan * (gaps / largest) ** order) ** (1 / order)


def transport_plan(gaps: np.ndarray, order: float = 1) -> np.ndarray:
    """The cheapest plan between uniform weights: (n, m), rows sum to 1/n, columns to 1/m."""
    n, m = gaps.shape
    cost = (gaps / (gaps.max() or 1)) ** order
    if n == m:
        from scipy.optimize import linear_sum_assignment

        plan = np.zeros((n, m))
        plan[linear_sum_assignment(cost)] = 1 / n
        return plan
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    row_sums = kron(eye_array(n), np.ones((1, m)))
    column_sums = kron(np.ones((1, n)), eye_array(m))
    solution = linprog(
        LARGEST * cost.ravel(),
        A_eq=vstack([row_sums, column_sums]),
        b_eq=np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)]),
        method="highs",
        options={
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        },
    )
    if solution.x is None:
        raise RepsimError(f"no transport plan between {n} and {m} eigenvalues: {solution.message}")
    return np.maximum(solution.x, 0).reshape(n, m)


def _eigenvalues(values: Any, name: str, other: Any) -> Any:
    """One-dimensional, floating or complex, in torch where either is, and finite."""
    if is_torch_array(other) and not is_torch_array(values):
        import torch

        values = torch.as_tensor(np.asarray(values), device=other.device)
    elif not is_torch_array(values):
        values = np.asarray(values)
    shape = tuple(values.shape)
    if len(shape) != 1 or not shape[0]:
        raise RepsimError(f"{name} has shape {shape}; give the eigenvalues of one operator, (n,).")
    xp = array_namespace(values)
    if not xp.isdtype(values.dtype, ("real floating", "complex floating")):
        if not xp.isdtype(values.dtype, "numeric"):
            raise RepsimError(f"{name} holds {values.dtype}; eigenvalues are numbers.")
        values = xp.astype(values, xp.float64)
    if not bool(xp.all(xp.isfinite(values))):
        raise RepsimError(f"{name} holds NaN or infinite eigenvalues. Drop them.")
    return values
