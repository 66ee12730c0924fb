"""Training that can be killed: one file a network, replaced whole after each round.

folder/training.json                  what is trained, so that another training is not mixed in
folder/network_0003/
    state.safetensors                 parameters, optimiser, and the record in the header
    step_000200.safetensors           parameters on the way, where checkpoints are asked for

A file is written under another name and then renamed, so that it is old or new and never torn.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from model_zoo.rounds import Network
from repsim.activations import json_safe
from repsim.cache import read_tensors, replace_file, write_tensors
from repsim.errors import RepsimError

PARAMETER = "parameter."
TENSORS = ("parameters", "mean", "square")


class SavedState:
    """The folder of one training; without a folder nothing is kept.

    description   what is trained, JSON-safe
    raises        RepsimError for a folder that holds another training, or cannot be written
    """

    def __init__(self, folder: str | Path | None, description: dict[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        path = self.folder / "training.json"
        mine = {name: json_safe(name, value) for name, value in description.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                replace_file(path, json.dumps(mine, indent=1).encode())
            found = json.loads(path.read_text())
        except OSError as error:
            raise RepsimError(
                f"Cannot write {str(self.folder)!r}: {error.strerror}. Give another folder."
            ) from error
        except ValueError:
            found = {}
        different = [key for key in mine | found if mine.get(key) != found.get(key)]
        if different:
            key, *others = different
            too = f"; also other: {', '.join(others)}" if others else ""
            raise RepsimError(
                f"{str(self.folder)!r} holds another training: {key} is {found.get(key)!r} there "
                f"and {mine.get(key)!r} here{too}. Give another folder, or delete that one."
            )

    def save(self, k: int, network: Network, snapshot: bool) -> None:
        """Keep where a network stands, and its parameters as a snapshot of the way."""
        if self.folder is None:
            return
        place = self._place(k)
        place.mkdir(parents=True, exist_ok=True)
        if snapshot:
            path = place / f"step_{network.step:06d}.safetensors"
            write_tensors(path, as_arrays(network.parameters), {})
        tensors = {PARAMETER + name: value for name, value in network.parameters.items()}
        tensors |= {"mean": network.mean, "square": network.square}
        write_tensors(place / "state.safetensors", as_arrays(tensors), record_of(network))

    def load(self, k: int) -> tuple[Network | None, dict[int, dict[str, Tensor]]]:
        """A network and its snapshots, or None where there is nothing that can be read."""
        path = None if self.folder is None else self._place(k) / "state.safetensors"
        if path is None or not path.exists():
            return None, {}
        try:
            arrays, record = read_tensors(path)
            tensors = as_tensors(arrays)
            snapshots = {
                int(one.stem.removeprefix("step_")): as_tensors(read_tensors(one)[0])
                for one in path.parent.glob("step_*.safetensors")
            }
            parameters = {
                name.removeprefix(PARAMETER): value
                for name, value in tensors.items()
                if name.startswith(PARAMETER)
            }
            network = Network(
                parameters=parameters, mean=tensors["mean"], square=tensors["square"], **record
            )
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            return None, {}
        return network, {step: s for step, s in snapshots.items() if step <= network.step}

    def keep_only(self, k: int, steps: set[int]) -> None:
        """Delete the snapshots of other steps."""
        for path in [] if self.folder is None else self._place(k).glob("step_*.safetensors"):
            if int(path.stem.removeprefix("step_")) not in steps:
                path.unlink()

    def _place(self, k: int) -> Path:
        return self.folder / f"network_{k:04d}"


def as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Torch to numpy, by name."""
    return {name: one.detach().cpu().numpy() for name, one in tensors.items()}


def as_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Numpy to torch, by name."""
    return {name: torch.from_numpy(one.copy()) for name, one in arrays.items()}


def record_of(network: Network) -> dict[str, Any]:
    """All of a network but its tensors, JSON-safe."""
    names = [one.name for one in fields(network) if one.name not in TENSORS]
    return {name: getattr(network, name) for name in names}
