import subprocess
import sys

import numpy as np
import pytest

from repsim import ranking
from repsim.errors import RepsimError
from repsim.leaderboard import Leaderboard
from repsim.results import row_id

LABELS = ["chaos", "point", "chaos", "point"]
DISTANCES = [[[0, 3, 1, 3], [3, 0, 3, 1], [1, 3, 0, 3], [3, 1, 3, 0]]]  # one block
CONTROLS = {"constant": 0.5, "random": 0.5, "oracle": 1.0, "shuffled_time": None}


def row(metric, seed, value, case="suite/a", **changes):
    """A score as the runner writes it; value None is a failure."""
    control = metric in CONTROLS
    found = {
        "schema": 2,
        "suite": case.split("/")[0],
        "case": case,
        "case_version": 1,
        "protocol": "controlled",
        "size": "full",
        "axis": "dynamics",
        "metric": metric.split("(")[0],
        "id": metric,
        "parameters": {"of": metric.partition("(")[2]},
        "metric_version": 1,
        "code": None,
        "control": control,
        "kind": "distance",
        "seed": seed,
        "status": "failed" if value is None else "ok",
        "value": value,
        "chance": 0.5,
        "ceiling": 1.0,
        "expected": CONTROLS.get(metric),
        "reason": "it broke" if value is None else None,
        "seconds": 0.1,
        "seconds_per_pair": 0.01,
        "inputs": f"{case} {seed}",
        "names": [f"set {i}" for i in range(4)],
        "labels": LABELS,
        "distances": None if value is None else DISTANCES,
        "versions": {"repsim": "0.1.0", "numpy": "2.0.0"},
        "python": "3.12.0",
        "platform": "Linux x86_64",
        "commit": None,
        "date": "2026-01-02T03:04:05+00:00",
    } | changes
    return {"row": row_id(found)} | found


def scores(metric, *values, **changes):
    """One row a value, seeds 0, 1, ..."""
    return [row(metric, seed, value, **changes) for seed, value in enumerate(values)]


def ranks(board):
    return dict(zip(board.table["metric"], board.table["rank"], strict=True))


def test_a_board_computed_by_hand():
    noise = {"case": "suite/b", "axis": "noise"}
    rows = (
        scores("good", 0.9, 0.7)  # mean 0.8, scaled (0.8 - 0.5) / 0.5 = 0.6
        + scores("good", 1.0, 0.8, **noise, seconds_per_pair=0.03)  # 0.9, 0.8; score 0.7
        + scores("poor", 0.6, 0.6)  # 0.6, 0.2
        + scores("poor", 0.3, 0.7, **noise)  # 0.5, 0.0; score 0.1
    )
    rows[0]["seconds_per_pair"] = 0.5
    table = Leaderboard(rows).table.set_index("metric")
    expected = {"score": 0.7, "dynamics": 0.6, "noise": 0.8, "suite/a": 0.8, "suite/b": 0.9}
    assert table.loc["good", list(expected)].to_dict() == pytest.approx(expected)
    expected = {"score": 0.1, "dynamics": 0.2, "noise": 0.0, "suite/a": 0.6, "suite/b": 0.5}
    assert table.loc["poor", list(expected)].to_dict() == pytest.approx(expected)
    assert table.loc["good", "seconds_per_pair"] == pytest.approx(0.03)  # median of .5 .01 .03 .03


def test_chance_and_ceiling_of_the_case_are_used():
    rows = scores("m", 0.4, 0.4, chance=0.2, ceiling=0.6)
    assert Leaderboard(rows).table["score"][0] == pytest.approx(0.5)


def test_an_interval_computed_by_hand():
    # scaled 0.6 and 0.8: a draw of two seeds has mean 0.6 in a quarter of all draws, so the plain
    # interval is 0.6 to 0.8, 0.1 on either side. Widened by sqrt(2 / 1) and t(1) / z,
    # 12.706 / 1.960.
    table = Leaderboard(scores("m", 0.8, 0.9)).table
    assert table["score_low"][0] == pytest.approx(0.7 - 0.1 * 2**0.5 * 12.7062 / 1.95996, abs=1e-4)
    assert table["score_high"][0] == 1.0  # nothing lies above the ceiling


def test_what_cannot_be_told_apart_shares_a_rank():
    rows = scores("one", *[0.83, 0.78] * 4) + scores("two", *[0.78, 0.82] * 4)
    rows += scores("three", *[0.61, 0.59] * 4)
    board = Leaderboard(rows)
    assert ranks(board) == {"one": 1, "two": 1, "three": 3}
    table = board.table.set_index("metric")
    assert list(table["rank_low"]) == [1, 1, 3]
    assert list(table["rank_high"]) == [2, 2, 3]
    assert "share rank 1" in board.headline


def test_equal_metrics_share_a_rank_and_its_whole_interval():
    board = Leaderboard(scores("one", 1.0, 1.0, 1.0) + scores("two", 1.0, 1.0, 1.0))
    assert ranks(board) == {"one": 1, "two": 1}
    assert list(board.table["rank_high"]) == [2, 2]


def test_the_bootstrap_pairs_metrics_by_seed():
    shared = np.random.default_rng(0).normal(0.7, 0.1, size=8)
    board = Leaderboard(scores("better", *(shared + 0.01)) + scores("worse", *shared))
    low, high = board.table["score_low"][0], board.table["score_high"][1]
    assert low < high  # alone, their intervals overlap
    assert ranks(board) == {"better": 1, "worse": 2}


@pytest.mark.parametrize("n_seeds", [2, 3, 8])
def test_equals_are_told_apart_about_one_time_in_twenty(n_seeds):
    rng = np.random.default_rng(1)
    found = [ranking.rank([rng.normal(size=(2, n_seeds))]).rank.max() > 1 for _ in range(300)]
    assert 0.01 < np.mean(found) < 0.10


def test_one_seed_has_no_interval_and_says_so():
    board = Leaderboard(scores("one", 0.9) + scores("two", 0.8) + scores("three", 0.8))
    assert ranks(board) == {"one": 1, "three": 2, "two": 2}
    assert board.table[["score_low", "rank_low", "rank_high"]].isna().all(axis=None)
    assert board.notes[0].startswith("suite/a (seed 0): One seed gives no interval")
    assert "one seed" in board.headline
    assert "0.900 to 0.900" not in str(board)


def test_the_case_whose_one_seed_takes_the_intervals_of_all_is_named():
    rows = [*scores("m", 0.9, 0.8, 0.7, 0.9, 0.8), row("m", 3, 0.9, case="suite/b")]
    notes = Leaderboard(rows).notes
    assert notes[0].startswith("suite/b (seed 3): One seed gives no interval, so the whole board")


@pytest.mark.parametrize(("n_metrics", "n_seeds", "said"), [(3, 2, 1), (2, 2, 0), (3, 1, 0)])
def test_that_ranks_are_not_corrected_is_noted_once(n_metrics, n_seeds, said):
    rows = [
        one
        for protocol in ("controlled", "independent")
        for i in range(n_metrics)
        for one in scores(f"m{i}", *[0.8, 0.9][:n_seeds], protocol=protocol)
    ]
    notes = Leaderboard(rows).notes
    assert sum("not corrected for the number of comparisons" in note for note in notes) == said


@pytest.mark.parametrize(
    ("case", "axis"),
    [
        ("suite/a", "score"),
        ("suite/a", "rank"),
        ("suite/a", "independent"),
        ("suite/a", "per pair"),
        ("suite/a", "suite/b"),
        ("seconds_per_pair", "noise"),
    ],
)
def test_an_axis_or_a_case_called_like_another_column_is_refused(case, axis):
    rows = scores("m", 0.9, 0.8, case=case, axis=axis) + scores("m", 0.9, 0.8, case="suite/b")
    with pytest.raises(RepsimError, match=rf"'{case}' of the axis '{axis}'.*another name"):
        Leaderboard(rows)


@pytest.mark.parametrize(("n_seeds", "said"), [(4, True), (5, False)])
def test_few_seeds_are_noted(n_seeds, said):
    board = Leaderboard(scores("m", *np.linspace(0.6, 0.9, n_seeds)))
    assert any(f"{n_seeds} seeds are widened" in note for note in board.notes) == said


def test_cases_with_equally_few_seeds_share_a_note():
    seeds = {"suite/a": 2, "suite/b": 3, "suite/c": 2}
    rows = [scores("m", *np.linspace(0.6, 0.9, n), case=case) for case, n in seeds.items()]
    notes = [
        note
        for note in Leaderboard([*rows[0], *rows[1], *rows[2]]).notes
        if "seeds are widened" in note
    ]
    assert [note.partition(":")[0] for note in notes] == ["suite/a and suite/c", "suite/b"]


@pytest.mark.parametrize(
    ("gap", "counts"),
    [
        ([], [1, 0, 0]),
        ([row("gappy", 1, None)], [0, 1, 0]),
        ([row("gappy", 1, None, status="not_applicable")], [0, 0, 1]),
    ],
    ids=["missing", "failed", "not applicable"],
)
def test_a_metric_with_gaps_stands_below_the_line(gap, counts):
    board = Leaderboard(scores("whole", 0.6, 0.7) + scores("gappy", 0.9) + gap)
    assert list(board.table["metric"]) == ["whole"]
    line = board.unranked.set_index("metric").loc["gappy"]
    assert list(line[["missing", "failed", "not_applicable"]]) == counts
    assert line["cells"] == 2
    assert line["reason"] == ("it broke" if gap else "not run on suite/a seed 1")


def test_a_lone_metric_with_a_failure_is_not_ranked_where_a_control_succeeded():
    board = Leaderboard(scores("m", 0.9, None) + scores("oracle", 1.0, 1.0))
    assert list(board.unranked["metric"]) == ["m"]
    assert board.headline.startswith("No metric is ranked. m stands below the line.")


def test_a_case_nobody_can_do_does_not_count():
    rows = scores("m", 0.9, 0.8) + scores("m", None, None, case="suite/b")
    board = Leaderboard(rows)
    assert ranks(board) == {"m": 1}
    assert "suite/b" not in board.table
    assert "suite/b: no metric and no control succeeded; it does not count." in board.notes


def test_a_board_of_controls_alone_says_that_no_metric_was_run():
    board = Leaderboard(scores("oracle", 1.0, 1.0))
    assert "suite/a: no metric was run on it; it does not count." in board.notes


def test_seeds_that_only_controls_have_are_not_asked_of_metrics():
    board = Leaderboard(scores("m", 0.9, 0.8) + scores("oracle", 1.0, 1.0, 1.0))
    assert ranks(board) == {"m": 1}


def test_rows_scored_on_different_inputs_are_refused():
    rows = [*scores("one", 0.9, 0.8), row("two", 0, 0.7), row("two", 1, 0.7, inputs="91f0be22")]
    with pytest.raises(RepsimError, match=r"suite/a .*seed 1 .*suite/a 1 by one.*91f0be22 by two"):
        Leaderboard(rows)


def test_the_newest_row_metric_and_case_win():
    later = {"date": "2026-02-02T00:00:00+00:00"}
    old_case = scores("m", 0.55, 0.56, case_version=0, inputs="old")
    rows = [
        *scores("m", 0.9, 0.8, code="new", **later),
        *scores("m", 0.6, 0.6, code="old"),
        *scores("m", 0.7, 0.7, code="older", metric_version=0, **later),
        *old_case,
        row("m", 2, 0.6, code="new", metric_version=0),
        row("m", 1, 1.0, code="new", **later),  # run again: the last wins
        row("m", 0, None, code="new", **later),  # but a failure undoes nothing
    ]
    board = Leaderboard(rows)
    assert board.values("m", "suite/a").tolist() == [0.9, 1.0]
    assert any("2 rows of version 0" in note for note in board.notes)
    assert any(note.startswith("m: 5 rows of earlier versions") for note in board.notes)


def test_protocols_and_sizes_are_not_mixed():
    rows = scores("m", 0.9, 0.9) + scores("m", 0.8, 0.8, protocol="published")
    rows += scores("m", 0.7, 0.7, size="quick")
    assert Leaderboard(rows).table["suite/a"][0] == pytest.approx(0.9)
    assert Leaderboard(rows, size="quick").table["suite/a"][0] == pytest.approx(0.7)
    published = Leaderboard(rows, protocol="published")
    assert published.table["suite/a"][0] == pytest.approx(0.8)
    assert "published protocol" in str(published)
    assert any("2 rows of controlled/quick" in note for note in published.notes)
    with pytest.raises(
        RepsimError, match=r"'published' and size 'quick'.*controlled/full \(2 rows"
    ):
        Leaderboard(rows, protocol="published", size="quick")


def test_no_rows_at_all_is_said():
    with pytest.raises(RepsimError, match="no rows to rank"):
        Leaderboard([])


def test_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(0)
    rows = [line for metric in "abcd" for line in scores(metric, *rng.normal(0.7, 0.1, size=5))]
    board, shuffled = Leaderboard(rows), Leaderboard(iter(rng.permutation(rows)))
    assert board.to_csv() == shuffled.to_csv()
    assert board.id == shuffled.id
    assert board.id != Leaderboard(rows[5:]).id


def test_distances_are_means_sorted_by_label():
    twice = (2 * np.array(DISTANCES)).tolist()
    rows = [row("m", 0, 0.9), row("m", 1, 0.9, distances=twice)]
    matrix = Leaderboard(rows).distances("m", "suite/a")
    assert list(matrix["label"].values) == ["chaos", "chaos", "point", "point"]
    assert list(matrix["x"].values) == ["set 0", "set 2", "set 1", "set 3"]
    np.testing.assert_allclose(matrix[0], [0, 1.5, 4.5, 4.5])


def test_importing_the_leaderboard_brings_no_drawing_library():
    code = "import sys, repsim.leaderboard; print([m for m in {} if m in sys.modules])".format(
        ["matplotlib", "seaborn", "jinja2", "rich", "torch", "sklearn"]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
