"""Newton's method on the orthogonal group for ||A - C B C'||, many problems at once.

    L(W) = ||A - e^W M e^-W||^2 / 2,   M = C B C',   W antisymmetric

With A = K + S and M = L + T, antisymmetric and symmetric parts, and [X, Y] = X Y - Y X:

    gradient         G    = [K, L] - [S, T]
    Hessian times W  H(W) = [K, [W, L]] - [S, [W, T]] - [W, G] / 2

Each step solves the Newton equations by conjugate gradients inside a trust region (Steihaug 1983)
and moves C by a Cayley transform, which keeps it orthogonal. Finished problems leave the batch.
Coordinates are the eigenvectors of S: S is diagonal there, and H nearly so.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Problems:
    """A batch of problems along the first axis, for each:

    target     the antisymmetric and symmetric parts of A side by side, (n, 2 n)
    moved      those of M, (n, 2 n)
    transform  C, (n, n)
    radius     how far the quadratic model is trusted
    loss       half the squared residual
    """

    target: Tensor
    moved: Tensor
    transform: Tensor
    radius: Tensor
    loss: Tensor

    @classmethod
    def at(cls, target: Tensor, source: Tensor, transform: Tensor) -> "Problems":
        """The problems (A, B) at the transforms C."""
        moved = transform @ source @ transform.mT
        return cls.at_parts(symmetry_parts(target), symmetry_parts(moved), transform)

    @classmethod
    def at_parts(cls, target: Tensor, moved: Tensor, transform: Tensor) -> "Problems":
        """Problems whose matrices are split into their symmetry parts already."""
        return cls(
            target, moved, transform, torch.ones(len(target)).to(target), _loss(target, moved)
        )

    def to(self, dtype: torch.dtype) -> "Problems":
        """In another precision."""
        return Problems(*(value.to(dtype) for value in vars(self).values()))

    def take(self, index: Tensor) -> "Problems":
        """Some of the problems, by index or mask."""
        return Problems(*(value[index] for value in vars(self).values()))

    def put(self, index: Tensor, other: "Problems") -> None:
        """Write other's problems at an index."""
        for name, value in vars(self).items():
            value[index] = getattr(other, name)


def descend(problems: Problems, iterations: int, inner: int, tolerance: float) -> Problems:
    """Every problem after so many Newton steps, or once its gradient is below tolerance."""
    position = torch.arange(len(problems.loss))
    result = problems.take(position)
    for _ in range(iterations):
        slope = gradient(problems.target, problems.moved)
        going = (_norm(slope) > tolerance) & (problems.radius > tolerance)
        if not going.all():
            result.put(position[~going], problems.take(~going))
            position, problems, slope = position[going], problems.take(going), slope[going]
            if not len(position):
                return result
        problems = _newton_step(problems, slope, inner)
    result.put(position, problems)
    return result


def symmetry_parts(a: Tensor) -> Tensor:
    """The antisymmetric and the symmetric part side by side: (pair, n, 2 n)."""
    return torch.cat([a - a.mT, a + a.mT], dim=-1) / 2


def gradient(target: Tensor, moved: Tensor) -> Tensor:
    """The slope of the loss along antisymmetric directions, (pair, n, n)."""
    odd, even = moved.chunk(2, dim=-1)
    return _antisymmetric(target @ torch.cat([odd, -even], dim=-2))


def _hessian(state: dict[str, Tensor]) -> Tensor:
    products = torch.bmm(state["direction"], state["moved_and_slope"])
    odd, even, half_slope = products.chunk(3, dim=-1)
    rest = torch.addcmul(half_slope, state["spectrum"], even + even.mT)
    return _antisymmetric(rest.baddbmm_(state["odd_target"], odd - odd.mT, beta=-1))


def _hessian_diagonal(target: Tensor, moved: Tensor) -> Tensor:
    """Curvature along each plane rotation (i, j), what preconditions the inner solver."""
    odd, even = (target * moved).chunk(2, dim=-1)
    sums = (odd + even).sum(-1)
    n = sums.shape[-1]
    corners = target.diagonal(n, -2, -1)[:, :, None] * moved.diagonal(n, -2, -1)[:, None]
    return sums[:, :, None] + sums[:, None] + 2 * (even - odd) - corners - corners.mT


def _newton_step(problems: Problems, slope: Tensor, inner: int) -> Problems:
    scale = _scale(problems)
    step, promised = _steihaug(problems, slope, scale, inner)
    identity = torch.eye(slope.shape[-1]).to(slope)
    rotation = torch.linalg.solve(identity - step / 2, identity + step / 2)
    odd, even = problems.moved.chunk(2, dim=-1)
    moved = symmetry_parts(rotation @ (odd + even) @ rotation.mT)
    reached = _loss(problems.target, moved)
    rounding = 4 * torch.finfo(reached.dtype).eps * problems.loss.sqrt() + 1e-30
    gain = (problems.loss - reached + rounding) / (promised + rounding)
    accept = gain > 0.05
    length = _dot(step, step * scale).sqrt()
    at_edge = (gain > 0.75) & (length > 0.9 * problems.radius)
    radius = torch.where(at_edge, (2 * problems.radius).clamp(max=4), problems.radius)
    keep = accept[:, None, None]
    return Problems(
        problems.target,
        torch.where(keep, moved, problems.moved),
        torch.where(keep, rotation @ problems.transform, problems.transform),
        torch.where(gain < 0.25, length / 4, radius),
        torch.where(accept, reached, problems.loss),
    )


def _steihaug(
    problems: Problems, slope: Tensor, scale: Tensor, inner: int
) -> tuple[Tensor, Tensor]:
    """The step that solves the Newton equations inside the radius, and the decrease it promises."""
    answer, promised = torch.zeros_like(slope), torch.zeros_like(problems.loss)
    n = slope.shape[-1]
    power = _dot(slope, slope / scale)
    state = {
        "position": torch.arange(len(slope)),
        "odd_target": problems.target[:, :, :n].contiguous(),
        "spectrum": problems.target.diagonal(n, -2, -1)[:, :, None].contiguous(),
        "moved_and_slope": torch.cat([problems.moved, slope / 2], dim=-1),
        "slope": slope,
        "inverse": -1 / scale,
        "going": torch.ones_like(power, dtype=torch.bool),
        "goal": power * _norm(slope).clamp(max=0.1),
        "point": torch.zeros_like(slope),
        "residual": slope.clone(),
        "direction": -slope / scale,
        # in the norm of the scale: residual, direction, point times direction, room to the edge
        "power": power,
        "square": power,
        "along": torch.zeros_like(power),
        "inside": problems.radius**2,
    }
    for _ in range(inner):
        _conjugate_gradient_step(state)
        n_going = int(state["going"].sum())
        if n_going < 0.7 * len(state["going"]):
            _write(state, answer, promised)
            if not n_going:
                return answer, promised
            state = {name: value[state["going"]] for name, value in state.items()}
    _write(state, answer, promised)
    return answer, promised


def _scale(problems: Problems) -> Tensor:
    """The preconditioner, 1 on average, so that radii of one step mean something in the next."""
    curvature = _hessian_diagonal(problems.target, problems.moved).abs()
    mean = curvature.mean((-2, -1), keepdim=True)
    return torch.where(mean > 0, curvature / mean, 1.0).clamp(min=0.05)


def _conjugate_gradient_step(state: dict[str, Tensor]) -> None:
    """One step of every problem that is going on; it stops at the edge and at its goal."""
    direction, square, along, inside = (
        state[x] for x in ("direction", "square", "along", "inside")
    )
    bent = _hessian(state)
    full = state["power"] / _dot(direction, bent)
    edge = ((along**2 + square * inside).sqrt() - along) / square
    outside = ~((full > 0) & (full < edge))
    length = torch.where(state["going"], torch.where(outside, edge, full), 0.0)
    state["point"].addcmul_(length[:, None, None], direction)
    state["residual"].addcmul_(length[:, None, None], bent)
    downhill = state["residual"] * state["inverse"]
    power = -_dot(state["residual"], downhill)
    state["going"] = state["going"] & ~outside & (power > state["goal"])
    turn = power / state["power"].clamp(min=torch.finfo(power.dtype).tiny)
    state["direction"] = downhill.addcmul_(turn[:, None, None], direction)
    state["inside"] = (inside - length * (2 * along + length * square)).clamp(min=0)
    state["along"] = turn * (along + length * square)
    state["square"] = power + turn**2 * square
    state["power"] = power


def _write(state: dict[str, Tensor], answer: Tensor, promised: Tensor) -> None:
    answer[state["position"]] = state["point"]
    promised[state["position"]] = -_dot(state["slope"] + state["residual"], state["point"]) / 2


def _loss(target: Tensor, moved: Tensor) -> Tensor:
    difference = target - moved
    return _dot(difference, difference) / 2


def _antisymmetric(x: Tensor) -> Tensor:
    return x - x.mT


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum((-2, -1))


def _norm(x: Tensor) -> Tensor:
    return _dot(x, x).sqrt()
