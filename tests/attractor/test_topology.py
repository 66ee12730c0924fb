import functools

import numpy as np
from test_deformation import seen_angles

import repsim
from testcases.attractor import topology

make = functools.cache(topology.CASE.make)


def test_open_arcs_are_one_system_at_several_sizes(monkeypatch):
    shown, truth = seen_angles(monkeypatch, topology, "controlled")
    places = [angles / alpha for (angles, _), alpha in zip(shown, truth["alpha"], strict=True)]
    n_open = len(topology.OPEN)
    for place in places[1:n_open]:
        np.testing.assert_allclose(place, places[0], atol=1e-12)
    for place in places[n_open + 1 :]:
        np.testing.assert_array_equal(place, places[n_open])
    assert np.abs(places[0]).max() < np.pi + 0.5
    assert np.abs(places[-1]).max() > 1.5 * np.pi
    inside = np.abs(places[-1]).max(axis=1) < np.pi
    np.testing.assert_allclose(places[0][inside], places[-1][inside], atol=1e-9)
    assert 0 < inside.sum() < len(inside)
    independent, _ = seen_angles(monkeypatch, topology, "independent")
    assert len({angles.tobytes() for angles, _ in independent}) == len(independent)


def test_ends_of_an_open_arc_are_apart_and_of_the_closed_one_together():
    see = topology.bump_tuning(np.random.default_rng(0), 20, topology.SHARPNESS)
    ends = np.array([-np.pi, np.pi])
    gaps = [np.linalg.norm(np.diff(see(alpha * ends), axis=0)) for alpha in (*topology.OPEN, 1.0)]
    assert all(gap > 0.2 for gap in gaps[:-1])
    assert gaps[-1] < 1e-9


def scores(metric, protocol, n_seeds):
    rows = []
    for seed in range(n_seeds):
        sets, truth = make(seed, protocol)
        rows.append(topology.CASE.judge(repsim.compare(sets, metric), truth))
    return rows


def test_closure_is_seen_by_a_spectrum_of_few_modes():
    assert np.mean(scores("dsa_spectrum(delays=3, rank=6)", "controlled", 3)) > 0.9
    assert np.mean(scores("dsa_spectrum(delays=3, rank=6)", "independent", 4)) > 0.7


def test_distances_jump_at_closure():
    """From the last open arc it is farther to the ring than to the smallest arc."""
    jumps, slopes = [], []
    for seed in range(4):
        sets, _ = topology.CASE.make(seed, "controlled")
        found = repsim.compare(sets, "dsa_spectrum(delays=3, rank=6)").values
        last = len(topology.OPEN) - 1
        jumps.append(found[last, last + 1 :].mean())
        slopes.append(found[last, :last].mean())
    assert np.mean(jumps) > 1.5 * np.mean(slopes)


def test_matched_drive_gives_closure_away():
    assert np.mean(scores("linear_cka", "controlled", 3)) > 0.95
