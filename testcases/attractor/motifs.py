"""Do trajectories that share more motifs come out closer, wherever the motifs stand?

A motif is a piece of trajectory: a straight line, or a stretch of one of four attractors. A set is
made of three different motifs attached end to end, each from where the last one ended. Twelve of
the 60 ordered triples of the five motifs are drawn in a seed.

motifs            distance should grow with the number of motifs not shared, in whatever order
motifs_in_order   distance should grow with the number of positions that hold different motifs

Every set is seen through units of its own, a random linear map, with a little private noise.
controlled: a motif runs from the same starting points in all sets, so that where two sets have it
in one place their time courses there are the same; independent: every set draws its own.

Expected: metrics of samples answer motifs_in_order under control; DSA, which has no clock, answers
motifs and not motifs_in_order. Found, mean and standard deviation over 20 seeds:

                       motifs                          motifs_in_order
                       controlled      independent     controlled      independent
    linear_cka         0.67 +- 0.07    0.53 +- 0.10    0.83 +- 0.05    0.56 +- 0.06
    angular_procrustes 0.68 +- 0.07    0.53 +- 0.10    0.86 +- 0.05    0.57 +- 0.06
    dsa                0.56 +- 0.08    0.57 +- 0.06    0.51 +- 0.06    0.49 +- 0.05

CKA and Procrustes are ahead of DSA even on motifs where trials match, since motifs in one place are
shared motifs; DSA scores the same with and without matched trials.

protocol="published" (Guilhot et al. 2024, arXiv:2410.24070): five motifs (a line, Lorenz r = 0.5, 5
and 15, and line-curve-line-curve), all 60 ordered triples attached, every third step kept, every
trajectory scaled. The line's direction is multiplied by a normal number from each trajectory to the
next, so that it shrinks to nothing: nine trajectories in ten stand still. Their second line and
curve hold the trials in reverse order. Both faults are kept: with lines that move the paper's
numbers do not come out.
"""

from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.rules import Rule
from repsim.testcase import Generated, TestCase
from testcases.attractor import guilhot2024
from testcases.attractor.guilhot2024 import N_STEPS, lorenz_trajectories, scaled
from testcases.attractor.observe import add_noise, linear, standardised
from testcases.attractor.systems import System, integrate, lorenz, roessler

LINE = System(
    "line", lambda states: np.broadcast_to([1.0, -1.0, 0.5], states.shape), (0,) * 3, (1,) * 3
)
MOTIFS = {  # and how much faster its clock runs
    "line": (LINE, 1),
    "curve": (lorenz(0.5), 1),
    "spiral": (lorenz(15.0), 1),
    "chaos": (lorenz(30.0), 1),
    "Roessler": (roessler(), 6),
}
PUBLISHED = ("line", "curve", "r=5", "r=15", "line-curve-line-curve")
N_TRIPLES = 12
DT, SUBSTEPS = 0.03, 3
SNR = 100.0


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Sets named by their motifs; the truth has one column a position."""
    make = published_sets if protocol == "published" else ranked_sets
    triples, sets, dt = make(rng, protocol, quick)
    names = [", ".join(triple) for triple in triples]
    truth = pd.DataFrame(triples, columns=["first", "second", "third"], index=names)
    truth.insert(0, "label", names)
    return {n: as_activations(one, dt=dt) for n, one in zip(names, sets, strict=True)}, truth


def ranked_sets(
    rng: np.random.Generator, protocol: str, quick: bool
) -> tuple[list[tuple[str, ...]], list[np.ndarray], float]:
    """Some triples, each through units of its own."""
    n_trials, n_steps, most_units, n_triples = (6, 16, 15, 8) if quick else (9, 24, 22, N_TRIPLES)
    ordered = list(permutations(MOTIFS, 3))
    triples = [ordered[i] for i in rng.choice(len(ordered), n_triples, replace=False)]
    shared = {name: pieces(name, rng, n_trials, n_steps) for name in MOTIFS}
    sets = []
    for triple, n_units in zip(triples, most_units - rng.permutation(n_triples), strict=True):
        own = shared
        if protocol == "independent":
            own = {name: pieces(name, rng, n_trials, n_steps) for name in triple}
        states = standardised(attached([own[name] for name in triple], pause=1.0))
        sets.append(add_noise(linear(rng, 3, n_units)(states), SNR, rng))
    return triples, sets, DT


def pieces(name: str, rng: np.random.Generator, n_trials: int, n_steps: int) -> np.ndarray:
    """A motif of every trial, (trial, time, 3), of unit variance over all coordinates."""
    system, speed = MOTIFS[name]
    start = system.start(rng, n_trials)
    states = integrate(system.flow, start, n_steps, speed * DT, SUBSTEPS)
    states = states - states.mean((0, 1))
    return states / states.std()


def attached(motifs: list[np.ndarray], pause: float) -> np.ndarray:
    """Motifs (trial, time, dim) end to end along time.

    pause  the step between two motifs, as a multiple of the step before it
    """
    whole = motifs[0]
    for motif in motifs[1:]:
        last = whole[:, -1:]
        begin = last + pause * (last - whole[:, -2:-1])
        whole = np.concatenate([whole, begin + motif - motif[:, :1]], axis=1)
    return whole


def published_sets(
    rng: np.random.Generator, protocol: str, quick: bool
) -> tuple[list[tuple[str, ...]], list[np.ndarray], float]:
    """All 60 triples; quick takes 20 trajectories in place of 200."""
    n_trials = 20 if quick else guilhot2024.N_TRIALS
    line = standing_lines(rng, n_trials)
    curve, small, large = (lorenz_trajectories(r, n_trials, rng) for r in (0.5, 5.0, 15.0))
    composite = thinned([line, curve, line[::-1], curve[::-1]])
    motifs = dict(zip(PUBLISHED, (line, curve, small, large, composite), strict=True))
    triples = list(permutations(PUBLISHED, 3))
    return triples, [thinned([motifs[n] for n in triple]) for triple in triples], guilhot2024.DT


def standing_lines(rng: np.random.Generator, n_trials: int) -> np.ndarray:
    """The authors' lines: ever faster along a direction that shrinks from trial to trial."""
    factor = rng.standard_normal((n_trials, 1))
    signs = np.ones((n_trials, 3))
    signs[np.arange(n_trials), rng.integers(1, 3, n_trials)] = -1
    direction = factor * 1e-4 * np.cumprod(factor * signs, axis=0)
    travelled = np.concatenate([[0], np.cumsum(np.arange(N_STEPS - 1))])
    start = rng.random((n_trials, 1, 3))
    return scaled(start + travelled[:, None] * direction[:, None])


def thinned(motifs: list[np.ndarray]) -> np.ndarray:
    """Motifs attached, every n-th step kept for n motifs, and scaled."""
    return scaled(attached(motifs, pause=1e-4)[:, :: len(motifs)])


def not_shared(truth: pd.DataFrame) -> np.ndarray:
    """Motifs of one set that the other does not have, (set, set), 0 to 3."""
    held = [set(row) for row in truth[["first", "second", "third"]].to_numpy()]
    return np.array([[3.0 - len(x & y) for y in held] for x in held])


def not_in_place(truth: pd.DataFrame) -> np.ndarray:
    """Positions at which two sets hold different motifs, (set, set), 0 to 3."""
    held = truth[["first", "second", "third"]].to_numpy()
    return (held[:, None] != held[None, :]).sum(-1).astype(float)


_case = partial(
    TestCase,
    generate=generate,
    axis="compositionality",
    protocols=("controlled", "independent", "published"),
)
ANY_ORDER = _case(
    name="attractor/motifs",
    question="Are trajectories closer the more motifs they share, in whatever order?",
    rule=Rule("motifs not shared", not_shared),
)
IN_ORDER = _case(
    name="attractor/motifs_in_order",
    question="Are trajectories closer the more motifs they share in the same place?",
    rule=Rule("places that differ", not_in_place),
    defeats={
        "dsa": "pools the windows of all times, so that it has no clock",
        "dsa_spectrum": "the same",
    },
)
