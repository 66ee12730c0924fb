"""Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

i = sigmoid(W_i x_t + R_i h_{t-1} + b_i)                        input gate    (trial, unit)
f = sigmoid(W_f x_t + R_f h_{t-1} + b_f)                        forget gate   (trial, unit)
g = tanh   (W_g x_t + R_g h_{t-1} + b_g)                        candidate     (trial, unit)
o = sigmoid(W_o x_t + R_o h_{t-1} + b_o)                        output gate   (trial, unit)
c_t = f (.) c_{t-1} + i (.) g                                   memory        (trial, unit)
h_t = o (.) tanh(c_t)                                           state         (trial, unit)
y_t = W_out h_t + b_out                                         output        (trial, output)

W (unit, input)   R (unit, unit)
Gates stand in the order i, f, g, o of torch.nn.LSTM, whose two biases are added: only their sum
matters.
"""

import torch
from torch import Tensor, nn

from model_zoo.gated_scan import Gradient, Step, scan
from model_zoo.sequence import (
    MINUS_ONE,
    affine,
    affine_step,
    recorded,
    start_of,
    uniform,
    write_tanh,
    zeros,
)

aten = torch.ops.aten
STATES = ("h", "c", "i", "f", "g", "o")


class LSTM(nn.Module):
    """LSTM with a linear readout; the states are h, c, i, f, g and o.

    The gradient of a sequence can be taken once; for second derivatives, and for torch.func
    transforms such as jacrev, use step.

    n_inputs, n_units, n_outputs   sizes of x, h and y
    forget_bias  added to the initial b_f, so that a new network remembers; 1 as in Jozefowicz et
                 al. 2015, torch has none
    output_bias  whether the readout has a bias
    generator    source of the initial values, uniform on +- n_units^(-1/2) as in torch
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        forget_bias: float = 1.0,
        output_bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_units, self.state_names = n_units, STATES

        def values(*shape: int) -> nn.Parameter:
            return uniform(*shape, fan_in=n_units, generator=generator)

        self.input_weight = values(4 * n_units, n_inputs)  # rows in the order i, f, g, o
        self.recurrent_weight = values(4 * n_units, n_units)
        self.bias = values(4 * n_units)
        self.output_weight = values(n_outputs, n_units)
        self.output_bias = values(n_outputs) if output_bias else None
        with torch.no_grad():
            self.bias[n_units : 2 * n_units] += forget_bias

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        *,
        record: bool | tuple[str, ...] = True,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(trial, time, input) -> outputs (trial, time, output) and states (trial, time, unit).

        state    (h, c) before the first step, zeros unless given
        record   which states to return: all, none, or those named
        raises   RepsimError for inputs or a state of another shape, and for a record of states
                 that the model does not have
        """
        names = recorded(record, STATES)
        state = start_of(self, inputs, state)
        weights = self.input_weight, self.recurrent_weight, self.bias
        h, c, gates = scan(Equations(), inputs, state, weights, keep=not set(names) <= {"h"})
        states = dict(zip(STATES, (h, c, *gates.chunk(4, -1)), strict=True))
        outputs = affine(h.transpose(-3, -2), self.output_weight, self.output_bias)
        return outputs.transpose(-3, -2), {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor], dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states."""
        state = self.initial_state(input_t) if state is None else state
        h, c = state
        drive = affine_step(input_t, self.input_weight, self.bias)
        i, f, g, o = (drive + affine_step(h, self.recurrent_weight)).chunk(4, -1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        output = affine_step(h, self.output_weight, self.output_bias)
        return output, (h, c), dict(zip(STATES, (h, c, i, f, g, o), strict=True))

    def initial_state(self, input_t: Tensor) -> tuple[Tensor, Tensor]:
        """(h, c) before the first step: zeros (trial, unit) for inputs (trial, input)."""
        none = zeros(input_t, self.input_weight, self.n_units)
        return none, none


class Equations:
    """The equations of a step and their derivatives, for the scan; gates in the order i, f, g, o.

    With s the gradient of h_t and m that of c_t: m grows by s o (1 - tanh(c)^2), then
    o: s tanh(c)   i: m g   f: m c_{t-1}   g: m i   c_{t-1}: m f
    """

    carries = False

    def forward(self, step: Step) -> None:
        """Drive to gates; c = f c + i g and h = o tanh(c)."""
        i, f, g, o = step.gates
        g += g  # tanh(z) = 2 sigmoid(2z) - 1, so that one sigmoid serves all gates
        step.all_gates.sigmoid_()
        torch.add(MINUS_ONE, g, alpha=2, out=g)
        torch.mul(f, step.before.c, out=step.after.c).addcmul_(i, g)
        write_tanh(step.after.c, step.kept)
        torch.mul(o, step.kept, out=step.after.h)

    def backward(self, step: Step, grad: Gradient) -> None:
        """Gradient of h and c to that of the gates and of c before."""
        i, f, g, o = step.gates
        of_i, of_f, of_g, of_o = grad.gates
        torch.mul(grad.h, step.kept, out=of_o)
        torch.mul(grad.h, o, out=grad.spare)
        aten.tanh_backward.grad_input(grad.spare, step.kept, grad_input=grad.spare)
        grad.c.add_(grad.spare)
        torch.mul(grad.c, g, out=of_i)
        torch.mul(grad.c, step.before.c, out=of_f)
        torch.mul(grad.c, i, out=of_g)
        grad.c.mul_(f)

    def through(self, step: Step, grad: Gradient) -> None:
        """Gradient of the gates to that of their drive.

        One pass as if all were sigmoids is faster than one a gate; that of g is put right after.
        """
        delta, of_g = grad.all_gates, grad.gates[2]
        aten.tanh_backward.grad_input(of_g, step.gates[2], grad_input=grad.spare)
        aten.sigmoid_backward.grad_input(delta, step.all_gates, grad_input=delta)
        of_g.copy_(grad.spare)
