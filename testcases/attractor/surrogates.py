"""Is a process told from its surrogates: run backwards, run slower, its phases shuffled?

The process is the Lorenz attractor at r = 28. Each kind of surrogate is a block of its own, three
recordings of the process and three of the surrogate, each through a random smooth invertible map
of its own:

    backwards        the same path in time reversed: volume grows where it should shrink
    slower           the same path at two thirds of the speed
    shuffled phases  values and power spectrum of every coordinate kept, all else gone

A good metric tells all three from the process. With C0 and C1 the covariances of states at lags 0
and 1, the operator of a stationary process is C1 C0^-1 and that of its reversal C1' C0^-1, which
has the same eigenvalues: dsa_spectrum must be blind to reversal. In whitened coordinates one is the
transpose of the other, and a matrix need not be a rotated copy of its transpose: dsa need not be.

protocol="controlled": all sets are made from one long run; "independent": each from its own.

Found, mean of 20 seeds, dsa 12, dsa backwards 40 (standard deviations of operators 0.1 to 0.15
backwards, else below 0.06):

                     controlled                        independent
                     backwards  slower  shuffled       backwards  slower  shuffled
    linear_cka            1.00    1.00      1.00            0.52    0.77      0.52
    angular_procrustes    1.00    1.00      1.00            0.53    0.82      0.54
    dsa_spectrum          0.49    0.99      0.99            0.51    0.97      0.97
    dsa                   0.55    1.00      0.99            0.55    0.99      0.99

So operators see speed and what a linear process lacks, but not the arrow of time, or hardly: dsa
is 0.05 above chance, with standard errors of 0.02. It is there to be seen: how much faster
neighbours part forwards than backwards has 1.00 and 0.99 (10 seeds; see the tests). Matched samples
give all three away; with a run of its own geometry sees speed alone, by the clock (see conjugacy).
"""

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.observe import add_noise, smooth_embedding, standardised
from testcases.attractor.systems import integrate, lorenz

SYSTEM = lorenz(28.0)
DT, FINE, SLOWED = 0.1, 3, 2  # every third fine step is kept, every second of a slowed run
BURN_IN = 150
N_SETS = 3  # of the process and of the surrogate, for each kind
N_ROUNDS = 20
SIGNAL_TO_NOISE = 1000.0


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """For each kind of surrogate a block: the process and the surrogate, three times each."""
    n_trials, n_steps, most_units = (10, 30, 22) if quick else (16, 40, 26)
    rows = [
        (f"{kind}: {label} {i}", label, kind)
        for kind in SURROGATES
        for label in ("process", "surrogate")
        for i in range(1, N_SETS + 1)
    ]
    truth = pd.DataFrame(rows, columns=["name", "label", "block"]).set_index("name")
    runs = long_runs(len(truth) if protocol == "independent" else 1, n_trials * n_steps, rng)
    sets, n_dims, seed = {}, runs.shape[-1], int(rng.integers(2**32))
    for i, (name, row) in enumerate(truth.iterrows()):
        run = runs[i % len(runs)]
        phases = rng if protocol == "independent" else np.random.default_rng(seed)
        make = SURROGATES[row["block"]] if row["label"] == "surrogate" else as_it_was
        states = make(run, phases).reshape(n_trials, n_steps, n_dims)
        n_units = most_units - int(rng.integers(8))
        seen = smooth_embedding(rng, n_dims, n_units)(standardised(states))
        sets[name] = as_activations(add_noise(seen, SIGNAL_TO_NOISE, rng), dt=DT)
    return sets, truth


def long_runs(n_runs: int, n_steps: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary runs on the fine grid, (run, FINE n_steps, dim)."""
    start = SYSTEM.start(rng, n_runs)
    n = BURN_IN + FINE * n_steps
    return integrate(SYSTEM.flow, start, n, DT / FINE)[:, BURN_IN:]


def as_it_was(run: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """The process itself: a fine run (FINE time, dim) at the usual step, (time, dim)."""
    return run[::FINE]


def backwards(run: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """The same states in the other order."""
    return run[::FINE][::-1]


def slower(run: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """The same path at SLOWED / FINE of the speed: its first part, sampled more densely."""
    return run[: SLOWED * (len(run) // FINE) : SLOWED]


def shuffled_phases(run: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The values of every dimension in another order, of nearly the same power spectrum.

    Fourier phases are turned at random, by the same angles in all dimensions; then spectrum and
    values are imposed in turn (Schreiber & Schmitz 1996, Physical Review Letters 77:635).
    """
    series = run[::FINE]
    spectrum, values = np.fft.rfft(series, axis=0), np.sort(series, axis=0)
    turn = np.exp(2j * np.pi * rng.random(len(spectrum)))[:, None]
    found = np.fft.irfft(spectrum * turn, len(series), axis=0)
    for _ in range(N_ROUNDS):
        phases = np.exp(1j * np.angle(np.fft.rfft(found, axis=0)))
        found = np.fft.irfft(abs(spectrum) * phases, len(series), axis=0)
        found = np.take_along_axis(values, found.argsort(0).argsort(0), 0)
    return found


SURROGATES = {"backwards": backwards, "slower": slower, "shuffled phases": shuffled_phases}

CASE = TestCase(
    name="attractor/surrogates",
    question="Is a process told from itself run backwards, run slower, or with shuffled phases?",
    generate=generate,
    rule=SEPARATION,
    axis="dynamics",
)
