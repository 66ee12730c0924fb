"""From rows to verdicts: what docs/findings_attractor.py reads, its intervals, and its rules.

interval     mean +- t(n - 1) sd / sqrt(n)               95 %, n seeds; scores end at the ceiling
prediction   mean +- t(n - 1) sd sqrt(1 + 1 / n)         95 %, one more seed
threshold    as on a report card (repsim.report_curves)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from repsim.plugins import get_metric
from repsim.report_curves import threshold_of
from repsim.results import distances_of

METRICS = {  # and the ids of their rows
    "DSA": get_metric("dsa").id,
    "CKA": get_metric("linear_cka").id,
    "Procrustes": get_metric("angular_procrustes").id,
    "DSA tuned": get_metric("dsa(delays='auto', rank='auto')").id,
}
PUBLISHED_DSA = {  # case: the authors' parameters there
    "lorenz_regimes": get_metric("dsa(delays=33, interval=6, rank=20)").id,
    "mixing": get_metric("dsa(delays=33, interval=6, rank=50)").id,
}
ANGLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "DSA": lambda d: d,
    "CKA": lambda d: np.arccos(np.clip(1 - d, -1, 1)) * 2 / np.pi,
    "Procrustes": lambda d: d * 2 / np.pi,
    "DSA tuned": lambda d: d,
}
RANKED = ("controlled", "independent")
CEILING = 1.0  # of every case of the suite


@dataclass(frozen=True)
class Found:
    """Mean over seeds with its 95 % interval, which does not pass the ceiling of the values."""

    values: np.ndarray
    ceiling: float = np.inf

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(self.values.mean())

    def half_width(self, more: float = 0.0) -> float:
        """Of the interval of the mean; with more=1, of the prediction for one more seed."""
        n = len(self.values)
        return float(stdtrit(n - 1, 0.975) * self.values.std(ddof=1) * (more + 1 / n) ** 0.5)

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width()

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return min(self.mean + self.half_width(), max(self.mean, self.ceiling))

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Claim:
    """One line of the page, and the tables that stand behind it."""

    claim: str
    published: str
    found: str
    verdict: str
    details: tuple[str, ...] = ()


def id_of(metric: str, case: str, protocol: str) -> str:
    """The id of a metric's rows in a case, with the authors' parameters where it was published."""
    published = protocol == "published" and metric == "DSA"
    return PUBLISHED_DSA.get(case, METRICS[metric]) if published else METRICS[metric]


def rows_of(rows: list[dict], case: str, protocol: str, metric: str) -> list[dict]:
    """Rows of full size that ended well, by seed."""
    wanted = (f"attractor/{case}", protocol, metric, "full", "ok")
    keys = ("case", "protocol", "id", "size", "status")
    chosen = [row for row in rows if tuple(row[key] for key in keys) == wanted]
    return sorted(chosen, key=lambda row: row["seed"])


def scores(rows: list[dict], case: str, protocol: str) -> dict[str, Found]:
    """The score of each of METRICS that has at least two seeds."""
    held = {name: rows_of(rows, case, protocol, id_of(name, case, protocol)) for name in METRICS}
    return {
        name: Found(np.array([row["value"] for row in own]), CEILING)
        for name, own in held.items()
        if len(own) > 1
    }


def matrices(rows: list[dict], name: str) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """Distances of each row in the paper's units, with what is known of the sets."""
    for row in rows:
        known = {"label": row["labels"], "block": row["blocks"], "level": row["levels"]}
        truth = pd.DataFrame({k: v for k, v in known.items() if v}, index=row["names"])
        yield ANGLES[name](distances_of(row)), truth


def ahead(found: dict[str, Found], champion: str) -> bool:
    """Whether the champion's interval lies above those of all other methods."""
    method = champion.partition(" ")[0]
    others = [one for name, one in found.items() if name.partition(" ")[0] != method]
    return all(found[champion].low > other.high for other in others)


def claim_of_best(conditions: dict[str, dict[str, Found]], champion: str) -> str:
    """The verdict on a claim that the champion is best, and on its tuned form where it was run."""
    tuned = f"{champion} tuned"
    if any(tuned in found for found in conditions.values()):
        plain = {k: {m: v for m, v in f.items() if m != tuned} for k, f in conditions.items()}
        only = {k: {m: v for m, v in f.items() if m != champion} for k, f in conditions.items()}
        return f"{claim_of_best(plain, champion)}. Tuned: {claim_of_best(only, tuned)}"
    full = {
        name: found for name, found in conditions.items() if champion in found and len(found) > 1
    }
    if not full:
        return "not run"
    won = [name for name, found in full.items() if ahead(found, champion)]
    if len(won) == len(full):
        return "holds"
    return f"depends on the condition: holds for {'; '.join(won)}" if won else "does not hold"


def against_chance(found: Found) -> str:
    """Above, below or at chance."""
    return (
        "above chance" if found.low > 0.5 else "below chance" if found.high < 0.5 else "at chance"
    )


def chance_verdicts(conditions: dict[str, dict[str, Found]]) -> str:
    """Above, at or below chance, for each condition and metric."""
    return (
        "; ".join(
            f"{name}: " + ", ".join(f"{m} {against_chance(found)}" for m, found in held.items())
            for name, held in conditions.items()
            if held
        )
        or "not run"
    )


def reproduced(found: Found, published: str) -> bool:
    """Whether a printed number could be one more seed."""
    rounding = 0.5 * 10.0 ** -len(published.partition(".")[2])
    return abs(float(published) - found.mean) <= found.half_width(more=1) + rounding


def threshold(tables: list[pd.DataFrame]) -> str:
    """The ratio at which the mean curve over seeds falls to .75, with its interval.

    tables  what Rule.by_block returns, one a seed
    """
    curves = pd.DataFrame([one.groupby("level")["value"].mean() for one in tables])
    level = curves.columns.to_numpy(float)
    found = threshold_of(level, curves.to_numpy())
    middle, low, high = (_ratio(one, level) for one in (found.level, found.low, found.high))
    return f"{middle} [{low}, {high}]"


def _ratio(crossing: float, level: np.ndarray) -> str:
    if 0 < crossing < np.inf:
        return f"{crossing:.2g}"
    return f"below {level.min():g}" if crossing == 0 else f"above {level.max():g}"


def summary(name: str, found: dict[str, Found]) -> str:
    """The scores of one condition on one line."""
    return f"{name}: " + ", ".join(f"{metric} {score}" for metric, score in found.items())


def table(header: list[str], body: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *body]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]
