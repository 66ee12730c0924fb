"""A test case: makes activations whose relations are known, and judges their distances."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from repsim.activations import fingerprint
from repsim.errors import RepsimError
from repsim.rules import Rule

PROTOCOLS = ("controlled", "independent", "published")
Generated = tuple[dict[str, xr.DataArray], pd.DataFrame]


@dataclass(frozen=True)
class TestCase:
    """One question about metrics, with an answer known by construction.

    generate    (rng, protocol, quick) -> sets by name, and the truth: one row a set, in the same
                order; its columns are the rule's business (repsim.rules)
    protocols   "controlled": all sets hold the same trials in the same order; "independent": each
                set draws its own; "published": as a paper did it
    rule        how distances are judged
    axis        what the score is about: dynamics, noise robustness, compositionality, learning, ...
    version     goes up whenever scores change, and only then
    defeats     metrics this case is expected to defeat, and why
    """

    __test__ = False

    name: str
    question: str
    generate: Callable[[np.random.Generator, str, bool], Generated]
    rule: Rule
    axis: str
    version: int = 1
    protocols: tuple[str, ...] = PROTOCOLS[:2]
    defeats: Mapping[str, str] = field(default_factory=dict)

    @property
    def controls(self) -> dict[str, float]:
        """The score that a control must have, whatever the case; one that misses it breaks it."""
        chance, ceiling = self.rule.chance, self.rule.ceiling
        return {"oracle": ceiling, "random": chance, "constant": chance}

    @property
    def suite(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    def make(self, seed: int, protocol: str = "controlled", quick: bool = False) -> Generated:
        """The sets and the truth of a seed: the same bits every time, whatever else runs.

        raises  RepsimError for a protocol the case does not have
        """
        if protocol not in self.protocols:
            raise RepsimError(
                f"{self.name} has no protocol {protocol!r}. It has: {', '.join(self.protocols)}."
            )
        sets, truth = self.generate(self.rng(seed), protocol, quick)
        if list(sets) != list(truth.index):
            raise RepsimError(
                f"{self.name}: sets {list(sets)} and truth {list(truth.index)} differ."
            )
        return sets, truth

    def rng(self, seed: int, *purpose: str) -> np.random.Generator:
        """A generator that depends on case, seed and purpose, not on the order of runs."""
        words = "/".join((self.name, *purpose))
        return np.random.default_rng(
            [seed, int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")]
        )

    def judge(self, distances: np.ndarray, truth: pd.DataFrame) -> float:
        """The score of a matrix of distances, rows and columns in the order of the truth."""
        return self.rule.judge(np.asarray(distances, dtype=float), truth)


def fingerprint_sets(sets: Mapping[str, xr.DataArray]) -> str:
    """One fingerprint for all sets of a case and seed."""
    digest = hashlib.sha256(
        "".join(f"{name}{fingerprint(one)}" for name, one in sets.items()).encode()
    )
    return digest.hexdigest()
