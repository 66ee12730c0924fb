"""The compiled Newton steps against torch's derivatives and numpy's inverse."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from repsim.dynamics import trust_region
from repsim.dynamics.problems import Problems
from repsim.dynamics.trust_region import descend

N = 5
UPPER = np.triu_indices(N, 1)


@pytest.fixture(scope="module")
def problem():
    """A problem in double precision near a minimum, and its loss as a function of plane angles."""
    rng = np.random.default_rng(0)
    target, source = (torch.tensor(rng.normal(size=(N, N))) for _ in range(2))
    frame = torch.linalg.eigh(target + target.mT)[1]
    target = frame.mT @ target @ frame
    problems = Problems.at(target[None], source[None], torch.eye(N, dtype=torch.float64)[None])
    descend(problems, 6, 20, 1e-2)
    start = problems.transform[0].clone()

    def loss(angles: torch.Tensor) -> torch.Tensor:
        w = torch.zeros(N, N, dtype=torch.float64)
        w[UPPER] = angles
        turn = torch.linalg.matrix_exp(w - w.mT) @ start
        return ((target - turn @ source @ turn.mT) ** 2).sum() / 2

    return problems, loss


def parts(problems):
    odd, spectrum, moved = (x[0].numpy() for x in (problems.odd, problems.spectrum, problems.moved))
    slope, first = np.empty((N, N)), np.empty((N, N))
    trust_region._slope(odd, spectrum, moved, slope, first)
    return odd, spectrum, moved, slope, first


def test_the_loss_is_that_of_the_transform(problem):
    problems, loss = problem
    assert problems.loss[0].item() == pytest.approx(
        loss(torch.zeros(10, dtype=torch.float64)).item(), rel=1e-12
    )
    identity = problems.transform[0] @ problems.transform[0].mT
    torch.testing.assert_close(identity, torch.eye(N, dtype=torch.float64), atol=1e-12, rtol=0)


def test_the_slope_is_the_gradient(problem):
    problems, loss = problem
    angles = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(angles), angles)
    slope = parts(problems)[3]
    assert gradient.abs().max() > 1e-6
    np.testing.assert_allclose(2 * slope[UPPER], gradient, atol=1e-10)


def test_the_step_solves_the_newton_equations(problem):
    problems, loss = problem
    odd, spectrum, moved, slope, first = parts(problems)
    inverse = trust_region._preconditioner(odd, spectrum, moved)
    factors = np.concatenate([first, moved])
    gaps = spectrum - spectrum[:, None]
    slope = 1e-3 * slope / np.linalg.norm(slope)  # conjugate gradients stop at a tenth of it
    step = np.zeros((N, N))
    for _ in range(12):
        rest = slope + hessian(loss, step)
        step += trust_region._steihaug(odd, gaps, factors, rest, inverse, 1e9, 60)[0]
    np.testing.assert_allclose(hessian(loss, step), -slope, atol=1e-9)


def hessian(loss, step):
    """Of the loss along a step, in matrix form."""
    matrix = torch.autograd.functional.hessian(loss, torch.zeros(10, dtype=torch.float64)).numpy()
    along = np.zeros((N, N))
    along[UPPER] = matrix @ step[UPPER] / 2
    return along - along.T


@pytest.mark.parametrize("n", [1, 5, 8, 30])
def test_cayley(n):
    w = np.random.default_rng(1).normal(size=(n, n))
    w = w - w.T
    expected = (np.eye(n) + w / 2) @ np.linalg.inv(np.eye(n) - w / 2)
    np.testing.assert_allclose(trust_region._cayley(w), expected, atol=1e-12)


NO_FOLDER = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
caching.CompileResultCacheImpl._locator_classes = []
"""
DIGEST = """
import hashlib
import torch
from repsim.dynamics.problems import Problems
from repsim.dynamics.trust_region import descend
torch.manual_seed(0)
a, b = torch.randn(2, 20, 12, 12)
a = a - a.mT + torch.diag(torch.arange(12.0))
problems = Problems.at(a, b, torch.eye(12).expand(20, 12, 12))
descend(problems, 8, 12, 1e-6)
print(hashlib.sha256(problems.transform.numpy().tobytes()).hexdigest())
"""


def test_the_same_bits_compiled_kept_and_where_nothing_can_be_kept(tmp_path):
    digests = []
    for code in (DIGEST, DIGEST, NO_FOLDER + DIGEST):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout)
        assert list(tmp_path.rglob("*.nbc"))
    assert len(set(digests)) == 1
