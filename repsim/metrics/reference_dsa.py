"""Dynamical similarity analysis as its authors' package computes it: dsa-metric, unchanged.

    d(X, Y) = arccos <A, C B C'> / (|A| |B|), C by 1500 steps of Adam from one random start

For a board that shows both; repsim's dsa is the one to use. Faults of version 2.0.2 that stay:
a system and a rotated copy of it come out up to 0.45 rad apart (0.18 in the tests, 0.10 for units
in another order), where the truth is 0; d(x, y) and d(y, x) differ (0.1465 and 0.1555 rad on one
pair), and so do seeds (0.326 to 0.398 on another); everything is float32; "wasserstein" is W_2
squared; a rank above the delay coordinates is lowered silently; 3 s a pair. Faults kept from the
caller: it draws from torch's global generator, divides operators it is given by their norms, fits
data that never vary, answers with another distance for operators of two sizes, and fails where
torch's default is float64.
"""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from operator import index
from typing import Any

import numpy as np

from repsim.contract import metric
from repsim.dynamics.trials import check_length, whole
from repsim.errors import InputError, RepsimError

COMPARISONS = ("angular", "wasserstein")


def prepare(x: np.ndarray, *, delays: int, rank: int, interval: int = 1) -> np.ndarray:
    """The operator that dsa-metric fits, (rank, rank), float32."""
    rank, delays, interval = (
        whole(name, value)
        for name, value in (("rank", rank), ("delays", delays), ("interval", interval))
    )
    torch, peer = importlib.import_module("torch"), _peer("DSA.dmd")
    check_length(x.shape[1], delays, interval)
    if (x == x[:1, :1]).all():
        raise InputError("the trajectories never vary. Check how the set was recorded.")
    try:
        with _single_precision():
            fitted = peer.DMD(
                torch.tensor(np.ascontiguousarray(x)),
                n_delays=delays,
                delay_interval=interval,
                rank=rank,
            )
            fitted.fit()
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"dsa-metric cannot fit this set: {' '.join(str(error).split())}"
        ) from None
    return fitted.A_v.numpy().copy(order="K")


@metric(
    view="trajectories",
    symmetric=False,
    invariant_to={"isotropic_scaling"},
    prepare=prepare,
    parameters={"delays": 10, "rank": 20},
    source="Ostrow et al. 2023, arXiv:2306.10168; code of dsa-metric 2.0.2",
)
def reference_dsa(
    a: np.ndarray,
    b: np.ndarray,
    *,
    iterations: int = 1500,
    learning_rate: float = 5e-3,
    comparison: str = "angular",
    seed: int = 0,
) -> float:
    """What dsa-metric says of two fitted dynamics, its torch seed fixed.

    x, y           (trial, time, unit); any number of trials, steps and units
    delays, rank, interval   whole numbers, as in dsa; a rank above the delay coordinates is lowered
    iterations, learning_rate   of Adam, run twice: once for each determinant of C
    comparison     "angular": radians in [0, pi]; "wasserstein": squared, in [0, inf)
    seed           of the start; another seed gives another number
    raises         InputError when dsa-metric is not installed or refuses the data, for data that
                   never vary, and for operators of two sizes, for which it would answer with
                   another distance
    """
    if comparison not in COMPARISONS:
        raise RepsimError(
            f"reference_dsa: comparison is {comparison!r}; it is one of {', '.join(COMPARISONS)}."
        )
    if a.shape != b.shape:
        raise InputError(
            f"reference_dsa compares operators of one size; these are {len(a)} x {len(a)} and "
            f"{len(b)} x {len(b)}, as dsa-metric lowers the rank to the delay coordinates "
            f"(delays x units). Use rank <= {min(len(a), len(b))}, or more delays."
        )
    torch, peer = importlib.import_module("torch"), _peer("DSA.simdist")
    solver = peer.SimilarityTransformDist(
        iters=iterations, lr=learning_rate, score_method=comparison
    )
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), _single_precision():
        torch.default_generator.manual_seed(index(seed))
        return float(solver.fit_score(*(torch.from_numpy(one.copy(order="K")) for one in (a, b))))


@contextmanager
def _single_precision() -> Iterator[None]:
    """The default of torch that dsa-metric takes for granted; the caller's comes back."""
    torch = importlib.import_module("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _peer(module: str) -> Any:
    """A module of dsa-metric, without the warnings and prints of its import."""
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"reference_dsa needs dsa-metric ({error}). "
            "Install it with: pip install 'repsim-bench[peers]'."
        ) from None
