"""Newton's method on the orthogonal group for ||A - C B C'||, many problems at once.

    L(W) = ||A - e^W M e^-W||^2 / 2,   M = C B C',   W antisymmetric

With A = K + S and M = L + T, antisymmetric and symmetric parts, and [X, Y] = X Y - Y X:

    gradient         G    = [K, L] - [S, T]
    Hessian times W  H(W) = [K, [W, L]] - [S, [W, T]] - [W, G] / 2

Each step solves the Newton equations by conjugate gradients inside a trust region (Steihaug 1983)
and moves C by a Cayley transform, which keeps it orthogonal. Finished problems leave the batch.
Coordinates are the eigenvectors of S: S is diagonal there, and H nearly so. With X - X' written
[X] and s the diagonal of S, H is one wide and one narrow product and one transposition:

    H(W) = [ K (W L) - W (L K + G / 2) - (s_i - s_j) (W T) ]
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_ENTRIES = 2**17  # numbers in one array of a chunk: .5 MB
SCRATCH = ("products", "half", "bent")  # arrays an inner step writes over
COMPACT = 0.6  # an inner solver's batch is made smaller once fewer of its problems go on


@dataclass
class Problems:
    """A batch of problems along the first axis, for each:

    odd        K, (n, n)
    spectrum   the diagonal of S, (n, 1)
    moved      L and T side by side, (n, 2 n)
    transform  C, (n, n)
    radius     how far the quadratic model is trusted
    loss       half the squared residual
    """

    odd: Tensor
    spectrum: Tensor
    moved: Tensor
    transform: Tensor
    radius: Tensor
    loss: Tensor

    @classmethod
    def at(cls, target: Tensor, source: Tensor, transform: Tensor) -> "Problems":
        """The problems (A, B) at the transforms C; the symmetric part of A is diagonal."""
        odd, even = symmetry_parts(target).chunk(2, dim=-1)
        spectrum = even.diagonal(0, -2, -1)[:, :, None]
        moved = symmetry_parts(transform @ source @ transform.mT)
        return cls.at_parts(odd.contiguous(), spectrum.contiguous(), moved, transform)

    @classmethod
    def at_parts(
        cls, odd: Tensor, spectrum: Tensor, moved: Tensor, transform: Tensor
    ) -> "Problems":
        """Problems whose matrices are split into their symmetry parts already."""
        radius = torch.ones(len(odd)).to(odd)
        return cls(odd, spectrum, moved, transform, radius, _loss(odd, spectrum, moved))

    def take(self, index: Tensor) -> "Problems":
        """Some of the problems, by index."""
        return Problems(*(value.index_select(0, index) for value in vars(self).values()))

    def put(self, index: Tensor, other: "Problems") -> None:
        """Write other's problems at an index."""
        for name, value in vars(self).items():
            value.index_copy_(0, index, getattr(other, name))


def descend(problems: Problems, iterations: int, inner: int, tolerance: float) -> Problems:
    """Every problem after so many Newton steps, or once its gradient is below tolerance.

    Chunk by chunk, so that arrays stay in the cache.
    """
    size = max(1, CHUNK_ENTRIES // problems.transform[0].numel())
    chunks = torch.arange(len(problems.loss)).split(size)
    parts = [_descend(problems.take(chunk), iterations, inner, tolerance) for chunk in chunks]
    return Problems(
        *(
            torch.cat(values)
            for values in zip(*(vars(part).values() for part in parts), strict=True)
        )
    )


def _descend(problems: Problems, iterations: int, inner: int, tolerance: float) -> Problems:
    position = torch.arange(len(problems.loss))
    result = problems.take(position)
    for _ in range(iterations):
        slope = gradient(problems)
        going = (_norm(slope) > tolerance) & (problems.radius > tolerance)
        if not going.all():
            result.put(position, problems)
            kept = going.nonzero()[:, 0]
            if not len(kept):
                return result
            position, problems, slope = position[kept], problems.take(kept), slope[kept]
        problems = _newton_step(problems, slope, inner)
    result.put(position, problems)
    return result


def symmetry_parts(a: Tensor) -> Tensor:
    """The antisymmetric and the symmetric part side by side: (pair, n, 2 n)."""
    half = a / 2
    return torch.cat([half - half.mT, half + half.mT], dim=-1)


def gradient(problems: Problems) -> Tensor:
    """The slope of the loss along antisymmetric directions, (pair, n, n)."""
    odd, even = problems.moved.chunk(2, dim=-1)
    return _antisymmetric(torch.bmm(problems.odd, odd).addcmul_(problems.spectrum, even, value=-1))


def _newton_step(problems: Problems, slope: Tensor, inner: int) -> Problems:
    scale = _scale(problems)
    step, promised = _steihaug(problems, slope, scale, inner)
    rotation = _cayley(step)
    odd, even = problems.moved.chunk(2, dim=-1)
    moved = symmetry_parts(rotation @ (odd + even) @ rotation.mT)
    reached = _loss(problems.odd, problems.spectrum, moved)
    rounding = 4 * torch.finfo(reached.dtype).eps * problems.loss.sqrt() + 1e-30
    gain = (problems.loss - reached + rounding) / (promised + rounding)
    length = _dot(step, step * scale).sqrt()
    at_edge = (gain > 0.75) & (length > 0.9 * problems.radius)
    radius = torch.where(at_edge, (2 * problems.radius).clamp(max=4), problems.radius)
    radius = torch.where(gain > 0.25, radius, length / 4)
    after = Problems(
        problems.odd, problems.spectrum, moved, rotation @ problems.transform, radius, reached
    )
    refused = (~(gain > 0.05)).nonzero()[:, 0]
    if len(refused):
        for name in ("moved", "transform", "loss"):
            getattr(after, name)[refused] = getattr(problems, name)[refused]
    return after


def _cayley(step: Tensor) -> Tensor:
    """(I + V) (I - V)^-1, V = W / 2, as (I + V)^2 (I - V^2)^-1, which Cholesky's method inverts."""
    half = step / 2
    forward = half.clone()
    forward.diagonal(0, -2, -1).add_(1)
    gram = torch.bmm(forward, forward.mT)
    return forward @ forward @ torch.cholesky_inverse(torch.linalg.cholesky_ex(gram)[0])


def _scale(problems: Problems) -> Tensor:
    """Curvature along each plane rotation (i, j), which preconditions and measures the steps.

    It is 1 on average, so that radii of one step mean something in the next.
    """
    odd, even = problems.moved.chunk(2, dim=-1)
    odd = problems.odd * odd
    s, t = problems.spectrum, even.diagonal(0, -2, -1)[:, :, None]
    sums = odd.sum(-1, keepdim=True) + s * t
    curvature = torch.baddbmm(sums + sums.mT, s, t.mT, alpha=-1)
    curvature = curvature.sub_(s.mT * t).sub_(odd, alpha=2).abs_()
    mean = curvature.mean((-2, -1), keepdim=True)
    return curvature.div_(mean + torch.finfo(mean.dtype).tiny).clamp_(min=0.05)


def _steihaug(
    problems: Problems, slope: Tensor, scale: Tensor, inner: int
) -> tuple[Tensor, Tensor]:
    """The step that solves the Newton equations inside the radius, and the decrease it promises."""
    step, promised = torch.empty_like(slope), torch.empty_like(problems.loss)
    state = _first_direction(problems, slope, scale)
    for k in range(inner):
        _conjugate_gradient_step(state)
        n_going = int(state["going"].sum())
        last = k == inner - 1 or not n_going
        if last or n_going < COMPACT * len(state["going"]):
            step.index_copy_(0, state["position"], state["point"])
            promised.index_copy_(0, state["position"], state["promised"])
            if last:
                break
            kept = state["going"].nonzero()[:, 0]
            state = {
                name: value[: len(kept)] if name in SCRATCH else value.index_select(0, kept)
                for name, value in state.items()
            }
    return step, promised


def _first_direction(problems: Problems, slope: Tensor, scale: Tensor) -> dict[str, Tensor]:
    direction = -slope / scale
    power = -_dot(slope, direction)
    odd, even = problems.moved.chunk(2, dim=-1)
    first = torch.baddbmm(slope, odd, problems.odd, beta=-0.5, alpha=-1)
    factors = torch.cat([first, even, odd], dim=-1)
    return {
        "position": torch.arange(len(slope)),
        "odd": problems.odd,
        "gaps": problems.spectrum.mT - problems.spectrum,
        "factors": factors,
        "inverse": -1 / scale,
        "point": torch.zeros_like(slope),
        "residual": slope.clone(),
        "direction": direction,
        # in the norm of the scale: residual, direction, point times direction, room to the edge
        "power": power,
        "square": power,
        "along": torch.zeros_like(power),
        "room": problems.radius**2,
        "promised": torch.zeros_like(power),
        "goal": power * _norm(slope).clamp(max=0.1),
        "going": power > 0,
        **{
            name: torch.empty_like(value)
            for name, value in zip(SCRATCH, (factors, slope, slope), strict=True)
        },
    }


def _conjugate_gradient_step(state: dict[str, Tensor]) -> None:
    """One step of every problem that is going on; it stops at the edge and at its goal."""
    direction, power, square, along, room = (
        state[name] for name in ("direction", "power", "square", "along", "room")
    )
    bent = _hessian(state)
    bend = _dot(direction, bent)
    full = power / bend
    edge = ((along * along).addcmul_(square, room).sqrt_() - along) / square
    inside = (full > 0) & (full < edge)
    length = torch.where(state["going"], torch.where(inside, full, edge), 0.0)
    state["point"].addcmul_(length[:, None, None], direction)
    state["residual"].addcmul_(length[:, None, None], bent)
    state["promised"] += length * (power - length * bend / 2)
    downhill = torch.mul(state["residual"], state["inverse"], out=bent)
    fresh = -_dot(state["residual"], downhill)
    state["going"] &= inside & (fresh > state["goal"])
    turn = fresh / power.clamp(min=torch.finfo(power.dtype).tiny)
    torch.addcmul(downhill, turn[:, None, None], direction, out=direction)
    state["room"] = (room - length * (2 * along + length * square)).clamp_(min=0)
    state["along"] = turn * (along + length * square)
    state["square"] = fresh + turn * turn * square
    state["power"] = fresh


def _hessian(state: dict[str, Tensor]) -> Tensor:
    products, half = state["products"], state["half"]
    torch.bmm(state["direction"], state["factors"], out=products)
    rest, even, odd = products.chunk(3, dim=-1)
    torch.addcmul(rest, state["gaps"], even, out=half).baddbmm_(state["odd"], odd)
    return torch.sub(half, half.mT, out=state["bent"])


def _loss(odd: Tensor, spectrum: Tensor, moved: Tensor) -> Tensor:
    n = odd.shape[-1]
    difference = moved.clone()
    difference[:, :, :n] -= odd
    difference.diagonal(n, -2, -1).sub_(spectrum[:, :, 0])
    return _dot(difference, difference) / 2


def _antisymmetric(x: Tensor) -> Tensor:
    return x - x.mT


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum((-2, -1))


def _norm(x: Tensor) -> Tensor:
    return _dot(x, x).sqrt()
