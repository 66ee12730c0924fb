"""The selective scan of Mamba (Gu and Dao 2023, arXiv:2312.00752, equations 2 to 4).

h_t = exp(delta_t A) (.) h_{t-1} + (bar B)_t x_t          (time, trial, D, N)
y_t = sum over N of C_t (.) h_t                           (time, trial, D)

A (D, N) negative   delta, x (trial, time, D)   B, C (trial, time, N)
bar B = delta B (euler, what the released code does) or (exp(delta A) - 1) / A B (zoh, exact for an
input that is constant between steps). Only zoh obeys the paper's theorem 1: N = 1, A = -1, B = 1
is the gate h_t = (1 - g) h_{t-1} + g x_t with g = sigmoid of what delta is the softplus of.

The common case, euler and sequential, runs in one pass that holds one step at a time in the cache
of a processor and keeps nothing but h. Its gradient, with G_t = dL/dh_t and
E_t = G_t exp(delta_t A) h_{t-1}, is
dL/d(delta x) = sum over N of G B         dL/dB = sum over D of G delta x
dL/d delta = sum over N of E A            dL/dA = sum over time and trial of E delta
dL/dC = sum over D of (dL/dy) h           G_{t-1} = G_t exp(delta_t A) + (dL/dy_{t-1}) C_{t-1}
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from model_zoo.scan import SCANS, linear_scan
from repsim.errors import RepsimError

DISCRETISATIONS = ("euler", "zoh")


def selective_scan(
    x: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    h: Tensor | None = None,
    input_discretisation: str = "euler",
    scan: str = "sequential",
) -> tuple[Tensor, Tensor]:
    """All outputs and all states, from h (trial, D, N) before the first step or from zeros.

    shapes   as above; with a network axis in front of all of them, or of none
    returns  y (trial, time, D) and h, time first: (time, trial, D, N)
    raises   RepsimError for an unknown input_discretisation or scan
    cost     memory time * trial * D * N, three times that for zoh or parallel
    """
    check_options(input_discretisation, scan)
    x, delta, b, c = (values.movedim(-2, 0).contiguous() for values in (x, delta, b, c))
    a = a[..., None, :, :]  # (1, D, N)
    if h is None:
        h = x.new_zeros(*x.shape[1:], a.shape[-1])
    if (input_discretisation, scan) == ("euler", "sequential"):
        y, states = _SelectiveScan.apply(delta * x, delta, a, b, c, h)
    else:
        exponent = delta[..., None] * a  # (time, trial, D, N)
        decay = torch.exp(exponent)
        if input_discretisation == "euler":
            drive = (delta * x)[..., None] * b[..., None, :]
        else:
            drive = torch.expm1(exponent) / a * (x[..., None] * b[..., None, :])
        drive = torch.cat([drive[:1] + decay[:1] * h, drive[1:]])
        states = linear_scan(decay, drive, scan)
        y = (states @ c[..., None]).squeeze(-1)
    return y.movedim(0, -2), states


class _SelectiveScan(torch.autograd.Function):
    """Time first everywhere: drive = delta x, delta (time, trial, D), b, c (time, trial, N)."""

    @staticmethod
    def forward(
        context: Any, drive: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        states, y, work = h.new_empty(len(delta), *h.shape), torch.empty_like(delta), h.clone()
        context.save_for_backward(drive, delta, a, b, c, h, states)
        context.set_materialize_grads(False)
        rows = zip(drive, delta, b, c, states, y, strict=True)
        for drive_t, delta_t, b_t, c_t, state, y_t in rows:
            torch.mul(delta_t[..., None], a, out=work).exp_().mul_(h)
            h = torch.addcmul(work, drive_t[..., None], b_t[..., None, :], out=state)
            torch.sum(torch.mul(h, c_t[..., None, :], out=work), -1, out=y_t)
        return y, states

    @staticmethod
    @once_differentiable
    def backward(context: Any, by_y: Tensor | None, by_states: Tensor | None) -> tuple:
        drive, delta, a, b, c, h, states = context.saved_tensors
        by_y = torch.zeros_like(delta) if by_y is None else by_y
        by_drive, by_delta, by_b, by_c = (torch.empty_like(v) for v in (drive, delta, b, c))
        by_a, by_h = torch.zeros_like(a), torch.zeros_like(h)
        work, decay = torch.empty_like(h), torch.empty_like(h)
        for t in range(len(delta) - 1, -1, -1):
            by_h.addcmul_(by_y[t, ..., None], c[t, ..., None, :])
            if by_states is not None:
                by_h += by_states[t]
            by_c[t] = (by_y[t, ..., None, :] @ states[t]).squeeze(-2)
            by_b[t] = (drive[t, ..., None, :] @ by_h).squeeze(-2)
            torch.sum(torch.mul(by_h, b[t, ..., None, :], out=work), -1, out=by_drive[t])
            torch.mul(delta[t, ..., None], a, out=decay).exp_()
            torch.mul(by_h.mul_(decay), states[t - 1] if t else h, out=work)  # by the exponent
            torch.sum(torch.mul(work, a, out=decay), -1, out=by_delta[t])
            by_a += work.mul_(delta[t, ..., None]).sum(-3, keepdim=True)
        return by_drive, by_delta, by_a, by_b, by_c, by_h


def check_options(input_discretisation: str, scan: str) -> None:
    """Refuses what selective_scan does not know.

    raises   RepsimError
    """
    options = (
        ("input_discretisation", input_discretisation, DISCRETISATIONS),
        ("scan", scan, SCANS),
    )
    for name, value, known in options:
        if value not in known:
            raise RepsimError(f"{name} is {value!r}; give {' or '.join(map(repr, known))}.")
