"""Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), and its leaky form.

r = sigmoid(W_r x_t + R_r h_{t-1} + b_r)                        reset gate    (trial, unit)
u = sigmoid(W_u x_t + R_u h_{t-1} + b_u)                        update gate   (trial, unit)
c = f(W_c x_t + b_c + r (.) (R_c h_{t-1} + b_rec))              candidate     (trial, unit)
h_t = h_{t-1} + alpha u (.) (c - h_{t-1})                       state         (trial, unit)
y_t = W_out h_t + b_out                                         output        (trial, output)

W (unit, input)   R (unit, unit)   f tanh   alpha = dt / tau, 1 for the GRU itself
The reset gate multiplies the product with R_c, as in torch.nn.GRU; Cho et al. reset h before it.
u opens the unit to the candidate; torch calls 1 - u its update gate, so that its weights for that
gate are the negatives of ours: sigmoid(-x) = 1 - sigmoid(x).

alpha < 1 is the LeakyGRU of Yang et al. 2019 (doi:10.1038/s41593-018-0310-2). LeakyGRU below is the
one of Guilhot et al. (arXiv:2410.24070): h_t = (1 - u) h + u (a h + (1 - a) c), a = 1 - alpha, with
a reset gate that is computed and not used, and so left out here.
"""

import math

import torch
from torch import Tensor, nn

from model_zoo.checks import leak
from model_zoo.gated_scan import Gradient, Step, scan
from model_zoo.sequence import (
    THROUGH,
    WRITE,
    activation_named,
    affine,
    affine_step,
    recorded,
    start_of,
    uniform,
    zeros,
)

aten = torch.ops.aten


class GRU(nn.Module):
    """GRU with a linear readout; the states are h, r, u and c, without r where reset is False.

    The gradient of a sequence can be taken once; for second derivatives, and for torch.func
    transforms such as jacrev, use step.

    n_inputs, n_units, n_outputs   sizes of x, h and y
    alpha        share of the update made in one step, dt / tau
    reset        whether there is a reset gate
    activation   f: tanh, relu, leaky_relu or softplus
    output_bias  whether the readout has a bias
    generator    source of the initial values, uniform on +- n_units^(-1/2) as in torch
    raises       RepsimError for an unknown activation, an alpha outside (0, 1]
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        alpha: float = 1.0,
        reset: bool = True,
        activation: str = "tanh",
        output_bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_units, self.alpha, self.reset = n_units, leak(alpha), reset
        self.activation, self.function = activation, activation_named(activation)
        self.state_names = ("h", "r", "u", "c") if reset else ("h", "u", "c")
        n_gates = 3 if reset else 2

        def values(*shape: int) -> nn.Parameter:
            return uniform(*shape, fan_in=n_units, generator=generator)

        self.input_weight = values(n_gates * n_units, n_inputs)  # rows in the order r, u, c
        self.recurrent_weight = values(n_gates * n_units, n_units)
        self.bias = values(n_gates * n_units)
        self.candidate_bias = values(n_units) if reset else None  # b_rec, inside the reset
        self.output_weight = values(n_outputs, n_units)
        self.output_bias = values(n_outputs) if output_bias else None

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *, record: bool | tuple[str, ...] = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(trial, time, input) -> outputs (trial, time, output) and states (trial, time, unit).

        state    h before the first step, zeros unless given
        record   which states to return: all, none, or those named
        raises   RepsimError for inputs or a state of another shape, and for a record of states
                 that the model does not have
        """
        names = recorded(record, self.state_names)
        state = start_of(self, inputs, state)
        weights, given = (self.input_weight, self.recurrent_weight, self.bias), None
        if self.reset:
            weights, given = self._inside_the_reset(inputs)
        equations = Equations(self.alpha, self.activation)
        keep = not set(names) <= {"h"}
        h, c, gates = scan(
            equations, inputs, (state, torch.zeros_like(state)), weights, given, keep=keep
        )
        gates = gates.split(self.n_units, -1)[:-1]
        states = dict(zip(self.state_names, (h, *gates, c), strict=True))
        outputs = affine(h.transpose(-3, -2), self.output_weight, self.output_bias)
        return outputs.transpose(-3, -2), {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states."""
        state = self.initial_state(input_t) if state is None else state
        n_units = self.n_units
        *drive, drive_c = affine_step(input_t, self.input_weight, self.bias).split(n_units, -1)
        *own, own_c = affine_step(state, self.recurrent_weight).split(n_units, -1)
        gates = [torch.sigmoid(x + y) for x, y in zip(drive, own, strict=True)]
        if self.reset:
            own_c = gates[0] * (own_c + self.candidate_bias[..., None, :])
        c = self.function(drive_c + own_c)
        h = torch.lerp(state, c, self.alpha * gates[-1])
        output = affine_step(h, self.output_weight, self.output_bias)
        return output, h, dict(zip(self.state_names, (h, *gates, c), strict=True))

    def initial_state(self, input_t: Tensor) -> Tensor:
        """State before the first step: h, zeros (trial, unit) for inputs (trial, input)."""
        return zeros(input_t, self.input_weight, self.n_units)

    def _inside_the_reset(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Weights for r, u and R_c h + b_rec, and the drive W_c x + b_c, which is not reset."""
        sizes = [2 * self.n_units, self.n_units]
        gates_weight, candidate_weight = self.input_weight.split(sizes, -2)
        gates_bias, candidate_bias = self.bias.split(sizes, -1)
        given = affine(inputs.transpose(-3, -2), candidate_weight, candidate_bias)
        input_weight = torch.cat([gates_weight, torch.zeros_like(candidate_weight)], -2)
        bias = torch.cat([gates_bias, self.candidate_bias], -1)
        return (input_weight, self.recurrent_weight, bias), given.transpose(-3, -2)


class Equations:
    """The equations of a step and their derivatives, for the scan; c is kept as its memory.

    Gates in the order r, u, q with q = R_c h_{t-1} + b_rec, and W_c x_t + b_c given; without reset
    u, q with q the whole drive of c. With s the gradient of h_t and m that of c_t:
    m grows by alpha s u and is multiplied by f', then
    u: alpha s (c - h_{t-1})   r: m q   q: m r   h_{t-1}: s (1 - alpha u)
    """

    carries = True

    def __init__(self, alpha: float, activation: str) -> None:
        self.alpha = alpha
        self.write, self.derive = WRITE[activation], THROUGH[activation]

    def forward(self, step: Step) -> None:
        """Drive to gates; c = f(given + r q) and h = h + alpha u (c - h)."""
        for gate in step.gates[:-1]:
            gate.sigmoid_()
        *r, u, q = step.gates
        if step.given is not None:
            q = torch.addcmul(step.given, r[0], q, out=step.kept)
        self.write(q, step.after.c)
        torch.sub(step.after.c, step.before.h, out=step.kept)
        torch.addcmul(step.before.h, step.kept, u, value=self.alpha, out=step.after.h)

    def backward(self, step: Step, grad: Gradient) -> None:
        """Gradient of h and c to that of the gates, of what is given and of h before."""
        *r, u, q = step.gates
        *of_r, of_u, of_q = grad.gates
        torch.mul(grad.h, step.kept, out=of_u).mul_(self.alpha)
        torch.mul(grad.h, u, out=grad.spare).mul_(self.alpha)
        grad.h.sub_(grad.spare)
        drive = of_q if step.given is None else grad.given
        self.derive(grad.c.add_(grad.spare), step.after.c, drive)
        if step.given is not None:
            torch.mul(drive, q, out=of_r[0])
            torch.mul(drive, r[0], out=of_q)
        grad.c.zero_()  # c_{t-1} plays no part in step t

    def through(self, step: Step, grad: Gradient) -> None:
        """Gradient of r and u to that of their drive; q is a drive itself."""
        for gate, of_gate in zip(step.gates[:-1], grad.gates[:-1], strict=True):
            aten.sigmoid_backward.grad_input(of_gate, gate, grad_input=of_gate)


class LeakyGRU(GRU):
    """GRU without reset and with a leak: by default a = exp(-dt / tau) with dt / tau = 20 / 100.

    source   Guilhot et al. (arXiv:2410.24070), where the readout has no bias
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        alpha: float = 1 - math.exp(-0.2),
        activation: str = "tanh",
        output_bias: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            n_inputs,
            n_units,
            n_outputs,
            alpha=alpha,
            reset=False,
            activation=activation,
            output_bias=output_bias,
            generator=generator,
        )
