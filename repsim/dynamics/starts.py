"""Where the search for a conjugacy starts: no rotation, and transforms that undo one.

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
N_MIXTURES = 6  # of these, drawn
SMALL = 1e-7  # a gain that is no more than rounding
N_STARTS = 2 + 1 + len(WEIGHTS) + N_MIXTURES + 3  # a pair, from starting_transforms


def starting_transforms(a: Tensor, b: Tensor, seed: int) -> Tensor:
    """Orthogonal (pair, start, n, n) for stacks a and b, (pair, n, n), in single precision.

    Coordinates in order of variance are often near those of another operator already, up to signs:
    the first three starts are no rotation, that with two axes swapped, and that with other signs.
    """
    operators, which = torch.unique(torch.cat([a, b]), dim=0, return_inverse=True)
    bases = turning_bases(operators, seed)
    turned = (bases.mT @ operators[:, None] @ bases).float()
    bases, (first, second) = bases.float(), which.chunk(2)
    signs = _best_signs(turned[first] * turned[second])
    matched = (bases[first] * signs[..., None, :]) @ bases[second].mT
    identity = torch.eye(a.shape[-1]).to(matched).expand(len(a), 1, -1, -1)
    swapped = torch.cat([identity[..., :2].flip(-1), identity[..., 2:]], dim=-1)
    return torch.cat([identity, swapped, matched], dim=1)


def turning_bases(a: Tensor, seed: int) -> Tensor:
    """The coordinates themselves, then bases that turn with a: (operator, basis, n, n)."""
    a = a / torch.linalg.matrix_norm(a, keepdim=True).clamp(min=1e-6)
    identity = torch.eye(a.shape[-1]).to(a).expand(len(a), 1, -1, -1)
    return torch.cat([identity, _symmetric_bases(a, seed), _schur_bases(a)], dim=1)


def _symmetric_bases(a: Tensor, seed: int) -> Tensor:
    """Eigenvectors of symmetric matrices that turn with a: (operator, matrix, n, n)."""
    even, odd, square = (a + a.mT) / 2, (a - a.mT) / 2, a @ a
    products = (a @ a.mT, a.mT @ a, odd @ odd, (square + square.mT) / 2)
    parts = torch.stack([even, *(math.sqrt(a.shape[-1]) * x for x in products)], dim=1)
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randn(N_MIXTURES, 5, generator=rng, dtype=torch.float64)
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


def _best_signs(form: Tensor) -> Tensor:
    """Signs d with a large d' form d: the leading eigenvector's, then single flips that gain."""
    form = form + form.mT
    form.diagonal(0, -2, -1).zero_()
    signs = torch.where(torch.linalg.eigh(form)[1][..., -1] < 0, -1.0, 1.0).to(form)
    for _ in range(2 * form.shape[-1]):
        gain, flipped = (-signs * (form @ signs[..., None])[..., 0]).max(dim=-1, keepdim=True)
        gains = gain > SMALL
        if not gains.any():
            break
        signs.scatter_(-1, flipped, torch.where(gains, -1, 1) * signs.gather(-1, flipped))
    return signs
