"""The published protocols give the published numbers, within their spread over seeds.

The paper's CKA and Procrustes are angles times 2 / pi. Its numbers are one draw, and so is each of
ours: the bound is three standard deviations of the difference of two seeds, from the spread
measured over six to ten, and half the last printed digit.
"""

import functools
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import repsim
from testcases.attractor import guilhot2024, lorenz_regimes, mixing, motifs

DOCS = str(Path(__file__).resolve().parents[2] / "docs")
METRICS = {"CKA": "linear_cka", "Procrustes": "angular_procrustes"}


@pytest.fixture(scope="module")
def docs():
    """The module that holds the paper's numbers and reads ours from rows."""
    sys.path.insert(0, DOCS)
    yield importlib.import_module("published_attractor")
    sys.path.remove(DOCS)


@functools.cache
def rows_of(case, quick):
    """One seed of both metrics."""
    rows = repsim.evaluate(METRICS.values(), case, seeds=[0], protocol="published", quick=quick)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    return rows


def found(docs, case, metric, quick=False):
    """Distances of one seed in the paper's units, with the truth."""
    own = [row for row in rows_of(case.name, quick) if row["id"] == METRICS[metric]]
    return next(docs.matrices(own, metric))


def assert_near(values, printed, spreads):
    for value, text, spread in zip(values, printed, spreads, strict=True):
        rounding = 0.5 * 10.0 ** -len(text.partition(".")[2])
        assert value == pytest.approx(float(text), abs=3 * 2**0.5 * spread + rounding)


def test_trajectories_are_euler_steps_each_scaled():
    rng, again = np.random.default_rng(0), np.random.default_rng(0)
    found = guilhot2024.lorenz_trajectories(10.0, 3, rng)
    assert found.shape == (3, guilhot2024.N_STEPS, 3)
    state = again.random((3, 3))[1]
    path = [state]
    for _ in range(199):
        x, y, z = state
        state = state + 0.01 * np.array([10 * (y - x), x * (10 - z) - y, x * y - 2.667 * z])
        path.append(state)
    path = np.array(path)
    np.testing.assert_allclose(found[1], (path - path.min()) / np.ptp(path), atol=1e-9)


@pytest.mark.parametrize(
    ("metric", "printed"), [("CKA", (".793", ".890")), ("Procrustes", (".675", ".778"))]
)
def test_case_a_regimes(docs, metric, printed):
    distances, truth = found(docs, lorenz_regimes.CASE, metric)
    same = truth["label"].to_numpy()[:, None] == truth["label"].to_numpy()
    off_diagonal = ~np.eye(len(truth), dtype=bool)
    values = distances[same & off_diagonal].mean(), distances[~same].mean()
    assert_near(values, printed, (0.004, 0.003))


SPREADS = {  # of one seed: 20 trajectories (quick), and 200
    ("CKA", "noise"): ((1.3e-4, 5e-5, 3e-5), (3.1e-5, 1.4e-5, 1.0e-5)),
    ("CKA", "signal"): ((3.7e-3, 3.4e-3, 1.8e-3), (1.2e-3, 1.2e-3, 8.6e-4)),
    ("Procrustes", "noise"): ((1.4e-4, 7e-5, 4e-5), (3.6e-5, 1.8e-5, 1.0e-5)),
    ("Procrustes", "signal"): ((2.2e-3, 2.5e-3, 2.0e-3), (1.1e-3, 8.6e-4, 5.9e-4)),
}


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("metric", METRICS)
def test_case_b_noise_and_mixtures(docs, metric, quick):
    """Levels, gap and R2; of noise gap and R2 only.

    One printed level of noise does not come out: CKA .0124 at level 2, where ten seeds give
    .01231 +- .00001. The printed levels have ratios 1.98 and 2.00, ours 2.000 and 2.000.
    """
    distances, truth = found(docs, mixing.CASE, metric, quick=quick)
    for label, printed in docs.CASE_B[metric].items():
        values = docs.level_means(distances, truth, label)
        spreads = SPREADS[metric, label][0 if quick else 1]
        if label == "signal":
            assert_near(values, printed[:3], spreads)
        assert_near([values[0] - values[-1]], printed[4:], spreads[:1])
        r2 = docs.straightness(values[None])[0]
        assert r2 == pytest.approx(float(printed[3]), abs=0.003)


def test_case_b_straightness_of_exact_proportionality(docs):
    """The paper's .964 is what a distance proportional to noise 4, 2, 1 gives on 1, 2, 3."""
    assert docs.straightness(np.array([[4.0, 2.0, 1.0]]))[0] == pytest.approx(27 / 28)
    assert docs.straightness(np.array([[3.0, 2.0, 1.0]]))[0] == pytest.approx(1)


@pytest.mark.parametrize("metric", METRICS)
def test_case_c_shared_motifs(docs, metric):
    distances, truth = found(docs, motifs.ANY_ORDER, metric)
    for order, printed in docs.CASE_C[metric].items():
        values = docs.shared_means(distances, truth, order)
        assert_near(values, printed, [0.004] * len(printed))
        assert (np.diff(values) < 0).all()


def test_case_c_does_not_come_out_with_lines_that_move(docs, monkeypatch):
    """So the standing lines are a fault of the published data, not of ours."""

    def moving(rng, n_trials):
        direction = rng.standard_normal((n_trials, 1, 3))
        time = np.arange(guilhot2024.N_STEPS)[:, None]
        return guilhot2024.scaled(rng.random((n_trials, 1, 3)) + 0.01 * time * direction)

    monkeypatch.setattr(motifs, "standing_lines", moving)
    rows = repsim.evaluate(
        [METRICS["Procrustes"]], motifs.ANY_ORDER, seeds=[0], protocol="published", quick=True
    )
    distances, truth = next(docs.matrices(rows, "Procrustes"))
    values = docs.shared_means(distances, truth, "any order")
    assert values[2] < float(docs.CASE_C["Procrustes"]["any order"][2]) - 0.03


def test_the_published_fits_of_case_c_are_ill_posed(docs):
    for claim, transitions in zip(docs.ill_posed(), (7, 23), strict=True):
        assert f"{transitions} transitions cannot determine a 50 x 50 operator" in claim.verdict
