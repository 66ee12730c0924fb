"""How far two operators are from being one operator in rotated coordinates.

    d(A, B) = min over C in O(n) of the angle between A and C B C'
            = 2 arcsin( min ||A - C B C'||_F / 2 )     for ||A||_F = ||B||_F = 1

The problem is not convex: fitted operators have dozens of minima within a few per cent. It is
solved from several starts (repsim.dynamics.starts) by Newton's method
(repsim.dynamics.trust_region) in single precision; ever fewer go on, and the best is finished in
double. Traces are set aside: C leaves the identity alone. A lower bound says how far the answer can
be from the best, and the second-best minimum how far the next one is.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from repsim.dynamics.problems import Problems
from repsim.dynamics.search import SEARCH_TOLERANCE, SEARCHES, Search, best, race
from repsim.dynamics.starts import N_STARTS, starting_transforms
from repsim.dynamics.trust_region import descend
from repsim.errors import RepsimError

EXACT = 1e-5  # above the lower bound by no more than rounding in single precision
ZERO = 1e-9  # a residual that is zero but for rounding
COPY = 1e-8  # loss of what may be a rotated copy, which is worked out to the last digit
GRADIENT_TOLERANCE = 1e-7
FIRST_INNER = 6  # steps of the inner solver that lead rotated copies home
MAX_ITERATIONS = 60
BATCH_ENTRIES = 2**20  # numbers in the transforms of a batch's starts: 4 MB


@dataclass(frozen=True)
class Conjugacy:
    """The best orthogonal change of coordinates between operators, and how good it is.

    angle          2 arcsin(residual / 2), radians in [0, pi]; () or (k,)
    residual       ||A - C B C'|| of the unit-norm operators, in [0, 2]
    transform      C, orthogonal, (n, n) or (k, n, n)
    gradient_norm  of ||A - C B C'||^2 / 2 at C; above 1e-6 the search ran out of iterations
    second_best    residual of the next minimum, or of a second start if all ended in one; minima
                   are one where their C B C' have a cosine above .9999
    lower_bound    no orthogonal C reaches a smaller residual
    """

    angle: Any
    residual: Any
    transform: Any
    gradient_norm: Any
    second_best: Any
    lower_bound: Any


def conjugacy(a: Any, b: Any, *, effort: str = "thorough", seed: int = 0) -> Conjugacy:
    """Solve min over C in O(n) of ||A - C B C'||_F for A, B scaled to unit norm, both determinants.

    a, b     (n, n) or stacks (k, n, n), numpy or torch; the smaller of unequal sizes is padded with
             zeros. Gradients flow to both with C held fixed, which is exact at an optimum (envelope
             theorem), and are 0 where the residual is.
    effort   "fast", "balanced" or "thorough"; none proves that its minimum is the lowest. On 95
             pairs of rank 30, angles above the lowest known: .0001 rad on average and .002 at most,
             .00001 and .0002, below .00001 and .00001
    seed     of the drawn starts and mirrors; the same seed gives the same bits
    returns  Conjugacy; the same for (a, b) and (b, a) with C transposed
    raises   RepsimError for a zero, non-square, non-finite or mismatched operator
    cost     about 2,100, 3,500 and 8,700 Hessian products, 8 n^3 each, a pair; rotated copies a
             small part of it. Batches of pairs run on as many threads as torch may use, on the CPU
             wherever the operators are. The first call on a machine compiles, for some ten seconds
    source   Ostrow et al. 2023, arXiv:2306.10168, section 3
    """
    if effort not in list(SEARCHES):
        raise RepsimError(f"effort is {effort!r}; it is one of {', '.join(SEARCHES)}.")
    if not isinstance(seed, Integral):
        raise RepsimError(f"seed is {seed!r}; give a whole number.")
    first, second = _check(a, "a"), _check(b, "b")
    if first.ndim == second.ndim == 3 and len(first) != len(second):
        raise RepsimError(
            f"a holds {len(first)} operators and b holds {len(second)}. Pair them one to one."
        )
    single = first.ndim == second.ndim == 2
    first, second = _pad(_stack(first, second), _stack(second, first))
    swap = _wrong_order(first.detach(), second.detach())[:, None, None]
    first, second = torch.where(swap, second, first), torch.where(swap, first, second)
    transform, second_best = _solve_all(
        first.detach(), second.detach(), SEARCHES[effort], int(seed)
    )
    fields = _fields(first, second, transform, second_best)
    fields["transform"] = torch.where(swap, transform.mT, transform)
    return Conjugacy(
        **{name: _like(value[0] if single else value, a, b) for name, value in fields.items()}
    )


def _fields(a: Tensor, b: Tensor, transform: Tensor, second_best: Tensor) -> dict[str, Tensor]:
    moved = transform @ b @ transform.mT
    residual = _norm(a - moved)
    slope = (a @ moved.mT + a.mT @ moved).detach()
    return {
        "angle": 2 * torch.atan2(residual, _norm(a + moved)),
        "residual": residual,
        "gradient_norm": _norm(slope - slope.mT) / 2,
        "second_best": torch.maximum(second_best, residual.detach()),
        "lower_bound": _lower_bound(a.detach(), b.detach()),
    }


def _solve_all(a: Tensor, b: Tensor, search: Search, seed: int) -> tuple[Tensor, Tensor]:
    """All pairs, in batches, one a thread.

    Products of small matrices gain nothing from threads of their own, and on a busy machine these
    wait for one another: each batch has one, whatever torch may use. An even number of equal
    batches keeps two threads busy to the end.
    """
    size = max(1, BATCH_ENTRIES // (N_STARTS * a.shape[-1] ** 2))
    n_batches = min(len(a), 2 * math.ceil(len(a) / (2 * size)))
    batches = list(zip(a.tensor_split(n_batches), b.tensor_split(n_batches), strict=True))
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            found = list(pool.map(lambda pair: _solve(*pair, search, seed), batches))
    finally:
        torch.set_num_threads(n_threads)
    return tuple(torch.cat(values) for values in zip(*found, strict=True))


@torch.no_grad()
def _solve(a: Tensor, b: Tensor, search: Search, seed: int) -> tuple[Tensor, Tensor]:
    """The best transform of each pair, and the residual of the second-best start."""
    traces = [x.diagonal(0, -2, -1).mean(-1)[:, None, None] for x in (a, b)]
    identity = torch.eye(a.shape[-1]).to(a)
    a, b = (x - trace * identity for x, trace in zip((a, b), traces, strict=True))
    starts = starting_transforms(a, b, seed)
    size = (_norm(a) * _norm(b)).sqrt().clamp(min=1e-6)[:, None, None]
    a, b = a / size, b / size
    frame = torch.linalg.eigh(a + a.mT)[1]
    a = frame.mT @ a @ frame
    found, second = _search(a, b, frame.mT.float()[:, None] @ starts, search, seed)
    descend(found, MAX_ITERATIONS, 40, GRADIENT_TOLERANCE)
    copies = (found.loss < COPY).nonzero()[:, 0]
    if len(copies):
        exact = found.take(copies)
        descend(exact, MAX_ITERATIONS, 40, ZERO / 100)
        found.put(copies, exact)
    shift = a.shape[-1] * (traces[0] - traces[1]) ** 2
    second = ((second * size[:, 0, 0]) ** 2 + shift[:, 0, 0]).sqrt()
    return _orthogonal(frame @ found.transform), second


def _search(
    a: Tensor, b: Tensor, starts: Tensor, search: Search, seed: int
) -> tuple[Problems, Tensor]:
    """The best minimum of each pair, near enough for Newton's method, and the second residual."""
    n_pairs, n_starts = starts.shape[:2]
    pair = torch.arange(n_pairs).repeat_interleave(n_starts)
    problems = Problems.at(a.float()[pair], b.float()[pair], starts.flatten(0, 1))
    descend(problems, 2, FIRST_INNER, SEARCH_TOLERANCE)
    found = best(problems, n_pairs, 2)
    searched = (2 * found.loss[::2]).sqrt() > _lower_bound(a, b) + EXACT
    if searched.any():
        raced = searched.repeat_interleave(n_starts).nonzero()[:, 0]
        won = race(problems.take(raced), int(searched.sum()), search, seed)
        found.put(searched.repeat_interleave(2).nonzero()[:, 0], won)
    transform = found.transform[::2].to(a)
    for _ in range(2):
        transform = _orthogonal(transform)
    return Problems.at(a, b, transform), (2 * found.loss[1::2]).sqrt().to(a)


def _lower_bound(a: Tensor, b: Tensor) -> Tensor:
    """The larger of Mirsky's (singular values) and Hoffman and Wielandt's (symmetry parts)."""
    singular = _norm((torch.linalg.svdvals(a) - torch.linalg.svdvals(b))[:, None])
    even = torch.linalg.eigvalsh(a + a.mT) - torch.linalg.eigvalsh(b + b.mT)
    odd = torch.linalg.svdvals(a - a.mT) - torch.linalg.svdvals(b - b.mT)
    return torch.maximum(singular, _norm(torch.stack([even, odd], dim=1) / 2))


def _orthogonal(c: Tensor) -> Tensor:
    """The nearest orthogonal matrix, for one that is orthogonal but for rounding."""
    return c @ (3 * torch.eye(c.shape[-1]).to(c) - c.mT @ c) / 2


def _norm(x: Tensor) -> Tensor:
    """Frobenius norm; its gradient is 0 where the norm is 0 but for rounding."""
    square = (x * x).sum((-2, -1))
    zero = square < ZERO**2
    return torch.where(zero, square.detach().sqrt(), torch.where(zero, 1.0, square).sqrt())


def _check(value: Any, name: str) -> Tensor:
    """A float64 tensor on the CPU of unit-norm operators."""
    tensor = value if isinstance(value, Tensor) else _from_numpy(value, name)
    shape = tuple(tensor.shape)
    if len(shape) not in (2, 3) or shape[-1] != shape[-2] or 0 in shape:
        raise RepsimError(
            f"{name} has shape {shape}; operators are (n, n), or (k, n, n) for a stack."
        )
    if tensor.is_complex():
        raise RepsimError(f"{name} is complex. Give the real operator, in real coordinates.")
    tensor = tensor.to("cpu", torch.float64)
    largest = tensor.detach().abs().amax((-2, -1), keepdim=True)
    if not largest.isfinite().all():
        raise RepsimError(
            f"{name} holds NaN or infinite values. Fit the operator with fewer ranks or more ridge."
        )
    if not largest.all():
        raise RepsimError(f"{name} holds a zero operator, which has no direction. Drop it.")
    exponent = torch.frexp(largest).exponent.to(tensor).clamp(-1000, 1000)
    tensor = tensor * 2.0**-exponent  # squares stay finite, digits as they are
    return tensor / torch.linalg.matrix_norm(tensor, keepdim=True)


def _from_numpy(value: Any, name: str) -> Tensor:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RepsimError(f"{name} cannot be read as an array: {error}") from error
    if array.dtype.kind not in "biufc":
        raise RepsimError(f"{name} holds {array.dtype}; operators are arrays of numbers.")
    return torch.tensor(array.astype(np.complex128 if array.dtype.kind == "c" else np.float64))


def _stack(x: Tensor, other: Tensor) -> Tensor:
    return x if x.ndim == 3 else x.expand(len(other) if other.ndim == 3 else 1, *x.shape)


def _pad(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n = max(x.shape[-1], y.shape[-1])
    return tuple(torch.nn.functional.pad(z, (0, n - z.shape[-1]) * 2) for z in (x, y))


def _wrong_order(x: Tensor, y: Tensor) -> Tensor:
    """Whether x comes after y, entries read in order: makes the answer symmetric to the bit."""
    difference = (x - y).flatten(1)
    first = (difference != 0).to(torch.uint8).argmax(dim=1, keepdim=True)
    return difference.gather(1, first)[:, 0] > 0


def _like(value: Tensor, a: Any, b: Any) -> Any:
    """In the library, device and precision of the inputs."""
    tensors = [x for x in (a, b) if isinstance(x, Tensor)]
    if tensors:
        kinds = [x.dtype for x in tensors if x.is_floating_point()]
        dtype = (
            torch.float32 if kinds and all(kind.itemsize <= 4 for kind in kinds) else torch.float64
        )
        return value.to(tensors[0].device, dtype)
    kind = np.result_type(np.asarray(a), np.asarray(b))
    return value.numpy().astype(np.float32 if kind == np.float32 else np.float64)
