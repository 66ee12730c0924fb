"""How far two operators are from being one operator in rotated coordinates.

    d(A, B) = min over C in O(n) of the angle between A and C B C'
            = 2 arcsin( min ||A - C B C'||_F / 2 )     for ||A||_F = ||B||_F = 1

The problem is not convex: fitted operators have dozens of minima within a few per cent. It is
solved from several starts (repsim.dynamics.starts) by Newton's method
(repsim.dynamics.trust_region); ever fewer go on, and the best is reflected along its axes in search
of better minima near by. A lower bound and the second-best minimum say how sure the answer is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repsim.dynamics.starts import starting_transforms
from repsim.dynamics.trust_region import Problems, descend, gradient, symmetry_parts
from repsim.errors import RepsimError

EXACT = 1e-9  # a residual that is zero but for rounding
GRADIENT_TOLERANCE = 1e-8
STAGES = ((12, 0.7), (4, 0.3))  # Newton steps, then the share of the starts kept
REFLECTION_ROUNDS, REFLECTIONS = 2, 8
BATCH_ENTRIES = (
    2**16
)  # numbers in one array of a batch: 0.5 MB, so that a step's dozen fit the cache


@dataclass(frozen=True)
class Conjugacy:
    """The best orthogonal change of coordinates between operators, and how good it is.

    angle          2 arcsin(residual / 2), radians in [0, pi]; () or (k,)
    residual       ||A - C B C'|| of the unit-norm operators, in [0, 2]
    transform      C, orthogonal, (n, n) or (k, n, n)
    gradient_norm  of ||A - C B C'||^2 / 2 at C; above 1e-6 the search ran out of iterations
    second_best    residual of the second-best start; near residual, the optimum is easily found
    lower_bound    no orthogonal C reaches a smaller residual
    """

    angle: Any
    residual: Any
    transform: Any
    gradient_norm: Any
    second_best: Any
    lower_bound: Any


def conjugacy(
    a: Any, b: Any, *, starts: int = 16, seed: int = 0, max_iterations: int = 60
) -> Conjugacy:
    """Solve min over C in O(n) of ||A - C B C'||_F for A, B scaled to unit norm, both determinants.

    a, b            (n, n) or stacks (k, n, n), numpy or torch; the smaller of unequal sizes is
                    padded with zeros. Gradients flow to both with C held fixed, which is exact at
                    an optimum (envelope theorem), and are 0 where the residual is.
    starts          random starts beside the twelve built from the operators
    seed            of the random starts; the same seed gives the same bits
    max_iterations  Newton steps for a start
    returns         Conjugacy; the same for (a, b) and (b, a) with C transposed
    raises          RepsimError for a zero, non-square, non-finite or mismatched operator
    cost            about 7,000 Hessian products, 10 n^3 each, a pair; rotated copies 1 % of it
    source          Ostrow et al. 2023, arXiv:2306.10168, section 3
    """
    first, second = _check(a, "a"), _check(b, "b")
    if first.ndim == second.ndim == 3 and len(first) != len(second):
        raise RepsimError(
            f"a holds {len(first)} operators and b holds {len(second)}. Pair them one to one."
        )
    single = first.ndim == second.ndim == 2
    first, second = _pad(_stack(first, second), _stack(second, first))
    swap = _wrong_order(first.detach(), second.detach())[:, None, None]
    first, second = torch.where(swap, second, first), torch.where(swap, first, second)
    with torch.no_grad():
        found = [
            _solve(x, y, starts, seed, max_iterations)
            for x, y in zip(*_batches(first.detach(), second.detach(), starts), strict=True)
        ]
        transform, second_best = (torch.cat(values) for values in zip(*found, strict=True))
    fields = _fields(first, second, transform, second_best)
    fields["transform"] = torch.where(swap, transform.mT, transform)
    return Conjugacy(
        **{name: _like(value[0] if single else value, a, b) for name, value in fields.items()}
    )


def _fields(a: Tensor, b: Tensor, transform: Tensor, second_best: Tensor) -> dict[str, Tensor]:
    moved = transform @ b @ transform.mT
    residual = _norm(a - moved)
    return {
        "angle": 2 * torch.atan2(residual, _norm(a + moved)),
        "residual": residual,
        "gradient_norm": _norm(gradient(symmetry_parts(a), symmetry_parts(moved))).detach(),
        "second_best": torch.maximum(second_best, residual.detach()),
        "lower_bound": _lower_bound(a.detach(), b.detach()),
    }


def _solve(
    a: Tensor, b: Tensor, n_random: int, seed: int, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """The best transform of each pair, and the residual of the second-best start."""
    frame = torch.linalg.eigh(a + a.mT)[1]  # the Hessian is nearly diagonal here
    a = frame.mT @ a @ frame
    starts = starting_transforms(a, b, n_random, seed)
    n_pairs, n_starts = starts.shape[:2]
    pair = torch.arange(n_pairs).repeat_interleave(n_starts)
    problems = Problems.at(a[pair], b[pair], starts.flatten(0, 1))
    problems = descend(problems, 2, 8, GRADIENT_TOLERANCE)
    found = _best(problems, n_pairs, 2)
    searched = (2 * found.loss[::2]).sqrt() > _lower_bound(a, b) + EXACT
    if searched.any():
        problems = problems.take(searched.repeat_interleave(n_starts))
        found.put(
            searched.repeat_interleave(2), _search(problems, int(searched.sum()), max_iterations)
        )
    return _orthogonal(frame @ found.transform[::2]), (2 * found.loss[1::2]).sqrt()


def _search(problems: Problems, n_pairs: int, max_iterations: int) -> Problems:
    """The two best minima of each pair: ever fewer starts, then reflections of the best."""
    n_starts = len(problems.loss) // n_pairs
    for iterations, share in STAGES:
        problems = descend(problems, iterations, 15, GRADIENT_TOLERANCE)
        problems = _best(problems, n_pairs, max(2, round(share * n_starts)))
    for turn in range(REFLECTION_ROUNDS):
        problems = _best(problems, n_pairs, 2)
        reflected = descend(
            _reflections(problems.take(slice(0, None, 2)), turn), 14, 15, GRADIENT_TOLERANCE
        )
        problems = _best(_merge(problems, reflected, n_pairs), n_pairs, 3)
    return _best(descend(problems, max_iterations, 40, GRADIENT_TOLERANCE), n_pairs, 2)


def _reflections(problems: Problems, turn: int) -> Problems:
    """Each problem mirrored along single axes of its frame, from the cheapest to the dearest."""
    n = problems.transform.shape[-1]
    count = min(n, REFLECTIONS)
    agreement = problems.target * problems.moved
    rise = agreement.sum(-1) - agreement.diagonal(n, -2, -1)
    stride = -(-n // count)
    axes = rise.argsort(dim=1, stable=True).roll(-turn, dims=1)[:, ::stride]
    mirrored = problems.take(torch.arange(len(rise)).repeat_interleave(axes.shape[1]))
    sign = 1 - 2 * torch.eye(n).to(rise)[axes.flatten()]
    return Problems.at_parts(
        mirrored.target,
        mirrored.moved * sign[:, :, None] * torch.cat([sign, sign], dim=1)[:, None],
        mirrored.transform * sign[:, :, None],
    )


def _merge(x: Problems, y: Problems, n_pairs: int) -> Problems:
    """The starts of x and those of y, pair by pair."""
    return Problems(
        *(
            torch.cat(
                [u.unflatten(0, (n_pairs, -1)), v.unflatten(0, (n_pairs, -1))], dim=1
            ).flatten(0, 1)
            for u, v in zip(vars(x).values(), vars(y).values(), strict=True)
        )
    )


def _best(problems: Problems, n_pairs: int, count: int) -> Problems:
    """The count best starts of each pair, best first."""
    losses = problems.loss.view(n_pairs, -1)
    kept = losses.argsort(dim=1, stable=True)[:, :count]
    return problems.take((kept + torch.arange(n_pairs)[:, None] * losses.shape[1]).flatten())


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
    zero = square < EXACT**2
    return torch.where(zero, square.detach().sqrt(), torch.where(zero, 1.0, square).sqrt())


def _check(value: Any, name: str) -> Tensor:
    """A float64 tensor on the CPU of unit-norm operators."""
    tensor = value if isinstance(value, Tensor) else torch.tensor(np.ascontiguousarray(value))
    shape = tuple(tensor.shape)
    if len(shape) not in (2, 3) or shape[-1] != shape[-2] or 0 in shape:
        raise RepsimError(
            f"{name} has shape {shape}; operators are (n, n), or (k, n, n) for a stack."
        )
    if tensor.is_complex():
        raise RepsimError(f"{name} is complex. Give the real operator, in real coordinates.")
    tensor = tensor.to("cpu", torch.float64)
    norm = torch.linalg.matrix_norm(tensor.detach(), keepdim=True)
    if not norm.isfinite().all():
        raise RepsimError(
            f"{name} holds NaN or infinite values. Fit the operator with fewer ranks or more ridge."
        )
    if not norm.all():
        raise RepsimError(f"{name} holds a zero operator, which has no direction. Drop it.")
    return tensor / torch.linalg.matrix_norm(tensor, keepdim=True)


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


def _batches(x: Tensor, y: Tensor, n_random: int) -> tuple[tuple[Tensor, ...], ...]:
    size = max(1, BATCH_ENTRIES // ((12 + n_random) * x.shape[-1] ** 2))
    return x.split(size), y.split(size)


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
