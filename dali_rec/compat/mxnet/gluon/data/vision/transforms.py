"""mx.gluon.data.vision.transforms: steps from image to image, of shape (height, width, channels), RGB.

What is at random is drawn from the generator of mx.random; where RandomResizedCrop cuts, from Python's ``random``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.gluon.block import Block, HybridBlock
from dali_rec.compat.mxnet.image import geometry, rotation
from dali_rec.compat.mxnet.missing import missing_from
from dali_rec.compat.mxnet.ndarray import cast, image
from dali_rec.compat.mxnet.ndarray.random import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Block",
    "Cast",
    "CenterCrop",
    "Compose",
    "CropResize",
    "HybridBlock",
    "Normalize",
    "RandomApply",
    "RandomBrightness",
    "RandomColorJitter",
    "RandomContrast",
    "RandomFlipLeftRight",
    "RandomFlipTopBottom",
    "RandomHue",
    "RandomLighting",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSaturation",
    "Resize",
    "Rotate",
    "ToTensor",
]

_Size = int | tuple[int, int]


class Compose(Block):
    """Several steps, one after another."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self._steps = list(transforms)

    def forward(self, *args: Any) -> Any:
        """The image after all steps."""
        (made,) = args
        for step in self._steps:
            made = step(made)
        return made


class RandomApply(Block):
    """A step that is taken with the probability ``p``."""

    def __init__(self, transforms: Callable[[Any], Any], p: float = 0.5) -> None:
        self._step, self._p = transforms, p

    def forward(self, *args: Any) -> Any:
        """The image, changed or not."""
        return self._step(*args) if generator().random() < self._p else args[0]


class _Step(Block):
    """A function of mx.nd.image with its parameters. A class, so that it can be pickled."""

    def __init__(self, function: Callable[..., Any], *parameters: Any) -> None:
        self._function, self._parameters = function, parameters

    def forward(self, *args: Any) -> Any:
        """The image as the function makes it."""
        return self._function(*args, *self._parameters)


class Cast(_Step):
    """Makes float32, or another type, of the image."""

    def __init__(self, dtype: Any = "float32") -> None:
        super().__init__(cast, dtype)


class ToTensor(_Step):
    """Makes float32 of 0…1 of shape (channels, height, width) of the image."""

    def __init__(self) -> None:
        super().__init__(image.to_tensor)


class Normalize(_Step):
    """Subtracts a mean and divides by a deviation, of all channels or of each, after ToTensor."""

    def __init__(self, mean: Any = 0.0, std: Any = 1.0) -> None:
        super().__init__(image.normalize, mean, std)


class Resize(_Step):
    """Resizes to (width, height), or to a square; with one number and ``keep_ratio`` the shorter side becomes that."""

    def __init__(self, size: _Size, keep_ratio: bool = False, interpolation: int = 1) -> None:
        super().__init__(image.resize, size, keep_ratio, interpolation)


class CropResize(Block):
    """Cuts the part from (x, y), and resizes it to ``size`` if that is given."""

    def __init__(
        self, x: int, y: int, width: int, height: int, size: _Size | None = None, interpolation: int | None = None
    ) -> None:
        self._place, self._size, self._interpolation = (x, y, width, height), size, interpolation

    def forward(self, *args: Any) -> Any:
        """The part of the image."""
        cut = image.crop(args[0], *self._place)
        return image.resize(cut, self._size, interp=self._interpolation) if self._size else cut


class CenterCrop(_Step):
    """Cuts the middle of (width, height); enlarged where the image is smaller."""

    def __init__(self, size: _Size, interpolation: int = 1) -> None:
        super().__init__(geometry.center_crop, _both(size), interpolation)

    def forward(self, *args: Any) -> Any:
        """The middle of the image."""
        return super().forward(*args)[0]


class RandomResizedCrop(_Step):
    """Cuts a part of an area and proportions at random, and resizes it to (width, height)."""

    def __init__(
        self,
        size: _Size,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: int = 1,
    ) -> None:
        super().__init__(geometry.random_size_crop, _both(size), scale, ratio, interpolation)

    def forward(self, *args: Any) -> Any:
        """The part of the image."""
        return super().forward(*args)[0]


class Rotate(_Step):
    """Turns by so many degrees, after ToTensor; see mx.image.imrotate."""

    def __init__(self, rotation_degrees: float, zoom_in: bool = False, zoom_out: bool = False) -> None:
        super().__init__(rotation.imrotate, rotation_degrees, zoom_in, zoom_out)


class RandomRotation(_Step):
    """Turns by an angle between two, with a probability, after ToTensor. Raises ValueError for limits not in order."""

    def __init__(
        self,
        angle_limits: tuple[float, float],
        zoom_in: bool = False,
        zoom_out: bool = False,
        rotate_with_proba: float = 1.0,
    ) -> None:
        if angle_limits[0] >= angle_limits[1]:
            raise ValueError(f"angle_limits is {angle_limits}: the lower one comes first")
        if not 0 <= rotate_with_proba <= 1:
            raise ValueError(f"rotate_with_proba is {rotate_with_proba}: from 0 to 1")
        super().__init__(rotation.random_rotate, angle_limits, zoom_in, zoom_out)
        self._probability = rotate_with_proba

    def forward(self, *args: Any) -> Any:
        """The image, turned or not."""
        is_turned = np.random.random() <= self._probability  # noqa: NPY002  # as in MXNet
        return super().forward(*args) if is_turned else args[0]


class RandomFlipLeftRight(_Step):
    """Mirrors one image in two."""

    def __init__(self) -> None:
        super().__init__(image.random_flip_left_right)


class RandomFlipTopBottom(_Step):
    """Turns one image in two upside down."""

    def __init__(self) -> None:
        super().__init__(image.random_flip_top_bottom)


class RandomBrightness(_Step):
    """Multiplies by 1 - ``brightness`` to 1 + ``brightness``."""

    def __init__(self, brightness: float) -> None:
        super().__init__(image.random_brightness, *_around_1(brightness))


class RandomContrast(_Step):
    """Moves all values towards, or from, the mean grey, by 1 - ``contrast`` to 1 + ``contrast``."""

    def __init__(self, contrast: float) -> None:
        super().__init__(image.random_contrast, *_around_1(contrast))


class RandomSaturation(_Step):
    """Moves each pixel towards, or from, its grey, by 1 - ``saturation`` to 1 + ``saturation``."""

    def __init__(self, saturation: float) -> None:
        super().__init__(image.random_saturation, *_around_1(saturation))


class RandomHue(_Step):
    """Turns the hue by up to ``hue`` of a whole turn."""

    def __init__(self, hue: float) -> None:
        super().__init__(image.random_hue, *_around_1(hue))


class RandomColorJitter(_Step):
    """Brightness, contrast, saturation and hue, in an order at random."""

    def __init__(self, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0) -> None:
        super().__init__(image.random_color_jitter, brightness, contrast, saturation, hue)


class RandomLighting(_Step):
    """Adds noise along the main directions of colour (Krizhevsky 2012), with a deviation of ``alpha``."""

    def __init__(self, alpha: float) -> None:
        super().__init__(image.random_lighting, alpha)


def _both(size: Any) -> tuple[int, int]:
    return size if np.ndim(size) else (int(size), int(size))


def _around_1(amount: float) -> tuple[float, float]:
    return max(0, 1 - amount), 1 + amount


__getattr__ = missing_from(__name__)
