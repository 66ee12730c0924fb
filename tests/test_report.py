import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats
from test_run import tiny_case

import repsim
from repsim.errors import RepsimError
from repsim.report import Report

SCORES = [0.9, 0.7, 0.8, 0.75]


def row(metric, seed, value, control=False, expected=None, reason=None):
    return {
        "id": metric, "metric": metric, "case": "tiny/a", "axis": "test", "seed": seed,
        "status": "failed" if value is None else "ok", "value": value, "reason": reason,
        "chance": 0.5, "ceiling": 1.0, "control": control, "expected": expected,
        "seconds_per_pair": 0.25 if value is not None else None,
    }  # fmt: skip


def rows_of(metric, values, **more):
    return [row(metric, seed, value, **more) for seed, value in enumerate(values)]


def card(values, *controls):
    return Report(rows_of("mine", values) + [one for rows in controls for one in rows], "mine")


def printed(report):
    text = io.StringIO()
    report.print(Console(file=text, width=200))
    return text.getvalue()


@repsim.metric(kind="similarity")
def decorated(x, y):
    return float(np.corrcoef(abs(x).sum(1), abs(y).sum(1))[0, 1])


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (lambda x, y: abs(x.std() - y.std()), "metric"),
        (decorated, "decorated"),
        ("procrustes", "procrustes"),
        ("rbf_cka(bandwidth=0.5)", "rbf_cka(bandwidth=0.5)"),
        (repsim.get_metric("linear_cka"), "linear_cka"),
        ("constant", "constant"),
    ],
)
def test_anything_that_compares_gets_a_card(metric, name):
    report = repsim.score(metric, tiny_case(), seeds=3)
    assert report.metric == name
    (summary,) = report.summary.to_dict("records")
    assert (summary["case"], summary["n_ok"], summary["n_seeds"]) == ("tiny/pairs", 3, 3)
    own = [one["value"] for one in report.rows if one["id"] == name]
    assert summary["score"] == pytest.approx(np.mean(own))
    assert name in str(report)


def test_the_controls_stand_beside_the_metric():
    report = repsim.score("linear_cka", tiny_case(), seeds=6)
    verdicts = report.controls.set_index("metric")
    assert sorted(verdicts.index) == ["constant", "oracle", "random"]
    assert verdicts["verdict"].tolist() == ["agrees"] * 3
    assert verdicts["mean"]["oracle"] == 1
    assert verdicts["mean"]["constant"] == 0.5


@pytest.mark.parametrize("timeout", [None, 20])
def test_a_metric_the_wrong_way_round_is_refused_and_told(timeout):
    def alike(x, y):
        return float(-np.abs(x[:, :3] - y[:, :3]).sum())

    with pytest.raises(RepsimError, match=r'looks like a similarity.*kind="similarity"\)\(alike'):
        repsim.score(alike, tiny_case(), seeds=1, timeout=timeout)
    repsim.score(repsim.metric(alike, kind="similarity", best=0), tiny_case(), seeds=1)


def test_a_distance_declared_as_similarity_is_refused():
    apart = repsim.metric(lambda x, y: float(abs(x - y).sum()), kind="similarity", name="apart")
    with pytest.raises(RepsimError, match=r'looks like a distance.*kind="distance"\)\(apart\)'):
        repsim.score(apart, tiny_case(), seeds=1)


def test_the_summary_is_what_a_hand_would_compute():
    (summary,) = card([*SCORES, None]).summary.to_dict("records")
    assert summary["score"] == pytest.approx(0.7875)
    assert summary["scaled"] == pytest.approx((0.7875 - 0.5) / 0.5)
    assert (summary["n_ok"], summary["n_seeds"]) == (4, 5)
    assert (summary["chance"], summary["ceiling"]) == (0.5, 1)
    half = stats.t.ppf(0.975, 3) * np.std(SCORES, ddof=1) / 2
    assert summary["low"] == pytest.approx(0.7875 - half, abs=half / 4)
    assert summary["high"] == pytest.approx(0.7875 + half, abs=half / 4)


def test_the_time_is_the_median_of_what_was_timed():
    (summary,) = card([*SCORES, None]).summary.to_dict("records")
    assert summary["seconds_per_pair"] == 0.25


def test_an_interval_ends_at_the_ceiling():
    (summary,) = card([1.0, 1.0, 0.7]).summary.to_dict("records")
    assert summary["high"] == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.9, 0.92, 0.91], "above chance (0.5): it answers the question, 82% of the way"),
        ([0.1, 0.12, 0.11], "below chance"),
        ([0.6, 0.3, 0.6], "0.500, not told apart from chance"),
        ([0.9], "0.900 from one seed: no interval"),
        ([None], "could not be scored"),
    ],
)
def test_the_verdict_in_words(values, words):
    report = card(values)
    assert words in str(report)
    assert words.split(":")[0] in printed(report)


@pytest.mark.parametrize(
    ("control", "values", "expected", "verdict"),
    [
        ("constant", [0.5, 0.5, 0.5], 0.5, "agrees"),
        ("constant", [0.6, 0.6, 0.6], 0.5, "broken"),
        ("random", [0.45, 0.56, 0.5], 0.5, "agrees"),
        ("random", [0.8, 0.81, 0.82], 0.5, "broken"),
        ("random", [0.8], 0.5, "not assessed"),
        ("oracle", [1.0, 1.0], 1.0, "agrees"),
        ("oracle", [1.0, 0.99], 1.0, "agrees"),
        ("oracle", [0.9, 0.9], 1.0, "broken"),
    ],
)
def test_controls_are_judged(control, values, expected, verdict):
    report = card(SCORES, rows_of(control, values, control=True, expected=expected))
    assert report.controls["verdict"].tolist() == [verdict]
    assert ("BROKEN: tiny/a, where " + control in str(report)) == (verdict == "broken")
    assert f"control {control}: {np.mean(values):.3f}, {verdict}" in printed(report)


def test_reasons_are_told_once():
    failures = [row("mine", seed, None, reason="it <b>[red]broke") for seed in range(3)]
    report = Report(failures, "mine")
    assert report.reasons == ["it <b>[red]broke"]
    assert str(report).count("it <b>[red]broke") == 1
    assert printed(report).count("it <b>[red]broke") == 1


def test_the_printed_card_shows_score_interval_and_seeds():
    text = printed(repsim.score("linear_cka", tiny_case(), seeds=2))
    for words in ("linear_cka", "tiny/pairs", "95% interval", " to ", "2 of 2", "control oracle"):
        assert words in text


def test_what_is_saved_can_be_read(tmp_path):
    report = repsim.score("linear_cka", tiny_case(), seeds=2)
    paths = report.save(tmp_path / "new" / "card")
    assert [path.name for path in paths] == ["report.json", "report.csv", "report.png"]
    assert json.loads(paths[0].read_text()) == report.rows
    pd.testing.assert_frame_equal(pd.read_csv(paths[1]), report.summary)
    assert paths[2].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_card_without_any_score_can_be_saved(tmp_path):
    for path in card([None]).save(tmp_path):
        assert path.stat().st_size > 0


def test_finished_rows_are_taken_from_the_results(tmp_path):
    first = repsim.score("linear_cka", tiny_case(), seeds=2, results=tmp_path)
    again = repsim.score("linear_cka", tiny_case(), seeds=2, results=tmp_path)
    assert sorted(one["date"] for one in again.rows) == sorted(one["date"] for one in first.rows)
    assert len((tmp_path / "scores.jsonl").read_text().splitlines()) == 8
