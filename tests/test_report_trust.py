"""What a card says of trust where values, cases, seeds or sound controls are missing."""

import io
import re

import pytest
from rich.console import Console
from test_leaderboard import scores

from repsim.report import Report
from repsim.report_figures import card_figure

FULL, GAPPY = (1.0,) * 8, (None, *(1.0,) * 7)
HIGH, LOW, EVEN = (0.95, 0.97, 0.96), (0.62, 0.63, 0.64), (0.6, 0.4, 0.5)
B = {"case": "suite/b"}
BESIDE = {"protocol": "independent"}
TOPOLOGY = {"case": "suite/t", "axis": "topology"}


def card(*parts, beside=()):
    return Report([row for rows in parts for row in rows], "mine", beside=beside)


def mine(*values, **facts):
    return scores("mine", *values, **facts)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (GAPPY, "; with independent trials 1 of 8 evaluations for dynamics gave no value."),
        ((None,) * 8, "; with independent trials 8 of 8 evaluations for dynamics gave no value."),
        ((1.0,), "; with independent trials one seed does not tell for dynamics (1.00)."),
    ],
)
def test_what_independent_trials_do_not_show_is_not_lost(values, words):
    sentence = card(mine(*FULL), mine(*values, **BESIDE)).sentences[0]
    assert sentence.endswith(words)
    assert "not without" not in sentence


def test_lost_on_one_axis_and_unknown_on_another_are_told_apart():
    rows = mine(*HIGH), mine(*EVEN, **BESIDE), mine(*HIGH, **TOPOLOGY)
    sentence = card(*rows, mine(None, 1.0, 1.0, **TOPOLOGY, **BESIDE)).sentences[0]
    assert "order: with independent trials it has 0.00 (" in sentence
    assert sentence.endswith(" for topology gave no value.")
    assert sentence.count("dynamics") == 2


@pytest.mark.parametrize(("values", "said"), [((1.0,), False), (EVEN, True), (HIGH, False)])
def test_a_rival_falls_without_matched_trials_only_where_that_is_known(values, said):
    rival = scores("other", *HIGH) + scores("other", *values, **BESIDE)
    report = card(mine(*LOW), mine(*[0.6] * len(values), **BESIDE), beside=rival)
    assert "Use other for dynamics" in report.sentences[2]
    assert ("with the same trials only" in report.sentences[2]) == said


def test_no_interval_is_denied_where_values_are_missing():
    sentence = card(mine(*GAPPY)).sentences[0]
    assert sentence.endswith("trusted: 1 of 8 evaluations for dynamics gave no value.")
    sentence = card(mine(*GAPPY), mine(*LOW, **TOPOLOGY)).sentences[0]
    assert sentence.endswith("; elsewhere no whole interval lies half-way or more from chance to"
                             " the ceiling.")  # fmt: skip
    assert "nowhere does its whole interval" in card(mine(*LOW)).sentences[0]


def broken_card():
    rows = mine(*HIGH), mine(*HIGH, **TOPOLOGY), scores("oracle", 0.7, 0.7, 0.7)
    return card(*rows, beside=scores("better", 1.0, 1.0, 1.0))


def test_an_axis_with_a_broken_case_is_not_trusted():
    report = broken_card()
    assert report.axes["verdict"].tolist() == ["broken", "trusted"]
    assert report.axes["broken"].tolist() == [["suite/a"], []]
    trust, distrust, instead = report.sentences
    assert "dynamics" not in trust
    assert "(0.92, 0.87 to 0.97; suite/a is broken: a control misses its known value)" in distrust
    assert report.better == {"dynamics": None, "topology": None}
    assert "Use" not in instead


def test_a_broken_axis_is_marked_in_table_figure_and_page():
    report = broken_card()
    text = io.StringIO()
    report.print(Console(file=text, width=200))
    for shown in (str(report), text.getvalue()):
        assert re.search(r"dynamics .*0\.920.* broken", shown)
    labels = [one.get_text() for one in card_figure(report).axes[0].get_yticklabels()]
    assert labels == ["dynamics · broken", "    a · broken", "topology", "    t"]
    assert '<span class="mark ">broken</span>' in report.to_html()
    assert report.to_dict()["axes"][0]["broken"] == ["suite/a"]


def test_what_is_broken_comes_before_every_other_verdict():
    off = scores("oracle", 0.7, 0.7)
    for values in ((0.9, None), (None, None), EVEN):
        report = card(mine(*values), off)
        assert report.axes["verdict"].tolist() == ["broken"]
        assert report.sentences[0].endswith("trusted: for dynamics suite/a is broken.")
        assert "a case of every axis is broken" in report.sentences[2]


def test_broken_independent_trials_tell_nothing():
    off = scores("oracle", 0.7, 0.7, **BESIDE)
    report = card(mine(*HIGH), mine(*EVEN, **BESIDE), scores("oracle", 1.0, 1.0), off)
    assert report.axes["independent_verdict"].tolist() == ["broken"]
    assert report.sentences[0].endswith("; with independent trials for dynamics suite/a is broken.")


def test_independent_trials_of_some_cases_do_not_speak_for_all():
    both = mine(*HIGH), mine(*HIGH, **B)
    sentence = card(*both, mine(*HIGH, **BESIDE)).sentences[0]
    assert sentence.endswith(
        "; with independent trials that is known for dynamics in 1 of its 2 cases only."
    )
    sentence = card(*both, mine(*EVEN, **BESIDE)).sentences[0]
    assert sentence.endswith(") for dynamics in 1 of its 2 cases.")
    sentence = card(*both, mine(*HIGH, **BESIDE), mine(*HIGH, **B, **BESIDE)).sentences[0]
    assert sentence.endswith(", with independent trials too.")


def test_independent_trials_of_other_cases_do_not_count():
    report = card(mine(*HIGH), mine(*EVEN, **B, **BESIDE))
    assert report.axes["independent_verdict"].tolist() == [""]


def test_a_case_with_one_seed_is_named():
    report = card(mine(*HIGH), mine(0.9, **B))
    words = "suite/b has one seed, "
    assert report.sentences[0] == f"{words}which cannot say where mine can be trusted: run more."
    assert report.sentences[1] == (
        "There is no interval for dynamics (0.86), as suite/b has one seed."
    )
    alone = card(mine(0.9), mine(0.9, **B)).sentences
    assert alone[0].startswith("One seed cannot say")
    assert alone[1] == "One seed does not tell for dynamics (0.80)."
