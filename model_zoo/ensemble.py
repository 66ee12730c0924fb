"""K trained networks: their parameters side by side, how each came to be, and the way there.

parameters   name -> (network, ...)
fraction     of a network's own training: 0 its initial values, 1 its last; networks that stop at
             different steps are matched by it
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from model_zoo.rounds import Network
from repsim.errors import RepsimError

Snapshots = Mapping[int, dict[str, Tensor]]


@dataclass(frozen=True)
class Ensemble:
    """Networks that were trained together; ensemble[k] is one of them, a module of its own.

    networks      where each ended: step, test accuracies on the way, seconds
    accuracies    (network,) on fresh trials after training
    ceiling       the best accuracy any observer could have; None where it is not known
    checkpoints   fraction of training -> name -> (network, ...)
    """

    model: nn.Module
    networks: tuple[Network, ...]
    accuracies: np.ndarray
    ceiling: float | None
    checkpoints: Mapping[float, dict[str, Tensor]]

    def __len__(self) -> int:
        return len(self.networks)

    def __getitem__(self, k: int) -> nn.Module:
        return self.at(k)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each network."""
        return tuple(one.seed for one in self.networks)

    @property
    def steps(self) -> tuple[int, ...]:
        """How many steps each network took."""
        return tuple(one.step for one in self.networks)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """All networks side by side, name -> (network, ...)."""
        names = self.networks[0].parameters
        return {n: torch.stack([one.parameters[n] for one in self.networks]) for n in names}

    def at(self, k: int, fraction: float = 1.0) -> nn.Module:
        """Network k after a fraction of its training.

        raises   RepsimError for a fraction that was not kept
        """
        if fraction == 1.0:
            values = self.networks[k].parameters
        elif fraction in self.checkpoints:
            values = {name: p[k] for name, p in self.checkpoints[fraction].items()}
        else:
            kept = ", ".join(f"{one:g}" for one in sorted({*self.checkpoints, 1.0}))
            raise RepsimError(
                f"No checkpoint at {fraction:g} of training; there are {kept}. "
                "Ask for it when you train: checkpoints=(0, 0.5, 1)."
            )
        module = deepcopy(self.model)
        module.load_state_dict(dict(module.state_dict()) | values)
        return module.eval()


def checkpoints_at(
    fractions: Sequence[float], networks: Sequence[Network], snapshots: Sequence[Snapshots]
) -> dict[float, dict[str, Tensor]]:
    """For every fraction, of each network the snapshot nearest to that share of its own steps."""
    found = {}
    for fraction in fractions:
        chosen = [
            taken[nearest(taken, fraction * one.step)]
            for one, taken in zip(networks, snapshots, strict=True)
        ]
        found[fraction] = {name: torch.stack([one[name] for one in chosen]) for name in chosen[0]}
    return found


def nearest(steps: Sequence[int] | Snapshots, wanted: float) -> int:
    """The step closest to the one wanted; of two, the earlier."""
    return min(sorted(steps), key=lambda step: abs(step - wanted))
