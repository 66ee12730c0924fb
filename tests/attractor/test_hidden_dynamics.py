import functools

import numpy as np
import pytest

import repsim
from repsim.ranking import control_verdict
from testcases.attractor import hidden_dynamics as hidden

make = functools.cache(hidden.CASE.make)

KINDS = ("bistable", "line", "point")
N_STEPS = 40


@pytest.fixture(scope="module")
def path_and_spread():
    return hidden.reference(N_STEPS, np.random.default_rng(0))


@pytest.fixture(scope="module")
def ensembles(path_and_spread):
    """Trials of each kind about their average, (trial, time, 2)."""
    path, spread = path_and_spread
    rng = np.random.default_rng(1)
    return {k: hidden.kept_on(path, *hidden.drawn(k, spread, N_STEPS, rng), rng) for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_averages_coincide_and_trials_spread_alike(kind, ensembles, path_and_spread):
    path, spread = path_and_spread
    np.testing.assert_allclose(ensembles[kind].mean(0), path, atol=1e-12)
    found = hidden.spread_about_average(ensembles[kind])
    np.testing.assert_allclose(found, spread, rtol=0.3 if kind == "bistable" else 0.12)


def test_the_path_goes_to_a_well_of_the_bistable_system(path_and_spread):
    path, _ = path_and_spread
    assert path.shape == (N_STEPS, 2)
    assert 0.5 < path[-1, 0] < 1  # some trials fall into the other well
    assert path[-1, 1] == pytest.approx(hidden.INPUT / 3.5, rel=0.1)


def test_a_trial_off_the_average_settles_stays_or_returns(ensembles):
    left = {kind: states - states.mean(0) for kind, states in ensembles.items()}
    ten = {k: np.corrcoef(one[:, 20, 0], one[:, 30, 0])[0, 1] for k, one in left.items()}
    assert ten["line"] == pytest.approx((20 / 30) ** 0.5, abs=0.06)  # a Brownian motion
    assert ten["point"] == pytest.approx(np.exp(-4.5 * 10 * hidden.DT), abs=0.15)
    growth = left["line"][..., 0].var(0)
    assert growth[-1] / growth[10] == pytest.approx((N_STEPS - 1) / 10, rel=0.3)
    x = ensembles["bistable"][..., 0]
    assert (np.abs(x[:, -1]) > 0.5).mean() > 0.95
    assert (np.sign(x[:, 25]) == np.sign(x[:, -1])).mean() > 0.95


def test_conditions_are_balanced_and_mirrored(monkeypatch):
    monkeypatch.setattr(hidden, "SIGNAL_TO_NOISE", np.inf)
    signs = {}
    for protocol in hidden.CASE.protocols:
        sets, _ = hidden.CASE.make(0, protocol)
        ends = [one.values[:, -1] @ one.values[0, -1] > 0 for one in sets.values()]
        signs[protocol] = np.array(ends)
    alike = {name: (one == one[0]).mean() for name, one in signs.items()}
    assert alike["controlled"] > 0.85  # but for trials in the other well
    assert alike["independent"] < 0.75
    drawn = [hidden.conditions(20, np.random.default_rng(seed)) for seed in range(2)]
    assert all(one.sum() == 0 for one in drawn)
    assert (drawn[0] != drawn[1]).any()


def scores(metric, protocol, n_seeds):
    rows = []
    for seed in range(n_seeds):
        sets, truth = make(seed, protocol, True)
        rows.append(hidden.CASE.judge(repsim.compare(sets, metric), truth))
    return rows


@pytest.mark.parametrize("metric", hidden.CASE.defeats)
def test_geometry_is_at_chance_and_hardly_above_it_in_trials_of_its_own(metric):
    assert control_verdict(scores(metric, "controlled", 16), 0.5) == "agrees"
    assert np.mean(scores(metric, "independent", 16)) < 0.6


@pytest.mark.parametrize("protocol", hidden.CASE.protocols)
def test_dynamics_are_seen(protocol):
    assert np.mean(scores("dsa_spectrum(delays=1, rank=2)", protocol, 5)) > 0.75
