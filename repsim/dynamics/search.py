"""Many starts of one problem race: ever fewer go on, the losses deciding.

Starts reach a handful of distinct minima, and early losses say little about which: a start wins in
about one pair of ten. So many are needed, in single precision, and few are dropped early.
"""

from dataclasses import dataclass

import torch

from repsim.dynamics.trust_region import Problems, descend

SEARCH_TOLERANCE = 3e-5
REFLECTIONS = 8


@dataclass(frozen=True)
class Search:
    """How thoroughly minima are sought.

    mixtures       starts from drawn mixtures, beside the fourteen fixed ones
    random_starts  uniform on the group
    first_inner    conjugate-gradient steps in the first two Newton steps
    stages         Newton steps, conjugate-gradient steps in each, starts that take part
    reflections    rounds of reflecting the best along its axes
    """

    mixtures: int
    random_starts: int
    first_inner: int
    stages: tuple[tuple[int, int, int], ...]
    reflections: int


SEARCHES = {
    "fast": Search(4, 0, 6, ((8, 8, 18), (5, 10, 9), (4, 20, 3)), 0),
    "thorough": Search(16, 16, 8, ((12, 15, 46), (4, 15, 24), (4, 15, 9)), 2),
}


def race(problems: Problems, n_pairs: int, search: Search) -> Problems:
    """The two best minima of each pair: ever fewer starts, then reflections of the best."""
    for iterations, inner, count in search.stages:
        problems = best(problems, n_pairs, count)
        problems = descend(problems, iterations, inner, SEARCH_TOLERANCE)
    for turn in range(search.reflections):
        problems = best(problems, n_pairs, 2)
        mirrored = _reflections(problems.take(slice(0, None, 2)), turn)
        mirrored = descend(mirrored, 14, 15, SEARCH_TOLERANCE)
        problems = best(_merge(problems, mirrored, n_pairs), n_pairs, 3)
    return best(problems, n_pairs, 2)


def _reflections(problems: Problems, turn: int) -> Problems:
    """Each problem mirrored along single axes of its frame, from the cheapest to the dearest."""
    n = problems.transform.shape[-1]
    count = min(n, REFLECTIONS)
    agreement = problems.target * problems.moved
    rise = agreement.sum(-1) - agreement.diagonal(n, -2, -1)
    stride = -(-n // count)
    axes = rise.argsort(dim=1, stable=True).roll(-turn, dims=1)[:, ::stride]
    mirrored = problems.take(torch.arange(len(rise)).repeat_interleave(axes.shape[1]))
    sign = 1 - 2 * torch.eye(n).to(rise)[axes.flatten()]
    return Problems.at_parts(
        mirrored.target,
        mirrored.moved * sign[:, :, None] * torch.cat([sign, sign], dim=1)[:, None],
        mirrored.transform * sign[:, :, None],
    )


def _merge(x: Problems, y: Problems, n_pairs: int) -> Problems:
    """The starts of x and those of y, pair by pair."""
    return Problems(
        *(
            torch.cat(
                [u.unflatten(0, (n_pairs, -1)), v.unflatten(0, (n_pairs, -1))], dim=1
            ).flatten(0, 1)
            for u, v in zip(vars(x).values(), vars(y).values(), strict=True)
        )
    )


def best(problems: Problems, n_pairs: int, count: int) -> Problems:
    """The count best starts of each pair, best first."""
    losses = problems.loss.view(n_pairs, -1)
    kept = losses.argsort(dim=1, stable=True)[:, :count]
    return problems.take((kept + torch.arange(n_pairs)[:, None] * losses.shape[1]).flatten())
