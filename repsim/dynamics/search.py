"""Many starts of one problem race, then the best are mirrored: ever fewer go on, by their losses.

Starts reach a dozen or more minima a pair, most within .001 of the best, and losses say nothing of
which for some forty conjugate-gradient steps: so many are needed, in single precision, and few are
dropped early. The best minimum is as often of one determinant as of the other. Mirroring a good
minimum along an odd number of axes goes over to the other determinant and does not fall back;
it meets the best minimum about twice as often as a fresh start.
"""

from dataclasses import dataclass

import torch

from repsim.dynamics.trust_region import Problems, descend

SEARCH_TOLERANCE = 3e-5
SAME = 0.9999  # cosine between the moved operators of two starts in one minimum
AXES = (1, 3, 5, 7)  # how many axes are mirrored


@dataclass(frozen=True)
class Search:
    """How thoroughly minima are sought. A stage is (Newton steps, inner steps, starts in it).

    mixtures       starts from drawn mixtures, beside the fourteen fixed ones
    random_starts  uniform on the group
    stages         of the starts, after two Newton steps that solve rotated copies
    rounds         of mirroring the best minima
    mirrored       stages of each round; the first takes in all the mirror images
    """

    mixtures: int
    random_starts: int
    stages: tuple[tuple[int, int, int], ...]
    rounds: int
    mirrored: tuple[tuple[int, int, int], ...] = ((8, 8, 16), (5, 10, 6), (6, 15, 3))


SEARCHES = {
    "fast": Search(4, 0, ((8, 8, 18), (5, 10, 9), (4, 20, 3)), 0),
    "thorough": Search(16, 16, ((6, 4, 46), (5, 8, 38), (6, 12, 18), (6, 15, 5)), 3),
}


def race(problems: Problems, n_pairs: int, search: Search, seed: int) -> Problems:
    """The two best minima of each pair."""
    rng = torch.Generator().manual_seed(seed)
    problems = _stages(problems, n_pairs, search.stages)
    for _ in range(search.rounds):
        found = _stages(_mirrored(best(problems, n_pairs, 4), rng), n_pairs, search.mirrored)
        problems = best(_merge(problems, found, n_pairs), n_pairs, 4)
    problems = descend(best(problems, n_pairs, 2), 4, 20, SEARCH_TOLERANCE)
    return best(problems, n_pairs, 2)


def _stages(problems: Problems, n_pairs: int, stages: tuple[tuple[int, int, int], ...]) -> Problems:
    for iterations, inner, count in stages:
        problems = best(problems, n_pairs, count)
        problems = descend(problems, iterations, inner, SEARCH_TOLERANCE)
    return problems


def _mirrored(problems: Problems, rng: torch.Generator) -> Problems:
    """Each problem mirrored along drawn axes, once for each number of axes."""
    n = problems.transform.shape[-1]
    sign = torch.ones(len(AXES), n)
    for one, count in zip(sign, AXES, strict=True):
        one[torch.randperm(n, generator=rng)[:count]] = -1
    sign = sign.repeat(len(problems.loss), 1).to(problems.transform)
    mirrored = problems.take(torch.arange(len(problems.loss)).repeat_interleave(len(AXES)))
    return Problems.at_parts(
        mirrored.odd,
        mirrored.spectrum,
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
    """The count best minima of each pair, best first; starts in the same minimum come last."""
    losses = problems.loss.view(n_pairs, -1)
    order = losses.argsort(dim=1, stable=True)
    moved = problems.moved.flatten(1).unflatten(0, losses.shape)
    moved = moved.gather(1, order[:, :, None].expand_as(moved))
    products = moved @ moved.mT
    norms = products.diagonal(0, -2, -1).sqrt()
    same = (products > SAME * norms[:, :, None] * norms[:, None]).tril(-1).any(dim=-1)
    kept = order.gather(1, same.to(torch.uint8).argsort(dim=1, stable=True))[:, :count]
    return problems.take((kept + torch.arange(n_pairs)[:, None] * losses.shape[1]).flatten())
