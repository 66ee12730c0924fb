import io

import numpy as np
import pytest
from rich.console import Console

from repsim.console import print_matrix

NAMES = [f"network_{i}_layer_{j}" for i in range(4) for j in range(3)]


@pytest.mark.parametrize(("width", "n_blocks"), [(40, 6), (80, 2), (400, 1)])
def test_a_matrix_of_any_width_can_be_read(monkeypatch, width, n_blocks):
    text = io.StringIO()
    monkeypatch.setattr("repsim.console.out", Console(file=text, width=width))
    matrix = np.random.default_rng(0).random((12, 12)).round(3)
    print_matrix(NAMES, matrix)
    blocks = [
        [line.split() for line in block.splitlines()] for block in text.getvalue().split("\n\n")
    ]
    assert len(blocks) == n_blocks
    assert max(map(len, text.getvalue().splitlines())) <= width
    heads = [head for block in blocks for head in block[0]]
    rows = [[x for block in blocks for x in block[i][-len(block[0]) :]] for i in range(1, 13)]
    assert heads == (NAMES if width == 400 else [str(i) for i in range(1, 13)])
    assert np.array_equal(np.array(rows, float), matrix)
    for i, name in enumerate(NAMES, 1):
        assert blocks[-1][i][: -len(blocks[-1][0])] == ([name] if width == 400 else [str(i), name])


def test_a_matrix_shows_a_dash_where_nothing_was_compared(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr("repsim.console.out", Console(file=text, width=80))
    print_matrix(["a", "b"], [[0, np.nan], [np.nan, 0]])
    assert [line.split() for line in text.getvalue().splitlines()] == [
        ["a", "b"],
        ["a", "0", "–"],
        ["b", "–", "0"],
    ]
