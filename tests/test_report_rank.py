"""The place among metrics of the same sets, and nothing else."""

import numpy as np
import pytest
from test_leaderboard import scores

from repsim import ranking
from repsim.report import Report
from repsim.report_rank import board_command, rivals_by_axis, same_sets

MINE = (0.8, 0.81, 0.82)
OTHERS = {"best": (0.95, 0.96, 0.97), "same": (0.81, 0.82, 0.80), "poor": (0.5, 0.52, 0.51)}


def rank(*beside, mine=MINE, **changes):
    rows = scores("mine", *mine, **changes)
    return Report(rows, "mine", beside=[one for rows in beside for one in rows]).rank


def others(**changes):
    return [scores(name, *values, **changes) for name, values in OTHERS.items()]


def test_the_rank_is_that_of_the_board():
    place = rank(*others())
    assert (place.rank, place.of, place.why) == (2, 4, "")
    assert (place.low, place.high) == (2, 3)  # "same" may be ahead or behind
    assert place.table["metric"].tolist()[0] == "best"
    assert rank(*others(), mine=(0.98, 0.99, 1.0)).rank == 1


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "independent"},
        {"size": "quick"},
        {"case": "suite/other"},
        {"case_version": 2},
        {"inputs": "other sets"},
    ],
)
def test_rows_of_other_sets_do_not_count(change):
    place = rank(*others(**change))
    assert place.rank is None
    assert "Run repsim board --suite suite/a --seeds 3 first" in place.why


def test_other_sets_are_counted_and_told():
    run = scores("mine", *MINE)
    kept, n_different = same_sets(scores("best", *MINE, inputs="other"), run)
    assert (kept, n_different) == ([], 3)
    report = Report(run, "mine", beside=scores("best", *MINE, inputs="other"))
    assert "3 rows of the results folder are left out" in str(report)
    assert "left out" not in str(Report(run, "mine", beside=scores("best", *MINE)))


def test_seeds_that_were_not_asked_for_do_not_count():
    place = rank(scores("best", 0.9, 0.95, 0.92, 0.1, 0.1, 0.1))
    assert (place.rank, place.of) == (2, 2)


def test_earlier_code_of_the_metric_itself_is_no_rival():
    place = rank(scores("mine", 0.99, 0.99, 0.99, code="old"), *others(), code="new")
    assert (place.rank, place.of) == (2, 4)


def test_a_metric_with_gaps_is_ranked_where_it_has_values_and_that_is_said():
    place = rank(*others(), mine=(0.8, None, 0.82))
    assert (place.rank, place.of) == (2, 4)
    assert place.why.startswith("Counted are the 2 of 3 evaluations that gave it a value")
    assert rank(*others(), mine=(None,) * 3).why == "No rank: it has no value."
    assert Report(scores("random", 0.5, 0.6), "random").rank.why == "A control is not ranked."


def test_a_control_of_other_sets_is_left_out_too():
    rows = scores("mine", *MINE) + scores("oracle", 0.5, 0.5, 0.5, inputs="old")
    report = Report(rows, "mine")
    assert report.broken == {}
    assert report.notes == ["3 rows of the results folder are left out: they are of other sets."]


def test_one_seed_gives_a_rank_without_interval():
    place = rank(scores("best", 0.9), mine=(0.8,))
    assert (place.rank, place.low, place.high, place.of) == (2, None, None, 2)


def test_the_command_scores_the_same_cells():
    rows = scores("mine", 0.8, 0.9, size="quick") + scores("mine", 0.9, 0.9, case="suite/b")
    assert board_command(rows) == "repsim board --suite suite --seeds 2 --quick"
    published = scores("mine", 0.8, protocol="published")
    assert board_command(published).endswith("--suite suite/a --seeds 1 --protocol published")


AXES = {"dynamics": 3, "noise robustness": 2, "topology": 1}


def equals(rng, n_rivals, n_seeds):
    """Rows of metrics that are all equal: "own" and rivals on the cases of AXES."""
    for axis, n_cases in AXES.items():
        for case in range(n_cases):
            facts = {"axis": axis, "case": f"suite/{axis} {case}"}
            for name in ["own", *(f"rival {i}" for i in range(n_rivals))]:
                yield from scores(name, *0.8 + 0.05 * rng.standard_normal(n_seeds), **facts)


def test_cards_of_equals_rarely_name_one(monkeypatch):
    monkeypatch.setattr(ranking, "DRAWS", 200)
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(60):
        rivals = rivals_by_axis(list(equals(rng, n_rivals=8, n_seeds=5)), "own")
        named += any(one.best for one in rivals.values())
    assert named <= 6  # 3 expected; 22 without a correction


def test_what_is_far_better_is_named_among_many():
    rng = np.random.default_rng(0)
    rows = list(equals(rng, n_rivals=8, n_seeds=5))
    rows += scores("ahead", 0.97, 0.98, 0.98, 0.99, 0.97, axis="topology", case="suite/topology 0")
    rivals = rivals_by_axis(rows, "own")
    assert rivals["topology"].best.metric == "ahead"
    assert rivals["topology"].n == 9
    assert rivals["dynamics"].best is None


def test_the_card_says_how_many_comparisons_it_is_corrected_for():
    report = Report(scores("mine", *MINE), "mine", beside=[row for one in others() for row in one])
    (note,) = report.notes
    assert "Holm's correction for 3 comparisons (" in note
    assert note in str(report)
    assert note.replace("'", "&#39;") in report.to_html()
