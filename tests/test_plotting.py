import io

import numpy as np
import pytest
import xarray as xr
from test_leaderboard import scores

from repsim import plotting
from repsim.leaderboard import Leaderboard


def test_the_heat_map_names_rows_columns_and_metric():
    values = np.array([[0.0, 1.0], [2.0, 0.0]])
    names = {"x": ["$a$", "b"], "y": ["c", "d"]}
    matrix = xr.DataArray(values, names, ("x", "y"), attrs={"metric": "dsa(rank=2)"})
    figure = plotting.distance_heatmap(matrix.transpose("y", "x"))
    axes, bar = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [r"\$a\$", "b"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "d"]
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2", "0"]
    assert bar.get_ylabel() == "distance, dsa(rank=2)"


@pytest.mark.parametrize("n_sets", [2, 100])
def test_the_heat_map_draws_few_and_many_sets(n_sets):
    names = [f"run_{i}.nc" for i in range(n_sets)]
    matrix = xr.DataArray(np.zeros((n_sets, n_sets)), {"x": names, "y": names}, ("x", "y"))
    figure = plotting.distance_heatmap(matrix)
    figure.savefig(io.BytesIO(), format="png")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names


def test_the_figure_shows_the_ranks():
    board = Leaderboard(scores("one", 0.9, 0.91, 0.92) + scores("two", 0.6, 0.61, 0.62))
    axes = plotting.leaderboard_figure(board).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1  one", "2  two"]
    assert axes.collections[-1].get_offsets()[0, 0] == pytest.approx(0.82)  # (0.91 - 0.5) / 0.5


def test_sensitivity_shows_the_mean_over_pairs_and_blanks() -> None:
    coordinates = {"delays": [2, 5], "rank": [3, 9], "x": ["a", "b"], "y": ["a", "b"]}
    values = np.array([[0.0, 3.0], [1.0, 0.0]]) * np.ones((2, 2, 1, 1))
    values[1, 1] = np.nan
    grid = xr.DataArray(values, coordinates, tuple(coordinates), attrs={"metric": "dsa"})
    axes, bar = plotting.dsa_sensitivity(grid).axes
    assert [text.get_text() for text in axes.texts] == ["2", "2", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rank", "delays")
    assert bar.get_ylabel() == "mean dsa"
