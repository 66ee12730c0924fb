"""What the figures of a card show, read back from their artists."""

import numpy as np
import pytest
from test_leaderboard import scores
from test_report_curves import SNR, block_rows

from repsim.report import Report
from repsim.report_figures import card_figure, case_maps, curve_pictures


def card(**more):
    rows = scores("mine", 0.9, 0.8) + scores("mine", 0.6, 0.5, protocol="independent")
    rows += block_rows("mine", [0, 0.5, 1, 1], [0.5, 0.5, 0.5, 1])
    rows += block_rows("oracle", *[[1] * 4] * 2)
    return Report(rows, "mine", **more)


@pytest.fixture(scope="module")
def panels():
    """The panels of a card by title; the maps of sets have none."""
    found = {axes.get_title("left"): axes for axes in card_figure(card()).axes}
    assert {"mine", "noise", "a"} <= set(found)
    return found


def test_scores_are_dots_with_intervals_and_rings(panels):
    axes = panels["mine"]
    names = [label.get_text().strip() for label in axes.get_yticklabels()]
    assert names == ["dynamics", "a", "noise robustness", "noise"]
    dots = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert [0.7, 0.0] in np.round(dots, 9).tolist()  # ((0.9 + 0.8) / 2 - 0.5) / 0.5
    assert [0.1, 0.0] in np.round(dots, 9).tolist()  # the ring
    assert [0.25, 2.0] in np.round(dots, 9).tolist()


def test_the_curve_shows_its_values_and_the_companion_its_own():
    beside = block_rows("linear_cka", [1] * 4, [1] * 4)
    axes = next(one for one in card_figure(card(beside=beside)).axes if one.get_xlabel() == "level")
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["mine"] == [0.25, 0.5, 0.75, 1.0]
    assert lines["linear_cka"] == [1, 1, 1, 1]
    texts = [one.get_text() for one in axes.get_legend().get_texts()]
    assert texts == ["mine", "linear_cka"]
    assert axes.get_xscale() == "log"
    assert list(axes.lines[0].get_xdata()) == list(SNR)


def test_heat_map_and_plane_show_the_mean_over_seeds(panels):
    report = card()
    matrix = report.board.distances("mine", "suite/a").values
    drawn = panels["a"].collections[0].get_array().reshape(matrix.shape)
    assert drawn.tolist() == matrix.tolist()
    maps = case_maps(report)
    assert list(maps) == ["suite/a", "suite/noise"]
    assert maps["suite/a"].labels == ["chaos", "point"]
    assert 0.5 < maps["suite/a"].kept <= 1


def test_pictures_differ_between_light_and_dark_and_have_words():
    (image,) = curve_pictures(card()).values()
    assert image.light != image.dark
    assert image.alt == "suite/noise: value over level; means: mine 0.625."


def test_a_card_without_curves_or_distances_is_drawn():
    report = Report(scores("mine", None, None), "mine")
    assert [axes.get_title("left") for axes in card_figure(report).axes] == ["mine"]
    assert curve_pictures(report) == case_maps(report) == {}
