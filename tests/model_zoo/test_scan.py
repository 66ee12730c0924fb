"""Both scans against the recurrence written out, and their gradient against finite differences."""

import pytest
import torch

from model_zoo.scan import SCANS, linear_scan
from repsim.errors import RepsimError

SCAN = pytest.mark.parametrize("scan", SCANS)


def recurrence(n_steps, *shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(n_steps)
    decay = torch.rand(n_steps, *shape, generator=generator, dtype=dtype)
    return decay, torch.randn(n_steps, *shape, generator=generator, dtype=dtype)


def written_out(decay, drive):
    """h_t = sum over s <= t of (product of decay from s + 1 to t) drive_s."""
    rows = []
    for t in range(len(drive)):
        terms = [decay[s + 1 : t + 1].prod(0) * drive[s] for s in range(t + 1)]
        rows.append(torch.stack(terms).sum(0))
    return torch.stack(rows)


@SCAN
@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 7, 8, 9, 33, 100])
def test_states(scan, n_steps):
    decay, drive = recurrence(n_steps, 2, 3)
    before = decay.clone(), drive.clone()
    found = linear_scan(decay, drive, scan)
    assert (found - written_out(decay, drive)).abs().max() < 1e-13
    assert torch.equal(decay, before[0])
    assert torch.equal(drive, before[1])


@SCAN
@pytest.mark.parametrize("n_steps", [1, 2, 5, 8])
def test_gradients_of_both_orders(scan, n_steps):
    inputs = tuple(x.requires_grad_() for x in recurrence(n_steps, 2))
    assert torch.autograd.gradcheck(lambda a, b: linear_scan(a, b, scan), inputs)
    assert torch.autograd.gradgradcheck(lambda a, b: linear_scan(a, b, scan), inputs)


@SCAN
def test_long_sequences_neither_vanish_nor_overflow(scan):
    """No product of decays is ever divided by: 1e-30 a step leaves the drive, 1 adds it up."""
    drive = torch.ones(3000, 2, dtype=torch.float64)
    decay = torch.tensor([1e-30, 1.0], dtype=torch.float64).expand(3000, 2).contiguous()
    found = linear_scan(decay, drive, scan)
    assert torch.equal(found[:, 0], drive[:, 0])
    assert torch.equal(found[:, 1], torch.arange(1, 3001, dtype=torch.float64))


@SCAN
def test_float32(scan):
    decay, drive = recurrence(200, 4, dtype=torch.float32)
    found = linear_scan(decay, drive, scan)
    assert found.dtype == torch.float32
    assert (found - linear_scan(decay.double(), drive.double(), scan)).abs().max() < 1e-5


def test_other_scan_is_refused():
    with pytest.raises(RepsimError, match="scan is 'tree'; give 'sequential' or 'parallel'"):
        linear_scan(*recurrence(3, 2), "tree")
