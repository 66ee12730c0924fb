"""Which minima a search keeps."""

import torch

from repsim.dynamics.problems import Problems
from repsim.dynamics.search import best


def test_the_best_minima_come_first_and_repeated_ones_last():
    # where each start stands: size and direction; loss is half the square, the target being 0
    sizes = torch.tensor([[2, 1, 1.001, 3], [3, 3.001, 2, 1]])
    directions = [0, 1, 1, 2, 0, 0, 1, 2]
    moved = torch.zeros(8, 6, 3)
    for row, size, direction in zip(moved, sizes.flatten(), directions, strict=True):
        row[direction, 0] = size
    problems = Problems.at_parts(
        torch.zeros(8, 3, 3), torch.zeros(8, 3), moved, torch.eye(3).expand(8, 3, 3)
    )
    found = (2 * best(problems, n_pairs=2, count=4).loss.view(2, 4)).sqrt()
    torch.testing.assert_close(found, torch.tensor([[1, 2, 3, 1.001], [1, 2, 3, 3.001]]))
