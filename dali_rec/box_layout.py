"""How the labels of a record with boxes are laid out, as MXNet's detection iterators have them.

[header width, object width, further numbers of the header …, (class, xmin, ymin, xmax, ymax, …) × objects]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BoxLayout(NamedTuple):
    """A layout of labels: ``header`` numbers, then ``width`` numbers for each object."""

    header: int
    width: int


def box_layout(labels: NDArray[np.float32]) -> BoxLayout | None:
    """How the labels of a record are laid out, or None where they are no boxes."""
    if len(labels) < 2 or not np.isfinite(labels[:2]).all():
        return None
    header, width = int(labels[0]), int(labels[1])
    fits = header >= 2 and width >= 5 and len(labels) >= header and (len(labels) - header) % width == 0
    return BoxLayout(header, width) if fits else None
