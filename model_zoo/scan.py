"""The linear recurrence h_t = a_t (.) h_{t-1} + b_t, h_0 = 0, along time, one step or one tree.

sequential  time steps in turn: the least work, one small operation a step
parallel    pairs of steps are merged, (a_2, b_2) o (a_1, b_1) = (a_2 a_1, a_2 b_1 + b_2), the half
            as long sequence is solved, and the states between are filled in: twice the work in
            2 log2(time) operations, which is what a GPU wants (Blelloch 1990, section 1.4)

The gradient is the same recurrence run backwards, G_t = g_t + a_{t+1} G_{t+1}: dL/db_t = G_t and
dL/da_t = G_t h_{t-1}. So a scan keeps a and h for it, and nothing of what lies between.
"""

from typing import Any

import torch
from torch import Tensor

from repsim.errors import RepsimError

SCANS = ("sequential", "parallel")


def linear_scan(decay: Tensor, drive: Tensor, scan: str = "sequential") -> Tensor:
    """All h_t of h_t = decay_t h_{t-1} + drive_t from h = 0; time is the first axis.

    decay, drive   (time, ...)
    returns        (time, ...)
    raises         RepsimError for a scan that is not sequential or parallel
    cost           time steps of one operation, or 2 log2(time) operations on up to half of them
    """
    if scan not in SCANS:
        raise RepsimError(f"scan is {scan!r}; give 'sequential' or 'parallel'.")
    return _Scan.apply(decay, drive, scan)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(decay: Tensor, drive: Tensor, scan: str) -> Tensor:
        return _sequential(decay, drive) if scan == "sequential" else _parallel(decay, drive)

    @staticmethod
    def setup_context(context: Any, inputs: tuple, output: Tensor) -> None:
        decay, _, context.scan = inputs
        context.save_for_backward(decay, output)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        decay, states = context.saved_tensors
        ahead = torch.cat([decay[1:], torch.zeros_like(decay[:1])])
        total = linear_scan(ahead.flip(0), gradient.flip(0), context.scan).flip(0)
        before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])
        return total * before, total, None


def _sequential(decay: Tensor, drive: Tensor) -> Tensor:
    states = torch.empty_like(drive)
    state = torch.zeros_like(drive[0])
    for decay_t, drive_t, out in zip(decay, drive, states, strict=True):
        state = torch.addcmul(drive_t, decay_t, state, out=out)
    return states


def _parallel(decay: Tensor, drive: Tensor) -> Tensor:
    n_steps = len(drive)
    if n_steps == 1:
        return drive.clone()
    n_pairs = n_steps // 2
    first, second = decay[: 2 * n_pairs : 2], decay[1::2]
    merged = torch.addcmul(drive[1::2], second, drive[: 2 * n_pairs : 2])
    states = torch.empty_like(drive)
    states[1::2] = odd = _parallel(second * first, merged)
    states[0] = drive[0]
    later = drive[2::2]
    states[2::2] = torch.addcmul(later, decay[2::2], odd[: len(later)])
    return states
