"""Small charts of what a figure depends on, for tools/scaling."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dali_rec.bench.chart import new_figure, save_figure

if TYPE_CHECKING:
    import os

_LINES = ("#4c78a8", "#e07b39", "#54915a", "#9a6bb0")


@dataclass(frozen=True, slots=True)
class Point:
    """One measured value: ``x`` on the axis, the median of the rounds, the least and the most."""

    x: float
    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Curves:
    """One of several small charts: named curves, each a list of points from left to right.

    ``log_x``, ``log_y``: with logarithmic axes; any other y axis begins at 0.
    """

    title: str
    x_label: str
    y_label: str
    lines: dict[str, list[Point]]
    log_x: bool = False
    log_y: bool = False


def curve_charts(path: str | os.PathLike[str], note: str, rows: list[list[Curves]]) -> None:
    """Draw a grid of small charts, all rows of one length, as one PNG at ``path``; bars show least and most."""
    figure = new_figure(3.8 * len(rows[0]), 2.5 * len(rows))
    subplots = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for all_axes, row in zip(subplots, rows, strict=True):
        for axes, curves in zip(all_axes, row, strict=True):
            _draw_curves(axes, curves)
    save_figure(figure, note, path)


def _draw_curves(axes: Any, curves: Curves) -> None:
    for color, (name, points) in zip(itertools.cycle(_LINES), curves.lines.items()):  # cycle never ends
        spread = [[one.median - one.least for one in points], [one.most - one.median for one in points]]
        style = {"color": color, "marker": "o", "markersize": 3.5, "linewidth": 1.4, "capsize": 2.5, "label": name}
        axes.errorbar([one.x for one in points], [one.median for one in points], yerr=spread, **style)
    ticks = sorted({one.x for points in curves.lines.values() for one in points})
    if curves.log_x:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [_short(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    if curves.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(lambda value, _position: f"{value:,.10g}" if f"{value:e}"[0] in "25" else "")
    else:
        axes.set_ylim(0, 1.08 * max(one.most for points in curves.lines.values() for one in points))
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:,.10g}")
    axes.set_title(curves.title, loc="left", fontsize=9)
    axes.set_xlabel(curves.x_label, fontsize=8)
    axes.set_ylabel(curves.y_label, fontsize=8)
    axes.tick_params(labelsize=7, which="both")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves.lines) > 1:
        axes.legend(fontsize=7, frameon=False)


def _short(number: float) -> str:
    """A number for a narrow axis: powers of ten from 10⁴ on as such."""
    exponent = round(math.log10(number)) if number > 0 else 0
    if exponent >= 4 and number == 10**exponent:
        return f"$10^{exponent}$"
    return f"{number:,.10g}"
