import functools

import numpy as np
import pytest
from scipy.stats import kstest

import repsim
from repsim.ranking import control_verdict
from testcases.attractor import conjugacy

make = functools.cache(conjugacy.CASE.make)


def test_flows_share_their_speed_and_no_two_are_conjugate():
    """Rotation vectors are conjugate only by an invertible matrix of whole numbers."""
    vectors = [conjugacy.velocity(a) for a in conjugacy.DIRECTIONS]
    np.testing.assert_allclose([np.linalg.norm(v) for v in vectors], conjugacy.SPEED)
    small = np.array([(i, j) for i in range(-3, 4) for j in range(-3, 4)])
    for i, first in enumerate(vectors):
        for second in vectors[i + 1 :]:
            reachable = small @ first
            assert np.abs(reachable[:, None] - second).min(0).max() > 0.02


def test_every_flow_fills_the_torus_evenly():
    rng = np.random.default_rng(0)
    for direction in conjugacy.DIRECTIONS:
        turned = conjugacy.DT * np.arange(30)[:, None] * conjugacy.velocity(direction)
        angles = (conjugacy.drawn_trials(2000, 30, rng) + turned)[:, -1] % (2 * np.pi)
        for one in (*angles.T, (angles[:, 0] - angles[:, 1]) % (2 * np.pi)):
            assert kstest(one, "uniform", (0, 2 * np.pi)).pvalue > 1e-3


def test_phases_turn_and_diffuse_as_told():
    rng, lag = np.random.default_rng(0), 3
    wandering = conjugacy.drawn_trials(2000, 10, rng)
    turned = conjugacy.DT * np.arange(10)[:, None] * conjugacy.velocity(25.0)
    moved = np.diff((wandering + turned)[:, ::lag], axis=1)
    decay = np.exp(-conjugacy.DIFFUSION * lag * conjugacy.DT)
    expected = decay * np.cos(conjugacy.velocity(25.0) * lag * conjugacy.DT)
    np.testing.assert_allclose(np.cos(moved).mean((0, 1)), expected, atol=0.03)


def test_states_are_of_unit_variance():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (20000, 2))
    np.testing.assert_allclose(np.cov(conjugacy.on_torus(angles).T), np.eye(4), atol=0.03)


def test_matched_sets_share_their_phases_and_every_set_has_its_own_map(monkeypatch):
    drawn = []
    draw = conjugacy.drawn_trials
    monkeypatch.setattr(
        conjugacy, "drawn_trials", lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1]
    )
    sets, _ = conjugacy.CASE.make(0, "controlled", True)
    assert len(drawn) == 1
    first, second = list(sets.values())[:2]
    n = min(first.sizes["unit"], second.sizes["unit"])
    assert not np.allclose(first.values[..., :n], second.values[..., :n], atol=0.5)
    conjugacy.CASE.make(0, "independent", True)
    assert len({one.tobytes() for one in drawn[2:]}) == len(sets)


def scores(metric, protocol, n_seeds, quick=True):
    rows = []
    for seed in range(n_seeds):
        sets, truth = make(seed, protocol, quick)
        rows.append(conjugacy.CASE.judge(repsim.compare(sets, metric), truth))
    return rows


@pytest.mark.parametrize("metric", ["linear_cka", "angular_procrustes"])
def test_geometry_is_at_chance_with_trials_of_its_own(metric):
    assert control_verdict(scores(metric, "independent", 30), 0.5) == "agrees"


def test_geometry_is_told_by_matched_phases():
    assert np.mean(scores("linear_cka", "controlled", 3)) > 0.95


@pytest.mark.parametrize("protocol", conjugacy.CASE.protocols)
def test_the_flow_is_seen_through_the_maps(protocol):
    metric = "dsa_spectrum(delays=2, rank=8)"
    assert np.mean(scores(metric, protocol, 5, quick=False)) > 0.8
