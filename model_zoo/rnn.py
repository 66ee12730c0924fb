"""Leaky recurrent network, and the vanilla one it becomes without a leak.

z_t = W_in x_t + W_rec h_{t-1} + b + sigma sqrt(2 / alpha) xi_t     drive         (trial, unit)
h_t = (1 - alpha) h_{t-1} + alpha f(z_t)                            state         (trial, unit)
y_t = W_out h_t + b_out                                             output        (trial, output)

W_in (unit, input)   W_rec (unit, unit)   f tanh, relu, leaky_relu or softplus
alpha = dt / tau   xi independent standard normal for each trial, time step and unit
The leak is in the rate: tau dh/dt = -h + f(W h + ...), in Euler steps. The noise is scaled so that
its effect on h does not depend on dt. With alpha = 1, f = tanh and no noise it is torch.nn.RNN;
with W = 0 and f(0) = 0 the state relaxes as (1 - alpha)^t.

Source: Yang et al. 2019 (doi:10.1038/s41593-018-0310-2), with alpha = 20 ms / 100 ms and
W_rec orthogonal, times 0.5 where f is not bounded. Guilhot et al. (arXiv:2410.24070) take
alpha = 1 - exp(-0.2).
"""

import math

import torch
from torch import Tensor, nn

from model_zoo.checks import leak
from model_zoo.leaky_scan import LeakyScan
from model_zoo.sequence import (
    activation_named,
    affine,
    affine_step,
    recorded,
    start_of,
    uniform,
    zeros,
)
from repsim.errors import RepsimError

STATES = ("h", "pre", "input_drive", "recurrent_drive")


class LeakyRNN(nn.Module):
    """Leaky network with a linear readout.

    States: h; pre, the drive z; input_drive, W_in x; recurrent_drive, W_rec h. The gradient of a
    sequence can be taken once; for second derivatives, and for torch.func transforms such as
    jacrev, use step.

    n_inputs, n_units, n_outputs   sizes of x, h and y
    alpha        dt / tau, above 0, at most 1
    activation   f: tanh, relu, leaky_relu or softplus
    noise        sigma; forward draws noise in training mode only, so that a recording can be
                 repeated, and step takes what it is given
    output_bias  whether the readout has a bias
    generator    source of the initial values: W_rec orthogonal, the rest uniform as in torch
    raises       RepsimError for an unknown activation, an alpha outside (0, 1], negative noise
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        alpha: float = 0.2,
        activation: str = "tanh",
        noise: float = 0.0,
        output_bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if noise < 0:
            raise RepsimError(f"noise is {noise}; it is a standard deviation, 0 or more.")
        self.n_units, self.alpha, self.noise = n_units, leak(alpha), noise
        self.activation, self.function = activation, activation_named(activation)
        self.state_names = STATES
        self.input_weight = uniform(n_units, n_inputs, fan_in=n_inputs, generator=generator)
        self.recurrent_weight = nn.Parameter(torch.empty(n_units, n_units))
        gain = 1.0 if activation == "tanh" else 0.5
        nn.init.orthogonal_(self.recurrent_weight, gain, generator=generator)
        self.bias = nn.Parameter(torch.zeros(n_units))
        self.output_weight = uniform(n_outputs, n_units, fan_in=n_units, generator=generator)
        self.output_bias = nn.Parameter(torch.zeros(n_outputs)) if output_bias else None

    def forward(
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        *,
        record: bool | tuple[str, ...] = True,
        noise: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(trial, time, input) -> outputs (trial, time, output) and states (trial, time, unit).

        state    h before the first step, zeros unless given
        record   which states to return: all, none, or those named
        noise    (trial, time, unit), from draw_noise; drawn here in training mode unless given
        raises   RepsimError for inputs or a state of another shape, and for a record of states
                 that the model does not have
        """
        names = recorded(record, STATES)
        state = start_of(self, inputs, state)
        if noise is None and self.noise and self.training:
            noise = self.draw_noise(*inputs.shape[:-1]).to(inputs)
        h, outputs = self._scan(inputs, state, noise)
        if self.output_bias is not None:
            outputs = outputs + self.output_bias[..., None, None, :]
        states = self._states(inputs, state, noise, h, names)
        return outputs, {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: Tensor | None = None, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states.

        noise    (trial, unit), one time step of draw_noise; none unless given, in any mode
        """
        state = self.initial_state(input_t) if state is None else state
        input_drive = affine_step(input_t, self.input_weight)
        recurrent_drive = affine_step(state, self.recurrent_weight)
        pre = input_drive + recurrent_drive + self.bias[..., None, :]
        pre = pre if noise is None else pre + noise
        h = torch.lerp(state, self.function(pre), self.alpha)
        output = affine_step(h, self.output_weight, self.output_bias)
        return output, h, dict(zip(STATES, (h, pre, input_drive, recurrent_drive), strict=True))

    def initial_state(self, input_t: Tensor) -> Tensor:
        """State before the first step: h, zeros (trial, unit) for inputs (trial, input)."""
        return zeros(input_t, self.input_weight, self.n_units)

    def draw_noise(self, *shape: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws sigma sqrt(2 / alpha) xi, (trial, time, unit) for a shape (trial, time)."""
        scale = self.noise * math.sqrt(2 / self.alpha)
        return torch.randn(*shape, self.n_units, generator=generator) * scale

    def _scan(self, inputs: Tensor, state: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """The states h (..., trial, time, unit) and W_out h, from one loop over the sequence."""
        weight = torch.cat([self.recurrent_weight, self.input_weight, self.bias[..., None]], -1)
        many = state.dim() == 3  # networks along a leading axis
        given = [inputs, state, weight, self.output_weight, noise]
        n_axes = (4, 3, 3, 3, 4)
        n_networks = len(state) if many else 1
        given = [
            None if one is None else one.expand(n_networks, *one.shape[-n + 1 :])
            for one, n in zip(given, n_axes, strict=True)
        ]
        h, outputs = LeakyScan.apply(*given, self.alpha, self.activation)
        h, outputs = h.transpose(1, 2), outputs.permute(1, 3, 0, 2)
        return (h, outputs) if many else (h[0], outputs[0])

    def _states(
        self,
        inputs: Tensor,
        state: Tensor,
        noise: Tensor | None,
        h: Tensor,
        names: tuple[str, ...],
    ) -> dict[str, Tensor]:
        """The states that are asked for; all but h follow from h and the inputs."""
        if set(names) <= {"h"}:
            return {"h": h}
        before = torch.cat([state.unsqueeze(-2), h[..., :-1, :]], -2)
        input_drive = affine(inputs, self.input_weight)
        recurrent_drive = affine(before, self.recurrent_weight)
        pre = input_drive + recurrent_drive + self.bias[..., None, None, :]
        pre = pre if noise is None else pre + noise
        return dict(zip(STATES, (h, pre, input_drive, recurrent_drive), strict=True))


class VanillaRNN(LeakyRNN):
    """LeakyRNN with alpha = 1: h_t = f(W_in x_t + W_rec h_{t-1} + b), as torch.nn.RNN.

    source   Elman 1990 (doi:10.1207/s15516709cog1402_1)
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        activation: str = "tanh",
        noise: float = 0.0,
        output_bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            n_inputs,
            n_units,
            n_outputs,
            alpha=1.0,
            activation=activation,
            noise=noise,
            output_bias=output_bias,
            generator=generator,
        )
