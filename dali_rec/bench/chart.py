"""Figures as charts: rates as bars, and what they depend on as curves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dali_rec._files import as_path, atomic_write
from dali_rec.errors import MissingDependencyError

if TYPE_CHECKING:
    import os

    from dali_rec.bench.measure import BenchReport

LABELS = {"read": "read", "decode": "decode", "pipeline": "whole pipeline", "train": "with a training step"}
_BAR, _SPREAD = "#4c78a8", "#1f3350"
_LINES = ("#4c78a8", "#e07b39", "#54915a", "#9a6bb0")


Bar = tuple[str, float, float, float]


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


def bar_chart(path: str | os.PathLike[str], title: str, note: str, bars: list[Bar]) -> None:
    """Draw horizontal bars, each (label, median, slowest, fastest) in images/s, as a PNG at ``path``."""
    bar_charts(path, note, [(title, bars)])


def bar_charts(path: str | os.PathLike[str], note: str, panels: list[tuple[str, list[Bar]]]) -> None:
    """Draw (title, bars) under one another, each with an axis of its own, as one PNG at ``path``."""
    rows = [len(bars) for _, bars in panels]
    figure = _figure(8, sum(1.4 + 0.45 * count for count in rows))
    subplots = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[1.4 + 0.45 * count for count in rows])
    for axes, (title, bars) in zip(subplots[:, 0], panels, strict=True):
        _draw_bars(axes, title, bars)
    _save(figure, note, path)


def _draw_bars(axes: Any, title: str, bars: list[Bar]) -> None:
    labels, medians, slowest, fastest = zip(*bars, strict=True)
    spread = [
        [median - low for median, low in zip(medians, slowest, strict=True)],
        [high - median for median, high in zip(medians, fastest, strict=True)],
    ]
    axes.barh(labels, medians, xerr=spread, color=_BAR, error_kw={"ecolor": _SPREAD, "capsize": 3}, height=0.62)
    for row, (median, high) in enumerate(zip(medians, fastest, strict=True)):
        axes.text(max(median, high), row, f"  {median:,.0f}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(right=1.14 * max(fastest))
    axes.set_xlabel("images/s (median, with the slowest and fastest round)", fontsize=9)
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.set_title(title, loc="left", fontsize=11)


def curve_charts(path: str | os.PathLike[str], note: str, rows: list[list[Curves]]) -> None:
    """Draw a grid of small charts, all rows of one length, as one PNG at ``path``; bars show least and most."""
    figure = _figure(3.8 * len(rows[0]), 2.5 * len(rows))
    subplots = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for all_axes, row in zip(subplots, rows, strict=True):
        for axes, curves in zip(all_axes, row, strict=True):
            _draw_curves(axes, curves)
    _save(figure, note, path)


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


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"a chart needs matplotlib ({error}); install it with: pip install 'dali-rec[plots]'"
        ) from None
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _save(figure: Any, note: str, path: str | os.PathLike[str]) -> None:
    figure.text(0.01, -0.02, note, fontsize=7, color="#666666", va="top", wrap=True)
    with atomic_write(as_path(path)) as file:
        figure.savefig(file, format="png", bbox_inches="tight")


def draw(report: BenchReport, path: str | os.PathLike[str]) -> None:
    """Draw the stages of a report, but for those whose rounds were too short to quote.

    Reading is a note, not a bar: it is so much faster than the rest that it would flatten the other bars.
    """
    quotable = [stage for stage in report.stages if stage.is_quotable]
    bars = [
        (LABELS[stage.name], stage.images_per_second, stage.rates[0], stage.rates[-1])
        for stage in quotable
        if stage.name != "read"
    ]
    if not bars:
        raise ValueError("no round was long enough to draw: measure longer, with more --seconds")
    notes = [f"reading alone: {stage.images_per_second:,.0f} images/s" for stage in quotable if stage.name == "read"]
    title = f"{report.records:,} records of {report.bytes_per_image / 1e3:,.0f} kB, {report.device}"
    bar_chart(path, title, "; ".join([*notes, str(report.machine)]), bars)
