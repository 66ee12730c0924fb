"""Which rows a leaderboard counts, and what their seeds can tell apart.

    scaled(metric, case, seed) = (value - chance) / (ceiling - chance)
    score(metric)              = mean over cases of the mean over seeds of scaled

Intervals come from a paired bootstrap over (case, seed): the seeds of each case are drawn again,
the same draw for every metric, so that what a seed does to all metrics alike cancels in their
differences. The plain percentile bootstrap is too narrow for few seeds (two seeds would tell equals
apart half of the time), so the draws are widened about the score: by sqrt(n / (n - 1)) in a case of
n seeds, and by Student's t over the normal quantile. Cases scatter unequally, so the degrees of
freedom are those of Welch and Satterthwaite, for each metric and for each difference of two:

    freedom = (sum over cases of v)^2 / (sum over cases of v^2 / (n - 1)),  v = variance / n

Two seeds remain few: where one case of twelve scatters far more, their 95% interval holds the truth
in 89% (three seeds 93%, eight 95%). Ranks are not corrected for the number of comparisons: of ten
equal metrics (12 cases, 8 seeds) some is ranked below another on six boards in ten, though one
stands alone at rank 1 on fewer than one in a hundred.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from repsim.errors import RepsimError

DRAWS = 2000
TAIL = 0.025  # on either side of a 95% interval
EQUAL = 1e-12  # two values this close are the same value
EXACT = ("oracle", "constant")  # controls that have their value on every seed
FEWEST = 3  # seeds that can show a control of scattered values to be off: coarse ones coincide
TIE = 1e-9  # sums this close are a tie: far above their rounding, far below any finding

Cell = tuple[str, int]  # case and seed


@dataclass(frozen=True)
class Selection:
    """The rows of one board, one for each metric, case and seed; notes say what was left out."""

    rows: list[dict]
    protocol: str
    size: str
    notes: list[str]


@dataclass(frozen=True)
class Ranking:
    """One entry a metric in each array; the intervals are None where a case has only one seed."""

    score: np.ndarray
    rank: np.ndarray
    score_interval: tuple[np.ndarray, np.ndarray] | None
    rank_interval: tuple[np.ndarray, np.ndarray] | None


def select(rows: Iterable[dict], protocol: str, size: str | None) -> Selection:
    """The rows of one protocol and size: newest case, newest metric, last run of each cell.

    size      None takes the only size there is, or "full" where there are several
    raises    RepsimError if nothing is left, or if one (case, seed) was scored on different inputs
    """
    rows = sorted(rows, key=lambda row: row["date"])  # stable: within a date, the given order
    if not rows:
        raise RepsimError("There are no rows to rank. Make some first: repsim score METRIC.")
    held = Counter((row["protocol"], row["size"]) for row in rows)
    sizes = sorted(held_size for held_protocol, held_size in held if held_protocol == protocol)
    if size is None and sizes:
        size = "full" if "full" in sizes else sizes[0]
    if (protocol, size) not in held:
        there = ", ".join(f"{p}/{s} ({n} rows)" for (p, s), n in sorted(held.items()))
        wanted = f"protocol {protocol!r}" + (f" and size {size!r}" if size else "")
        raise RepsimError(f"No rows of {wanted}. The rows hold {there}: choose one of these.")
    beside = {(protocol, size)} | ({("independent", size)} if protocol == "controlled" else set())
    notes = [
        f"Not on this board: {n} rows of {p}/{s}. Boards mix neither protocols nor sizes."
        for (p, s), n in sorted(held.items())
        if (p, s) not in beside
    ]
    rows = [row for row in rows if (row["protocol"], row["size"]) == (protocol, size)]
    rows = _newest_metrics(_newest_cases(rows, notes), notes)
    rows = _last_of_each_cell(rows)
    _refuse_different_inputs(rows)
    return Selection(rows, protocol, size, notes)


def _newest_cases(rows: list[dict], notes: list[str]) -> list[dict]:
    newest: dict[str, int] = {}
    for row in rows:
        newest[row["case"]] = max(row["case_version"], newest.get(row["case"], row["case_version"]))
    old = Counter(
        (row["case"], row["case_version"])
        for row in rows
        if row["case_version"] != newest[row["case"]]
    )
    notes += [
        f"{case}: version {newest[case]} is ranked; {n} rows of version {version} are left out."
        for (case, version), n in sorted(old.items())
    ]
    return [row for row in rows if row["case_version"] == newest[row["case"]]]


def _newest_metrics(rows: list[dict], notes: list[str]) -> list[dict]:
    newest: dict[str, tuple[int, str | None]] = {}
    for row in rows:
        name, version = row["id"], row["metric_version"]
        if name not in newest or version >= newest[name][0]:
            newest[name] = (version, row["code"])
    kept = [row for row in rows if (row["metric_version"], row["code"]) == newest[row["id"]]]
    old = Counter(row["id"] for row in rows) - Counter(row["id"] for row in kept)
    notes += [
        f"{name}: {n} rows of earlier versions are left out." for name, n in sorted(old.items())
    ]
    return kept


def _last_of_each_cell(rows: list[dict]) -> list[dict]:
    """The last row wins, but a later failure does not undo a success."""
    cells: dict[tuple, dict] = {}
    for row in rows:
        key = (row["id"], row["case"], row["seed"])
        if row["status"] == "ok" or cells.get(key, row)["status"] != "ok":
            cells[key] = row
    return [cells[key] for key in sorted(cells)]


def _refuse_different_inputs(rows: list[dict]) -> None:
    seen: dict[Cell, dict] = {}
    for row in rows:
        if not row["inputs"]:
            continue
        first = seen.setdefault((row["case"], row["seed"]), row)
        if first["inputs"] != row["inputs"]:
            raise RepsimError(
                f"Cannot rank: {row['case']} version {row['case_version']} seed {row['seed']} was"
                f" scored on two different inputs ({first['inputs']} by {first['id']},"
                f" {row['inputs']} by {row['id']}). Score both again into a new results folder, on"
                " one machine with one version of repsim."
            )


def cells_to_fill(rows: list[dict]) -> list[Cell]:
    """The cells a metric must fill: some metric tried them, some metric or control succeeded."""
    tried = {(row["case"], row["seed"]) for row in rows if not row["control"]}
    done = {(row["case"], row["seed"]) for row in rows if row["status"] == "ok"}
    return sorted(tried & done)


def rank(scaled: list[np.ndarray]) -> Ranking:
    """Ranks metrics by their mean over cases; what the bootstrap cannot tell apart shares a rank.

    scaled    for each case (metrics, seeds), the same seed in the same column for every metric
    rank      1 + the number of metrics whose difference to this one is above 0 in its whole 95%
              interval; by score alone where a case has one seed; not corrected for the number of
              comparisons
    cost      O(draws * metrics^2)
    """
    score = np.mean([values.mean(axis=1) for values in scaled], axis=0)
    if min(values.shape[1] for values in scaled) < 2:
        beaten_by = (score[:, None] > score + TIE).sum(axis=0)
        return Ranking(score, 1 + beaten_by, None, None)
    drawn = _drawn(scaled)
    draws = score + drawn * _widening(scaled)
    low, high = np.quantile(draws, [TAIL, 1 - TAIL], axis=0)
    high = np.minimum(high, np.maximum(score, 1.0))  # nothing lies above the ceiling
    ranks, best, worst = (np.empty(len(score), dtype=int) for _ in range(3))
    for i in range(len(score)):
        widening = _widening([values - values[i] for values in scaled])
        ahead = score - score[i] + (drawn - drawn[:, [i]]) * widening  # (draws, metrics)
        ranks[i] = 1 + (np.quantile(ahead, TAIL, axis=0) > TIE).sum()
        best[i] = np.quantile(1 + (ahead > TIE).sum(axis=1), TAIL, method="lower")
        worst[i] = np.quantile((ahead > -TIE).sum(axis=1), 1 - TAIL, method="higher")
    return Ranking(score, ranks, (low, high), (np.minimum(best, ranks), np.maximum(worst, ranks)))


def deviations(scaled: list[np.ndarray]) -> np.ndarray:
    """Bootstrap draws of the score less the score, (draws, metrics), widened for few seeds."""
    return _drawn(scaled) * _widening(scaled)


def _drawn(scaled: list[np.ndarray]) -> np.ndarray:
    """Bootstrap draws of the score less the score, (draws, metrics), of the variance it has."""
    rng = np.random.default_rng(0)
    total = np.zeros((DRAWS, len(scaled[0])))
    for values in scaled:
        n = values.shape[1]
        times_drawn = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)  # (draws, seeds)
        total += np.sqrt(n / (n - 1)) * ((times_drawn - 1) / n @ values.T)
    return total / len(scaled)


def _widening(scaled: list[np.ndarray]) -> np.ndarray:
    """Student's t over the normal quantile for each metric; 1 where nothing scatters."""
    seeds = np.array([[values.shape[1]] for values in scaled])  # (cases, 1)
    variance = np.array([values.var(axis=1, ddof=1) for values in scaled]) / seeds
    largest = variance.max(axis=0)
    share = variance / np.where(largest > 0, largest, 1.0)  # keeps the squares from vanishing
    squares = (share**2 / (seeds - 1)).sum(axis=0)
    freedom = np.divide(
        share.sum(axis=0) ** 2, squares, out=np.full(len(largest), np.inf), where=squares > 0
    )
    return stdtrit(freedom, 1 - TAIL) / ndtri(1 - TAIL)


def control_verdict(values: Sequence[float], expected: float, exact: bool = False) -> str:
    """Whether a control's seeds allow the value it must have: agrees, broken or not assessed.

    exact   each seed must have the value, and one that is off breaks the case; else their mean
            must, by its 99% t-interval, which takes FEWEST seeds that are not all equal
    """
    off = np.asarray(values) - expected
    if np.abs(off).max() <= EQUAL:
        return "agrees"
    if exact:
        return "broken"
    if len(off) < FEWEST or np.ptp(off) <= EQUAL:
        return "not assessed"
    half_width = stdtrit(len(off) - 1, 0.995) * off.std(ddof=1) / np.sqrt(len(off))
    return "agrees" if abs(off.mean()) <= half_width else "broken"
