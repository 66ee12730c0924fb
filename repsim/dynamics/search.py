"""From many starts of one problem a pool of minima, then mirror images of all that are in it.

Starts reach a dozen or more minima a pair, most within .001 of the best, and losses say nothing of
which for some forty conjugate-gradient steps: every start finds the best with probability .1.
Mirroring a minimum along an odd number of axes goes over to the other determinant and does not fall
back, and here losses tell at once: of sixty mirror images the best few hold most of what is to be
gained. Rounds of them go on until none has improved a pair's best minimum for some time. A pool
that is wide, not the best few alone, keeps the rounds from running in circles.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.dynamics.problems import Problems
from repsim.dynamics.trust_region import descend

SEARCH_TOLERANCE = 3e-5
SAME = 0.9999  # cosine between the moved operators of two starts in one minimum
AXES = (1, 3, 5, 7, 9)  # how many axes are mirrored
ROUNDS = 20  # at most
GAIN = 1e-5  # in the residual, over the square root of 2


@dataclass(frozen=True)
class Search:
    """How thoroughly minima are sought. A stage is (Newton steps, inner steps, starts in it).

    stages    of the starts, after two Newton steps that solve rotated copies
    pool      minima that are mirrored
    mirrored  stages of a round, of the best mirror images
    patience  rounds without gain after which a pair is done
    """

    stages: tuple[tuple[int, int, int], ...]
    pool: int
    mirrored: tuple[tuple[int, int, int], ...]
    patience: int


SEARCHES = {
    "fast": Search(
        ((6, 6, 20), (5, 8, 10), (5, 12, 6)), 6, ((4, 6, 10), (5, 10, 4), (5, 15, 2)), 1
    ),
    "balanced": Search(
        ((6, 6, 20), (5, 8, 14), (5, 12, 10)), 10, ((4, 6, 8), (5, 10, 4), (5, 15, 2)), 3
    ),
    "thorough": Search(
        ((6, 6, 20), (5, 8, 20), (5, 12, 16)), 16, ((4, 6, 16), (5, 10, 8), (5, 15, 4)), 6
    ),
}


def race(problems: Problems, n_pairs: int, search: Search, seed: int) -> Problems:
    """The two best minima of each pair."""
    rng = torch.Generator().manual_seed(seed)
    pool = best(_stages(problems, n_pairs, search.stages), n_pairs, search.pool)
    going, idle = torch.arange(n_pairs), torch.zeros(n_pairs)
    for _ in range(ROUNDS):
        index = _rows(going, search.pool)
        before = pool.take(index)
        images = _mirrored(before, len(going), 3 * search.mirrored[0][2], rng)
        found = _stages(images, len(going), search.mirrored)
        after = best(_merge(before, found, len(going)), len(going), search.pool)
        pool.put(index, after)
        gained = after.loss[:: search.pool].sqrt() < before.loss[:: search.pool].sqrt() - GAIN
        idle[going] = torch.where(gained, 0, idle[going] + 1)
        going = (idle < search.patience).nonzero()[:, 0]
        if not len(going):
            break
    found = best(pool, n_pairs, 2)
    descend(found, 4, 20, SEARCH_TOLERANCE)
    return best(found, n_pairs, 2)


def _stages(problems: Problems, n_pairs: int, stages: tuple[tuple[int, int, int], ...]) -> Problems:
    for iterations, inner, count in stages:
        problems = best(problems, n_pairs, count)
        descend(problems, iterations, inner, SEARCH_TOLERANCE)
    return problems


def _mirrored(pool: Problems, n_pairs: int, count: int, rng: torch.Generator) -> Problems:
    """Of the pool mirrored along drawn axes, once for each number of axes, the count lowest.

    Mirroring by signs d changes the loss by a constant less d' (K * L) d.
    """
    n = pool.transform.shape[-1]
    sign = torch.ones(len(AXES), n, dtype=pool.loss.dtype)
    for one, n_axes in zip(sign, AXES, strict=True):
        one[torch.randperm(n, generator=rng)[:n_axes]] = -1
    gains = ((sign @ (pool.odd * pool.moved[:, n:])) * sign).sum(-1)
    chosen = gains.view(n_pairs, -1).argsort(dim=1, descending=True, stable=True)[:, :count]
    sign = sign[chosen.flatten() % len(AXES)]
    start = pool.take(_rows(torch.arange(n_pairs), len(pool.loss) // n_pairs, chosen // len(AXES)))
    start.transform *= sign[:, :, None]
    start.moved.unflatten(1, (2, n)).mul_((sign[:, :, None] * sign[:, None])[:, None])
    return Problems.at_parts(start.odd, start.spectrum, start.moved, start.transform)


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
    products = moved @ moved.mT
    norms = products.diagonal(0, -2, -1).sqrt()
    alike = products > SAME * norms[:, :, None] * norms[:, None]
    alike = alike.take_along_dim(order[:, :, None], 1).take_along_dim(order[:, None], 2)
    same = alike.tril(-1).any(dim=-1)
    kept = order.gather(1, same.to(torch.uint8).argsort(dim=1, stable=True))[:, :count]
    return problems.take(_rows(torch.arange(n_pairs), losses.shape[1], kept))


def _rows(pairs: Tensor, count: int, members: Tensor | None = None) -> Tensor:
    """Where members of the count problems of some pairs stand; all of them without members."""
    members = torch.arange(count) if members is None else members
    return (pairs[:, None] * count + members).flatten()
