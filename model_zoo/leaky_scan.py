"""The whole sequence of a leaky network in one loop forward and one back, for K networks at once.

z_t = W [h_{t-1}; x_t; 1] + noise_t                 drive        (network, trial, unit)
h_t = (1 - alpha) h_{t-1} + alpha f(z_t)            state        (network, trial, unit)
y_t = W_out h_t                                     output       (network, output, trial)

and back, with s_t the gradient of h_t and D_t = f'(z_t) (.) s_t:

s_t = (1 - alpha) s_{t+1} + alpha D_{t+1} W_rec + W_out^T (gradient of y_t)
gradient of W = alpha sum_t D_t [h_{t-1}; x_t; 1]^T, one product over all trials and time steps

W (network, unit, unit + input + 1) = [W_rec, W_in, b]; recurrent, input and bias terms are one
product a step. States and inputs lie side by side in one buffer that every step writes into, so
that nothing is allocated in the loop; time is the second axis of it, which keeps the trials of a
step in the cache and lets the gradient of W be a product of two views.

tanh in single precision on a processor is 2 sigmoid(2z) - 1, six times faster there than torch's
tanh, and within 2e-7 of it; the factor 2 inside costs nothing, the product takes it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from model_zoo.sequence import MINUS_ONE, THROUGH, WRITE


class LeakyScan(torch.autograd.Function):
    """States (network, time, trial, unit) and outputs (time, network, output, trial)."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,  # (network, trial, time, input)
        state: Tensor,  # (network, trial, unit)
        weight: Tensor,  # (network, unit, unit + input + 1)
        output_weight: Tensor,  # (network, output, unit)
        noise: Tensor | None,  # (network, trial, time, unit)
        alpha: float,
        activation: str,
    ) -> tuple[Tensor, Tensor]:
        """Runs the network; see the top of the file."""
        buffers = _prepare(inputs, state, weight, output_weight, alpha)
        gain, activate = _forward_of(activation, weight)
        drive, weight_t = weight.new_empty(state.shape), weight.mT
        noises = [drive] * buffers.n_steps if noise is None else noise.unbind(2)
        beta = 0 if noise is None else gain
        for t in range(buffers.n_steps):
            row = buffers.rows[t]
            torch.baddbmm(noises[t], row, weight_t, beta=beta, alpha=gain, out=drive)
            activate(drive, buffers.rates[t])
            if alpha != 1:
                torch.lerp(buffers.states[t], buffers.rates[t], alpha, out=buffers.states[t + 1])
            torch.bmm(output_weight, buffers.states[t + 1].mT, out=buffers.outputs[t])
        ctx.save_for_backward(buffers.all_rows, buffers.all_rates, weight, output_weight)
        ctx.alpha, ctx.activation = alpha, activation
        ctx.set_materialize_grads(False)
        return buffers.all_rows[:, 1:, :, : state.shape[-1]], buffers.all_outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor | None, grad_outputs: Tensor | None) -> tuple:
        """Gradients of inputs, state, weight, output_weight and noise."""
        rows, rates, weight, output_weight = ctx.saved_tensors
        alpha, n_units, n_steps = ctx.alpha, weight.shape[1], rows.shape[1] - 1
        recurrent_weight, through = weight[..., :n_units], THROUGH[ctx.activation]
        steps = rates.unbind(1)
        deltas = torch.empty_like(rates, memory_format=torch.contiguous_format)
        by_step = deltas.unbind(1)
        states_too = None if grad_states is None else grad_states.unbind(1)
        if grad_outputs is not None:
            grad_outputs = grad_outputs.contiguous()
        outputs_too = None if grad_outputs is None else grad_outputs.mT.unbind(0)
        grad = torch.zeros_like(by_step[0], memory_format=torch.contiguous_format)
        for t in range(n_steps - 1, -1, -1):
            if outputs_too is not None:
                grad.baddbmm_(outputs_too[t], output_weight)
            if states_too is not None:
                grad += states_too[t]
            through(grad, steps[t], by_step[t])
            grad.baddbmm_(by_step[t], recurrent_weight, beta=1 - alpha, alpha=alpha)
        flat = deltas.flatten(1, 2)  # (network, time * trial, unit)
        needs = ctx.needs_input_grad
        grad_weight = grad_output_weight = grad_inputs = grad_noise = None
        if needs[2]:
            grad_weight = flat.mT @ rows[:, :-1].flatten(1, 2) * alpha
        if needs[3] and grad_outputs is not None:
            by_output = grad_outputs.permute(1, 2, 0, 3).flatten(2)
            grad_output_weight = by_output @ rows[:, 1:, :, :n_units].flatten(1, 2)
        if needs[0]:
            grad_inputs = flat @ weight[..., n_units:-1] * alpha
            grad_inputs = grad_inputs.unflatten(1, deltas.shape[1:3]).transpose(1, 2)
        if needs[4]:
            grad_noise = deltas.transpose(1, 2) * alpha
        return grad_inputs, grad, grad_weight, grad_output_weight, grad_noise, None, None


class _Buffers(NamedTuple):
    """Preset memory, whole and as one view a time step."""

    n_steps: int
    all_rows: Tensor  # (network, time + 1, trial, unit + input + 1), [h_{t-1}; x_t; 1]
    all_rates: Tensor  # (network, time, trial, unit), f(z_t); a view of the rows where alpha is 1
    all_outputs: Tensor  # (time, network, output, trial)
    rows: tuple[Tensor, ...]
    states: tuple[Tensor, ...]
    rates: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def _prepare(
    inputs: Tensor, state: Tensor, weight: Tensor, output_weight: Tensor, alpha: float
) -> _Buffers:
    n_networks, n_units, width = weight.shape
    n_trials, n_steps = inputs.shape[1:3]
    rows = weight.new_empty(n_networks, n_steps + 1, n_trials, width)
    rows[:, :-1, :, n_units:-1] = inputs.transpose(1, 2)
    rows[..., -1] = 1
    rows[:, 0, :, :n_units] = state
    states = rows[..., :n_units]
    rates = states[:, 1:]
    if alpha != 1:
        rates = weight.new_empty(n_networks, n_steps, n_trials, n_units)
    outputs = weight.new_empty(n_steps, n_networks, output_weight.shape[1], n_trials)
    views = rows.unbind(1), states.unbind(1), rates.unbind(1), outputs.unbind(0)
    return _Buffers(n_steps, rows, rates, outputs, *views)


def _forward_of(activation: str, weight: Tensor) -> tuple[int, Callable[[Tensor, Tensor], Any]]:
    fast = activation == "tanh" and weight.dtype == torch.float32 and weight.device.type == "cpu"
    return (2, _tanh_of_half) if fast else (1, WRITE[activation])


def _tanh_of_half(double: Tensor, out: Tensor) -> None:
    """tanh(z) from 2z, which it overwrites."""
    torch.add(MINUS_ONE, double.sigmoid_(), alpha=2, out=out)
