"""Figures of a report card: scores, dose-response curves, maps of the sets of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from repsim.plotting import COLOURS, LIGHT, Picture, Theme, bare_axes, heat_tile, picture, shown
from repsim.rules import THRESHOLD
from repsim.scaling import classical_scaling

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from repsim.report import Report
    from repsim.report_curves import Curve

MOST_LABELS = 10  # colours that can be told apart
MARKERS = "oDs^vPX*<>"
OTHERS = (("#b8702e", "--"), ("#7d6bb5", "-."), ("#7f8a3a", ":"))  # legible on both grounds
ACROSS = 3  # panels in a row of the card


class CaseMap(NamedTuple):
    """The distances of one case: heat map, map of the sets, and what the map keeps of them."""

    heat: Picture
    plane: Picture
    labels: list[str]
    kept: float


def card_figure(report: Report) -> Figure:
    """The card as one figure: scores on top, then curves, then heat maps with their sets."""
    curves = _by_case(report.curves)
    matrices = _matrices(report)
    n_rows = [-(-len(curves) // ACROSS), -(-len(matrices) // ACROSS)]
    heights = [1.2 + 0.3 * _n_lines(report), 3.0 * n_rows[0], 2.1 * n_rows[1]]
    figure = Figure(figsize=(11, sum(heights)), layout="constrained")
    parts = [part for part, height in enumerate(heights) if height]
    found = figure.subfigures(len(parts), 1, height_ratios=[heights[i] for i in parts])
    areas = dict(zip(parts, np.atleast_1d(found), strict=True))
    _draw_scores(_bare(areas[0].subplots()), report)
    if curves:
        panels = areas[1].subplots(n_rows[0], ACROSS, squeeze=False).ravel()
        for axes, lines in zip(panels, curves.values(), strict=False):
            _draw_curves(_bare(axes), lines, report.metric, LIGHT)
        _hide(panels[len(curves) :])
    if matrices:
        panels = areas[2].subplots(n_rows[1], 2 * ACROSS, squeeze=False).ravel()
        for i, (case, matrix) in enumerate(matrices.items()):
            heat, plane = panels[2 * i : 2 * i + 2]
            _draw_heat(_bare(heat), matrix)
            heat.set_title(_short(case), fontsize=8, loc="left", color=LIGHT.ink)
            _draw_plane(_bare(plane), matrix, LIGHT)
        _hide(panels[2 * len(matrices) :])
    return figure


def curve_pictures(report: Report) -> dict[str, Picture]:
    """For each case with levels its curves."""
    found = {}
    for case, curves in _by_case(report.curves).items():

        def draw(theme: Theme, curves: list[Curve] = curves) -> Figure:
            figure, axes = bare_axes(4.4, 3.6, theme)
            _draw_curves(axes, curves, report.metric, theme)
            return figure

        means = ", ".join(f"{one.metric} {one.value.mean():.3f}" for one in curves)
        found[case] = picture(draw, f"{case}: value over level; means: {means}.")
    return found


def case_maps(report: Report) -> dict[str, CaseMap]:
    """For each case that has distances their heat map and the map of its sets."""
    found = {}
    for case, matrix in _matrices(report).items():

        def draw(theme: Theme, matrix: xr.DataArray = matrix) -> Figure:
            figure, axes = bare_axes(2.9, 1.9, theme)
            _draw_plane(axes, matrix, theme)
            return figure

        labels = list(dict.fromkeys(matrix["label"].values.tolist()))
        kept = classical_scaling(matrix.values)[1]
        alt = f"{case}: the sets as points, by {report.metric}, coloured by label."
        found[case] = CaseMap(heat_tile(matrix, case), picture(draw, alt), labels, kept)
    return found


def _by_case(curves: list[Curve]) -> dict[str, list[Curve]]:
    """The curves by case, where a curve has more than one level."""
    cases = dict.fromkeys(one.case for one in curves if len(one.level) > 1)
    return {case: [one for one in curves if one.case == case] for case in cases}


def _matrices(report: Report) -> dict[str, xr.DataArray]:
    found = {case: report.board.distances(report.metric, case) for case in report.summary["case"]}
    return {case: matrix for case, matrix in found.items() if matrix is not None}


def _n_lines(report: Report) -> int:
    return len(report.axes) + len(report.summary)


def _draw_scores(axes: Axes, report: Report) -> None:
    """A line an axis and, below it, one a case: dot and interval; a ring for independent trials."""
    place, names = 0, []
    for axis in report.axes.to_dict("records"):
        _score_line(axes, place, axis["score"], axis["low"], axis["high"], 7)
        axes.plot(axis["independent_score"], place, "o", mfc="none", mec=LIGHT.ink, ms=7)
        names.append(axis["axis"] + _mark(axis["verdict"] == "broken"))
        for case in report.summary[report.summary["axis"] == axis["axis"]].to_dict("records"):
            place += 1
            span = case["ceiling"] - case["chance"]
            parts = ((case[k] - case["chance"]) / span for k in ("score", "low", "high"))
            _score_line(axes, place, *parts, 4)
            beside = (case["independent"] - case["chance"]) / span
            axes.plot(beside, place, "o", mfc="none", mec=LIGHT.faint, ms=4)
            names.append(f"    {_short(case['case'])}{_mark(case['case'] in report.broken)}")
        place += 1
    axes.axvline(0, color=LIGHT.faint, ls=(0, (3, 3)), lw=1, zorder=0)
    axes.set_yticks(np.arange(len(names)), names, ha="left")
    axes.tick_params(axis="y", pad=150)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(np.clip(axes.get_xlim()[0], -1.05, -0.15), 1.05))
    axes.set_title(shown(report.metric), loc="left", color=LIGHT.ink, fontweight="bold")
    axes.set_xlabel("score (0 chance, 1 ceiling), 95% interval; ring: independent trials")


def _mark(broken: bool) -> str:
    return " · broken" if broken else ""


def _score_line(axes: Axes, place: int, score: float, low: float, high: float, size: int) -> None:
    axes.plot(score, place, "o", color=LIGHT.accent, ms=size, zorder=3)
    if not np.isnan(low):
        axes.hlines(place, low, high, LIGHT.accent, lw=size - 1, alpha=0.3)


def _draw_curves(axes: Axes, curves: list[Curve], metric: str, theme: Theme) -> None:
    """The metric in the accent with its band, the others in strokes; chance and threshold."""
    for one in curves:
        if one.metric == metric:
            axes.fill_between(one.level, one.low, one.high, color=theme.accent, alpha=0.2, lw=0)
            axes.plot(one.level, one.value, "o", color=theme.accent, ms=4, zorder=3)
            line = one.value if one.fitted is None else one.fitted
            axes.plot(one.level, line, color=theme.accent, lw=2, zorder=3, label=shown(metric))
            if 0 < one.threshold.level < np.inf:
                axes.plot(one.threshold.level, THRESHOLD, "|", color=theme.ink, ms=12, mew=2)
    others = [one for one in curves if one.metric != metric]
    for one, (colour, stroke) in zip(others, OTHERS, strict=False):
        axes.plot(one.level, one.value, stroke, color=colour, lw=1.6, label=shown(one.metric))
    axes.axhline(0.5, color=theme.faint, ls=(0, (3, 3)), lw=1, zorder=0)
    axes.axhline(THRESHOLD, color=theme.faint, lw=0.5, zorder=0)
    if all(one.level[0] > 0 for one in curves):
        axes.set_xscale("log")
    axes.minorticks_off()
    axes.set(xlabel="level", ylabel="value", ylim=(min(0.4, axes.get_ylim()[0]), 1.03))
    axes.yaxis.label.set(color=theme.ink, fontsize=9)
    axes.set_title(_short(curves[0].case), loc="left", fontsize=9, color=theme.ink)
    axes.legend(
        frameon=False, fontsize=8, labelcolor=theme.ink, loc="upper center", ncols=2,
        bbox_to_anchor=(0.5, -0.2), handlelength=2.4,
    )  # fmt: skip


def _draw_heat(axes: Axes, matrix: xr.DataArray) -> None:
    sns.heatmap(
        pd.DataFrame(matrix.values), ax=axes, cmap=COLOURS, cbar=False, square=True,
        xticklabels=False, yticklabels=False,
    )  # fmt: skip
    axes.spines[:].set_visible(False)


def _draw_plane(axes: Axes, matrix: xr.DataArray, theme: Theme) -> None:
    """Sets as points, coloured by label; labels stand beside where they are few."""
    points, _ = classical_scaling(matrix.values)
    labels = matrix["label"].values
    kinds = list(dict.fromkeys(labels.tolist()))
    palette = sns.color_palette("colorblind", MOST_LABELS)
    for i, kind in enumerate(kinds):
        own = points[labels == kind]
        axes.plot(
            own[:, 0], own[:, 1], MARKERS[i % MOST_LABELS], color=palette[i % MOST_LABELS], ms=6,
            mec=theme.page, mew=0.6, label=shown(kind, 20),
        )  # fmt: skip
    axes.set_aspect("equal", "datalim")
    axes.margins(0.15)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if len(kinds) <= MOST_LABELS:
        axes.legend(
            frameon=False, fontsize=7, labelcolor=theme.ink, loc="upper left",
            bbox_to_anchor=(1, 1), handletextpad=0.1, borderpad=0,
        )  # fmt: skip


def _short(case: str) -> str:
    """A case without its suite."""
    return shown(case.partition("/")[2] or case)


def _bare(axes: Axes) -> Axes:
    """Axes of the card in the look of bare_axes."""
    axes.patch.set_visible(False)
    axes.tick_params(colors=LIGHT.ink, length=0, labelsize=8)
    axes.xaxis.label.set(color=LIGHT.ink, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LIGHT.faint)
    return axes


def _hide(panels: np.ndarray) -> None:
    for axes in panels:
        axes.set_axis_off()
