"""Where the search for a conjugacy starts: no rotation, transforms that undo one, random ones.

A symmetric S(A) built so that S(Q A Q') = Q S(A) Q' has eigenvectors U_A that turn with A. Then
C = U_A D U_B' for a diagonal D of signs d, which maximise d' K d, K = (U_A' A U_A) * (U_B' B U_B)
elementwise. Ordered real Schur bases do the same where S has repeated eigenvalues and A is normal.
"""

import math

import torch
from torch import Tensor

# of the symmetric part, A A', A' A, the antisymmetric part squared, and A A + A' A'
WEIGHTS = (
    (1, 0, 0, 0, 0),
    (0, 1, 0, 0, 0),
    (0, 0, 1, 0, 0),
    (0, 0, 0, 1, 0),
    (1, 0.5, 0, 0, 0),
    (1, 0, 0, -0.5, 0),
    (1, 1, -1, 0, 0),
    (0, 0, 0, 0, 1),
)


def starting_transforms(
    a: Tensor, b: Tensor, own: Tensor, n_mixtures: int, n_random: int, seed: int
) -> Tensor:
    """Orthogonal (pair, start, n, n) for stacks a and b of unit norm, (pair, n, n).

    own  (pair, n, n): the transforms that stand for no rotation. Coordinates in order of variance
         are often near those of another operator already, up to signs.
    """
    identity = torch.eye(a.shape[-1]).to(a).expand_as(a)
    bases_a = torch.cat(
        [own[:, None], _symmetric_bases(a, n_mixtures, seed), _schur_bases(a)], dim=1
    )
    bases_b = torch.cat(
        [identity[:, None], _symmetric_bases(b, n_mixtures, seed), _schur_bases(b)], dim=1
    )
    signs = _best_signs(_in_basis(a, bases_a), _in_basis(b, bases_b))
    matched = (bases_a * signs[..., None, :]) @ bases_b.mT
    swapped = torch.cat([own[..., :2].flip(-1), own[..., 2:]], dim=-1)
    rest = _random_orthogonal(a.shape[-1], n_random, seed).expand(len(a), -1, -1, -1)
    return torch.cat([own[:, None], swapped[:, None], matched, rest], dim=1)


def _symmetric_bases(a: Tensor, n_mixtures: int, seed: int) -> Tensor:
    """Eigenvectors of symmetric matrices that turn with a: (pair, matrix, n, n)."""
    even, odd, square = (a + a.mT) / 2, (a - a.mT) / 2, a @ a
    products = (a @ a.mT, a.mT @ a, odd @ odd, (square + square.mT) / 2)
    parts = torch.stack([even, *(math.sqrt(a.shape[-1]) * x for x in products)], dim=1)
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n_mixtures, 5, generator=rng, dtype=torch.float64)
    weights = torch.cat([torch.tensor(WEIGHTS, dtype=torch.float64), drawn]).to(a)
    return torch.linalg.eigh(torch.einsum("mp,kpij->kmij", weights, parts))[1]


def _schur_bases(a: Tensor) -> Tensor:
    """Orthogonal bases of the nested invariant subspaces, in three orders of the eigenvalues."""
    values, vectors = torch.linalg.eig(a)
    # v'v real and positive makes the real and imaginary parts orthogonal: a phase that turns with a
    square = (vectors * vectors).sum(-2, keepdim=True)
    vectors = vectors * torch.exp(-0.5j * torch.where(square.abs() > 1e-9, square.angle(), 0.0))
    vectors = torch.where(values.imag[:, None] < 0, vectors.imag, vectors.real)
    orders = [
        (values.real * weight + values.imag.abs() * (1 - abs(weight))).argsort(dim=-1, stable=True)
        for weight in (0.6, -0.6, -0.5)
    ]
    nested = torch.stack([vectors.gather(-1, o[:, None].expand_as(vectors)) for o in orders], dim=1)
    return torch.linalg.qr(nested)[0]


def _in_basis(a: Tensor, bases: Tensor) -> Tensor:
    return bases.mT @ a[:, None] @ bases


def _best_signs(a: Tensor, b: Tensor) -> Tensor:
    """Signs d with a large d' (a * b) d: the leading eigenvector's, then single flips that gain."""
    form = a * b + (a * b).mT
    form = form - torch.diag_embed(form.diagonal(dim1=-2, dim2=-1))
    signs = torch.where(torch.linalg.eigh(form)[1][..., -1] < 0, -1.0, 1.0).to(a)
    for _ in range(2 * a.shape[-1]):
        gain, flipped = (-signs * (form @ signs[..., None])[..., 0]).max(dim=-1, keepdim=True)
        if not (gain > 1e-13).any():
            break
        signs = signs.scatter(
            -1, flipped, signs.gather(-1, flipped) * torch.where(gain > 1e-13, -1.0, 1.0).to(a)
        )
    return signs


def _random_orthogonal(n: int, count: int, seed: int) -> Tensor:
    """Uniform on the group, the determinants +1 and -1 in turn: (count, n, n)."""
    rng = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(count, n, n, generator=rng, dtype=torch.float64))[0]
    wanted = torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0).to(basis)
    basis[:, 0] *= (wanted * torch.linalg.det(basis).sign())[:, None]
    return basis
