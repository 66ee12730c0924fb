"""Which rows a card counts: one size, the newest versions, each evaluation once."""

import pytest
from test_leaderboard import scores

from repsim.report import Report

FULL, QUICK = (1.0, 0.98, 0.99), (0.5, 0.52, 0.51)


@pytest.mark.parametrize("quick_first", [True, False])
def test_sizes_are_not_mixed(quick_first):
    full, quick = scores("mine", *FULL), scores("mine", *QUICK, size="quick")
    report = Report(quick + full if quick_first else full + quick, "mine")
    alone = Report(full, "mine")
    assert report.summary.equals(alone.summary)
    assert report.axes.equals(alone.axes)
    assert report.title.endswith("full size")
    assert report.notes == ["3 rows of quick size are left out: a card is of one size."]
    assert Report(quick, "mine").title.endswith("quick size")


def test_independent_trials_are_of_the_size_of_the_card():
    beside = {"protocol": "independent", "size": "quick"}
    report = Report(scores("mine", *FULL) + scores("mine", *QUICK, **beside), "mine")
    assert report.axes["independent_verdict"].tolist() == [""]
    assert report.notes == ["3 rows of quick size are left out: a card is of one size."]


def test_a_row_counts_once():
    once = scores("mine", 0.9, None)
    report = Report([once[0], *once, once[0]], "mine")
    (summary,) = report.summary.to_dict("records")
    assert (summary["n_ok"], summary["n_seeds"]) == (1, 2)
    assert report.failures["rows"].tolist() == [1]
    assert Report(once[:1] * 3, "mine").axes["verdict"].tolist() == ["one seed"]


def test_earlier_versions_are_left_out_and_that_is_told():
    rows = scores("mine", *QUICK) + scores("mine", *FULL, case_version=2)
    report = Report(rows, "mine")
    assert report.summary["score"].tolist() == pytest.approx([0.99])
    assert report.notes == ["suite/a: version 2 is ranked; 3 rows of version 1 are left out."]


def test_cases_stay_in_the_order_given():
    rows = scores("mine", *FULL, case="suite/z") + scores("mine", *FULL, case="suite/a")
    assert Report(rows, "mine").summary["case"].tolist() == ["suite/z", "suite/a"]
