import functools

import numpy as np
import pytest

import repsim
from repsim.ranking import control_verdict
from testcases.attractor import deformation
from testcases.attractor.systems import integrate

make = functools.cache(deformation.CASE.make)


def seen_angles(monkeypatch, module, protocol):
    """The angles that the units of every set are shown, and the sharpness they have."""
    shown = []

    def spy(rng, n_units, sharpness):
        def see(angles):
            shown.append((angles, sharpness))
            return np.cos(angles[..., None] - np.arange(n_units))

        return see

    monkeypatch.setattr(module, "bump_tuning", spy)
    _, truth = module.CASE.make(0, protocol)
    return shown, truth


def test_only_the_embedding_is_deformed(monkeypatch):
    shown, truth = seen_angles(monkeypatch, deformation, "controlled")
    assert [sharpness for _, sharpness in shown] == list(deformation.SHARPNESS) * 3
    for kind in deformation.FLOWS:
        ours = [
            angles
            for (angles, _), label in zip(shown, truth["label"], strict=True)
            if label == kind
        ]
        assert len(ours) == len(deformation.SHARPNESS)
        for angles in ours[1:]:
            np.testing.assert_array_equal(angles, ours[0])
    starts = np.array([angles[:, 0] for angles, _ in shown])
    assert (starts == starts[0]).all()
    independent, _ = seen_angles(monkeypatch, deformation, "independent")
    assert len({angles.tobytes() for angles, _ in independent}) == len(independent)


def test_a_ring_goes_round_a_line_ends_and_a_point_returns():
    rng = np.random.default_rng(0)
    start, velocity = deformation.drawn_trials(200, 60, rng)
    ran = {
        kind: integrate(flow, start, 60, deformation.DT, deformation.SUBSTEPS, drive=velocity)
        for kind, flow in deformation.FLOWS.items()
    }
    np.testing.assert_allclose(
        ran["ring"][:, 1:], start[:, None] + velocity[:, :-1].cumsum(1) * deformation.DT, atol=1e-9
    )
    assert np.abs(ran["ring"]).max() > 2 * np.pi
    fastest = np.abs(velocity).max()
    assert np.abs(ran["line"]).max() < deformation.WALL + fastest / deformation.STIFFNESS
    assert (np.abs(ran["line"]) > deformation.WALL).mean() > 0.05
    still = integrate(deformation.FLOWS["point"], start, 100, deformation.DT)
    np.testing.assert_allclose(still[:, -1], 0, atol=1e-3)
    held = integrate(deformation.FLOWS["line"], start, 100, deformation.DT)
    np.testing.assert_array_equal(held[:, -1], start)


def test_the_velocity_wanders_as_told():
    _, velocity = deformation.drawn_trials(4000, 20, np.random.default_rng(0))
    np.testing.assert_allclose(velocity.std(0), deformation.SPEED, rtol=0.06)
    lagged = np.corrcoef(velocity[:, 0, 0], velocity[:, 5, 0])[0, 1]
    assert lagged == pytest.approx(np.exp(-5 * deformation.DT / deformation.MEMORY), abs=0.04)


def scores(metric, protocol, n_seeds, quick=True):
    rows = []
    for seed in range(n_seeds):
        sets, truth = make(seed, protocol, quick)
        rows.append(deformation.CASE.judge(repsim.compare(sets, metric), truth))
    return rows


@pytest.mark.parametrize(
    ("metric", "protocol"),
    [("dsa", "controlled"), ("dsa_spectrum", "controlled"), ("dsa_spectrum", "independent")],
)
def test_operators_of_high_rank_take_deformation_for_dynamics(metric, protocol):
    assert metric in deformation.CASE.defeats
    assert scores(metric, protocol, 1)[0] < 0.48


def test_matched_drive_gives_the_attractor_away_and_own_drive_does_not():
    assert np.mean(scores("linear_cka", "controlled", 3)) > 0.95
    assert control_verdict(scores("linear_cka", "independent", 12), 0.5) == "agrees"


@pytest.mark.parametrize(("protocol", "least"), [("controlled", 0.9), ("independent", 0.65)])
def test_an_operator_of_the_circle_alone_knows_the_attractor(protocol, least):
    assert np.mean(scores("dsa_spectrum(delays=1, rank=2)", protocol, 6, quick=False)) > least
