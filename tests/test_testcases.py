import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

import repsim
from repsim.errors import RepsimError
from repsim.ranking import control_verdict
from repsim.rules import SEPARATION, blocks
from repsim.run import Cell, Setting
from repsim.testcase import fingerprint_sets
from testcases.attractor import lorenz_regimes as lorenz

CASES = [case for suite in repsim.SUITES for case in repsim.SUITES[suite]]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_protocol = pytest.mark.parametrize(
    ("case", "protocol"), [(c, p) for c in CASES for p in c.protocols], ids=str
)
each_ranked = pytest.mark.parametrize(
    ("case", "protocol"),
    [(c, p) for c in CASES for p in c.protocols if p != "published"],
    ids=lambda value: getattr(value, "name", value),
)
START = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, 20.0]])


def control_value(case, protocol, name, seed):
    return Cell(Setting(case, seed, protocol, quick=True)).score(repsim.METRICS[name])["value"]


@each_protocol
def test_a_seed_gives_the_same_bits_every_time(case, protocol):
    prints = [fingerprint_sets(case.make(seed, protocol, True)[0]) for seed in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]


@each_case
def test_a_seed_gives_the_same_bits_in_another_process(case):
    code = (
        "import repsim; from repsim.testcase import fingerprint_sets\n"
        f"case = [c for c in repsim.SUITES[{case.suite!r}] if c.name == {case.name!r}][0]\n"
        "print(fingerprint_sets(case.make(0, quick=True)[0]))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == fingerprint_sets(case.make(0, quick=True)[0])


@each_ranked
@pytest.mark.parametrize("quick", [True, False])
def test_trial_time_and_unit_counts_all_differ(case, protocol, quick):
    sets, truth = case.make(0, protocol, quick)
    assert list(sets) == list(truth.index)
    shapes = [one.shape for one in sets.values()]
    assert all(len(set(shape)) == 3 for shape in shapes)
    for members in blocks(truth).values():
        assert len({shapes[i][:2] for i in members}) == 1  # trials can be matched


@each_case
def test_sets_are_activations_with_a_time_axis(case):
    for one in case.make(0, quick=True)[0].values():
        assert one.dims == ("trial", "time", "unit")
        assert np.isfinite(one).all()
        assert (np.diff(one.time) > 0).all()


@each_ranked
def test_the_oracle_is_at_the_ceiling_and_the_constant_at_chance(case, protocol):
    for seed in range(3):
        oracle, constant = (control_value(case, protocol, m, seed) for m in ("oracle", "constant"))
        assert oracle == case.rule.ceiling == case.controls["oracle"]
        assert constant == case.rule.chance == case.controls["constant"]


@each_ranked
def test_random_distances_score_chance(case, protocol):
    values = [control_value(case, protocol, "random", seed) for seed in range(20)]
    assert len(set(values)) > 10
    assert control_verdict(values, case.rule.chance) == "agrees"


@each_case
def test_a_case_states_its_facts(case):
    assert not case.__test__
    assert case.question.endswith("?")
    assert case.suite in repsim.SUITES
    assert case.version >= 1
    with pytest.raises(RepsimError, match="no protocol 'guessed'"):
        case.make(0, "guessed")


def test_a_case_whose_truth_does_not_fit_is_refused():
    truth = pd.DataFrame({"label": [0, 1]}, index=["a", "c"])
    sets = dict.fromkeys("ab", repsim.as_activations(np.ones((2, 3))))
    case = repsim.TestCase("a/b", "?", lambda *_: (sets, truth), SEPARATION, "test")
    with pytest.raises(RepsimError, match=r"sets \['a', 'b'\] and truth \['a', 'c'\] differ"):
        case.make(0)


def test_the_generator_depends_on_case_seed_and_purpose():
    case, other = CASES[0], repsim.TestCase("a/b", "?", None, SEPARATION, "test")
    drawn = [
        rng.random()
        for rng in (case.rng(0), case.rng(1), case.rng(0, "dsa"), other.rng(0), case.rng(0))
    ]
    assert drawn[0] == drawn[4]
    assert len(set(drawn)) == 4


def test_one_euler_step_by_hand():
    state, r, dt = np.array([[1.0, 2.0, 3.0]]), 7.0, 0.01
    by_hand = [[1 + dt * 10 * (2 - 1), 2 + dt * (1 * (7 - 3) - 2), 3 + dt * (1 * 2 - 2.667 * 3)]]
    np.testing.assert_allclose(lorenz.euler(state, r, dt), by_hand, rtol=1e-15)


def exact(r, times):
    """Trajectories from START by an adaptive solver, (trial, time, 3)."""
    return np.stack([
        solve_ivp(
            lambda t, s: lorenz.flow(s, r), (0, times[-1]), start, "DOP853", times,
            rtol=1e-12, atol=1e-12,
        ).y.T
        for start in START
    ])  # fmt: skip


@pytest.mark.parametrize("r", [0.5, 10.0, 40.0])
def test_runge_kutta_follows_an_adaptive_solver(r):
    states = lorenz.integrate(START, r, n_steps=51, dt=0.002, method=lorenz.runge_kutta)
    assert states.shape == (2, 51, 3)
    np.testing.assert_array_equal(states[:, 0], START)
    np.testing.assert_allclose(states, exact(r, np.arange(51) * 0.002), atol=1e-6)


@pytest.mark.parametrize(("method", "order"), [(lorenz.runge_kutta, 4), (lorenz.euler, 1)])
def test_the_order_of_convergence(method, order):
    end = exact(10.0, np.array([0.0, 0.16]))[:, -1]
    errors = [
        abs(lorenz.integrate(START, 10.0, round(0.16 / dt) + 1, dt, method)[:, -1] - end).max()
        for dt in (0.004, 0.002, 0.001)
    ]
    measured = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(measured, order, atol=0.3)


def recorded(monkeypatch, protocol, quick=True):
    """What integrate is called with while a case is made."""
    calls, integrate = [], lorenz.integrate

    def spy(start, r, **settings):
        calls.append((start.copy(), r, settings))
        return integrate(start, r, **settings)

    monkeypatch.setattr(lorenz, "integrate", spy)
    lorenz.CASE.make(0, protocol, quick)
    return calls


def test_controlled_sets_share_their_starting_points(monkeypatch):
    calls = recorded(monkeypatch, "controlled")
    assert [r for _, r, _ in calls] == [0.25, 0.5, 0.75, 5, 10, 15, 30, 40, 50]
    assert all(np.array_equal(start, calls[0][0]) for start, *_ in calls)
    assert all(settings["method"] is lorenz.runge_kutta for *_, settings in calls)


def test_published_sets_start_anew(monkeypatch):
    calls = recorded(monkeypatch, "published", quick=False)
    for (a, *_), (b, *_) in itertools.combinations(calls, 2):
        assert not np.isin(a, b).any()
    for start, _, settings in calls:
        assert start.shape == (200, 3)
        assert start.min() >= 0
        assert start.max() <= 1
        assert settings == {"n_steps": 200, "dt": 0.01, "method": lorenz.euler}


def test_published_trajectories_are_scaled_one_by_one():
    for one in lorenz.CASE.make(0, "published", True)[0].values():
        assert one.shape == (50, 200, 3)
        np.testing.assert_array_equal(one.min(("time", "unit")), 0)
        np.testing.assert_array_equal(one.max(("time", "unit")), 1)


def test_controlled_sets_without_noise_are_functions_of_the_shared_states(monkeypatch):
    monkeypatch.setattr(lorenz, "NOISE", 0.0)
    states = np.random.default_rng(0).standard_normal((4, 5, 3))
    states[2] = states[0]
    seen = lorenz.observe(states, 11, np.random.default_rng(1))
    assert seen.shape == (4, 5, 11)
    np.testing.assert_array_equal(seen[2], seen[0])
    assert (seen[1] != seen[0]).all()
    assert abs(seen).max() <= 1
    other = lorenz.observe(states, 11, np.random.default_rng(2))
    assert (other != seen).all()


def test_noise_is_private_and_as_large_as_told():
    states = np.random.default_rng(0).standard_normal((40, 50, 3))
    states[20:] = states[:20]
    seen = lorenz.observe(states, 8, np.random.default_rng(1))
    noise = (seen[:20] - seen[20:]) / 2**0.5 / seen.std((0, 1))
    np.testing.assert_allclose(noise.std((0, 1)), lorenz.NOISE, rtol=0.1)
    assert abs(np.corrcoef(noise.reshape(-1, 8).T) - np.eye(8)).max() < 0.15


@pytest.mark.parametrize(
    ("regime", "r"), [(regime, r) for regime, values in lorenz.REGIMES.items() for r in values]
)
def test_regimes_are_what_they_are_called(regime, r):
    mirrored = START[:1] * [[1, 1, 1], [-1, -1, 1]]
    states = lorenz.integrate(mirrored, r, 5000, 0.01, lorenz.runge_kutta)[:, -500:]
    motion, spread = states.std(1).max(), states.mean(1).std(0).max()
    assert (motion > 1) == (regime == "chaos")
    assert (spread < 0.1) == (regime == "fixed point")
