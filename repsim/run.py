"""Metrics x cases x seeds -> rows. The sets of a case and seed are made once for all metrics.

A user's metric may hang, crash or draw on anything, so evaluations can run in worker processes that
the parent watches; the parent alone writes results, row by row, so that nothing finished is ever
lost.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repsim.contract import Metric
from repsim.errors import InputError, MetricError, RepsimError
from repsim.pairs import distances
from repsim.plugins import METRICS, SUITES, get_metric
from repsim.results import SCHEMA, append, finished, now, provenance, row_id
from repsim.rules import blocks
from repsim.signature import named
from repsim.testcase import TestCase, fingerprint_sets

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What decides the sets: the same setting gives the same bits."""

    case: TestCase
    seed: int
    protocol: str = "controlled"
    quick: bool = False


def get_cases(suite: Any) -> list[TestCase]:
    """The test cases of a suite's name, one case's name, a TestCase, or a list of these."""
    if isinstance(suite, TestCase):
        return [suite]
    if not isinstance(suite, str):
        return [case for one in suite for case in get_cases(one)]
    name, slash, _ = suite.partition("/")
    cases = SUITES[name]
    if not slash:
        return list(cases)
    chosen = [case for case in cases if case.name == suite]
    if not chosen:
        raise RepsimError(f"No test case {suite!r}. It has: {', '.join(c.name for c in cases)}.")
    return chosen


def evaluate(
    metrics: Any,
    suite: Any = "attractor",
    *,
    seeds: int | Sequence[int] = 8,
    protocol: str | Sequence[str] = "controlled",
    quick: bool = False,
    results: str | Path | None = None,
    workers: int = 0,
    timeout: float | None = None,
    shard: tuple[int, int] = (0, 1),
    on_row: Callable[[Row, int, int], None] | None = None,
) -> list[Row]:
    """Score metrics on test cases; rows already finished in the results folder are not run again.

    metrics   names, functions or Metrics; or one of these
    seeds     how many, or which
    protocol  one or several; of these, each case runs those that it has
    workers   processes; 0 runs here, where a metric that never returns cannot be stopped
    timeout   seconds for one metric on one case and seed; needs workers, and takes one when there
              are none
    shard     (i, n): only every n-th (case, seed, protocol), starting from the i-th
    on_row    called with (row, rows done, rows in all) as results come in
    returns   the rows of this run, old and new
    """
    seeds = range(seeds) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not len(seeds):
        raise RepsimError("No seeds to run. Give at least 1.")
    metrics = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
    metrics = _told_apart(get_metric(metric) for metric in metrics)
    settings = _settings(get_cases(suite), seeds, protocol, quick)[shard[0] :: shard[1]]
    done = finished(results)
    rows: list[Row] = []
    pending: list[tuple[Setting, list[Metric]]] = []
    for setting in settings:
        heads = [head(metric, setting) for metric in metrics]
        rows += [done[one["row"]] for one in heads if one["row"] in done]
        open_ones = [m for m, one in zip(metrics, heads, strict=True) if one["row"] not in done]
        if open_ones:
            pending.append((setting, open_ones))
    n_rows = len(rows) + sum(len(open_ones) for _, open_ones in pending)
    for row in _results_of(pending, workers, timeout):
        rows.append(row)
        if results is not None:
            append(results, [row])
        if on_row is not None:
            on_row(row, len(rows), n_rows)
    return rows


def _told_apart(metrics: Iterable[Metric]) -> list[Metric]:
    """Each metric once; results and boards know one by its id, so no two may share one."""
    known: dict[str, Metric] = {}
    for metric in metrics:
        namesakes = [METRICS[metric.name]] if metric.name in METRICS else []
        namesakes.append(known.setdefault(metric.id, metric))
        if any((one.version, one.code) != (metric.version, metric.code) for one in namesakes):
            raise RepsimError(
                f"Two different metrics are called {metric.name!r}, and a board could not tell them"
                " apart. Rename one: repsim.metric(name=...)(function)."
            )
    return list(known.values())


def _settings(
    cases: Sequence[TestCase], seeds: Sequence[int], protocol: str | Sequence[str], quick: bool
) -> list[Setting]:
    wanted = [protocol] if isinstance(protocol, str) else list(protocol)
    known = Counter(name for case in cases for name in case.protocols)
    if not any(known[name] for name in wanted):
        names, missing = ", ".join(case.name for case in cases), " or ".join(map(repr, wanted))
        raise RepsimError(f"{names}: no protocol {missing}. It has: {', '.join(known)}.")
    return [
        Setting(case, int(seed), name, quick)
        for case in cases
        for seed in seeds
        for name in wanted
        if name in case.protocols
    ]


def with_beside(protocol: str) -> tuple[str, ...]:
    """The protocols that a board or a report of this one shows."""
    return ("controlled", "independent") if protocol == "controlled" else (protocol,)


def head(metric: Metric, setting: Setting) -> Row:
    """What a row is about, before it is run."""
    case = setting.case
    row = {
        "schema": SCHEMA,
        "suite": case.suite,
        "case": case.name,
        "case_version": case.version,
        "protocol": setting.protocol,
        "size": "quick" if setting.quick else "full",
        "axis": case.axis,
        "metric": metric.name,
        "id": metric.id,
        "parameters": {k: named(v) for k, v in sorted(metric.parameters.items())},
        "metric_version": metric.version,
        "code": metric.code,
        "control": metric.control,
        "kind": metric.kind,
        "seed": setting.seed,
    }
    return {"row": row_id(row)} | row


class Cell:
    """The sets of one setting, made once and scored by one metric after another.

    Metrics get them in random order within each block: cases make them label by label, and their
    places would give the labels away.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting, self.case = setting, setting.case
        self.sets, self.truth = self.case.make(setting.seed, setting.protocol, setting.quick)
        self.inputs = fingerprint_sets(self.sets)
        self.blocks = list(blocks(self.truth).values())
        self.order, rng = np.arange(len(self.sets)), self.case.rng(setting.seed, "order")
        for members in self.blocks:
            self.order[members] = rng.permutation(members)

    def score(self, metric: Metric) -> Row:
        """One row: the judgement, or the reason why there is none."""
        row = head(metric, self.setting)
        started = time.perf_counter()
        value, matrix, chosen, status, reason = None, None, {}, "ok", None
        try:
            matrix, chosen = self._distances(metric)
            value = self.case.judge(matrix, self.truth)
        except InputError as error:
            status, reason = "not_applicable", str(error)
        except RepsimError as error:
            status, reason = "failed", str(error)
        seconds = time.perf_counter() - started
        return complete(row, self.case, status, value, reason, seconds) | {
            "inputs": self.inputs,
            "chosen": chosen,
            "names": list(self.sets),
            "labels": [str(label) for label in self.truth.get("label", self.truth.index)],
            "blocks": [str(block) for block in self.truth.get("block", ())],
            "levels": [float(level) for level in self.truth.get("level", ())],
            "distances": None if matrix is None else _plain(matrix, self.blocks),
            "seconds_per_pair": seconds / sum(len(b) * (len(b) - 1) / 2 for b in self.blocks),
        }

    def _distances(self, metric: Metric) -> tuple[np.ndarray, dict[str, Any]]:
        """The matrix, and the parameters that the metric chose from the data."""
        if metric.view == "truth":
            return self.case.rule.ideal(self.truth), {}
        rng = self.case.rng(self.setting.seed, self.setting.protocol, metric.id)
        names = list(self.sets)
        sets = {names[i]: self.sets[names[i]] for i in self.order}
        prepared = metric.prepare_sets(sets, rng, self.blocks)
        matrix = np.empty((len(names), len(names)))
        matrix[np.ix_(self.order, self.order)] = distances(metric, prepared, rng, None, self.blocks)
        return matrix, prepared.chosen


def _plain(matrix: np.ndarray, blocks: list[np.ndarray]) -> list[list[list[float | None]]]:
    """The matrix of each block for JSON, None where there is no distance; see distances_of."""
    return [
        [[None if np.isnan(x) else float(x) for x in matrix[i, members]] for i in members]
        for members in blocks
    ]


_cells: list[Cell] = []


def make_cell(setting: Setting) -> None:
    """In a worker: make the sets of a setting, unless they are the last ones made."""
    if not _cells or _identity(setting) != _identity(_cells[0].setting):
        _cells[:] = [Cell(setting)]


def _identity(setting: Setting) -> tuple:
    return setting.case.name, setting.seed, setting.protocol, setting.quick


def score_in_cell(metric: Metric) -> Row:
    """In a worker: the row of a metric on the sets made last."""
    return _cells[0].score(metric)


def complete(
    row: Row, case: TestCase, status: str, value: float | None, reason: str | None, seconds: float
) -> Row:
    """A row with how it ended."""
    return row | {
        "status": status,
        "value": value,
        "chance": case.rule.chance,
        "ceiling": case.rule.ceiling,
        "expected": case.controls.get(row["metric"]) if row["control"] else None,
        "reason": reason,
        "seconds": round(seconds, 6),
        "seconds_per_pair": None,
        "inputs": None,
        "chosen": {},
        "names": [],
        "labels": [],
        "blocks": [],
        "levels": [],
        "distances": None,
        **provenance(),
        "date": now(),
    }


def _results_of(
    pending: list[tuple[Setting, list[Metric]]], workers: int, timeout: float | None
) -> Iterator[Row]:
    if workers or timeout is not None:
        from repsim.workers import scores_from_workers

        yield from scores_from_workers(pending, max(workers, 1), timeout)
        return
    for setting, metrics in pending:
        cell = Cell(setting)
        for metric in metrics:
            yield cell.score(metric)


def failed(metric: Metric, setting: Setting, error: MetricError) -> Row:
    """The row of an evaluation that was ended from outside."""
    return complete(head(metric, setting), setting.case, "failed", None, str(error), 0.0)
