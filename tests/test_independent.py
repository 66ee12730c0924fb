"""Independent trials beside controlled ones: what a metric needs is not what it sees."""

import numpy as np
import pytest
from test_leaderboard import scores

from repsim import rendering
from repsim.errors import RepsimError
from repsim.leaderboard import Leaderboard
from repsim.run import evaluate

from test_run import make_tiny, tiny_case  # isort: skip

BESIDE = {"protocol": "independent"}


def two_columns():
    return (
        scores("geometry", 0.9, 0.9)
        + scores("dynamics", 0.7, 0.7)
        + scores("geometry", 0.5, 0.5, **BESIDE)
        + scores("dynamics", 0.75, 0.75, **BESIDE)
        + scores("elsewhere", 1.0, 1.0, **BESIDE)
    )


def test_the_column_holds_the_scores_of_the_other_board_and_does_not_rank():
    board = Leaderboard(two_columns())
    assert list(board.table["metric"]) == ["geometry", "dynamics"]
    assert list(board.table["independent"]) == [0.0, 0.5]
    assert list(board.independent.table["metric"]) == ["dynamics", "geometry"]
    assert not [note for note in board.notes if "Not on this board" in note]


def test_a_board_of_independent_trials_ranks_them():
    board = Leaderboard(two_columns(), protocol="independent")
    assert list(board.table["metric"]) == ["elsewhere", "dynamics", "geometry"]
    assert board.independent is None
    assert "independent" not in board.table


def test_without_independent_rows_there_is_no_column():
    board = Leaderboard(scores("m", 0.9, 0.8))
    assert board.independent is None
    assert "independent" not in board.table


@pytest.mark.parametrize(
    "older", [{"metric_version": 0}, {"code": "older"}, {"case_version": 0}], ids=str
)
def test_a_score_of_another_version_does_not_stand_beside(older):
    rows = scores("m", 0.9, 0.8) + scores("m", 0.7, 0.7, **BESIDE, **older)
    board = Leaderboard(rows)
    assert board.independent is None
    assert "independent" not in board.table
    assert any(note.startswith("independent trials: 2 rows of other") for note in board.notes)


def test_a_score_over_fewer_cases_than_the_one_beside_it_says_so():
    rows = two_columns() + [
        row for name in ("geometry", "dynamics") for row in scores(name, 0.6, 0.6, case="suite/b")
    ]
    notes = [note for note in Leaderboard(rows).notes if "do not compare" in note]
    assert len(notes) == 1
    assert "over 1 of 2 cases, without suite/b" in notes[0]
    assert not [note for note in Leaderboard(two_columns()).notes if "do not compare" in note]


def test_a_metric_below_the_line_of_the_other_board_has_no_value_beside():
    rows = two_columns() + scores("late", 0.6, 0.6) + scores("late", 0.6, None, **BESIDE)
    column = Leaderboard(rows).table.set_index("metric")["independent"]
    assert np.isnan(column["late"])
    assert column["dynamics"] == 0.5


def test_a_control_that_is_off_beside_is_reported():
    rows = two_columns() + scores("constant", 0.5, 0.5) + scores("constant", 0.6, 0.6, **BESIDE)
    board = Leaderboard(rows)
    assert list(board.broken) == ["suite/a, independent trials"]
    assert "independent" in board.headline


def test_both_columns_are_on_every_rendering():
    rows = two_columns() + [
        row
        for name in ("geometry", "dynamics")
        for row in scores(name, 0.6, 0.6, case="suite/b", axis="noise robustness")
    ]
    board = Leaderboard(rows)
    tables = rendering.tables(board)
    assert {"independent", "dynamics", "noise robustness"} <= set(tables["Ranked"].columns)
    assert list(tables["Case by case"].columns) == ["metric", "suite/a", "suite/b"]
    assert "independent trials" in board.to_html()
    assert "Case by case" in board.to_markdown()


def test_several_protocols_run_side_by_side(tmp_path):
    seen = []

    def generate(rng, protocol, quick):
        seen.append(protocol)
        return make_tiny(rng, protocol, quick)

    case = tiny_case()
    object.__setattr__(case, "generate", generate)
    rows = evaluate(["constant"], case, seeds=2, protocol=("controlled", "independent"))
    assert seen == ["controlled", "independent"] * 2
    assert sorted({row["row"] for row in rows}) == sorted(row["row"] for row in rows)
    one_protocol = tiny_case("tiny/one", protocols=("controlled",))
    rows = evaluate(["constant"], one_protocol, seeds=2, protocol=("controlled", "independent"))
    assert [row["protocol"] for row in rows] == ["controlled"] * 2
    with pytest.raises(RepsimError, match="no protocol 'published'"):
        evaluate(["constant"], case, protocol="published")


def test_the_picture_shows_both_scores():
    from repsim.plotting import leaderboard_figure

    (axes,) = leaderboard_figure(Leaderboard(two_columns())).axes
    open_circles = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [list(line.get_xdata()) for line in open_circles] == [[0.0, 0.5]]
    assert axes.get_xlabel().endswith("independent trials")
