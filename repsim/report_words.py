"""Three sentences about a metric, made from its numbers by fixed rules.

1. Where it can be trusted: axes with the verdict "trusted" (repsim.report_scores), and whether that
   holds without the same trials in the same order too. It is lost there only where the numbers say
   so; missing values, cases and seeds are told as what they are.
2. Where it cannot: the other axes, with the reason that their verdict is; one seed tells neither.
3. What to use instead: on each axis the best metric that is shown to be better, corrected for how
   many were compared (repsim.report_rank), or that there is none, or that nothing was there to
   compare with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from repsim.report_rank import Better, Rivals
from repsim.report_scores import BESIDE

_B = f"{BESIDE}_"
HALFWAY = "half-way or more from chance to the ceiling"
BROKEN = "a control misses its known value"
NO_OTHER = "no other metric has values on all of the same sets"
REASONS = {
    "weak": "above chance, but not shown to be half-way to the ceiling",
    "chance": "not told apart from chance",
    "below chance": "below chance: like sets are found farther apart",
}


def three_sentences(
    metric: str,
    axes: pd.DataFrame,
    rivals: Mapping[str, Rivals],
    command: str,
) -> list[str]:
    """Trust, distrust, and what to use instead.

    axes     repsim.report_scores.axis_table
    rivals   repsim.report_rank.rivals_by_axis
    command  what would score other metrics
    """
    lines = axes.to_dict("records")
    return [
        _trusted(metric, lines),
        _not_trusted(metric, lines),
        _instead(lines, rivals, command),
    ]


def _trusted(metric: str, lines: Sequence[dict[str, Any]]) -> str:
    good = [line for line in lines if line["verdict"] == "trusted"]
    if not good:
        return _nowhere_trusted(metric, lines)
    sentence = f"{metric} can be trusted for {_listed([_with_score(one) for one in good])}"
    lost = [one for one in good if one[f"{BESIDE}_verdict"] in REASONS]
    doubts = [words for one in good if one not in lost and (words := _doubt(one))]
    if lost:
        words = [f"{_numbers(one, _B, ' (')} for {one['axis']}{_of_cases(one)}" for one in lost]
        sentence += ", but not without the same trials in the same order: with independent trials"
        sentence += f" it has {_listed(words)}"
    elif not doubts and all(one[f"{BESIDE}_verdict"] for one in good):
        sentence += ", with independent trials too"
    return f"{sentence}{'; with independent trials ' if doubts else ''}{_listed(doubts, ';')}."


def _nowhere_trusted(metric: str, lines: Sequence[dict[str, Any]]) -> str:
    lone = [line for line in lines if line["verdict"] == "one seed"]
    if lone:
        cases = [case for line in lone for case in line["one_seed"]]
        who = "One seed" if all(map(_is_lone, lone)) else f"{_have(cases)} one seed, which"
        return f"{who} cannot say where {metric} can be trusted: run more."
    sentence = f"There is no axis on which {metric} can be trusted: "
    gaps = [words for line in lines if (words := _gap(line))]
    if not gaps:
        return f"{sentence}nowhere does its whole interval lie {HALFWAY}."
    rest = f"; elsewhere no whole interval lies {HALFWAY}" if len(gaps) < len(lines) else ""
    return f"{sentence}{_listed(gaps, ';')}{rest}."


def _doubt(line: dict[str, Any]) -> str:
    """Why independent trials leave open whether an axis can be trusted; "" where they do not."""
    if line[f"{BESIDE}_verdict"] == "one seed":
        return _one_seed(line, _B)
    if gap := _gap(line, _B):
        return gap
    cases = _of_cases(line)
    return f"that is known for {line['axis']}{cases} only" if cases else ""


def _of_cases(line: dict[str, Any]) -> str:
    """How many cases of an axis have independent trials, where these are some but not all."""
    n, of = line[f"{BESIDE}_n_cases"], line["n_cases"]
    return f" in {n} of its {of} cases" if 0 < n < of else ""


def _gap(line: dict[str, Any], start: str = "") -> str:
    """What an axis lacks, or "" for nothing."""
    n, word = line[f"{start}n_rows"], line[f"{start}verdict"]
    if word == "broken":
        return f"for {line['axis']} {_are_broken(line, start)}"
    if word in ("no value", "incomplete"):
        return f"{n - line[f'{start}n_ok']} of {n} evaluations for {line['axis']} gave no value"
    return ""


def _are_broken(line: dict[str, Any], start: str = "") -> str:
    cases = line[f"{start}broken"]
    return f"{_listed(cases)} {'is' if len(cases) == 1 else 'are'} broken"


def _is_lone(line: dict[str, Any], start: str = "") -> bool:
    """Whether all cases of an axis have one seed, not only some."""
    return len(line[f"{start}one_seed"]) == line[f"{start}n_cases"]


def _one_seed(line: dict[str, Any], start: str = "") -> str:
    if _is_lone(line, start):
        return f"one seed does not tell for {_with_score(line, start)}"
    cases = _have(line[f"{start}one_seed"])
    return f"there is no interval for {_with_score(line, start)}, as {cases} one seed"


def _have(cases: Sequence[str]) -> str:
    return f"{_listed(cases)} {'has' if len(cases) == 1 else 'have'}"


def _not_trusted(metric: str, lines: Sequence[dict[str, Any]]) -> str:
    bad = [line for line in lines if line["verdict"] not in ("trusted", "one seed")]
    lone = [_one_seed(line) for line in lines if line["verdict"] == "one seed"]
    parts = []
    if bad:
        parts.append(f"It cannot be trusted for {_listed([_with_reason(x) for x in bad], ';')}.")
    if lone:
        words = _listed(lone, ";")
        parts.append(f"{words[0].upper()}{words[1:]}.")
    return " ".join(parts) or f"No axis of these test cases speaks against {metric}."


def _with_reason(line: dict[str, Any]) -> str:
    n_lost = line["n_rows"] - line["n_ok"]
    if line["verdict"] == "no value":
        return f"{line['axis']} (none of its {line['n_rows']} evaluations gave a value)"
    if line["verdict"] == "incomplete":
        return f"{line['axis']} ({n_lost} of its {line['n_rows']} evaluations gave no value)"
    if line["verdict"] == "broken":
        return f"{line['axis']} ({_numbers(line)}; {_are_broken(line)}: {BROKEN})"
    return f"{line['axis']} ({_numbers(line)}; {REASONS[line['verdict']]})"


def _instead(lines: Sequence[dict[str, Any]], rivals: Mapping[str, Rivals], command: str) -> str:
    broken = [line["axis"] for line in lines if line["verdict"] == "broken"]
    lines = [line for line in lines if line["verdict"] != "broken"]
    if not lines:
        return "What to use instead is not known: a case of every axis is broken."
    if not any(one.n for one in rivals.values()):
        return (
            f"What to use instead is not known, as no other metric is scored here: run {command}."
        )
    if all(line["verdict"] == "one seed" for line in lines):
        return "What to use instead is not known: one seed cannot show that a metric is better."
    better = {axis: one.best for axis, one in rivals.items() if one.best}
    bad = [line["axis"] for line in lines if line["verdict"] != "trusted"]
    beaten = [axis for axis in bad if axis not in better and rivals[axis].n]
    unknown = [axis for axis in bad if not rivals[axis].n]
    clauses = [f"use {_listed([_use(*one) for one in better.items()], ';')}"] if better else []
    if beaten or not better:
        n = max(one.n for axis, one in rivals.items() if axis in beaten or not beaten)
        who = f"none of the {n} other metrics" if n > 1 else "no other metric"
        where = f" for {_listed(beaten, last='or')}" if beaten else ""
        clauses.append(f"{who} scored here is shown to be better{where}")
    if unknown:
        clauses.append(f"for {_listed(unknown)} {NO_OTHER}: run {command}")
    if broken:
        clauses.append(f"for {_listed(broken)} nothing can be said while a case is broken")
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _use(axis: str, one: Better) -> str:
    against = "no value" if np.isnan(one.own) else f"{one.own:.2f}"
    where = ", with the same trials only" if one.only_matched else ""
    return f"{one.metric} for {axis} ({one.score:.2f} against {against}{where})"


def _with_score(line: dict[str, Any], start: str = "") -> str:
    return f"{line['axis']} ({_numbers(line, start)})"


def _numbers(line: dict[str, Any], start: str = "", part: str = ", ") -> str:
    """Score and interval: 0.50, 0.40 to 0.60; or, parted by " (", 0.50 (0.40 to 0.60)."""
    score, low, high = (line[start + name] for name in ("score", "low", "high"))
    if np.isnan(score):
        return "no value"
    end = ")" if "(" in part else ""
    return f"{score:.2f}" + ("" if np.isnan(low) else f"{part}{low:.2f} to {high:.2f}{end}")


def _listed(words: Sequence[str], comma: str = ",", last: str = "and") -> str:
    """a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return f"{(comma + ' ').join(words[:-1])} {last} {words[-1]}"
