"""The whole sequence of a gated network in one loop forward and one back, for K networks at once.

z_t = W [h_{t-1}; x_t; 1]                           drive of all gates    (network, trial, gate)
gates_t, c_t, h_t = the model's equations of z_t, c_{t-1}, h_{t-1}, unit by unit

and back, with s_t the gradient of h_t and D_t that of z_t, again by the model's equations:

s_{t-1} = D_t R + what h_{t-1} does to h_t without the product
gradient of W = sum_t D_t^T [h_{t-1}; x_t; 1], added up while D_t is in the cache

W (network, gate, unit + input + 1) = [R, W_in, b]; recurrent, input and bias terms are one product
a step. Every step writes into preset buffers, time on their first axis, so that nothing is
allocated in the loop and what a product reads and writes lies in one piece, for all networks.

The equations stand in the file of each model: what is done unit by unit, there and back.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class State(NamedTuple):
    """Of one time step; each (network, trial, unit)."""

    h: Tensor
    c: Tensor  # memory of an LSTM, candidate of a GRU


class Step(NamedTuple):
    """Where one time step reads and writes."""

    gates: tuple[Tensor, ...]  # views of all_gates, each (network, trial, unit)
    all_gates: Tensor  # (network, trial, gate * unit), first their drive
    given: Tensor | None  # (network, trial, unit), a drive that needs no recurrent product
    kept: Tensor  # (network, trial, unit), what the way there leaves for the way back
    before: State
    after: State


class Gradient(NamedTuple):
    """Of what a step reads and writes, and room for what is not kept."""

    h: Tensor
    c: Tensor
    gates: tuple[Tensor, ...]
    all_gates: Tensor
    given: Tensor
    spare: Tensor  # (network, trial, unit)


class Equations(Protocol):
    """What a model does unit by unit in one step, written into the tensors that it is given.

    carries  whether h_{t-1} enters h_t without the product too
    """

    carries: bool

    def forward(self, step: Step) -> None:
        """The drive in step.gates becomes the gates; step.after is written."""

    def backward(self, step: Step, grad: Gradient) -> None:
        """grad.h and grad.c of step.after become those of step.before; grad.gates is written.

        And grad.given, where a drive is given.
        """

    def through(self, step: Step, grad: Gradient) -> None:
        """In grad.gates, the gradient of the gates becomes that of their drive."""


class GatedScan(torch.autograd.Function):
    """h, c and gates, each (time, network, trial, ...), from the equations of a model."""

    @staticmethod
    def forward(
        ctx: Any,
        equations: Equations,
        keep: bool,  # c and gates of all steps; without it, and without gradients, the last only
        inputs: Tensor,  # (time, network, trial, input)
        h: Tensor,  # (network, trial, unit)
        c: Tensor,  # (network, trial, unit)
        weight: Tensor,  # (network, gate * unit, unit + input + 1)
        given: Tensor | None,  # (time, network, trial, unit)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Runs the network; see the top of the file."""
        n_steps, n_units, weight_t = len(inputs), h.shape[-1], weight.mT
        rows = _rows(inputs, h, weight)
        cs = _buffer(n_steps + 1, keep, *c.shape, like=weight)
        cs[0] = c
        kept = _buffer(n_steps, keep, *c.shape, like=weight)
        gates = _buffer(n_steps, keep, *c.shape[:2], weight.shape[1], like=weight)
        for row, step in zip(rows.unbind(), _steps(rows, cs, gates, kept, given), strict=False):
            torch.bmm(row, weight_t, out=step.all_gates)
            equations.forward(step)
        ctx.save_for_backward(rows, cs, gates, kept, weight, given)
        ctx.equations = equations
        ctx.set_materialize_grads(False)
        return rows[1:, ..., :n_units], cs[1:], gates

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_h: Tensor | None, grad_c: Tensor | None, grad_gates: Tensor | None
    ) -> tuple:
        """Gradients of inputs, h, c, weight and given."""
        rows, cs, gates, kept, weight, given = ctx.saved_tensors
        equations, n_units = ctx.equations, cs.shape[-1]
        recurrent_weight, input_weight = weight[..., :n_units], weight[..., n_units:-1]
        grad, beta = _no_gradient(cs[0], gates[0]), int(equations.carries)
        grad_weight = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        grad_inputs = grad_given = None
        if ctx.needs_input_grad[2]:
            grad_inputs = weight.new_empty(*gates.shape[:3], input_weight.shape[-1])
        if given is not None:
            grad_given = torch.empty_like(cs[1:])
        recorded = (grad_h, grad.h), (grad_c, grad.c)
        recorded = [(one.unbind(), total) for one, total in recorded if one is not None]
        delta, delta_t, rows_t = grad.all_gates, grad.all_gates.mT, rows.unbind()
        steps = _steps(rows, cs, gates, kept, given)
        for t in range(len(steps) - 1, -1, -1):
            for one, total in recorded:
                total += one[t]
            equations.backward(steps[t], grad)
            if grad_gates is not None:
                delta += grad_gates[t]
            equations.through(steps[t], grad)
            grad.h.baddbmm_(delta, recurrent_weight, beta=beta)
            grad_weight.baddbmm_(delta_t, rows_t[t])
            if grad_inputs is not None:
                torch.bmm(delta, input_weight, out=grad_inputs[t])
            if grad_given is not None:
                grad_given[t] = grad.given
        return None, None, grad_inputs, grad.h, grad.c, grad_weight, grad_given


def _rows(inputs: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    """[h_{t-1}; x_t; 1], (time + 1, network, trial, unit + input + 1)."""
    n_units = h.shape[-1]
    rows = weight.new_empty(len(inputs) + 1, *h.shape[:2], weight.shape[-1])
    rows[:-1, ..., n_units:-1] = inputs
    rows[..., -1] = 1
    rows[0, ..., :n_units] = h
    return rows


def _buffer(n_steps: int, keep: bool, *shape: int, like: Tensor) -> Tensor:
    """(time, *shape), of which all steps share one place unless they are to be kept."""
    return like.new_empty(n_steps if keep else 1, *shape).expand(n_steps, *shape)


def _steps(
    rows: Tensor, cs: Tensor, gates: Tensor, kept: Tensor, given: Tensor | None
) -> list[Step]:
    """Views of the buffers, one a time step."""
    n_units = cs.shape[-1]
    hs, cs = rows[..., :n_units].unbind(), cs.unbind()
    states = [State(h, c) for h, c in zip(hs, cs, strict=True)]
    by_gate = zip(*(one.unbind() for one in gates.split(n_units, -1)), strict=True)
    givens = [None] * len(gates) if given is None else given.unbind()
    whole = by_gate, gates.unbind(), givens, kept.unbind(), states[:-1], states[1:]
    return [Step(*one) for one in zip(*whole, strict=True)]


def _no_gradient(state: Tensor, gates: Tensor) -> Gradient:
    """Zeros for h and c, and room for the rest."""
    h, c = (state.new_zeros(state.shape) for _ in range(2))
    all_gates = gates.new_empty(gates.shape)
    parts = all_gates.split(state.shape[-1], -1)
    return Gradient(h, c, parts, all_gates, torch.empty_like(h), torch.empty_like(h))


def scan(
    equations: Equations,
    inputs: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    given: Tensor | None = None,
    *,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """h, c and gates of a sequence, each (..., trial, time, unit or gate).

    inputs   (..., trial, time, input)
    state    h and c before the first step, (..., trial, unit)
    weights  W_in (..., gate, input), R (..., gate, unit) and b (..., gate)
    given    (..., trial, time, unit), a drive without a recurrent product
    keep     whether c and gates are wanted; where gradients are, they are kept in any case
    """
    input_weight, recurrent_weight, bias = weights
    weight = torch.cat([recurrent_weight, input_weight, bias[..., None]], -1)
    axes = inputs.shape[:-3], state[0].shape[:-2], state[1].shape[:-2], weight.shape[:-2]
    networks = torch.broadcast_shapes(*axes)  # (), or their number
    n_networks = networks[0] if networks else 1
    n_trials, n_steps = inputs.shape[-3:-1]
    whole = [  # network first
        None if one is None else one.expand(n_networks, n_trials, n_steps, one.shape[-1])
        for one in (inputs, given)
    ]
    inputs, given = (None if one is None else one.permute(2, 0, 1, 3) for one in whole)
    h, c, weight = (one.expand(n_networks, *one.shape[-2:]) for one in (*state, weight))
    keep = keep or torch.is_grad_enabled()
    found = GatedScan.apply(equations, keep, inputs, h, c, weight, given)
    found = [one.permute(1, 2, 0, 3) for one in found]
    return tuple(found) if networks else tuple(one[0] for one in found)
