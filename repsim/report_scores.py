"""What a metric scored, by case and by axis, with intervals, and what that says in one word.

    scaled(case, seed) = (value - chance) / (ceiling - chance)
    score(axis)        = mean over the cases of the axis of the mean over seeds of scaled

Intervals are those of the leaderboard (repsim.ranking): seeds are drawn again, widened for few.
A score is 0 at chance and 1 at the ceiling. One word, from its 95% interval; the first that fits of
broken, no value, incomplete and one seed comes before it:

    trusted       the whole interval at or above TRUSTED, half-way to the ceiling
    weak          the whole interval above 0, but not above TRUSTED
    chance        the interval holds 0
    below chance  the whole interval below 0: like sets are found farther apart
    broken        a control misses its known value in a case, so no score there can be believed
    no value      nothing could be scored
    incomplete    a case or a seed has no value, so the mean is not over what others are scored on
    one seed      a case has one seed, so there is no interval
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from repsim.ranking import rank, select

TRUSTED = 0.5
BESIDE = "independent"
Row = dict[str, Any]


def counted_rows(own: Iterable[Row], protocol: str) -> tuple[list[Row], list[str]]:
    """The rows of one metric that its card counts, each evaluation once, cases in the order given.

    Of one size, as on a leaderboard ("full" where there are several), in the newest version of a
    case and of the metric; of one protocol, and of independent trials beside it.

    returns  these, and notes that say what was left out
    """
    own = list(own)
    size = select(_of(own, protocol), protocol, None).size
    others = [row["size"] for row in own if row["size"] != size]
    notes = [
        f"{others.count(one)} rows of {one} size are left out: a card is of one size."
        for one in dict.fromkeys(others)
    ]
    kept = []
    for name in dict.fromkeys((protocol, BESIDE)):
        if rows := _of(own, name, size=size):
            found = select(rows, name, size)
            kept += found.rows
            notes += found.notes
    place = {case: i for i, case in enumerate(_in_order(own, "case"))}
    return sorted(kept, key=lambda row: place[row["case"]]), notes


def case_table(own: Sequence[Row], protocol: str) -> pd.DataFrame:
    """One row a case: raw mean and interval, chance, ceiling, scaled, seeds done, seconds a pair,
    and the same mean where every set draws its own trials (NaN where that was not run).

    own  the rows of one metric
    """
    lines = []
    for case in _in_order(_of(own, protocol), "case"):
        rows = _of(own, protocol, case=case)
        facts = rows[0]
        chance, ceiling = facts["chance"], facts["ceiling"]
        span = ceiling - chance
        found, beside = (mean_and_interval([one]) for one in (rows, _beside(own, protocol, case)))
        score, low, high = (chance + span * part for part in found)
        line = {"case": case, "axis": facts["axis"], "score": score, "low": low, "high": high}
        line |= {"chance": chance, "ceiling": ceiling, "scaled": found[0]}
        line |= {"n_ok": len(_values(rows)), "n_seeds": len(rows)}
        names = (BESIDE, f"{BESIDE}_low", f"{BESIDE}_high")
        line |= {name: chance + span * part for name, part in zip(names, beside, strict=True)}
        lines.append(line | {"seconds_per_pair": seconds_per_pair(rows)})
    return pd.DataFrame(lines)


def axis_table(
    own: Sequence[Row], protocol: str, broken: Mapping[str, Collection[str]] | None = None
) -> pd.DataFrame:
    """One row an axis: score, interval and verdict, how many of its cases and of its rows have a
    value, which cases are broken and which have one seed; the same for independent trials.

    broken  protocol -> its broken cases
    """
    broken, lines = broken or {}, []
    for axis in _in_order(_of(own, protocol), "axis"):
        rows = _of(own, protocol, axis=axis)
        beside = [one for case in _in_order(rows, "case") for one in _beside(own, protocol, case)]
        facts = _axis_facts(rows, broken.get(protocol, ()))
        more = _axis_facts(beside, broken.get(BESIDE, ()))
        lines.append({"axis": axis} | facts | {f"{BESIDE}_{k}": one for k, one in more.items()})
    return pd.DataFrame(lines)


def _axis_facts(rows: Sequence[Row], broken: Collection[str]) -> dict[str, Any]:
    names = _in_order(rows, "case")
    by_case = {case: [row for row in rows if row["case"] == case] for case in names}
    score, low, high = mean_and_interval(by_case.values())
    n_ok, off = len(_values(rows)), [case for case in by_case if case in broken]
    word = verdict(score, low, high, n_ok == len(rows), bool(off)) if rows else ""
    facts = {"score": score, "low": low, "high": high, "verdict": word}
    facts |= {"n_ok": n_ok, "n_rows": len(rows), "n_cases": len(by_case), "broken": off}
    return facts | {"one_seed": [case for case, some in by_case.items() if len(_values(some)) == 1]}


def mean_and_interval(by_case: Iterable[Sequence[Row]]) -> tuple[float, float, float]:
    """Score over the cases that have a value, and its 95% interval; NaN where there is none."""
    scaled = [found for rows in by_case if len(found := _scaled(rows))]
    if not scaled:
        return np.nan, np.nan, np.nan
    found = rank([values[None, :] for values in scaled])
    if found.score_interval is None:
        return float(found.score[0]), np.nan, np.nan
    low, high = found.score_interval
    return float(found.score[0]), float(low[0]), float(high[0])


def verdict(
    score: float, low: float, high: float, complete: bool = True, broken: bool = False
) -> str:
    """A score and its interval in one word; see the head of this file."""
    if broken:
        return "broken"
    if np.isnan(score):
        return "no value"
    if not complete:
        return "incomplete"
    if np.isnan(low):
        return "one seed"
    if low > 0:
        return "trusted" if low >= TRUSTED else "weak"
    return "below chance" if high < 0 else "chance"


def failure_table(own: Sequence[Row]) -> pd.DataFrame:
    """Each reason why rows of a case have no value, and in how many."""
    columns = ["case", "protocol", "status", "rows", "reason"]
    lost = [row for row in own if row["status"] != "ok"]
    keys = [(row["case"], row["protocol"], row["status"], row["reason"] or "") for row in lost]
    return pd.DataFrame(
        [(*key[:3], keys.count(key), key[3]) for key in dict.fromkeys(keys)], columns=columns
    )


def chosen_table(own: Sequence[Row]) -> pd.DataFrame:
    """What the metric chose from the data in each case: lowest, median and highest of its rows.

    Choices that are no numbers are listed in the column "choices".
    """
    lines = []
    for case in _in_order(own, "case"):
        chosen = [row["chosen"] for row in own if row["case"] == case and row.get("chosen")]
        for name in dict.fromkeys(name for one in chosen for name in one):
            values = [one[name] for one in chosen if name in one]
            if all(isinstance(one, (int, float)) for one in values):
                spread = [float(f(values)) for f in (np.min, np.median, np.max)]
                lines.append((case, name, *spread, ""))
            else:
                listed = ", ".join(dict.fromkeys(map(str, values)))
                lines.append((case, name, np.nan, np.nan, np.nan, listed))
    columns = ["case", "parameter", "lowest", "median", "highest", "choices"]
    return pd.DataFrame(lines, columns=columns)


def seconds_per_pair(rows: Iterable[Row]) -> float:
    """Median over the rows that ended well; NaN without any."""
    seconds = [row["seconds_per_pair"] for row in rows if row["status"] == "ok"]
    seconds = [one for one in seconds if one is not None]
    return float(np.median(seconds)) if seconds else np.nan


def _beside(own: Sequence[Row], protocol: str, case: str) -> list[Row]:
    return [] if protocol == BESIDE else _of(own, BESIDE, case=case)


def _of(rows: Iterable[Row], protocol: str, **wanted: str) -> list[Row]:
    return [
        row
        for row in rows
        if row["protocol"] == protocol and all(row[k] == v for k, v in wanted.items())
    ]


def _in_order(rows: Iterable[Row], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows))


def _values(rows: Iterable[Row]) -> np.ndarray:
    return np.array([row["value"] for row in rows if row["status"] == "ok"], dtype=float)


def _scaled(rows: Sequence[Row]) -> np.ndarray:
    if not rows:
        return np.empty(0)
    return (_values(rows) - rows[0]["chance"]) / (rows[0]["ceiling"] - rows[0]["chance"])
