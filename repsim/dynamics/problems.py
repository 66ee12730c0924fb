"""Problems min over C of ||A - C B C'||, split into symmetry parts, and where each stands.

The notation is that of repsim.dynamics.trust_region.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Problems:
    """A batch of problems along the first axis, for each:

    odd        K, (n, n)
    spectrum   the diagonal of S, (n,)
    moved      T above L, (2 n, n)
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
        even, odd = symmetry_parts(target).chunk(2, dim=-2)
        moved = symmetry_parts(transform @ source @ transform.mT)
        return cls.at_parts(odd, even.diagonal(0, -2, -1), moved, transform)

    @classmethod
    def at_parts(
        cls, odd: Tensor, spectrum: Tensor, moved: Tensor, transform: Tensor
    ) -> "Problems":
        """Problems whose matrices are split into their symmetry parts already."""
        difference = moved.clone()
        difference.diagonal(0, -2, -1).sub_(spectrum)
        difference[:, odd.shape[-1] :] -= odd
        loss = torch.linalg.vector_norm(difference, dim=(-2, -1)) ** 2 / 2
        parts = (odd, spectrum, moved, transform, torch.ones_like(loss), loss)
        return cls(*(part.contiguous() for part in parts))

    def take(self, index: Tensor) -> "Problems":
        """Some of the problems, by index."""
        return Problems(*(value.index_select(0, index) for value in vars(self).values()))

    def put(self, index: Tensor, other: "Problems") -> None:
        """Write other's problems at an index."""
        for name, value in vars(self).items():
            value.index_copy_(0, index, getattr(other, name))


def symmetry_parts(a: Tensor) -> Tensor:
    """The symmetric part above the antisymmetric one: (pair, 2 n, n)."""
    half = a / 2
    return torch.cat([half + half.mT, half - half.mT], dim=-2)
