"""Mamba, a selective state-space model (Gu and Dao 2023, arXiv:2312.00752, section 3).

A layer, from the residual stream s (trial, time, unit), with D = expand * unit channels:
[x, z] = W_in RMSNorm(s)                                                   (trial, time, 2 D)
x = SiLU(causal convolution of each channel over 4 steps)      conv        (trial, time, D)
[d, B, C] = W_x x                                              rank of delta + N + N
delta = softplus(W_delta d + b_delta)                          delta       (trial, time, D)
h_t = exp(delta A) (.) h_{t-1} + (bar B) x_t                   h           (trial, time, D, N)
y = sum over N of C h + D_skip x                               y           (trial, time, D)
s <- s + W_out (y (.) SiLU(z))                                 gated, residual

A = -exp(A_log) (D, N)   N states a channel   d has rank ceil(unit / 16)
The recurrence and the two forms of bar B stand in selection.py.

In between stand a linear embedding of the inputs, a last RMSNorm and a linear readout. h is the
recurrent state; given the inputs it obeys a linear recursion that varies in time, the residual
stream does not.
Initial values: A_log = log(1..N) (S4D-real), D_skip = 1, W_delta uniform on +- rank^(-1/2),
b_delta such that delta is log-uniform on [0.001, 0.1], others uniform on +- fan_in^(-1/2).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.checks import whole
from model_zoo.selection import check_options, selective_scan
from model_zoo.sequence import affine, recorded, start_of, uniform

LAYER_STATES = ("conv", "delta", "h", "y", "gated", "residual")
SHORTEST, LONGEST = 1e-3, 1e-1  # initial delta

State = tuple[tuple[Tensor, Tensor], ...]


class Mamba(nn.Module):
    """Mamba with an embedding and a readout; the states are layer1.conv, layer1.delta, layer1.h
    (channel by channel, N each), layer1.y (before the gate), layer1.gated, layer1.residual, ...

    n_inputs, n_units, n_outputs   sizes of the input, the residual stream and the output
    n_layers, n_states, expand, width   layers, N, D / unit, steps of the convolution
    input_discretisation           "euler" or "zoh"
    scan          "sequential", or "parallel" for long sequences on a GPU
    output_bias   whether the readout has a bias
    generator     source of the initial values
    raises        RepsimError for another discretisation or scan, and for sizes below 1
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        n_outputs: int,
        *,
        n_layers: int = 2,
        n_states: int = 16,
        expand: int = 2,
        width: int = 4,
        input_discretisation: str = "euler",
        scan: str = "sequential",
        output_bias: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_options(input_discretisation, scan)
        given = {"n_layers": n_layers, "n_states": n_states, "expand": expand, "width": width}
        n_layers, n_states, expand, width = (whole(*one) for one in given.items())
        self.input_weight = uniform(n_units, n_inputs, fan_in=n_inputs, generator=generator)
        self.input_bias = uniform(n_units, fan_in=n_inputs, generator=generator)
        sizes = (n_units, n_states, expand * n_units, width)
        self.layers = nn.ModuleList(
            MambaLayer(*sizes, input_discretisation, scan, generator) for _ in range(n_layers)
        )
        self.norm_weight = nn.Parameter(torch.ones(n_units))
        self.output_weight = uniform(n_outputs, n_units, fan_in=n_units, generator=generator)
        self.output_bias = (
            uniform(n_outputs, fan_in=n_units, generator=generator) if output_bias else None
        )
        self.state_names = tuple(
            f"layer{i}.{name}" for i in range(1, n_layers + 1) for name in LAYER_STATES
        )

    def forward(
        self, inputs: Tensor, state: State | None = None, *, record: bool | tuple[str, ...] = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(trial, time, input) -> outputs (trial, time, output) and states (trial, time, unit).

        state    what step returned, to go on from there; zeros unless given
        record   which states to return: all, none, or those named
        raises   RepsimError for inputs or a state of another shape, and for a record of states
                 that the model does not have
        cost     memory trial * time * D * N for each layer, three times that for zoh or parallel
        """
        names = recorded(record, self.state_names)
        outputs, _, states = self._run(inputs, state, names)
        return outputs, {name: states[name] for name in names}

    def step(
        self, input_t: Tensor, state: State | None = None
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        """One time step: (trial, input) -> output (trial, output), next state, named states."""
        outputs, state, states = self._run(input_t[..., None, :], state, self.state_names)
        states = {name: states[name][..., 0, :] for name in self.state_names}
        return outputs[..., 0, :], state, states

    def initial_state(self, input_t: Tensor) -> State:
        """The last inputs of the convolution (trial, width - 1, D) and h (trial, D, N) of every
        layer, zeros for inputs (trial, input).
        """
        n_trials = input_t.shape[-2]
        networks = torch.broadcast_shapes(input_t.shape[:-2], self.input_weight.shape[:-2])
        return tuple(
            tuple(self.input_weight.new_zeros(*networks, n_trials, *shape) for shape in shapes)
            for shapes in (layer.state_shapes for layer in self.layers)
        )

    def _run(
        self, inputs: Tensor, state: State | None, names: tuple[str, ...]
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        state = start_of(self, inputs, state)
        stream, after, states = affine(inputs, self.input_weight, self.input_bias), [], {}
        for i, (layer, before) in enumerate(zip(self.layers, state, strict=True), 1):
            with_h = f"layer{i}.h" in names
            stream, layer_state, layer_states = layer(stream, before, with_h)
            after.append(layer_state)
            states |= {f"layer{i}.{name}": value for name, value in layer_states.items()}
        outputs = affine(rms_norm(stream, self.norm_weight), self.output_weight, self.output_bias)
        return outputs, tuple(after), states


class MambaLayer(nn.Module):
    """Norm, mixer and residual connection: (trial, time, unit) -> (trial, time, unit)."""

    def __init__(
        self,
        n_units: int,
        n_states: int,
        n_channels: int,
        width: int,
        input_discretisation: str,
        scan: str,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        rank = math.ceil(n_units / 16)
        self.state_shapes = ((width - 1, n_channels), (n_channels, n_states))
        self.input_discretisation, self.scan = input_discretisation, scan
        self.sizes = (rank, n_states, n_states)  # of d, B, C

        def values(*shape: int, fan_in: int) -> nn.Parameter:
            return uniform(*shape, fan_in=fan_in, generator=generator)

        self.norm_weight = nn.Parameter(torch.ones(n_units))
        self.in_weight = values(2 * n_channels, n_units, fan_in=n_units)
        self.conv_weight = values(n_channels, width, fan_in=width)
        self.conv_bias = values(n_channels, fan_in=width)
        self.select_weight = values(sum(self.sizes), n_channels, fan_in=n_channels)
        self.delta_weight = values(n_channels, rank, fan_in=rank)
        self.delta_bias = nn.Parameter(initial_delta_bias(n_channels, generator))
        self.a_log = nn.Parameter(torch.arange(1.0, n_states + 1).log().repeat(n_channels, 1))
        self.skip = nn.Parameter(torch.ones(n_channels))
        self.out_weight = values(n_units, n_channels, fan_in=n_channels)

    def forward(
        self, stream: Tensor, state: tuple[Tensor, Tensor], with_h: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor], dict[str, Tensor]]:
        """The stream, from the state before, after the layer; the state after; the named states.

        with_h   whether h is among the named states, which costs a copy of it
        """
        window, h = state
        x, z = affine(rms_norm(stream, self.norm_weight), self.in_weight).chunk(2, -1)
        padded = torch.cat([window, x], -2)  # (trial, width - 1 + time, D)
        x = functional.silu(causal_convolution(padded, self.conv_weight, self.conv_bias))
        d, b, c = affine(x, self.select_weight).split(self.sizes, -1)
        delta = functional.softplus(affine(d, self.delta_weight, self.delta_bias))
        a = -torch.exp(self.a_log)
        y, h = selective_scan(x, delta, a, b, c, h, self.input_discretisation, self.scan)
        y = y + self.skip[..., None, None, :] * x
        gated = y * functional.silu(z)
        stream = stream + affine(gated, self.out_weight)
        states = {"conv": x, "delta": delta, "y": y, "gated": gated, "residual": stream}
        if with_h:
            states["h"] = h.movedim(0, -3).flatten(-2)  # (trial, time, D N)
        after = padded[..., x.shape[-2] :, :], h[-1]
        return stream, tuple(one.clone() for one in after), states  # a view keeps all steps alive


def causal_convolution(padded: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each channel with its own kernel, the last tap on the newest step.

    padded (trial, width - 1 + time, D), weight (D, width), bias (D)
    returns  (trial, time, D)
    """
    n_steps = padded.shape[-2] - weight.shape[-1] + 1
    total = bias[..., None, None, :]
    for lag, tap in enumerate(weight.unbind(-1)):
        total = total + tap[..., None, None, :] * padded[..., lag : lag + n_steps, :]
    return total


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Every row of x over its root mean square, times weight: (trial, time, unit) -> same.

    source   Zhang and Sennrich 2019, arXiv:1910.07467, with 1e-5 added to the mean square
    """
    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
    return x * scale * weight[..., None, None, :]


def initial_delta_bias(n_channels: int, generator: torch.Generator | None) -> Tensor:
    """The inverse softplus of n_channels values, log-uniform on [SHORTEST, LONGEST]."""
    share = torch.rand(n_channels, generator=generator)
    delta = SHORTEST * (LONGEST / SHORTEST) ** share
    return delta + torch.log(-torch.expm1(-delta))
