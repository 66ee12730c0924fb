"""Figures: the leaderboard's intervals, a matrix of distances, and what the page shows."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from repsim.leaderboard import Leaderboard

MOST_TILES = 60  # heat maps on one page, and lines in one strip: 20 cases take about 1 MB
MOST_LINES = 20
COLOURS = "mako"  # dark is close, bright is far


class Theme(NamedTuple):
    """The colours of a figure that stands on a page."""

    ink: str
    faint: str
    accent: str
    page: str


class Picture(NamedTuple):
    """An image in two renderings, as data addresses, and its words for who cannot see it."""

    light: str
    dark: str
    alt: str


class Tile(NamedTuple):
    """The heat map of one metric."""

    metric: str
    mean: float
    picture: Picture


class CaseFigures(NamedTuple):
    """What the page shows of one case; `order` names the classes from top to bottom."""

    strip: Picture
    tiles: list[Tile]
    tiles_left_out: int
    lines_left_out: int
    order: list[str]


LIGHT = Theme(ink="#1f2328", faint="#8b939c", accent="#0f6e84", page="#ffffff")
DARK = Theme(ink="#e4e7ea", faint="#7d8894", accent="#5cc4d8", page="#16191d")


def leaderboard_figure(board: Leaderboard) -> Figure:
    """Scores of the ranked metrics with their 95% intervals, best on top, chance at 0.

    Open circles: the score where every set draws trials of its own.
    """
    table = board.table
    figure, axes = bare_axes(6.4, 1.1 + 0.32 * max(len(table), 1), LIGHT)
    places = np.arange(len(table))
    if board.has_intervals:
        axes.hlines(places, table["score_low"], table["score_high"], LIGHT.accent, lw=4, alpha=0.35)
    sns.scatterplot(x=table["score"], y=places, ax=axes, color=LIGHT.accent, s=48, zorder=3)
    if "independent" in table:
        axes.plot(table["independent"], places, "o", color=LIGHT.accent, mfc="none", ms=6)
    axes.axvline(0, color=LIGHT.faint, ls=(0, (3, 3)), lw=1)
    axes.set_yticks(
        places, [f"{r}  {shown(m)}" for r, m in zip(table["rank"], table["metric"], strict=True)]
    )
    axes.set(ylim=(max(len(table), 1) - 0.5, -0.5), ylabel="", title="")
    beside = "\nopen: independent trials" if "independent" in table else ""
    axes.set_xlabel(f"score (0 chance, 1 ceiling), 95% interval{beside}")
    return figure


def distance_heatmap(matrix: xr.DataArray) -> Figure:
    """Distances between named sets, dims ("x", "y"); numbers are written in up to 12 sets.

    The colour bar bears "distance, " and `matrix.attrs["metric"]`.
    """
    matrix = matrix.transpose("x", "y")
    n = max(matrix.shape)
    names = [[shown(name) for name in matrix[dim].values] for dim in ("y", "x")]
    side = min(3.0 + 0.32 * n, 14.0)
    figure, axes = bare_axes(side * 1.2, side, LIGHT)
    sns.heatmap(
        pd.DataFrame(matrix.values),
        ax=axes,
        cmap=COLOURS,
        annot=np.vectorize(lambda value: f"{value:.2g}")(matrix.values) if n <= 12 else False,
        fmt="",
        square=True,
        linewidths=0.5 if n <= 40 else 0,
        cbar_kws={"label": _distance_by(matrix), "shrink": 0.8},
        xticklabels=False,
        yticklabels=False,
    )
    axes.set_xticks(np.arange(len(names[0])) + 0.5, names[0])
    axes.set_yticks(np.arange(len(names[1])) + 0.5, names[1])
    axes.tick_params(length=0, labelsize=9 if n <= 30 else 6)
    axes.tick_params(axis="x", rotation=90 if n > 3 else 0)
    axes.tick_params(axis="y", rotation=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _distance_by(matrix: xr.DataArray) -> str:
    """A similarity is shown as a distance too, so the word stands before the metric's name."""
    return "distance" + (f", {shown(matrix.attrs['metric'])}" if "metric" in matrix.attrs else "")


def dsa_sensitivity(distances: xr.DataArray) -> Figure:
    """Mean distance between sets over delays and rank, from `repsim.dynamics.sensitivity`.

    distances    dims (delays, rank, x, y); what some set cannot carry is NaN and stays blank
    """
    matrices = distances.transpose("delays", "rank", "x", "y")
    pairs = ~np.eye(matrices.sizes["x"], dtype=bool)
    mean = matrices.where(pairs).mean(("x", "y"))
    figure, axes = bare_axes(
        2.2 + 0.6 * mean.sizes["rank"], 1.4 + 0.5 * mean.sizes["delays"], LIGHT
    )
    sns.heatmap(
        pd.DataFrame(mean.values, mean["delays"].values, mean["rank"].values),
        ax=axes,
        cmap=COLOURS,
        annot=True,
        fmt=".2g",
        cbar_kws={"label": f"mean {shown(distances.attrs.get('metric', 'distance'))}"},
    )
    axes.set(xlabel="rank", ylabel="delays")
    axes.tick_params(axis="y", rotation=0)
    return figure


def page_figures(board: Leaderboard) -> dict[str, CaseFigures]:
    """For each case a strip of values per seed, and the mean distances of the best metrics."""
    cases = [case for case in board.cases.index if case in board.table]
    most = max(2, MOST_TILES // max(len(cases), 1))
    return {case: _case_figures(board, case, most) for case in cases}


def _case_figures(board: Leaderboard, case: str, most: int) -> CaseFigures:
    matrices = {metric: board.distances(metric, case) for metric in board.table["metric"]}
    matrices = {metric: matrix for metric, matrix in matrices.items() if matrix is not None}
    means = board.table.set_index("metric")[case]
    tiles = [
        Tile(metric, means[metric], heat_tile(matrix, case))
        for metric, matrix in list(matrices.items())[:most]
    ]
    labels = next((list(dict.fromkeys(m["label"].values)) for m in matrices.values()), [])
    lines = max(0, len(board.table) - MOST_LINES)
    return CaseFigures(_strip(board, case), tiles, len(matrices) - len(tiles), lines, labels)


def _strip(board: Leaderboard, case: str) -> Picture:
    """Every seed as a dot, the mean as a stroke, metrics above and controls below."""
    ranked = list(board.table["metric"][:MOST_LINES])
    controls = list(board.controls["control"][board.controls["case"] == case])
    values = {name: board.values(name, case) for name in ranked + controls}
    values = {name: found for name, found in values.items() if len(found)}

    def draw(theme: Theme) -> Figure:
        figure, axes = bare_axes(4.4, 0.7 + 0.36 * len(values), theme)
        for place, (name, found) in enumerate(values.items()):
            colour = theme.accent if name in ranked else theme.faint
            _seeds(axes, place, name, found, theme._replace(accent=colour))
        axes.axvline(board.cases.chance[case], color=theme.faint, ls=(0, (3, 3)), lw=1, zorder=0)
        axes.set(ylim=(len(values) - 0.6, -0.8), yticks=[], ylabel="", xlabel="value of each seed")
        axes.spines["left"].set_visible(False)
        return figure

    means = ", ".join(f"{name} {found.mean():.3f}" for name, found in values.items())
    return picture(draw, f"{case}: value of each seed; means: {means}.")


def _seeds(axes: Axes, place: int, name: str, values: np.ndarray, theme: Theme) -> None:
    """The values of one metric in its line, its name above them."""
    dots = {"markersize": 6, "markeredgewidth": 0, "alpha": 0.45}
    axes.plot(values, np.full(len(values), place), "o", color=theme.accent, **dots)
    axes.plot(values.mean(), place, "|", color=theme.accent, markersize=12, markeredgewidth=2.2)
    axes.annotate(
        shown(name), (0, place), (0, 11), xycoords=("axes fraction", "data"),
        textcoords="offset points", color=theme.ink, fontsize=8, va="center",
        bbox={"facecolor": theme.page, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def heat_tile(matrix: xr.DataArray, case: str) -> Picture:
    """A heat map without words; strokes in the colour of the page part the classes."""
    labels = matrix["label"].values
    values = matrix.values
    parts = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    other = ~np.eye(len(labels), dtype=bool)
    same = labels[:, None] == labels
    scale = values[other] if other.any() else values

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(1.6, 1.6))
        axes = figure.add_axes((0, 0, 1, 1))
        sns.heatmap(
            values, ax=axes, cmap=COLOURS, cbar=False, vmin=min(scale.min(), 0), vmax=scale.max(),
            xticklabels=False, yticklabels=False,
        )  # fmt: skip
        if len(parts) <= len(labels) // 2:
            axes.hlines(parts, 0, len(labels), color=theme.page, lw=2)
            axes.vlines(parts, 0, len(labels), color=theme.page, lw=2)
        return figure

    averages = [
        f"{which} classes {values[pairs & other].mean():.3g}"
        for which, pairs in (("within", same), ("between", ~same))
        if (pairs & other).any()
    ]
    metric = matrix.attrs["metric"]
    sets = f"{len(labels)} sets sorted by label"
    return picture(draw, f"{case}: mean distances by {metric}, {sets}; {', '.join(averages)}.")


def picture(draw: Callable[[Theme], Figure], alt: str) -> Picture:
    """What `draw` draws, once in each theme."""
    return Picture(_data_uri(draw(LIGHT)), _data_uri(draw(DARK)), alt)


def _data_uri(figure: Figure) -> str:
    """A PNG of at most 48 colours, a quarter of the size of a full one."""
    whole, small = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(whole, format="png", dpi=120, transparent=True)
    Image.open(whole).quantize(48, method=Image.Quantize.FASTOCTREE).save(
        small, format="png", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()


def bare_axes(width: float, height: float, theme: Theme) -> tuple[Figure, Axes]:
    """One pair of axes without a box, in the colours of the theme; no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.tick_params(colors=theme.ink, length=0, labelsize=9)
    axes.xaxis.label.set(color=theme.ink, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.faint)
    return figure, axes


def shown(name: object, longest: int = 44) -> str:
    """A name as text in a figure: dollars stay dollars, and a long name loses its middle."""
    name = " ".join(str(name).split())
    if len(name) > longest:
        name = f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"
    return name.replace("$", r"\$")
