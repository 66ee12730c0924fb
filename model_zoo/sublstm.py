"""Subtractively gated LSTM, a cortical microcircuit (Costa et al. 2017, arXiv:1711.02448).

i = sigmoid(W_i x_t + R_i h_{t-1} + b_i)                        input gate    (trial, unit)
f = sigmoid(W_f x_t + R_f h_{t-1} + b_f)                        forget gate   (trial, unit)
o = sigmoid(W_o x_t + R_o h_{t-1} + b_o)                        output gate   (trial, unit)
z = sigmoid(W_z x_t + R_z h_{t-1} + b_z)                        input         (trial, unit)
c_t = f (.) c_{t-1} + z - i                                     memory        (trial, unit)
h_t = sigmoid(c_t) - o                                          state         (trial, unit)
y_t = W_out h_t + b_out                                         output        (trial, output)

W (unit, input)   R (unit, unit)
Inhibition subtracts where the gates of an LSTM multiply. With all parameters zero h = c = 0 for
any input, and |c| <= 1 / (1 - max f).

fix-subLSTM: f is a learned constant in [0, 1] for each unit, the leak of the memory. Here it is
f = sigmoid(b_f), without the products; the authors' code clamps f itself, which stops learning
where f leaves the interval.
"""

import torch
from torch import Tensor, nn

from model_zoo.gated_scan import Gradient, Step, scan
from model_zoo.sequence import affine, affine_step, glorot, recorded, start_of, uniform, zeros
from repsim.errors import RepsimError

aten = torch.ops.aten
STATES = ("h", "c", "i", "f", "o", "z")


class SubLSTM(nn.Module):
    """SubLSTM with a linear readout; the states are h, c, i, f, o and z.

    The gradient of a sequence can be taken once; for second derivatives, and for torch.func
    transforms such as jacrev, use step.

    n_inputs, n_units, n_outputs   sizes of x, h and y
    forget       "gated", or "fixed" for the learned constant of fix-subLSTM
    forget_bias  initial b_f
    output_bias  whether the readout has a bias
    generator    source of the initial values: each gate's W and R by Glorot, as in the paper;
                 biases zero; readout uniform on +- n_units^(-1/2)
    raises       RepsimError for another forget
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        forget: str = "gated",
        forget_bias: float = 1.0,
        output_bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if forget not in ("gated", "fixed"):
            raise RepsimError(f"forget is {forget!r}; give 'gated' or 'fixed'.")
        self.n_units, self.forget, self.state_names = n_units, forget, STATES
        n_gates = 4 if forget == "gated" else 3

        def weight(n_columns: int) -> nn.Parameter:
            return glorot(n_gates * n_units, n_columns, n_gates=n_gates, generator=generator)

        self.input_weight = weight(n_inputs)  # rows in the order i, o, z, f
        self.recurrent_weight = weight(n_units)
        self.bias = nn.Parameter(torch.zeros(3 * n_units))
        self.forget_bias = nn.Parameter(torch.full((n_units,), float(forget_bias)))
        self.output_weight = uniform(n_outputs, n_units, fan_in=n_units, generator=generator)
        self.output_bias = (
            uniform(n_outputs, fan_in=n_units, generator=generator) if output_bias else None
        )

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
        weights = self.input_weight, self.recurrent_weight, self._bias()
        given = None
        if self.forget == "fixed":
            given = torch.sigmoid(self.forget_bias)[..., None, None, :]  # (1, 1, unit)
        keep = not set(names) <= {"h"}
        h, c, gates = scan(Equations(), inputs, state, weights, given, keep=keep)
        i, o, z, *f = gates.split(self.n_units, -1)
        f = f[0] if given is None else given.expand_as(c)
        outputs = affine(h.transpose(-3, -2), self.output_weight, self.output_bias)
        states = dict(zip(STATES, (h, c, i, f, o, z), strict=True))
        return outputs.transpose(-3, -2), {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor], dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states."""
        state = self.initial_state(input_t) if state is None else state
        h, c = state
        drive = affine_step(input_t, self.input_weight, self._bias())
        gates = torch.sigmoid(drive + affine_step(h, self.recurrent_weight))
        i, o, z, *f = gates.split(self.n_units, -1)
        f = f[0] if f else torch.sigmoid(self.forget_bias)[..., None, :].expand_as(c)
        c = f * c + z - i
        h = torch.sigmoid(c) - o
        output = affine_step(h, self.output_weight, self.output_bias)
        return output, (h, c), dict(zip(STATES, (h, c, i, f, o, z), strict=True))

    def initial_state(self, input_t: Tensor) -> tuple[Tensor, Tensor]:
        """(h, c) before the first step: zeros (trial, unit) for inputs (trial, input)."""
        none = zeros(input_t, self.input_weight, self.n_units)
        return none, none

    def _bias(self) -> Tensor:
        """Of the gates that have products: i, o, z and, if gated, f."""
        gated = self.forget == "gated"
        return torch.cat([self.bias, self.forget_bias], -1) if gated else self.bias


class Equations:
    """The equations of a step and their derivatives, for the scan; gates in the order i, o, z, f.

    A fixed f is given and no gate. With s the gradient of h_t and m that of c_t:
    m grows by s sigmoid'(c), then
    o: -s   z: m   i: -m   f: m c_{t-1}   c_{t-1}: m f
    No gate's gradient is multiplied by another gate, the point of the paper.
    """

    carries = False

    def forward(self, step: Step) -> None:
        """Drive to gates; c = f c + z - i and h = sigmoid(c) - o."""
        step.all_gates.sigmoid_()
        i, o, z, *f = step.gates
        f = f[0] if step.given is None else step.given
        torch.addcmul(z, f, step.before.c, out=step.after.c).sub_(i)
        torch.sigmoid(step.after.c, out=step.kept)
        torch.sub(step.kept, o, out=step.after.h)

    def backward(self, step: Step, grad: Gradient) -> None:
        """Gradient of h and c to that of the gates and of c before."""
        of_i, of_o, of_z, *of_f = grad.gates
        gated = step.given is None
        f, of_f = (step.gates[3], of_f[0]) if gated else (step.given, grad.given)
        torch.neg(grad.h, out=of_o)
        aten.sigmoid_backward.grad_input(grad.h, step.kept, grad_input=grad.spare)
        grad.c.add_(grad.spare)
        of_z.copy_(grad.c)
        torch.neg(grad.c, out=of_i)
        torch.mul(grad.c, step.before.c, out=of_f)
        grad.c.mul_(f)

    def through(self, step: Step, grad: Gradient) -> None:
        """Gradient of the gates to that of their drive."""
        delta = grad.all_gates
        aten.sigmoid_backward.grad_input(delta, step.all_gates, grad_input=delta)
