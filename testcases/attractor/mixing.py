"""A second attractor added, or noise of equal energy: which one does the metric answer to?

Two attractors P1 and P2, standardised, and

    base      P1
    signal    P1 + S         S = alpha (P2(t) - P2(0))
    noise     P1 + N         N = what of S follows P1 linearly + the rest of S, dealt out anew over
                             trials and times, its covariance restored and P1 taken out of it

S and N have the same mean, covariance and covariance with P1 over all trials and times, exactly:
what depends on these alone cannot tell them apart. N has no order in time beyond that of P1, and S
is nought at the first step, which N is not: the first step alone tells them apart. All three
are seen by the same units, through a linear map, with a little noise of their own on every unit. A
block is one pair of attractors at one alpha, two pairs at each of eight from 2 down to 1/16; a good
metric finds the signal farther from the base than the noise. controlled: the three sets share their
trials; independent: each draws its own.

Expected: metrics of samples (CKA, Procrustes) weigh energy alone and stay near chance; metrics of
dynamics tell order from disorder. Found, mean and standard deviation over seeds, controlled:

    linear_cka             0.46 +- 0.18 (20 seeds), as expected
    angular_procrustes     0.49 +- 0.13 (20)
    delay_cka              1.00 +- 0.00 (20): windows average noise out; independent 0.55 +- 0.14
    dsa                    0.30 +- 0.10 (12): the reverse; independent 0.39 +- 0.10. White noise
                           changes what can be predicted, hence the operator, more than a second
                           attractor does
    dsa_spectrum           0.32 +- 0.11 (20), as dsa
    relative_speed         0.00 +- 0.00 (20): noise is rough, the reverse; independent 0.04 +- 0.05
    radial_profile         0.77 +- 0.10 (20): one shape of cloud; independent 0.60 +- 0.11

protocol="published" (Guilhot et al. 2024, arXiv:2410.24070): seven Lorenz attractors, all 42
ordered pairs, three levels. x -> sqrt(1 - s^2) x + s N(0, 1) with s = 0.004, 0.002, 0.001 makes
three noisy copies of P1; model3 is one of them + alpha (P2(t) - P2(0)), alpha = 1, 0.5, 0.25. The
distance of model2 to model1 is the paper's noise, that of model2 to model3 its mixture: energies
are not equal, so that this protocol reproduces numbers and ranks nothing.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pandas as pd
import xarray as xr

from repsim.activations import as_activations
from repsim.rules import SENSITIVITY
from repsim.testcase import Generated, TestCase
from testcases.attractor import guilhot2024
from testcases.attractor.observe import add_noise, linear, standardised
from testcases.attractor.systems import integrate, lorenz, roessler

ALPHAS = np.geomspace(2, 1 / 16, 8)
SYSTEMS = {  # and how much faster its clock runs
    "Lorenz r=0.5": (lorenz(0.5), 1),
    "Lorenz r=15": (lorenz(15.0), 1),
    "Lorenz r=30": (lorenz(30.0), 1),
    "Roessler": (roessler(), 6),
}
DT, SUBSTEPS = 0.03, 3
N_PAIRS = 2
SNR = 100.0
KINDS = ("base", "signal", "noise")

PUBLISHED_R = (0.5, 5.0, 10.0, 15.0, 30.0, 40.0, 50.0)
PUBLISHED_LEVELS = {0.004: 1.0, 0.002: 0.5, 0.001: 0.25}  # noise s: alpha
PUBLISHED_LABELS = {"model1": "noise", "model2": "base", "model3": "signal"}

Labelled = tuple[str, str, float, str, xr.DataArray]  # name, block, level, label, activations


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Three sets a block, labelled base, signal and noise; the level is alpha."""
    make = published_sets if protocol == "published" else ranked_sets
    made = list(make(rng, protocol, quick))
    truth = pd.DataFrame(
        [(f"{block}: {name}", label, block, level) for name, block, level, label, _ in made],
        columns=["name", "label", "block", "level"],
    ).set_index("name")
    return dict(zip(truth.index, [one[-1] for one in made], strict=True)), truth


def ranked_sets(rng: np.random.Generator, protocol: str, quick: bool) -> Iterator[Labelled]:
    """At every alpha a few pairs, drawn among all ordered ones."""
    size = (7, 40) if quick else (12, 60)
    alphas, n_pairs = (ALPHAS[::2], 3) if quick else (ALPHAS, N_PAIRS)
    ordered = list(permutations(SYSTEMS, 2))
    pairs = [
        (alpha, *ordered[i])
        for alpha in alphas
        for i in rng.choice(len(ordered), n_pairs, replace=False)
    ]
    draws = len(KINDS) if protocol == "independent" else 1
    needed = Counter(name for _, *pair in pairs for name in pair * draws)
    drawn = {name: iter(trajectories(name, rng, n, *size)) for name, n in needed.items()}
    for alpha, *pair in pairs:
        see = linear(rng, 3, 9 if quick else 16)
        for kind in KINDS:
            if kind == "base" or protocol == "independent":
                first, second = (next(drawn[name]) for name in pair)
            activity = add_noise(see(mixed(kind, first, second, alpha, rng)), SNR, rng)
            block = f"{pair[0]} + {alpha:.3g} {pair[1]}"
            yield kind, block, float(alpha), kind, as_activations(activity, dt=DT)


def trajectories(
    name: str, rng: np.random.Generator, n_sets: int, n_trials: int, n_steps: int
) -> list[np.ndarray]:
    """Sets of standardised trajectories of one of SYSTEMS, each (trial, time, 3)."""
    system, speed = SYSTEMS[name]
    start = system.start(rng, n_sets * n_trials)
    states = integrate(system.flow, start, n_steps, speed * DT, SUBSTEPS)
    return [standardised(one) for one in np.split(states, n_sets)]


def mixed(
    kind: str, first: np.ndarray, second: np.ndarray, alpha: float, rng: np.random.Generator
) -> np.ndarray:
    """The base, or the base with the second attractor added as it runs or dealt out anew."""
    added = alpha * (second - second[:, :1])
    if kind == "base":
        return first
    if kind == "noise":
        added = disordered(added, first, rng)
    return first + added


def disordered(added: np.ndarray, beside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise with the mean, the covariance and the covariance with `beside` of what is added.

    added, beside  (trial, time, dim)
    """
    flat, known = (one.reshape(-1, one.shape[-1]) for one in (added, beside))
    known = np.column_stack([np.ones(len(known)), known])
    following = known @ np.linalg.lstsq(known, flat)[0]
    rest = flat - following
    dealt = rng.permutation(rest)
    dealt -= known @ np.linalg.lstsq(known, dealt)[0]
    restored = np.linalg.qr(dealt)[0] @ np.linalg.qr(rest)[1]
    return (following + restored).reshape(added.shape)


def published_sets(rng: np.random.Generator, protocol: str, quick: bool) -> Iterator[Labelled]:
    """All ordered pairs at all levels; quick takes 20 trajectories in place of 200."""
    n_trials = 20 if quick else guilhot2024.N_TRIALS
    bases = {r: guilhot2024.lorenz_trajectories(r, n_trials, rng) for r in PUBLISHED_R}
    for (r, first), (other, second) in permutations(bases.items(), 2):
        for noise, alpha in PUBLISHED_LEVELS.items():
            for name, label in PUBLISHED_LABELS.items():
                copy = (1 - noise**2) ** 0.5 * first + noise * rng.standard_normal(first.shape)
                if label == "signal":
                    copy += alpha * (second - second[:, :1])
                activity = as_activations(copy, dt=guilhot2024.DT)
                yield name, f"r={r:g} + {alpha:g} r={other:g}", alpha, label, activity


CASE = TestCase(
    name="attractor/mixing",
    question="Does the distance answer to a second attractor rather than to noise of equal energy?",
    generate=generate,
    rule=SENSITIVITY,
    axis="noise robustness",
    protocols=("controlled", "independent", "published"),
    defeats={
        "linear_cka": "compares samples one by one and weighs the energy of what was added",
        "debiased_cka": "the same",
        "angular_procrustes": "the same",
        "dsa": "noise makes the next step unpredictable, which changes the operator more",
        "dsa_spectrum": "the same: noise moves all eigenvalues inwards",
    },
)
