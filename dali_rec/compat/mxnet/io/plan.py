"""Which steps are taken with an image: those of MXNet's default augmenter, drawn for the size of the image alone.

The order, the numbers drawn and their arithmetic in float32 are those of MXNet 1.9.1 (src/io/image_aug_default.cc and
iter_image_recordio_2.cc): resize, affine transformation, border, crop, brightness and contrast and saturation, hue,
principal components, mirror, gain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dali_rec.compat.mxnet.io.resizing import choose_interpolation, scale_shorter_side
from dali_rec.compat.mxnet.io.steps import Border, Crop, Jitter, Noise, Plan, Scale, Shift, Step, Warp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dali_rec.compat.mxnet.io.draws import Draws
    from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters

_TRIES = 10  # to find a random crop that fits into the image
# Of the colours of ImageNet: eigenvectors times eigenvalues, R, G, B (Krizhevsky et al., 2012).
_COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], np.float32
) * np.array([55.46, 4.794, 1.148], np.float32)


def plan_image(parameters: ImageRecordParameters, size: tuple[int, int], draws: Draws) -> Plan:
    """Draw what is done to an image of this (height, width).

    Raises ValueError if the image is too small for ``max_crop_size``.
    """
    planner = _Planner(parameters, size, draws)
    planner.resize()
    planner.warp()
    planner.pad()
    planner.crop()
    planner.colour()
    mirror = (parameters.rand_mirror and draws.coin()) or parameters.mirror
    gain, lift = np.float32(parameters.scale), np.float32(0)
    if parameters.has_gain:
        gain *= _around(draws, parameters.max_random_contrast) + np.float32(1)
        lift = _around(draws, parameters.max_random_illumination) * np.float32(parameters.scale)
    return Plan(tuple(planner.steps), mirror, float(gain), float(lift))


def _around(draws: Draws, most: float) -> np.float32:
    """A random number from -``most`` to ``most``."""
    return draws.unit() * np.float32(most) * np.float32(2) - np.float32(most)


class _Planner:
    """Adds steps, and keeps the size that the image has after them."""

    def __init__(self, parameters: ImageRecordParameters, size: tuple[int, int], draws: Draws) -> None:
        self.parameters = parameters
        self.height, self.width = size
        self.draws = draws
        self.steps: list[Step] = []

    @property
    def size(self) -> tuple[int, int]:
        """Height and width after all steps so far."""
        return self.height, self.width

    def _interpolation(self, new: tuple[int, int]) -> int:
        return choose_interpolation(self.parameters.inter_method, self.size, new, self.draws)

    def _add(self, step: Scale | Warp | Crop) -> None:
        self.steps.append(step)
        self.height, self.width = step.height, step.width

    def resize(self) -> None:
        """Scale the shorter side to ``resize``."""
        if self.parameters.resize != -1:
            new = scale_shorter_side(self.size, self.parameters.resize)
            self._add(Scale(*new, self._interpolation(new)))

    def warp(self) -> None:
        """Rotate, shear, scale and stretch around the centre."""
        parameters = self.parameters
        if not parameters.has_affine:
            return
        shear = _around(self.draws, parameters.max_shear_ratio)
        angle = self._angle()
        scale, ratio = self._scale_and_ratio()
        least, most = np.float32(parameters.min_img_size), np.float32(parameters.max_img_size)
        height, width = (max(least, min(most, scale * np.float32(side))) for side in self.size)
        matrix = _linear_part(angle, shear, scale, ratio)
        centre = matrix[:, 0] * np.float32(self.width) + matrix[:, 1] * np.float32(self.height)
        offset = (np.array([width, height], np.float32) - centre) / np.float32(2)
        matrix = np.column_stack([matrix, offset])
        new = (int(height), int(width))
        if 0 in new:  # which OpenCV takes for: as large as the image
            new = self.size
        self._add(Warp(matrix, *new, self._interpolation(new)))

    def _angle(self) -> int:
        """Degrees. The first number is drawn even where it is not wanted, as in MXNet."""
        parameters = self.parameters
        angle = self.draws.whole(-parameters.max_rotate_angle, parameters.max_rotate_angle)
        if parameters.rotate_list:
            return parameters.rotate_list[self.draws.whole(0, len(parameters.rotate_list) - 1)]
        return parameters.rotate if parameters.rotate > 0 else angle

    def _scale_and_ratio(self) -> tuple[np.float32, np.float32]:
        parameters = self.parameters
        if parameters.random_resized_crop:
            return np.float32(1), np.float32(1)
        scale = self.draws.uniform(parameters.min_random_scale, parameters.max_random_scale)
        return scale, self.draws.uniform(*parameters.aspect_ratios)

    def pad(self) -> None:
        """Put the border around."""
        width = self.parameters.pad
        if width:
            self.steps.append(Border(width))
            self.height, self.width = self.height + 2 * width, self.width + 2 * width

    def crop(self) -> None:
        """Cut the part that becomes the output."""
        parameters = self.parameters
        if parameters.has_random_resized_crop and self._crop_of_random_area():
            return
        if parameters.has_crop_size:
            self._crop_of_random_size()
        else:
            self._crop_as_it_is()

    def _crop_of_random_area(self) -> bool:
        parameters, draws = self.parameters, self.draws
        area = np.float32(self.height * self.width)
        for _ in range(_TRIES):
            target = area * draws.uniform(parameters.min_random_area, parameters.max_random_area)
            ratio = draws.uniform(*parameters.aspect_ratios)
            height, width = _rounded(np.sqrt(target / ratio)), _rounded(np.sqrt(target * ratio))
            if draws.unit() > 0.5:
                height, width = width, height
            if 1 <= height <= self.height and 1 <= width <= self.width:
                top, left = draws.whole(0, self.height - height), draws.whole(0, self.width - width)
                self._crop_to_size(Crop(top, left, height, width))
                return True
        return False

    def _crop_of_random_size(self) -> None:
        most = self.parameters.max_crop_size
        if min(self.height, self.width) < most:
            raise ValueError(
                f"the image is {self.width} × {self.height} pixels where it is cropped, too small for max_crop_size "
                f"{most}; resize= enlarges it first"
            )
        side = self.draws.whole(self.parameters.min_crop_size, most)
        self._crop_to_size(self._placed(side, side))

    def _crop_to_size(self, part: Crop) -> None:
        self._add(part)
        new = self.parameters.size
        self._add(Scale(*new, self._interpolation(new)))

    def _crop_as_it_is(self) -> None:
        """Crop the output's size; an image that is smaller is enlarged first."""
        height, width = self.parameters.size
        method = self._interpolation(self.parameters.size)
        if self.height < height:
            wider = np.float32(height) / np.float32(self.height) * np.float32(self.width)
            self._add(Scale(height, int(wider), method))
        if self.width < width:
            higher = np.float32(width) / np.float32(self.width) * np.float32(self.height)
            self._add(Scale(int(higher), width, method))
        self._add(self._placed(height, width))

    def _placed(self, height: int, width: int) -> Crop:
        top, left = self.height - height, self.width - width
        if not self.parameters.rand_crop:
            return Crop(top // 2, left // 2, height, width)
        top = self.draws.whole(0, top)
        return Crop(top, self.draws.whole(0, left), height, width)

    def colour(self) -> None:
        """Change colours."""
        parameters, draws = self.parameters, self.draws
        if parameters.has_jitter:
            most = (parameters.brightness, parameters.contrast, parameters.saturation)
            factors = [float(np.float32(1.0 + float(draws.uniform(-one, one)))) for one in most]
            self.steps.append(Jitter((factors[0], factors[1], factors[2]), tuple(draws.order(3))))
        if parameters.has_hls:
            hue, saturation, lightness = (
                self._shift(most) for most in (parameters.random_h, parameters.random_s, parameters.random_l)
            )
            self.steps.append(Shift(hue, lightness, saturation))
        if parameters.pca_noise > 0:
            weights = np.array([draws.normal(parameters.pca_noise) for _ in range(3)], np.float32)
            red, green, blue = (_COMPONENTS * weights).sum(axis=1, dtype=np.float32).tolist()
            self.steps.append(Noise((blue, green, red)))

    def _shift(self, most: int) -> int:
        # MXNet's mixture of two uniform numbers, which draws the ends more seldom.
        mixed = (self.draws.unit() + np.float32(4) * self.draws.unit()) / np.float32(5)
        return int(mixed * np.float32(most) * np.float32(2) - np.float32(most))


def _linear_part(angle: int, shear: np.float32, scale: np.float32, ratio: np.float32) -> NDArray[np.float32]:
    """The affine transformation without its offset, of shape (2, 2)."""
    cosine, sine = np.float32(math.cos(angle / 180 * math.pi)), np.float32(math.sin(angle / 180 * math.pi))
    along = np.float32(2) * scale / (np.float32(1) + ratio)
    across = ratio * along
    return np.array(
        [
            [along * cosine - shear * sine * across, along * sine + shear * cosine * across],
            [-sine * across, cosine * across],
        ],
        np.float32,
    )


def _rounded(value: np.float32) -> int:
    return math.floor(float(value) + 0.5)
