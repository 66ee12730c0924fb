"""The tasks by name. TASKS: a name, and what makes the task.

get_task("yang/delaygo", timing="short", n_ring=12).trials(rng, 64)
"""

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from repsim.errors import RepsimError
from testcases.compositional.flip_flop import flip_flop_task
from testcases.compositional.go_nogo import go_nogo_task
from testcases.compositional.neurogym_tasks import from_neurogym
from testcases.compositional.perceptual_decision import RULES as CHOICE_RULES
from testcases.compositional.perceptual_decision import two_choice_task
from testcases.compositional.ring_rules import RULES as RING_RULES
from testcases.compositional.ring_tasks import ring_task
from testcases.compositional.supervised import Task, Trials

__all__ = ["TASKS", "Task", "Trials", "from_neurogym", "get_task"]

TASKS: dict[str, Callable[..., Task]] = {}
for _rule in CHOICE_RULES:
    _variant = {"anti": "anti" in _rule, "delay": "delay" in _rule}
    TASKS[f"perceptual_decision/{_rule}"] = partial(two_choice_task, **_variant)
    TASKS[f"go_nogo/{_rule}"] = partial(go_nogo_task, **_variant)
TASKS |= {f"yang/{rule}": partial(ring_task, rule) for rule in RING_RULES}
TASKS["flip_flop"] = flip_flop_task


def get_task(name: str, **parameters: Any) -> Task:
    """The task of a name, with some parameters changed.

    raises  RepsimError for an unknown name (nearest names offered) or parameter
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.4)
        near += [known for known in TASKS if name and name in known and known not in near]
        raise RepsimError(
            f"No task called {name!r}. "
            + (f"Nearest: {', '.join(near)}. " if near else "")
            + f"All: {', '.join(TASKS)}."
        )
    try:
        return TASKS[name](**parameters)
    except TypeError as error:
        raise RepsimError(f"{name}: {error}. See its docstring for parameters.") from error
