"""How little may be recorded before a metric no longer tells systems apart?

Three van der Pol oscillators with noise in the flow (attractor/process_noise, at a ratio of 30) are
recorded twice each by one population of units. What is recorded is then cut down:

    trials     the first 1/2, 1/4, 1/8 of the trials
    steps      the first part of every trial
    units      the same random part of the units in all recordings
    missing    a random part of the units, another one in every recording

A block is one cut, or the full recordings; a good metric finds the two recordings of a system
closer than those of two systems in all of them. The recordings are the same in all blocks, so that
a distance under a cut less the distance in full is an error of sampling: bias_and_variance.
controlled: all recordings start from the same points; independent: each has its own.

Expected: few trials or steps cost metrics of dynamics more, other units metrics of samples. Found,
mean and standard deviation over 20 seeds (dsa 8):

                       controlled      independent
    linear_cka         0.97 +- 0.01    0.62 +- 0.16
    angular_procrustes 0.98 +- 0.01    0.63 +- 0.16
    dsa                0.97 +- 0.03    0.88 +- 0.04

Under control only missing units cost anything: at an eighth of the units the three score 0.84, 0.86
and 0.81, and all else 0.97 or more. Without matched trials dsa falls from 0.90 to 0.70 with an
eighth of the trials and 0.74 with an eighth of the steps, and does not mind missing units.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.results import distances_of
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.noise import DT, MUS, with_process_noise
from testcases.attractor.observe import smooth_embedding

FRACTIONS = (1 / 2, 1 / 4, 1 / 8)
CUTS = ("trials", "steps", "units", "missing")
RATIO = 30.0


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """The full recordings and every cut of them; the level is the fraction kept."""
    n_trials, n_steps, n_units = (12, 52, 20) if quick else (16, 104, 24)
    full = recordings(rng, protocol, n_trials, n_steps, n_units)
    sets, rows = {}, []
    for cut, fraction, activity in shortened(full, FRACTIONS[1:2] if quick else FRACTIONS, rng):
        block = f"{cut} {fraction:g}"
        for (mu, recording), values in activity.items():
            name = f"{block} mu={mu:g} {recording}"
            sets[name] = as_activations(values, dt=DT, mu=mu)
            rows.append((name, f"mu={mu:g}", block, fraction))
    truth = pd.DataFrame(rows, columns=["name", "label", "block", "level"])
    return sets, truth.set_index("name")


Recordings = dict[tuple[float, str], np.ndarray]


def recordings(
    rng: np.random.Generator, protocol: str, n_trials: int, n_steps: int, n_units: int
) -> Recordings:
    """Activity (trial, time, unit) by mu and recording."""
    see = smooth_embedding(rng, 2, n_units)
    drawn = (1, 1) if protocol == "controlled" else (len(MUS), 2)
    start = np.broadcast_to(rng.uniform(-2, 2, (*drawn, n_trials, 2)), (len(MUS), 2, n_trials, 2))
    found = {}
    for mu, begin in zip(MUS, start, strict=True):
        activity = with_process_noise(mu, begin[None], np.array([RATIO]), see, rng, n_steps)[0]
        for recording, values in zip("ab", activity, strict=True):
            found[mu, recording] = values
    return found


def shortened(
    full: Recordings, fractions: tuple[float, ...], rng: np.random.Generator
) -> Iterator[tuple[str, float, Recordings]]:
    """Cut, fraction and what is left of the recordings, the full ones first."""
    yield "full", 1.0, full
    n_trials, n_steps, n_units = next(iter(full.values())).shape
    common = rng.permutation(n_units)
    own = {key: rng.permutation(n_units) for key in full}
    for fraction in fractions:
        trials, steps, units = (round(fraction * n) for n in (n_trials, n_steps, n_units))
        yield "trials", fraction, {key: one[:trials] for key, one in full.items()}
        yield "steps", fraction, {key: one[:, :steps] for key, one in full.items()}
        yield "units", fraction, {key: one[..., common[:units]] for key, one in full.items()}
        yield "missing", fraction, {key: one[..., own[key][:units]] for key, one in full.items()}


def bias_and_variance(rows: list[dict]) -> pd.DataFrame:
    """How a distance changes as less is recorded: its value under a cut less its value in full.

    rows     of this case, one protocol and size, any metrics and seeds
    returns  one row for each metric id, cut, fraction and kind of pair ("within" a system or
             "between" two): full, the mean distance in full; bias, the mean change; variance, over
             seeds, of a seed's mean change (nan for one seed); n_seeds
    """
    changes = pd.DataFrame([one for row in rows if row["status"] == "ok" for one in _changes(row)])
    grouped = changes.groupby(["metric", "cut", "fraction", "pair"], sort=False)
    return grouped.agg(
        full=("full", "mean"),
        bias=("change", "mean"),
        variance=("change", "var"),
        n_seeds=("seed", "nunique"),
    ).reset_index()


def _changes(row: dict) -> Iterator[dict]:
    """Mean changes of one metric and seed, for each block and kind of pair."""
    distances = distances_of(row)
    labels, blocks = np.array(row["labels"]), np.array(row["blocks"])
    whole = np.flatnonzero(blocks == "full 1")
    same = labels[whole, None] == labels[None, whole]
    off_diagonal = ~np.eye(len(whole), dtype=bool)
    full = distances[np.ix_(whole, whole)]
    for block in dict.fromkeys(blocks):
        if block == "full 1":
            continue
        members = np.flatnonzero(blocks == block)
        change = distances[np.ix_(members, members)] - full
        cut, _, fraction = str(block).rpartition(" ")
        for pair, chosen in (("within", same & off_diagonal), ("between", ~same)):
            yield {
                "metric": row["id"],
                "seed": row["seed"],
                "cut": cut,
                "fraction": float(fraction),
                "pair": pair,
                "full": full[chosen].mean(),
                "change": change[chosen].mean(),
            }


CASE = TestCase(
    name="attractor/sampling",
    question="How few trials, steps or units tell two systems apart?",
    generate=generate,
    rule=SEPARATION,
    axis="sampling",
)
