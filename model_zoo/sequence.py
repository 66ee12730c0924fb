"""What the recurrent models share: products that carry an ensemble, and the record of the states.

A parameter may hold one network or K of them along a leading axis, as torch.func.stack_module_state
makes them; inputs may carry the same axis or be shared. Everything below, and every model that is
written with it, counts its axes from the end and so serves both.

W (..., unit, input)   b (..., unit)   x (..., trial, time, input)   ... nothing, or K networks
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.errors import RepsimError

State = Tensor | tuple["State", ...]

aten = torch.ops.aten
MINUS_ONE = torch.tensor(-1.0)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "softplus": functional.softplus,
}


def write_tanh(x: Tensor, out: Tensor) -> None:
    """tanh(x) as 2 sigmoid(2x) - 1: within 2e-7 in single precision, and many times faster."""
    torch.add(x, x, out=out).sigmoid_()
    torch.add(MINUS_ONE, out, alpha=2, out=out)


def softplus_through(grad: Tensor, value: Tensor, out: Tensor) -> None:
    """Through softplus: f' = sigmoid(z) = 1 - exp(-f)."""
    torch.expm1(-value, out=out).mul_(grad).neg_()


# name -> f(x) written into out
WRITE: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "tanh": write_tanh,
    "relu": lambda x, out: torch.clamp_min(x, 0, out=out),
    "leaky_relu": lambda x, out: aten.leaky_relu.out(x, 0.01, out=out),
    "softplus": lambda x, out: aten.softplus.out(x, out=out),
}
# name -> gradient times f', found from the value of f, written into out
THROUGH: dict[str, Callable[[Tensor, Tensor, Tensor], Any]] = {
    "tanh": lambda grad, value, out: aten.tanh_backward.grad_input(grad, value, grad_input=out),
    "relu": lambda grad, value, out: aten.threshold_backward.grad_input(
        grad, value, 0, grad_input=out
    ),
    "leaky_relu": lambda grad, value, out: aten.leaky_relu_backward.grad_input(
        grad, value, 0.01, True, grad_input=out
    ),
    "softplus": softplus_through,
}


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b for every trial and time step of a sequence, in one product.

    x (..., trial, time, input), weight (..., unit, input), bias (..., unit)
    returns  (..., trial, time, unit); the leading axes of x and of the parameters broadcast
    """
    rows = affine_step(x.flatten(-3, -2), weight, bias)
    return rows.unflatten(-2, x.shape[-3:-1])


def affine_step(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b for every trial of one time step: (..., trial, input) -> (..., trial, unit)."""
    product = x @ weight.mT
    return product if bias is None else product + bias[..., None, :]


def zeros(input_t: Tensor, weight: Tensor, n_units: int) -> Tensor:
    """Zeros (..., trial, unit) for the trials of input_t and the networks of weight."""
    n_trials = input_t.shape[-2]
    networks = torch.broadcast_shapes(input_t.shape[:-2], weight.shape[:-2])
    return weight.new_zeros(*networks, n_trials, n_units)


def start_of(model: Any, inputs: Tensor, state: State | None) -> State:
    """What a sequence starts from: the state that is given, or zeros.

    model    with input_weight, (..., input), and initial_state
    inputs   (..., trial, time, input)
    state    shaped as zeros are, with or without the network axis
    raises   RepsimError for inputs or a state of another shape
    """
    shape, weight = tuple(inputs.shape), model.input_weight
    if len(shape) not in (3, 4):
        raise RepsimError(
            f"The inputs have shape {shape}. Give (trial, time, input), or "
            "(network, trial, time, input); inputs[None] for a single trial."
        )
    if shape[-1] != weight.shape[-1]:
        raise RepsimError(
            f"The inputs have {shape[-1]} channels and the model has {weight.shape[-1]} inputs. "
            "Give inputs (trial, time, input) that fit, or build the model with "
            f"n_inputs={shape[-1]}."
        )
    if shape[-2] == 0:
        raise RepsimError(f"The inputs have shape {shape}, no time steps. Give one or more.")
    none = model.initial_state(inputs[..., 0, :])
    n_axes = max(len(shape) - 3, weight.ndim - 2)  # of networks, in front of the zeros
    return none if state is None else _fitted(state, none, n_axes)


def _fitted(state: Any, none: State, n_axes: int) -> State:
    """The state with the axes that zeros have, the first n_axes of which it may lack."""
    if isinstance(none, tuple):
        if not isinstance(state, (tuple, list)) or len(state) != len(none):
            n_given = len(state) if isinstance(state, (tuple, list)) else 1
            raise RepsimError(
                f"The initial state has {n_given} of {len(none)} parts. "
                "Give what step returned, or initial_state."
            )
        return tuple(_fitted(*both, n_axes) for both in zip(state, none, strict=True))
    shape, wanted = tuple(state.shape), tuple(none.shape)
    n_own = len(wanted) - n_axes
    networks = {*shape[:-n_own], *wanted[:n_axes]} - {1}
    if shape[-n_own:] != wanted[n_axes:] or len(shape) > n_own + 1 or len(networks) > 1:
        raise RepsimError(
            f"The initial state has shape {shape}; these inputs and parameters need {wanted}. "
            "Give what step returned for as many trials, or leave it out for zeros."
        )
    return state.expand(torch.broadcast_shapes(shape, wanted))


def recorded(record: bool | tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The states that record asks for: all (True), none (False) or those named.

    raises   RepsimError for a state that the model does not have
    """
    if isinstance(record, bool):
        return names if record else ()
    unknown = [name for name in record if name not in names]
    if unknown:
        raise RepsimError(
            f"The model has no state {unknown[0]!r}. Choose from {', '.join(names)}, or give "
            "record=True for all of them and record=False for none."
        )
    return tuple(record)


def activation_named(name: str) -> Callable[[Tensor], Tensor]:
    """The function of a name in ACTIVATIONS.

    raises   RepsimError for another name
    """
    if name not in ACTIVATIONS:
        raise RepsimError(f"No activation {name!r}. Choose from {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]


def uniform(*shape: int, fan_in: int, generator: torch.Generator | None) -> nn.Parameter:
    """Initial values uniform on +- fan_in^(-1/2), the initialisation of torch's layers."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound, generator=generator))


def glorot(*shape: int, n_gates: int = 1, generator: torch.Generator | None) -> nn.Parameter:
    """Initial values uniform on +- sqrt(6 / (fan in + fan out)), each gate on its own.

    shape    (n_gates * unit, input)
    source   Glorot and Bengio 2010, equation 16
    """
    bound = math.sqrt(6 / (shape[0] // n_gates + shape[1]))
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound, generator=generator))
