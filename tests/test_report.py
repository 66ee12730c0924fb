"""Report cards of constructed rows, and of real ones on cases that take next to no time."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats
from test_leaderboard import scores
from test_run import tiny_case

import repsim
from repsim.errors import RepsimError
from repsim.report import COMPANIONS, NOISE, Report

SCORES = [0.9, 0.7, 0.8, 0.75]
LEVELS = (0.01, 1.0, 100.0)
NAMES = ["oracle", "random", "constant"]


def card(values, *others, **more):
    """The card of "mine" with these values; others are rows."""
    return Report(
        scores("mine", *values) + [one for rows in others for one in rows], "mine", **more
    )


def printed(report, width=200):
    text = io.StringIO()
    report.print(Console(file=text, width=width))
    return text.getvalue()


def make_noisy(rng, protocol, quick):
    """Two recordings of two sources at each of three signal-to-noise ratios."""
    states = rng.standard_normal((2, 4, 16, 3))
    see = rng.standard_normal((3, 5))
    sets, rows = {}, []
    for level in LEVELS:
        for i in range(4):
            noise = rng.standard_normal((4, 16, 5)) * level**-0.5
            sets[f"{level} {i}"] = repsim.as_activations(states[i // 2] @ see + noise)
            rows.append((f"{level} {i}", "pq"[i // 2], f"snr {level}", level))
    return sets, pd.DataFrame(rows, columns=["name", "label", "block", "level"]).set_index("name")


def noisy_case(name="tiny/noise", **changes):
    """A case in blocks with levels."""
    return dataclasses.replace(tiny_case(name, axis=NOISE), generate=make_noisy, **changes)


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
    verdicts = report.controls.set_index("control")
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
    rows = scores("mine", 0.9, 0.8, 0.7)
    for row, seconds in zip(rows, (0.1, 0.4, 9.0), strict=True):
        row["seconds_per_pair"] = seconds
    report = Report(rows + scores("mine", None, case="suite/b", seconds_per_pair=50.0), "mine")
    assert report.summary["seconds_per_pair"].tolist()[0] == 0.4
    assert report.seconds_per_pair == 0.4


def test_an_interval_ends_at_the_ceiling():
    (summary,) = card([1.0, 1.0, 0.7]).summary.to_dict("records")
    assert summary["high"] == 1


def test_axes_are_means_of_scaled_cases_beside_independent_trials():
    rows = scores("mine", 0.75, 0.85) + scores("mine", 1.0, 0.9, case="suite/b")
    rows += scores("mine", 0.5, 0.6, case="suite/c", axis="noise")
    for case, values in (("suite/a", (0.6, 0.6)), ("suite/b", (0.5, 0.5))):
        rows += scores("mine", *values, case=case, protocol="independent")
    axes = Report(rows, "mine").axes.set_index("axis")
    assert axes.score.to_dict() == pytest.approx({"dynamics": 0.75, "noise": 0.1})
    assert axes.independent_score["dynamics"] == pytest.approx(0.1)  # (0.2 + 0) / 2
    assert np.isnan(axes.independent_score["noise"])
    assert axes.n_cases.to_dict() == {"dynamics": 2, "noise": 1}
    assert (axes.low <= axes.score).all()
    assert (axes.score <= axes.high).all()


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.90, 0.92, 0.91], "trusted"),
        ([0.72, 0.70, 0.71], "weak"),
        ([0.90, 0.99, 0.60, 0.70, 0.90, 0.60], "weak"),  # the mean is above, the interval is not
        ([0.60, 0.30, 0.60], "chance"),
        ([0.50, 0.50, 0.50], "chance"),
        ([0.10, 0.12, 0.11], "below chance"),
        ([0.9], "one seed"),
        ([None, None], "no value"),
        ([0.9, None, 0.91], "incomplete"),
    ],
)
def test_the_verdict_is_one_word(values, verdict):
    report = card(values)
    assert report.axes.verdict.tolist() == [verdict]
    assert verdict in str(report)
    assert verdict in printed(report)


@pytest.mark.parametrize(
    ("control", "values", "verdict"),
    [
        ("constant", [0.5, 0.5, 0.5], "agrees"),
        ("constant", [0.6, 0.6, 0.6], "broken"),
        ("random", [0.45, 0.56, 0.5], "agrees"),
        ("random", [0.8, 0.81, 0.82], "broken"),
        ("random", [0.8], "not assessed"),
        ("oracle", [1.0, 1.0], "agrees"),
        ("oracle", [0.9, 0.9], "broken"),
    ],
)
def test_controls_are_judged(control, values, verdict):
    report = card(SCORES, scores(control, *values))
    assert report.controls["verdict"].tolist() == [verdict]
    for text in (str(report), printed(report)):
        assert ("BROKEN: suite/a: the control " + control in text) == (verdict == "broken")
        assert f"control {control}: {np.mean(values):.3f}, {verdict}" in text


def test_reasons_are_told_once_and_counted():
    failures = scores("mine", None, None, None, reason="it <b>[red]broke")
    report = Report(failures, "mine")
    assert report.reasons == ["it <b>[red]broke"]
    assert report.failures[["status", "rows"]].to_numpy().tolist() == [["failed", 3]]
    for text in (str(report), printed(report)):
        assert text.count("Not scored: it <b>[red]broke") == 1


def test_what_the_metric_chose_is_summed_up_by_case():
    rows = scores("mine", 0.8, 0.9, 0.7)
    for row, rank in zip(rows, (9, 3, 4), strict=True):
        row["chosen"] = {"rank": rank, "kernel": "rbf"}
    chosen = Report(rows, "mine").chosen.set_index("parameter")
    assert chosen.loc["rank", ["lowest", "median", "highest"]].tolist() == [3, 4, 9]
    assert chosen.choices["kernel"] == "rbf"
    assert "4 (3 to 9)" in printed(Report(rows, "mine"))


def test_the_printed_card_shows_score_interval_and_seeds():
    text = printed(repsim.score("linear_cka", tiny_case(), seeds=2))
    for words in ("linear_cka", "tiny/pairs", "95% interval", " to ", "2 of 2", "control oracle"):
        assert words in text
    assert printed(card(SCORES), width=40)


def test_what_is_saved_can_be_read(tmp_path):
    report = repsim.score("linear_cka", [tiny_case(), noisy_case()], seeds=2)
    paths = report.save(tmp_path / "new" / "card")
    assert [path.name for path in paths] == [f"report.{k}" for k in ("html", "png", "json", "csv")]
    found = json.loads(paths[2].read_text(), parse_constant=pytest.fail)
    assert found["rows"] == report.rows
    assert found["sentences"] == report.sentences
    assert [one["axis"] for one in found["axes"]] == ["test", NOISE]
    assert found["floor"][0]["kind"] == "self"
    pd.testing.assert_frame_equal(pd.read_csv(paths[3]), report.summary)
    assert paths[1].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("values", [[None], [0.7], [None, 0.8], [0.5, 0.5]])
def test_a_card_of_next_to_nothing_can_be_saved(tmp_path, values):
    for path in card(values).save(tmp_path):
        assert path.stat().st_size > 0


def test_finished_rows_are_taken_from_the_results(tmp_path):
    first = repsim.score("linear_cka", tiny_case(), seeds=2, results=tmp_path)
    lines = (tmp_path / "scores.jsonl").read_text()
    again = repsim.score("linear_cka", tiny_case(), seeds=2, results=tmp_path)
    assert sorted(one["date"] for one in again.rows) == sorted(one["date"] for one in first.rows)
    assert (tmp_path / "scores.jsonl").read_text() == lines
    assert len(lines.splitlines()) == 2 * 2 * 4  # seeds, protocols, metrics


def test_companions_are_scored_on_noise_cases_only_and_the_bar_knows(tmp_path):
    seen = []
    report = repsim.score(
        "procrustes", [tiny_case(), noisy_case()], seeds=2, results=tmp_path,
        on_row=lambda row, done, total: seen.append((done, total)),
    )  # fmt: skip
    rows = repsim.read_rows(tmp_path)
    beside = [row for row in rows if row["metric"] in COMPANIONS]
    assert {(row["case"], row["protocol"]) for row in beside} == {("tiny/noise", "controlled")}
    assert len(beside) == len(COMPANIONS) * 2
    total = len(rows)
    assert seen == [(done, total) for done in range(1, total + 1)]
    assert [one.metric.partition("(")[0] for one in report.curves] == ["procrustes", *COMPANIONS]


def test_a_companion_has_a_card_too():
    report = repsim.score("linear_cka", noisy_case(), seeds=2)
    assert [one.metric.partition("(")[0] for one in report.curves].count("linear_cka") == 1


def test_a_metric_that_always_fails_has_a_card_that_says_why(tmp_path):
    def fails(x, y):
        raise ArithmeticError("<i>no</i>")

    report = repsim.score(fails, [tiny_case(), noisy_case()], seeds=2)
    assert report.rank.rank is None
    assert report.axes.verdict.tolist() == ["no value", "no value"]
    assert "ArithmeticError" in report.floor.reason[0]
    assert "can be trusted" in report.sentences[0]
    page = report.save(tmp_path)[0].read_text()
    assert "&lt;i&gt;no&lt;/i&gt;" in page
    assert "<i>no</i>" not in page


def test_a_metric_without_rows_has_no_card():
    with pytest.raises(RepsimError, match=r"No rows of yours \(controlled\).*mine \(controlled\)"):
        Report(scores("mine", 0.9), "yours")
