import itertools

import numpy as np
import pytest

from repsim.testcase import fingerprint_sets
from testcases.attractor import lorenz_regimes as regimes
from testcases.attractor.systems import euler, integrate, lorenz, runge_kutta

START = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, 20.0]])
R_VALUES = [r for values in regimes.REGIMES.values() for r in values]


def recorded(monkeypatch, protocol, quick=True):
    """Starting points and methods of all runs while the case is made."""
    calls = []

    def spy(flow, start, n_steps, dt, *, method):
        calls.append((start.copy(), n_steps, dt, method))
        return integrate(flow, start, n_steps, dt, method=method)

    monkeypatch.setattr(regimes, "integrate", spy)
    regimes.CASE.make(0, protocol, quick)
    assert len(calls) == len(R_VALUES)
    return calls


def test_controlled_sets_share_their_starting_points(monkeypatch):
    calls = recorded(monkeypatch, "controlled")
    assert all(np.array_equal(start, calls[0][0]) for start, *_ in calls)
    assert all(method is runge_kutta for *_, method in calls)


def test_independent_sets_start_anew_in_the_same_box(monkeypatch):
    starts = [start for start, *_ in recorded(monkeypatch, "independent")]
    for a, b in itertools.combinations(starts, 2):
        assert not np.isin(a, b).any()
    assert np.abs(np.concatenate(starts)).max(0) == pytest.approx([10, 10, 20], rel=0.1)


def test_published_sets_start_anew_in_the_unit_cube(monkeypatch):
    calls = recorded(monkeypatch, "published", quick=False)
    for (a, *_), (b, *_) in itertools.combinations(calls, 2):
        assert not np.isin(a, b).any()
    for start, *settings in calls:
        assert start.shape == (200, 3)
        assert start.min() >= 0
        assert start.max() <= 1
        assert settings == [200, 0.01, euler]


def test_published_trajectories_are_scaled_one_by_one():
    for one in regimes.CASE.make(0, "published", True)[0].values():
        assert one.shape == (50, 200, 3)
        np.testing.assert_array_equal(one.min(("time", "unit")), 0)
        np.testing.assert_array_equal(one.max(("time", "unit")), 1)


def test_sets_without_noise_are_functions_of_the_states(monkeypatch):
    monkeypatch.setattr(regimes, "SIGNAL_TO_NOISE", np.inf)
    states = np.random.default_rng(0).standard_normal((4, 5, 3))
    states[2] = states[0]
    first, other = (regimes.seen(states, 11, np.random.default_rng(seed)) for seed in (1, 2))
    assert first.shape == (4, 5, 11)
    np.testing.assert_array_equal(first[2], first[0])
    assert (first[1] != first[0]).all()
    assert abs(first).max() <= 1
    assert (other != first).all()


@pytest.mark.parametrize(
    ("regime", "r"), [(regime, r) for regime, values in regimes.REGIMES.items() for r in values]
)
def test_regimes_are_what_they_are_called(regime, r):
    mirrored = START[:1] * [[1, 1, 1], [-1, -1, 1]]
    states = integrate(lorenz(r).flow, mirrored, 5000, 0.01)[:, -500:]
    motion, spread = states.std(1).max(), states.mean(1).std(0).max()
    assert (motion > 1) == (regime == "chaos")
    assert (spread < 0.1) == (regime == "fixed point")


@pytest.mark.parametrize("protocol", ["controlled", "published"])
def test_one_small_set_by_hand(protocol):
    """The first set of seed 0, rebuilt without the module's own functions."""
    rng = regimes.CASE.rng(0)
    if protocol == "published":
        state = rng.random((50, 3))
        states = [state]
        for _ in range(199):
            x, y, z = state.T
            velocity = [10 * (y - x), x * (0.25 - z) - y, x * y - 2.667 * z]
            state = state + 0.01 * np.stack(velocity, axis=1)
            states.append(state)
        states = np.stack(states, axis=1)
        low, high = states.min((1, 2), keepdims=True), states.max((1, 2), keepdims=True)
        expected = (states - low) / (high - low)
    else:
        start = rng.uniform([-10, -10, 0], [10, 10, 20], (10, 3))
        n_units = 20 - rng.permutation(9)[0]
        states = integrate(lorenz(0.25).flow, start, 80, 0.02)
        states = (states - states.mean((0, 1))) / states.std((0, 1))
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        stretch = np.exp(rng.uniform(-np.log(4), np.log(4), 3))
        weights = rng.standard_normal((3, n_units)) / 3**0.5
        clean = np.cos(states @ (turn * stretch) @ weights + rng.uniform(0, 2 * np.pi, n_units))
        expected = clean + 0.02 * clean.std((0, 1)) * rng.standard_normal(clean.shape)
    found = regimes.CASE.make(0, protocol, True)[0]["r=0.25"].values
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_protocols_differ():
    prints = [fingerprint_sets(regimes.CASE.make(0, p, True)[0]) for p in regimes.CASE.protocols]
    assert len(set(prints)) == 3
