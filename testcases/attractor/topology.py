"""Does a metric notice when a line closes into a ring?

    angle = alpha u    du/dt = v(t)    u between walls at +-pi for alpha < 1, round and round at 1

Arcs of alpha = 0.5 to 0.97 of the circle, and the circle four times, seen by units tuned to angles
(see deformation, from which velocity v and tuning come). In u all open arcs are one and the same
system, driven alike: they differ by the size of the arc alone. What happens at alpha = 1 is no
matter of size: the ends, by then 0.19 rad apart, become one point, and nothing stops there any
more. A good metric finds open arcs closer to one another, from half a circle to nearly all of it,
than the last of them to the circle. One that sees size finds the last arc and the circle close, and
yet has more than chance: the difference of the alphas alone has 0.67.

Design: Ostrow et al. 2023, arXiv:2306.10168, figure 4.

protocol="controlled": one set of starting points and velocities for all; "independent": each set
its own.

Found, mean and standard deviation of 20 seeds, controlled and independent: with matched drive
geometry does not fail, linear_cka 1.00 (0.01) and 0.57 (0.10), angular_procrustes 1.00 (0.01) and
0.58 (0.10), because trials part where the walls stop some of them. A spectrum of few modes sees
closure with and without, dsa_spectrum(delays=3, rank=6) 0.94 (0.07) and 0.84 (0.10); with ten
delays and rank 20 it has 0.66 and 0.66, and dsa (12 seeds) 0.65 and 0.67; with both "auto"
dsa_spectrum has 0.84 and 0.89 (5 seeds). relative_speed has 0.83 (0.04) and 0.82 (0.07): what stops
at walls is slower.
"""

import numpy as np
import pandas as pd

from repsim.activations import as_activations
from repsim.rules import SEPARATION
from repsim.testcase import Generated, TestCase
from testcases.attractor.deformation import DT, SUBSTEPS, drawn_trials, walls
from testcases.attractor.observe import add_noise, bump_tuning
from testcases.attractor.systems import integrate

OPEN = (0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
N_CLOSED = 4
SHARPNESS = 4.0
SIGNAL_TO_NOISE = 1000.0


def generate(rng: np.random.Generator, protocol: str, quick: bool) -> Generated:
    """Arcs of growing parts of the circle, and the circle several times."""
    n_trials, n_steps, most_units = (8, 40, 24) if quick else (12, 60, 28)
    rows = [(f"alpha={alpha:g}", "open", alpha) for alpha in OPEN]
    rows += [(f"ring {i}", "closed", 1.0) for i in range(1, N_CLOSED + 1)]
    truth = pd.DataFrame(rows, columns=["name", "label", "alpha"]).set_index("name")
    trials, sets = drawn_trials(n_trials, n_steps, rng), {}
    n_units = most_units - rng.permutation(len(truth))
    for (name, row), n in zip(truth.iterrows(), n_units, strict=True):
        if protocol == "independent":
            trials = drawn_trials(n_trials, n_steps, rng)
        start, velocity = trials
        flow = walls(np.pi) if row["label"] == "open" else np.zeros_like
        places = integrate(flow, start, n_steps, DT, SUBSTEPS, drive=velocity)
        seen = bump_tuning(rng, n, SHARPNESS)(row["alpha"] * places[..., 0])
        sets[name] = as_activations(add_noise(seen, SIGNAL_TO_NOISE, rng), dt=DT)
    return sets, truth


CASE = TestCase(
    name="attractor/topology",
    question="Do distances jump where a line closes into a ring?",
    generate=generate,
    rule=SEPARATION,
    axis="topology",
)
