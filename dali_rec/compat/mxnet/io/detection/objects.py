"""The objects of an image as MXNet's detection augmenter moves them: cropped, padded, mirrored, in float32.

A label is [A, B, …, (class, xmin, ymin, xmax, ymax, …) × N]: A ≥ 2 numbers of header, B ≥ 5 an object, corners in parts
of the width and the height. (MXNet 1.9.1, src/io/image_det_aug_default.cc, whose order of operations this keeps.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.detection.parameters import CropSampler

_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)


class Rect(NamedTuple):
    """A part of an image, float32, in parts of its width and height; it may reach out of the image."""

    x: np.float32
    y: np.float32
    width: np.float32
    height: np.float32

    @property
    def area(self) -> np.float32:
        """Of the image, 1 is all."""
        return self.width * self.height


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """A label in its parts: ``header``, float32 of shape (A,), and ``values``, float32 of shape (N, B)."""

    header: NDArray[np.float32]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, label: NDArray[np.float32]) -> Objects:
        """The parts of a label that ``check_layout`` accepts; objects without area are left out, as MXNet does.

        A label of a header alone has no objects; MXNet stops there.
        """
        header, width = int(label[0]), int(label[1])
        values = label[header:].reshape(-1, width)
        with_area = (values[:, 3] > values[:, 1]) & (values[:, 4] > values[:, 2])
        return cls(label[:header], values[with_area])

    def to_label(self) -> NDArray[np.float32]:
        """Back to one row of numbers."""
        return np.concatenate([self.header, self.values.ravel()])

    def mirrored(self) -> Objects:
        """Left and right exchanged."""
        values = self.values.copy()
        values[:, 1], values[:, 3] = _ONE - self.values[:, 3], _ONE - self.values[:, 1]
        return Objects(self.header, values)

    def projected(self, box: Rect) -> Objects:
        """In parts of ``box`` instead of the whole image."""
        values = self.values.copy()
        values[:, 1] = np.maximum(_ZERO, (values[:, 1] - box.x) / box.width)
        values[:, 2] = np.maximum(_ZERO, (values[:, 2] - box.y) / box.height)
        values[:, 3] = np.minimum(_ONE, (values[:, 3] - box.x) / box.width)
        values[:, 4] = np.minimum(_ONE, (values[:, 4] - box.y) / box.height)
        return Objects(self.header, values)

    def cropped(self, box: Rect, sampler: CropSampler, least_overlap: float | None) -> Objects | None:
        """The objects that are left in a crop, in parts of it; None where the crop is not as the sampler wants it.

        least_overlap: how much of an object must be inside; None: its centre must be.
        """
        if not len(self.values):
            return self
        if not self._satisfies(box, sampler):
            return None
        if least_overlap is None:
            x, y = (self.values[:, 1] + self.values[:, 3]) * _HALF, (self.values[:, 2] + self.values[:, 4]) * _HALF
            stays = (box.x <= x) & (x < box.x + box.width) & (box.y <= y) & (y < box.y + box.height)
        else:
            stays = self._intersections(box) / self._areas > np.float32(least_overlap)
        if not stays.any():
            return None
        return Objects(self.header, self.values[stays]).projected(box)

    @property
    def _areas(self) -> NDArray[np.float32]:
        areas: NDArray[np.float32] = (self.values[:, 3] - self.values[:, 1]) * (self.values[:, 4] - self.values[:, 2])
        return areas

    def _intersections(self, box: Rect) -> NDArray[np.float32]:
        left, top = self.values[:, 1], self.values[:, 2]
        # By width and height, as cv::Rect has them, which rounds otherwise than the corners.
        right, bottom = left + (self.values[:, 3] - left), top + (self.values[:, 4] - top)
        wide = np.minimum(box.x + box.width, right) - np.maximum(box.x, left)
        high = np.minimum(box.y + box.height, bottom) - np.maximum(box.y, top)
        return np.where((wide > 0) & (high > 0), wide * high, _ZERO)

    def _satisfies(self, box: Rect, sampler: CropSampler) -> bool:
        """Whether one object meets all conditions at once."""
        inside, areas = self._intersections(box), self._areas
        meets = np.ones(len(self.values), np.bool_)
        with np.errstate(divide="ignore", invalid="ignore"):
            for shares, (low, high) in (
                (np.where(inside > 0, inside / (box.area + areas - inside), _ZERO), sampler.overlaps),
                (inside / box.area, sampler.sample_coverages),
                (inside / areas, sampler.object_coverages),
            ):
                if low > 0 or high < 1:
                    meets &= (shares >= np.float32(low)) & (shares <= np.float32(high))
        return bool(meets.any())


def check_layout(label: NDArray[np.float32], where: str) -> None:
    """Raise DatasetError, which begins with ``where``, for a label that is no label of detection."""
    with np.errstate(invalid="ignore"):
        header, width = (int(value) if np.isfinite(value) else -1 for value in label[:2]) if len(label) > 1 else (0, 0)
    if header < 2 or width < 5 or len(label) < header or (len(label) - header) % width:
        shown = ", ".join(f"{value:g}" for value in label[:6])
        raise DatasetError(
            f"{where}: its {len(label)} labels, [{shown}{', …' if len(label) > 6 else ''}], are not [header width from "
            "2 up, object width from 5 up, …, objects]: this is no data for detection, or path_imglist is missing"
        )
