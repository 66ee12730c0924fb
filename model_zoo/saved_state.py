"""Training that can be killed: one file a network, replaced whole after each round.

folder/training.json                  what is trained, so that another training is not mixed in
folder/network_0003/
    state.safetensors                 parameters, optimiser, and the record in the header
    step_000200.safetensors           parameters on the way, where checkpoints are asked for

A file is written under another name and then renamed, so that it is old or new and never torn.
"""

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model_zoo.rounds import Network
from repsim.errors import RepsimError

HEADER = "repsim"
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
        mine = json.loads(json.dumps(description))
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
        different = sorted(k for k in {*mine, *found} if mine.get(k) != found.get(k))
        if different:
            key = different[0]
            raise RepsimError(
                f"{str(self.folder)!r} holds another training: {key} is {found.get(key)!r} there "
                f"and {mine.get(key)!r} here. Give another folder, or delete that one."
            )

    def save(self, k: int, network: Network, snapshot: bool) -> None:
        """Keep where a network stands, and its parameters as a snapshot of the way."""
        if self.folder is None:
            return
        place = self._place(k)
        place.mkdir(exist_ok=True)
        if snapshot:
            write_tensors(place / f"step_{network.step:06d}.safetensors", network.parameters, {})
        tensors = {PARAMETER + name: value for name, value in network.parameters.items()}
        tensors |= {"mean": network.mean, "square": network.square}
        names = [one.name for one in fields(network) if one.name not in TENSORS]
        record = {name: getattr(network, name) for name in names}
        write_tensors(place / "state.safetensors", tensors, record)

    def load(self, k: int) -> tuple[Network | None, dict[int, dict[str, Tensor]]]:
        """A network and its snapshots, or None where there is nothing that can be read."""
        path = None if self.folder is None else self._place(k) / "state.safetensors"
        if path is None or not path.exists():
            return None, {}
        try:
            tensors, record = read_tensors(path)
            snapshots = {
                int(one.stem.removeprefix("step_")): read_tensors(one)[0]
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


def write_tensors(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Named tensors and a JSON-safe record in one file, replaced whole."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        save_file(tensors, unfinished, {HEADER: json.dumps(record)})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What write_tensors wrote."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()[HEADER])


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
