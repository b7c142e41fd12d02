"""Small plots as SVG text, which take their colours from the page around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 44


def scatter(points: NDArray[Any], x_name: str, y_name: str) -> str:
    """Points of shape (N, 2), all at least 1, on logarithmic axes."""
    if not len(points):
        return ""
    low, high = np.log10(points.min(axis=0)), np.log10(points.max(axis=0))
    room = np.maximum(0.05 * (high - low), 0.05)
    low, high = low - room, high + room
    places = (np.log10(points) - low) / (high - low)
    xs = _LEFT + places[:, 0] * (_WIDTH - _LEFT - _RIGHT)
    ys = _HEIGHT - _BOTTOM - places[:, 1] * (_HEIGHT - _TOP - _BOTTOM)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in zip(xs, ys, strict=True))
    axes = [_axis(float(low[at]), float(high[at]), is_x=at == 0) for at in (0, 1)]
    label = f"{y_name} against {x_name} of {len(points)} images"
    return _svg(label, "".join(axes) + f'<g class="dots">{dots}</g>' + _names(x_name, y_name))


def histogram(values: NDArray[Any], name: str, edges: NDArray[np.float64]) -> str:
    """How many of the values lie between each two edges, as bars."""
    counts, _ = np.histogram(values, edges)
    step = (_WIDTH - _LEFT - _RIGHT) / len(counts)
    most = max(1, int(counts.max()))
    parts = []
    for number, count in enumerate(counts.tolist()):
        height = (_HEIGHT - _TOP - _BOTTOM) * count / most
        x, y = _LEFT + number * step, _HEIGHT - _BOTTOM - height
        parts.append(f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{height:.1f}"/>')
        if np.isfinite(edges[number]) and number:
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" class="tick middle">{edges[number]:g}</text>')
    parts.append(f'<text x="{_LEFT - 8}" y="{_TOP + 10}" class="tick end">{most:,}</text>')
    return _svg(f"{name} of {len(values)} images", f'<g class="bars">{"".join(parts)}</g>' + _names(name, "images"))


def _axis(low: float, high: float, *, is_x: bool) -> str:
    return "".join(_tick(value, (np.log10(value) - low) / (high - low), is_x=is_x) for value in _ticks(low, high))


def _ticks(low: float, high: float) -> Iterable[float]:
    """Round numbers between two powers of ten: a few, whatever the range."""
    steps = (1, 2, 5) if high - low > 0.6 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
    found = [step * 10.0**power for power in range(int(low) - 1, int(high) + 2) for step in steps]
    return [value for value in found if low <= np.log10(value) <= high]


def _tick(value: float, place: float, *, is_x: bool) -> str:
    text = f"{value:,.0f}"
    if is_x:
        x = _LEFT + place * (_WIDTH - _LEFT - _RIGHT)
        line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        return line + f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" class="tick middle">{text}</text>'
    y = _HEIGHT - _BOTTOM - place * (_HEIGHT - _TOP - _BOTTOM)
    line = f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" class="tick end">{text}</text>'


def _names(x_name: str, y_name: str) -> str:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    return (
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" class="middle">{x_name}</text>'
        f'<text x="14" y="{middle}" class="middle" transform="rotate(-90 14 {middle})">{y_name}</text>'
    )


def _svg(label: str, content: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{content}</svg>'
