"""Where the search for a conjugacy starts: transforms that undo a rotation, and a few random ones.

A symmetric S(A) built so that S(Q A Q') = Q S(A) Q' has eigenvectors U_A that turn with A. Then
C = U_A D U_B' for a diagonal D of signs d, which maximise d' K d, K = (U_A' A U_A) * (U_B' B U_B)
elementwise. Ordered real Schur bases do the same where S has repeated eigenvalues and A is normal.
"""

import math

import torch
from torch import Tensor


def starting_transforms(a: Tensor, b: Tensor, n_random: int, seed: int) -> Tensor:
    """Orthogonal (pair, start, n, n) for stacks a and b of unit norm, (pair, n, n)."""
    bases_a = torch.cat([_symmetric_bases(a), _schur_bases(a)], dim=1)
    bases_b = torch.cat([_symmetric_bases(b), _schur_bases(b)], dim=1)
    signs = _best_signs(_in_basis(a, bases_a), _in_basis(b, bases_b))
    matched = (bases_a * signs[..., None, :]) @ bases_b.mT
    n = a.shape[-1]
    fixed = torch.cat([torch.eye(n, dtype=a.dtype)[None], _random_orthogonal(n, n_random, seed)])
    return torch.cat([fixed.expand(len(a), -1, -1, -1), matched], dim=1)


def _symmetric_bases(a: Tensor) -> Tensor:
    """Eigenvectors of symmetric matrices that turn with a: (pair, matrix, n, n)."""
    even, odd = (a + a.mT) / 2, (a - a.mT) / 2
    rows, columns, turns = (math.sqrt(a.shape[-1]) * x for x in (a @ a.mT, a.mT @ a, odd @ odd))
    return torch.linalg.eigh(
        torch.stack(
            [
                even,
                rows,
                columns,
                turns,
                even + rows / 2,
                even - turns / 2,
                even + rows - columns,
                a @ a + (a @ a).mT,
            ],
            dim=1,
        )
    )[1]


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
