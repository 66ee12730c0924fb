"""Controls on a board: checked against the value they must have, never ranked."""

import numpy as np
import pytest
from test_leaderboard import scores

from repsim.leaderboard import Leaderboard


@pytest.mark.parametrize(
    ("control", "values", "verdict"),
    [
        ("oracle", [1.0, 1.0, 1.0], "agrees"),
        ("oracle", [0.999, 0.999, 0.999], "broken"),
        ("oracle", [0.999], "broken"),
        ("oracle", [0.9, 1.0, 1.0], "broken"),
        ("constant", [0.5, 0.51, 0.49], "broken"),
        ("random", [0.5], "agrees"),
        ("random", [7 / 12, 7 / 12], "not assessed"),
        ("random", [7 / 12, 7 / 12, 7 / 12], "not assessed"),
        ("random", [0.9, 0.91], "not assessed"),
        ("random", [0.6], "not assessed"),
        ("random", [0.45, 0.52, 0.56, 0.44], "agrees"),
        ("random", [0.65, 0.68, 0.66, 0.67], "broken"),
        ("shuffled_time", [0.6, 0.7], "no known value"),
        ("constant", [None, None], "failed"),
    ],
)
def test_controls_are_checked_not_ranked(control, values, verdict):
    n = len(values)
    board = Leaderboard(scores("m", *np.linspace(0.7, 0.8, n)) + scores(control, *values))
    assert list(board.table["metric"]) == ["m"]
    assert board.controls.set_index("control")["verdict"][control] == verdict
    assert list(board.broken) == (["suite/a"] if verdict == "broken" else [])
    assert ("is broken" in board.headline) == (verdict == "broken")
    assert ("controls hold" in board.headline) == (verdict == "agrees")


def test_the_broken_sentence_bears_the_numbers():
    rows = scores("m", 0.7, 0.8) + scores("oracle", 0.9, 0.9)
    assert Leaderboard(rows).broken["suite/a"] == (
        "the control oracle has 0.9 over 2 seeds where 1 is known."
    )


def test_one_seed_off_is_enough_where_every_seed_has_the_value():
    rows = scores("m", 0.7) + scores("oracle", 0.9)
    assert Leaderboard(rows).broken["suite/a"] == (
        "the control oracle has 0.9 over 1 seed where 1 is known."
    )
