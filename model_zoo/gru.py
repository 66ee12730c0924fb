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

from model_zoo.sequence import (
    Cell,
    activation_named,
    affine,
    affine_step,
    recorded,
    uniform,
    unroll,
    zeros,
)


class GRU(nn.Module):
    """GRU with a linear readout; the states are h, r, u and c, without r where reset is False.

    n_inputs, n_units, n_outputs   sizes of x, h and y
    alpha        share of the update made in one step, dt / tau
    reset        whether there is a reset gate
    activation   f: tanh, relu, leaky_relu or softplus
    output_bias  whether the readout has a bias
    generator    source of the initial values, uniform on +- n_units^(-1/2) as in torch
    raises       RepsimError for an unknown activation
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
        self.n_units, self.alpha, self.reset = n_units, alpha, reset
        self.activation = activation_named(activation)
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
        raises   RepsimError for a state that the model does not have
        """
        names = recorded(record, self.state_names)
        state = self.initial_state(inputs[..., 0, :]) if state is None else state
        drive = affine(inputs, self.input_weight, self.bias)  # (trial, time, gate * unit)
        states = unroll(self._cell(), drive, state, {"h", *names})
        outputs = affine(states["h"], self.output_weight, self.output_bias)
        return outputs, {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states."""
        state = self.initial_state(input_t) if state is None else state
        drive = affine_step(input_t, self.input_weight, self.bias)
        state, states = self._cell()(drive, state)
        return affine_step(state, self.output_weight, self.output_bias), state, states

    def initial_state(self, input_t: Tensor) -> Tensor:
        """State before the first step: h, zeros (trial, unit) for inputs (trial, input)."""
        return zeros(input_t, self.input_weight, self.n_units)

    def _cell(self) -> Cell:
        """(drive, h) -> (h, named states) of one step, with the parameters looked up once."""
        recurrent_weight, n_units, alpha = self.recurrent_weight.mT, self.n_units, self.alpha
        bias = self.candidate_bias[..., None, :] if self.reset else None
        sizes = [recurrent_weight.shape[-1] - n_units, n_units]  # gates, candidate

        def cell(drive: Tensor, h: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            drive_gates, drive_c = drive.split(sizes, -1)
            gates, own = (h @ recurrent_weight).split(sizes, -1)
            gates = torch.sigmoid(drive_gates + gates)
            states = {}
            if bias is None:
                u = gates
            else:
                r, u = gates.chunk(2, -1)
                own, states = r * (own + bias), {"r": r}
            c = self.activation(drive_c + own)
            h = torch.lerp(h, c, u if alpha == 1 else alpha * u)
            return h, {"h": h, **states, "u": u, "c": c}

        return cell


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
