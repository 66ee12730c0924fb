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

from model_zoo.sequence import Cell, affine, affine_step, recorded, uniform, unroll, zeros

STATES = ("h", "c", "i", "f", "g", "o")


class LSTM(nn.Module):
    """LSTM with a linear readout; the states are h, c, i, f, g and o.

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
        raises   RepsimError for a state that the model does not have
        """
        names = recorded(record, STATES)
        state = self.initial_state(inputs[..., 0, :]) if state is None else state
        drive = affine(inputs, self.input_weight, self.bias)  # (trial, time, 4 unit)
        states = unroll(self._cell(), drive, state, {"h", *names})
        outputs = affine(states["h"], self.output_weight, self.output_bias)
        return outputs, {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor], dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states."""
        state = self.initial_state(input_t) if state is None else state
        drive = affine_step(input_t, self.input_weight, self.bias)
        state, states = self._cell()(drive, state)
        return affine_step(state[0], self.output_weight, self.output_bias), state, states

    def initial_state(self, input_t: Tensor) -> tuple[Tensor, Tensor]:
        """(h, c) before the first step: zeros (trial, unit) for inputs (trial, input)."""
        none = zeros(input_t, self.input_weight, self.n_units)
        return none, none

    def _cell(self) -> Cell:
        """(drive, (h, c)) -> ((h, c), named states) of one step."""
        recurrent_weight, n_units = self.recurrent_weight.mT, self.n_units

        def cell(drive: Tensor, state: tuple[Tensor, Tensor]) -> tuple[tuple, dict[str, Tensor]]:
            h, c = state
            i_f, g, o = (drive + h @ recurrent_weight).split([2 * n_units, n_units, n_units], -1)
            i, f = torch.sigmoid(i_f).chunk(2, -1)
            g, o = torch.tanh(g), torch.sigmoid(o)
            c = f * c + i * g
            h = o * torch.tanh(c)
            return (h, c), {"h": h, "c": c, "i": i, "f": f, "g": g, "o": o}

        return cell
