"""Controls that are one simple statistic of a set: closed forms, and what they cannot see."""

import numpy as np
import pytest
from scipy.stats import chi

from repsim.errors import InputError
from repsim.plugins import get_metric

relative_speed, radial_profile = map(get_metric, ("relative_speed", "radial_profile"))


@pytest.mark.parametrize(("first", "second"), [(0.9, 0.5), (0.2, -0.6), (0.7, 0.7)])
def test_relative_speed_of_autoregressive_noise(first, second):
    """x' = a x + noise of variance 1 - a^2 has steps of variance 2 (1 - a)."""
    rng = np.random.default_rng(0)

    def series(a):
        states = [rng.standard_normal((60, 5))]
        for _ in range(400):
            noise = (1 - a**2) ** 0.5 * rng.standard_normal((60, 5))
            states.append(a * states[-1] + noise)
        return np.stack(states, axis=1)

    expected = abs(np.log((1 - first) / (1 - second)))
    assert relative_speed(series(first), series(second)) == pytest.approx(expected, abs=0.03)


def test_radial_profile_of_a_shell_and_a_gaussian():
    """All radii are 1 on a shell; those of a Gaussian have the chi distribution."""
    rng = np.random.default_rng(0)
    cloud = rng.standard_normal((50, 400, 3))
    shell = cloud / np.linalg.norm(cloud, axis=-1, keepdims=True)
    per_cent = (np.arange(100) + 0.5) / 100
    expected = np.abs(chi.ppf(per_cent, 3) / chi.mean(3) - 1).mean()
    assert radial_profile(shell, cloud) == pytest.approx(expected, abs=0.01)


def test_neither_needs_common_trials_units_or_steps_and_one_needs_no_time():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((6, 30, 4)).cumsum(axis=1), rng.standard_normal((9, 21, 7))
    for metric in (relative_speed, radial_profile):
        assert metric(x, y) > 0
        assert metric(x, x[::-1]) < 1e-12
    mixed = x[:, rng.permutation(30)]
    assert radial_profile(x, mixed) < 1e-12
    assert relative_speed(x, mixed) > 0.1


def test_what_never_moves_is_refused():
    still = np.ones((3, 8, 2))
    moving = np.random.default_rng(2).standard_normal((3, 8, 2))
    with pytest.raises(InputError, match="the trajectories never move"):
        relative_speed(moving, still)
    with pytest.raises(InputError, match="all samples are equal"):
        radial_profile(moving, still)
