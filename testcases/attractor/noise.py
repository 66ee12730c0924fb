"""How much noise until two recordings of one system look as different as two systems?

Three van der Pol oscillators, limit cycles of three shapes,

    dx/dt = y    dy/dt = mu (1 - x^2) y - x      mu = 0.5, 1, 2

are each recorded twice by one population of units, a smooth map drawn anew in every seed. A block
is one signal-to-noise ratio, of ten from 100 to 0.1; a good metric finds the two recordings of a
system closer than those of two systems down to low ratios. The value is the mean over the ratios,
that is, over the logarithm of the noise. controlled: all six recordings start from the same points;
independent: each has its own.

observation_noise: white noise on the units, variance that of the unit's signal over the ratio. Half
of that variance is common to all units at each moment, half private to each.

process_noise: a random force in the flow, dy = (...) dt + s dW, of which the state keeps what the
flow lets it keep. With v the variance of y without noise and T the length of a trial,

    ratio = v / (s^2 T)

is the variance of y over the variance that the force alone would pile up in a trial. Stochastic
Heun; a force on y leaves x bounded. No noise is on the units.

Expected: DSA is the most robust to both (Guilhot et al. 2024); without matched trials metrics of
samples fail. Found, mean and standard deviation over 20 seeds:

                       observation noise               process noise
                       controlled      independent     controlled      independent
    linear_cka         0.93 +- 0.03    0.55 +- 0.08    0.82 +- 0.04    0.52 +- 0.07
    angular_procrustes 0.94 +- 0.02    0.55 +- 0.07    0.81 +- 0.04    0.52 +- 0.07
    dsa                0.70 +- 0.06    0.65 +- 0.05    0.92 +- 0.02    0.86 +- 0.04
    relative_speed     0.72 +- 0.05    0.70 +- 0.04    0.96 +- 0.02    0.96 +- 0.02
    radial_profile     0.76 +- 0.04    0.69 +- 0.06    0.91 +- 0.05    0.79 +- 0.09

DSA is the more robust to noise in the flow, which its operator averages over, and the less robust
to noise on the units, which looks to it like dynamics of its own. Of the first three it alone needs
no matched trials; but a statistic as simple as the speed needs none either, and has as much.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.observe import Observation, add_noise, smooth_embedding
from testcases.attractor.systems import integrate, integrate_noisy, van_der_pol

LEVELS = np.geomspace(100, 0.1, 10)
MUS = (0.5, 1.0, 2.0)
SHARED = 0.5
DT, SUBSTEPS = 0.2, 8
Record = Callable[..., np.ndarray]


def generate(rng: np.random.Generator, protocol: str, quick: bool, *, record: Record) -> Generated:
    """Two recordings of each system in every block; named by ratio, mu and recording."""
    levels = LEVELS[::3] if quick else LEVELS
    n_trials, n_steps, n_units = (7, 40, 11) if quick else (10, 50, 15)
    see = smooth_embedding(rng, 2, n_units)
    drawn = (1, 1, 1) if protocol == "controlled" else (len(MUS), len(levels), 2)
    start = rng.uniform(-2, 2, (*drawn, n_trials, 2))
    start = np.broadcast_to(start, (len(MUS), len(levels), 2, n_trials, 2))
    by_system = [
        record(mu, begin, levels, see, rng, n_steps) for mu, begin in zip(MUS, start, strict=True)
    ]
    sets, rows = {}, []
    for i, snr in enumerate(levels):
        for mu, activity in zip(MUS, by_system, strict=True):
            for recording, values in zip("ab", activity[i], strict=True):
                name = f"snr={snr:.3g} mu={mu:g} {recording}"
                sets[name] = as_activations(values, dt=DT, mu=mu, snr=float(snr))
                rows.append((name, f"mu={mu:g}", f"snr={snr:.3g}", snr))
    truth = pd.DataFrame(rows, columns=["name", "label", "block", "level"])
    return sets, truth.set_index("name")


def with_observation_noise(
    mu: float,
    start: np.ndarray,
    levels: np.ndarray,
    see: Observation,
    rng: np.random.Generator,
    n_steps: int,
) -> np.ndarray:
    """Activity of noise-free trajectories, noise added: (level, recording, trial, time, unit).

    start  (level, recording, trial, 2)
    """
    states = followed(mu, start, n_steps)
    return np.stack([
        np.stack([add_noise(see(one), snr, rng, SHARED) for one in pair])
        for pair, snr in zip(states, levels, strict=True)
    ])  # fmt: skip


def with_process_noise(
    mu: float,
    start: np.ndarray,
    levels: np.ndarray,
    see: Observation,
    rng: np.random.Generator,
    n_steps: int,
) -> np.ndarray:
    """Activity of trajectories driven by noise, (level, recording, trial, time, unit)."""
    variance = followed(mu, start[:1, :1], n_steps)[..., 1].var()
    force = np.sqrt(variance / (levels * DT * (n_steps - 1)))
    noise = np.zeros_like(start)
    noise[..., 1] = force[:, None, None]
    states = integrate_noisy(
        van_der_pol(mu).flow, start.reshape(-1, 2), n_steps, DT, noise.reshape(-1, 2), rng, SUBSTEPS
    )
    return see(states.reshape(*start.shape[:-1], n_steps, 2))


def followed(mu: float, start: np.ndarray, n_steps: int) -> np.ndarray:
    """Noise-free trajectories from (..., trial, 2): (..., trial, time, 2)."""
    states = integrate(van_der_pol(mu).flow, start.reshape(-1, 2), n_steps, DT, 2)
    return states.reshape(*start.shape[:-1], n_steps, 2)


OBSERVATION = TestCase(
    name="attractor/observation_noise",
    question="Down to which noise on the units are two recordings of one system still closer than "
    "those of two?",
    generate=partial(generate, record=with_observation_noise),
    rule=SEPARATION,
    axis="noise robustness",
)
PROCESS = TestCase(
    name="attractor/process_noise",
    question="Down to which noise in the flow are two recordings of one system still closer than "
    "those of two?",
    generate=partial(generate, record=with_process_noise),
    rule=SEPARATION,
    axis="noise robustness",
)
