"""What the controls of a board scored, and which cases they show to be broken."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import pandas as pd

from repsim.ranking import EXACT, control_verdict

COLUMNS = ["control", "case", "mean", "expected", "seeds", "verdict", "reason"]


def control_table(rows: Iterable[dict]) -> pd.DataFrame:
    """One row a control and case: its mean, the value it must have, the verdict."""
    rows = sorted((row for row in rows if row["control"]), key=_control_and_case)
    lines = [[*key, *_facts(list(some))] for key, some in groupby(rows, _control_and_case)]
    types = {"mean": float, "expected": float}
    return pd.DataFrame(lines, columns=COLUMNS).astype(types)


def _control_and_case(row: dict) -> tuple[str, str]:
    return row["id"], row["case"]


def _facts(rows: list[dict]) -> list:
    values = np.array([row["value"] for row in rows if row["status"] == "ok"])
    expected = rows[0]["expected"]
    if not len(values):
        verdict = rows[0]["status"]
    elif expected is None:
        verdict = "no known value"
    else:
        verdict = control_verdict(values, expected, exact=rows[0]["metric"] in EXACT)
    mean = values.mean() if len(values) else np.nan
    reason = next((row["reason"] for row in rows if row["reason"]), "")
    return [mean, expected, len(values), verdict, reason]


def broken_cases(controls: pd.DataFrame) -> dict[str, str]:
    """Case -> the sentence that says which control is off."""
    off = controls[controls["verdict"] == "broken"]
    sentences: dict[str, list[str]] = {}
    for line in off.itertuples():
        sentences.setdefault(line.case, []).append(
            f"the control {line.control} has {line.mean:.6g} over {line.seeds}"
            f" seed{'s' * (line.seeds > 1)} where {line.expected:g} is known."
        )
    return {case: " ".join(found) for case, found in sentences.items()}
