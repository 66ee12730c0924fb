"""Whether networks can train side by side, and whether they and a task fit; refused in words."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from repsim.errors import RepsimError
from repsim.signature import PLAIN, code_hash

OF_TORCH = vars(nn.Module()).keys()  # what every module has
OF_A_TASK = ("name", "n_inputs", "n_outputs", "loss", "trials", "accuracy")
CONTRACT = (
    "Training calls model(inputs, record=False) -> outputs, states with inputs (network, trial, "
    "time, input), and with parameters that carry the network axis in front too, as those of the "
    "models in model_zoo may"
)


def form_of(model: nn.Module) -> dict[str, str]:
    """All that a network is but the values of its parameters, by name.

    That is the class, sizes, settings of all submodules, values of the buffers and the print; an
    attribute that is not plain stands as a hash of its content.
    """
    form = {"class": f"{type(model).__module__}.{type(model).__qualname__}"}
    for name, p in model.named_parameters():
        fixed = "" if p.requires_grad else ", fixed"
        form[name] = f"{tuple(p.shape)} {p.dtype}{fixed}"
    for place, module in model.named_modules():
        settings = {k: v for k, v in vars(module).items() if k not in OF_TORCH}
        for name, value in (settings | module._buffers).items():
            content = repr(value) if isinstance(value, PLAIN) else f"hash {code_hash(value)}"
            form[f"{place}.{name}".lstrip(".")] = content
    return form | {"print": re.sub(r" at 0x[0-9a-f]+", "", repr(model))}


def check_models(models: Sequence[nn.Module]) -> None:
    """Refuses networks that differ in more than the values of their parameters.

    raises   RepsimError, with the first thing that differs
    """
    if not models:
        raise RepsimError("No networks to train. Give one or more.")
    first = form_of(models[0])
    for k, one in enumerate(models[1:], 1):
        form = form_of(one)
        for name in first | form:
            if first.get(name) != form.get(name):
                raise RepsimError(
                    f"The networks differ in class, size or settings: {name} is "
                    f"{first.get(name)} in network 0 and {form.get(name)} in network {k}. "
                    "They train side by side only if they do not; call train once for each form."
                )


def check_task(task: Any) -> None:
    """Refuses what is no task.

    raises   RepsimError for a name, or where something that training needs is missing
    """
    if isinstance(task, str):
        raise RepsimError(
            f"The task is the name {task!r}. Give the task itself: repsim.TASKS[{task!r}]()."
        )
    missing = [name for name in OF_A_TASK if not hasattr(task, name)]
    if missing:
        raise RepsimError(
            f"The task, a {type(task).__name__}, has no {missing[0]}. A task has "
            f"{', '.join(OF_A_TASK)}; see repsim.TASKS for some."
        )


def check_fit(models: Sequence[nn.Module], task: Any) -> None:
    """Runs the first networks on two trials, and refuses outputs that the task has no use for.

    raises   RepsimError for inputs or outputs of another width, and for another way to be called
    """
    form, some = deepcopy(models[0]).cpu().eval(), models[:2]
    own = [dict(one.named_parameters()) for one in some]
    parameters = {n: torch.stack([one[n].detach().cpu() for one in own]) for n in own[0]}
    trials = task.trials(np.random.default_rng(0), 2)
    inputs = torch.from_numpy(np.stack([trials.inputs] * len(some)))
    wanted = (*inputs.shape[:-1], task.n_outputs)
    found = _shape_of_outputs(form, parameters, inputs)
    if found[:-1] == wanted[:-1] and found != wanted:
        raise RepsimError(
            f"The model has {found[-1]} outputs and {task.name} needs {wanted[-1]}. "
            f"Build it with n_outputs={wanted[-1]}."
        )
    if found != wanted:
        raise RepsimError(
            f"The outputs have shape {found}, {task.name} needs {wanted}. {CONTRACT}."
        )


@torch.no_grad()
def _shape_of_outputs(
    form: nn.Module, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor
) -> tuple[int, ...]:
    inputs = inputs.to(next(iter(parameters.values())).dtype)
    try:
        outputs, _ = functional_call(form, dict(parameters), (inputs,), {"record": False})
        return tuple(outputs.shape)
    except RepsimError:
        raise
    except Exception as error:
        raise RepsimError(
            f"{type(form).__name__} cannot be trained on inputs of shape {tuple(inputs.shape)}: "
            f"{error}. {CONTRACT}."
        ) from error


def ceiling_of(task: Any) -> float:
    """The best accuracy that any observer could have.

    raises   RepsimError where it is not known
    """
    try:
        return float(task.ceiling())
    except (RepsimError, AttributeError) as error:
        raise RepsimError(
            f"{error} The criterion is a fraction of the ceiling; "
            "criterion=None trains for all steps without it."
        ) from error
