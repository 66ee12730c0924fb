import itertools

import numpy as np
import pandas as pd
import pytest

import repsim
from testcases.attractor import motifs

TRUTH = pd.DataFrame(
    [("a", "b", "c"), ("c", "a", "b"), ("a", "b", "d"), ("d", "e", "a")],
    columns=["first", "second", "third"],
)


def test_motifs_not_shared_by_hand():
    expected = [[0, 0, 1, 2], [0, 0, 1, 2], [1, 1, 0, 1], [2, 2, 1, 0]]
    np.testing.assert_array_equal(motifs.not_shared(TRUTH), expected)


def test_places_that_differ_by_hand():
    expected = [[0, 3, 1, 3], [3, 0, 3, 3], [1, 3, 0, 3], [3, 3, 3, 0]]
    np.testing.assert_array_equal(motifs.not_in_place(TRUTH), expected)


def test_motifs_are_attached_where_the_last_one_ended():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 4, 5, 3))
    whole = motifs.attached([first, second], pause=0.5)
    np.testing.assert_array_equal(whole[:, :5], first)
    np.testing.assert_allclose(np.diff(whole[:, 5:], axis=1), np.diff(second, axis=1))
    np.testing.assert_allclose(whole[:, 5] - whole[:, 4], 0.5 * (first[:, 4] - first[:, 3]))


@pytest.mark.parametrize("case", [motifs.ANY_ORDER, motifs.IN_ORDER], ids=lambda case: case.name)
@pytest.mark.parametrize("protocol", ["controlled", "independent"])
def test_sets_hold_three_of_five_motifs_each_in_an_order_of_its_own(case, protocol):
    sets, truth = case.make(0, protocol)
    triples = truth[["first", "second", "third"]].to_numpy()
    assert len({tuple(triple) for triple in triples}) == len(sets) == motifs.N_TRIPLES
    assert set(triples.ravel()) <= set(motifs.MOTIFS)
    assert all(len(set(triple)) == 3 for triple in triples)
    assert len({one.sizes["unit"] for one in sets.values()}) == len(sets)


def thirds(x):
    return np.split(x, 3, axis=1)


def unexplained(x, y):
    """Part of y's way from its first step that no linear map of x's way explains, both ways."""
    x, y = ((one - one[:, :1]).reshape(-1, one.shape[-1]) for one in (x, y))
    lost = [
        np.linalg.norm(b - a @ np.linalg.lstsq(a, b, rcond=1e-3)[0]) / np.linalg.norm(b)
        for a, b in ((x, y), (y, x))
    ]
    return sum(lost) / 2


def in_place(x, y):
    return np.mean([unexplained(a, b) for a, b in zip(thirds(x), thirds(y), strict=True)])


def in_any_place(x, y):
    cost = np.array([[unexplained(a, b) for b in thirds(y)] for a in thirds(x)])
    return min(np.mean(cost[range(3), order]) for order in itertools.permutations(range(3)))


@pytest.mark.parametrize(
    ("case", "answer", "other"),
    [
        (motifs.ANY_ORDER, in_any_place, in_place),
        (motifs.IN_ORDER, in_place, in_any_place),
    ],
    ids=["any order", "in order"],
)
def test_a_metric_that_knows_where_motifs_begin_answers(case, answer, other):
    metrics = [repsim.metric(f, view="trajectories") for f in (answer, other)]
    rows = repsim.evaluate(metrics, case, seeds=5, quick=True)
    right, wrong = (
        np.mean([row["value"] for row in rows if row["id"] == metric.id]) for metric in metrics
    )
    assert right > 0.9
    assert right > wrong + 0.1


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param(m, marks=pytest.mark.slow if m == "dsa" else ())
        for m in motifs.IN_ORDER.defeats
    ],
)
def test_who_is_expected_to_fail_at_order_does(metric):
    """At chance, within three standard errors, or below."""
    rows = repsim.evaluate(
        [metric], motifs.IN_ORDER, seeds=8 if metric == "dsa" else 20, quick=True
    )
    values = np.array([row["value"] for row in rows])
    assert values.mean() < 0.5 + 3 * values.std(ddof=1) / len(values) ** 0.5
    assert values.mean() < 0.65


def test_published_lines_shrink_to_a_stand_as_the_authors_loop_makes_them():
    rng, by_hand = np.random.default_rng(5), np.random.default_rng(5)
    lines = motifs.standing_lines(rng, 30)
    factors, flipped = by_hand.standard_normal(30), by_hand.integers(1, 3, 30)
    starts = by_hand.random((30, 3))
    direction = np.full(3, 1e-4)
    for k in range(30):
        for axis in range(3):
            direction[axis] *= factors[k] if axis != flipped[k] else -factors[k]
        points = [starts[k]]
        for step in range(199):
            points.append(points[-1] + step * factors[k] * direction)
        points = np.array(points)
        points = (points - points.min()) / (points.max() - points.min())
        np.testing.assert_allclose(lines[k], points, atol=1e-9)


def test_nine_published_lines_in_ten_stand_still():
    lines = np.concatenate([motifs.standing_lines(np.random.default_rng(s), 200) for s in range(5)])
    moving = np.ptp(lines, axis=1).max(-1) > 1e-3
    assert 0.02 < moving.mean() < 0.2


def test_published_sets_are_all_triples_at_every_third_step():
    sets, truth = motifs.ANY_ORDER.make(0, "published", quick=True)
    assert len(sets) == 60
    assert {one.shape for one in sets.values()} == {(20, 200, 3)}
    assert np.bincount(motifs.not_shared(truth)[0].astype(int)).tolist() == [6, 36, 18]
    for one in sets.values():
        np.testing.assert_array_equal(one.min(("time", "unit")), 0)
        np.testing.assert_array_equal(one.max(("time", "unit")), 1)
