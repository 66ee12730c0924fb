"""Metrics whose answer is known beforehand land where they must on the rows and on the board.

noise_power      reads the roughness of a recording and nothing else
cloud_spectrum   reads the spectrum of the cloud of states: blind to time and to correspondence
true_parameters  is told the truth of each set through a side door that the test opens
"""

import dataclasses

import numpy as np
import pytest

import repsim
from repsim.ranking import rank
from testcases.attractor import mixing, motifs, noise

CASES = (noise.OBSERVATION, noise.PROCESS, mixing.CASE, motifs.ANY_ORDER, motifs.IN_ORDER)
N_SEEDS = 6


def noise_power(x, y):
    roughness = [np.diff(one, n=3, axis=1).var() / one.var() for one in (x, y)]
    return abs(np.log(roughness[0] / roughness[1]))


def cloud_spectrum(x, y):
    spectra = np.zeros((2, 30))
    for i, one in enumerate((x, y)):
        values = np.linalg.eigvalsh(np.cov(one.reshape(-1, one.shape[-1]).T))[::-1]
        spectra[i, : len(values)] = values / values.sum()
    return np.linalg.norm(spectra[0] - spectra[1])


def told_the_truth(case):
    """The case, unchanged, and a metric that looks up by its bytes which set it was given."""
    known = {}

    def generate(rng, protocol, quick):
        sets, truth = case.generate(rng, protocol, quick)
        ideal = case.rule.ideal(truth)
        for i, one in enumerate(sets.values()):
            known[np.ascontiguousarray(one.values).tobytes()] = (i, ideal)
        return sets, truth

    def true_parameters(x, y):
        (i, ideal), (j, _) = (known[np.ascontiguousarray(one).tobytes()] for one in (x, y))
        return 0.0 if np.isnan(ideal[i, j]) else ideal[i, j]

    return dataclasses.replace(case, generate=generate), true_parameters


@pytest.fixture(scope="module")
def rows():
    """Rows of the planted metrics, CKA and the controls, quick size."""
    found = []
    for case in CASES:
        told, true_parameters = told_the_truth(case)
        planted = [
            repsim.metric(f, view="trajectories")
            for f in (noise_power, cloud_spectrum, true_parameters)
        ]
        metrics = [*planted, "linear_cka", "oracle"]
        found += repsim.evaluate(metrics, told, seeds=N_SEEDS, quick=True)
    assert {row["status"] for row in found} == {"ok"}
    return found


def interval(rows, metric, case):
    """95% interval of the score over seeds, by the bootstrap of the board."""
    values = [r["value"] for r in rows if r["metric"] == metric and r["case"] == case.name]
    assert len(values) == N_SEEDS
    low, high = rank([np.array([values])]).score_interval
    return low[0], high[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_metric_that_is_told_the_truth_is_at_the_ceiling(rows, case):
    assert interval(rows, "true_parameters", case) == pytest.approx((1.0, 1.0))


def test_the_noise_reader_prefers_noise_to_signal(rows):
    assert interval(rows, "noise_power", mixing.CASE)[1] < 0.2


def test_the_noise_reader_falls_short_of_cka_under_noise_on_units(rows):
    cka, planted = (
        interval(rows, name, noise.OBSERVATION) for name in ("linear_cka", "noise_power")
    )
    assert planted[1] < cka[0]


@pytest.mark.parametrize("planted", ["noise_power", "cloud_spectrum"])
def test_neither_reader_knows_where_motifs_stand(rows, planted):
    low, high = interval(rows, planted, motifs.IN_ORDER)
    assert low < 0.5
    assert high < interval(rows, "linear_cka", motifs.IN_ORDER)[0]


def test_the_geometry_reader_cannot_tell_signal_from_noise_of_equal_energy(rows):
    """At chance: above the reader of noise, below the truth."""
    low, high = interval(rows, "cloud_spectrum", mixing.CASE)
    assert interval(rows, "noise_power", mixing.CASE)[1] < low < 0.5 < high < 1


def test_the_geometry_reader_is_blind_to_order_in_time():
    sets, _ = noise.PROCESS.make(0, quick=True)
    x, y = (one.values for one in list(sets.values())[:2])
    shuffled = np.random.default_rng(0).permutation(x, axis=1)
    assert cloud_spectrum(shuffled, y) == pytest.approx(cloud_spectrum(x, y), rel=1e-9)
    assert noise_power(shuffled, y) > 10 * noise_power(x, y)


def test_the_board_puts_truth_first_and_controls_in_their_place(rows):
    board = repsim.Leaderboard(rows, size="quick")
    assert board.broken == {}
    table = board.table.set_index("metric")
    assert table["rank"].idxmin() == "true_parameters"
    assert table["rank"]["true_parameters"] == 1
    assert (table["rank"].drop("true_parameters") > 1).all()
    others = table.drop("true_parameters")
    assert table["score"]["true_parameters"] == pytest.approx(1)
    assert (others["score_high"] < 1).all()
    assert others["score"].idxmax() == "linear_cka"
