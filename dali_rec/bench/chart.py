"""Rates as charts of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec._files import as_path, atomic_write
from dali_rec.errors import MissingDependencyError

if TYPE_CHECKING:
    import os

    from dali_rec.bench.measure import BenchReport

LABELS = {"read": "read", "decode": "decode", "pipeline": "whole pipeline", "train": "with a training step"}
_BAR, _SPREAD = "#4c78a8", "#1f3350"


Bar = tuple[str, float, float, float]


def bar_chart(path: str | os.PathLike[str], title: str, note: str, bars: list[Bar]) -> None:
    """Draw horizontal bars, each (label, median, slowest, fastest) in images/s, as a PNG at ``path``."""
    bar_charts(path, note, [(title, bars)])


def bar_charts(path: str | os.PathLike[str], note: str, panels: list[tuple[str, list[Bar]]]) -> None:
    """Draw (title, bars) under one another, each with an axis of its own, as one PNG at ``path``."""
    rows = [len(bars) for _, bars in panels]
    figure = new_figure(8, sum(1.4 + 0.45 * count for count in rows))
    subplots = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[1.4 + 0.45 * count for count in rows])
    for axes, (title, bars) in zip(subplots[:, 0], panels, strict=True):
        _draw_bars(axes, title, bars)
    save_figure(figure, note, path)


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


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches. Raises MissingDependencyError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f'a chart needs matplotlib ({error}); install it with: pip install "dali-rec[plots]"'
        ) from None
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def save_figure(figure: Any, note: str, path: str | os.PathLike[str]) -> None:
    """Write a figure, with a note below it, as a PNG."""
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
