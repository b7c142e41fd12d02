"""mx.image's augmenters: one step each, from image to image, and CreateAugmenter, which lists the usual ones.

Images are of shape (height, width, channels). Steps that change colours work on float32 and change the image in place,
as in MXNet. Random numbers come from Python's ``random``, those of LightingAug from NumPy's, in MXNet's order.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet import ndarray as nd
from dali_rec.compat.mxnet.image import geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_EIGENVALUES = np.array([55.46, 4.794, 1.148])
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])
_TO_GREY = np.repeat(np.array([[0.21], [0.72], [0.07]], np.float32), 3, axis=1)
_USUAL_MEAN = (123.68, 116.28, 103.53)
_USUAL_STD = (58.395, 57.12, 57.375)


class Described:
    """The base of steps, made with the parameters that ``dumps`` is to name."""

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs

    def dumps(self) -> Any:
        """Name and parameters as JSON; of a step that has other steps, a list with theirs."""
        name = type(self).__name__.lower()
        values = list(vars(self).values())
        if len(values) == 1 and isinstance(values[0], Described):
            return [name, values[0].dumps()]
        steps = next((one for one in values if isinstance(one, list)), None)
        if steps is not None:
            return [name, [step.dumps() for step in steps]]
        parameters = vars(self).get("_kwargs", vars(self))
        return json.dumps([name, parameters], default=lambda value: np.asarray(value).tolist())


class Augmenter(Described):
    """The base of all steps: called with an image, it gives an image."""

    def __call__(self, src: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class SequentialAug(Augmenter):
    """Several steps, one after another."""

    def __init__(self, ts: Sequence[Callable[[Any], Any]]) -> None:
        self.ts = list(ts)

    def __call__(self, src: Any) -> Any:
        for step in self.ts:
            src = step(src)
        return src


class RandomOrderAug(SequentialAug):
    """Several steps in an order at random."""

    def __call__(self, src: Any) -> Any:
        random.shuffle(self.ts)
        return super().__call__(src)


class ResizeAug(Augmenter):
    """Resizes the shorter side."""

    def __init__(self, size: int, interp: int = 2) -> None:
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        return geometry.resize_short(src, self.size, self.interp)


class ForceResizeAug(Augmenter):
    """Resizes to (width, height), whatever the proportions."""

    def __init__(self, size: tuple[int, int], interp: int = 2) -> None:
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        return geometry.imresize(src, *self.size, interp=self.interp)


class CenterCropAug(Augmenter):
    """Cuts the middle of (width, height)."""

    def __init__(self, size: tuple[int, int], interp: int = 2) -> None:
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        return geometry.center_crop(src, self.size, self.interp)[0]


class RandomCropAug(Augmenter):
    """Cuts a part of (width, height) at random."""

    def __init__(self, size: tuple[int, int], interp: int = 2) -> None:
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        return geometry.random_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """Cuts a part of an area and proportions at random, and resizes it to (width, height)."""

    def __init__(
        self, size: tuple[int, int], area: float | tuple[float, float], ratio: tuple[float, float], interp: int = 2
    ) -> None:
        self.size, self.area, self.ratio, self.interp = size, area, ratio, interp

    def __call__(self, src: Any) -> Any:
        return geometry.random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]


class HorizontalFlipAug(Augmenter):
    """Mirrors the image with the probability ``p``."""

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, src: Any) -> Any:
        return nd.flip(src, axis=1) if random.random() < self.p else src  # noqa: S311


class CastAug(Augmenter):
    """Makes float32, or another type, of the image."""

    def __init__(self, typ: Any = "float32") -> None:
        self.typ = typ

    def __call__(self, src: Any) -> Any:
        return nd.cast(src, self.typ)


class BrightnessJitterAug(Augmenter):
    """Multiplies by 1 - ``brightness`` to 1 + ``brightness``."""

    def __init__(self, brightness: float) -> None:
        self.brightness = brightness

    def __call__(self, src: Any) -> Any:
        src *= _factor(self.brightness)
        return src


class ContrastJitterAug(Augmenter):
    """Moves all pixels towards, or from, the mean grey of the image."""

    def __init__(self, contrast: float) -> None:
        self.contrast = contrast

    def __call__(self, src: Any) -> Any:
        factor = _factor(self.contrast)
        grey = 3 * (1 - factor) / src.size * float(np.sum(src * _GREY))
        src *= factor
        src += grey
        return src


class SaturationJitterAug(Augmenter):
    """Moves each pixel towards, or from, its grey."""

    def __init__(self, saturation: float) -> None:
        self.saturation = saturation

    def __call__(self, src: Any) -> Any:
        factor = _factor(self.saturation)
        grey = np.sum(src * _GREY, axis=2, keepdims=True, dtype=src.dtype) * (1 - factor)
        src *= factor
        src += grey
        return src


class HueJitterAug(Augmenter):
    """Turns the hue by up to ``hue`` of a half turn, in YIQ."""

    def __init__(self, hue: float) -> None:
        self.hue = hue

    def __call__(self, src: Any) -> Any:
        angle = random.uniform(-self.hue, self.hue) * np.pi  # noqa: S311
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        return nd.viewed(np.dot(src, (_FROM_YIQ @ turn @ _TO_YIQ).T.astype(np.float32)))


class ColorJitterAug(RandomOrderAug):
    """Brightness, contrast and saturation, in an order at random; 0 leaves one out."""

    def __init__(self, brightness: float, contrast: float, saturation: float) -> None:
        steps: list[Augmenter] = []
        if brightness > 0:
            steps.append(BrightnessJitterAug(brightness))
        if contrast > 0:
            steps.append(ContrastJitterAug(contrast))
        if saturation > 0:
            steps.append(SaturationJitterAug(saturation))
        super().__init__(steps)


class LightingAug(Augmenter):
    """Adds noise along the main directions of colour (Krizhevsky 2012), with a deviation of ``alphastd``."""

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any) -> None:
        self.alphastd, self.eigval, self.eigvec = alphastd, eigval, eigvec

    def __call__(self, src: Any) -> Any:
        drawn = np.random.normal(0, self.alphastd, size=(3,))  # noqa: NPY002  # what np.random.seed seeds, as in MXNet
        src += np.dot(np.asarray(self.eigvec) * drawn, np.asarray(self.eigval)).astype(np.float32)
        return src


class ColorNormalizeAug(Augmenter):
    """Subtracts a mean and divides by a deviation, of each channel."""

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean = None if mean is None else nd.array(mean)
        self.std = None if std is None else nd.array(std)

    def __call__(self, src: Any) -> Any:
        return geometry.color_normalize(src, self.mean, self.std)


class RandomGrayAug(Augmenter):
    """Makes three equal channels of grey with the probability ``p``."""

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, src: Any) -> Any:
        return nd.viewed(np.dot(src, _TO_GREY)) if random.random() < self.p else src  # noqa: S311


def CreateAugmenter(  # noqa: N802  # MXNet's
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """The steps to images of ``data_shape`` (channels, height, width), float32, in MXNet's order.

    mean, std: True for ImageNet's, or one number for each channel. Raises ValueError for rand_resize without rand_crop.
    """
    size = (data_shape[2], data_shape[1])
    steps: list[Augmenter] = [ResizeAug(resize, inter_method)] if resize > 0 else []
    if rand_resize:
        if not rand_crop:
            raise ValueError("rand_resize=True needs rand_crop=True")
        steps.append(RandomSizedCropAug(size, 0.08, (3 / 4, 4 / 3), inter_method))
    else:
        steps.append(RandomCropAug(size, inter_method) if rand_crop else CenterCropAug(size, inter_method))
    if rand_mirror:
        steps.append(HorizontalFlipAug(0.5))
    steps.append(CastAug())
    if brightness or contrast or saturation:
        steps.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        steps.append(HueJitterAug(hue))
    if pca_noise > 0:
        steps.append(LightingAug(pca_noise, _EIGENVALUES, _EIGENVECTORS))
    if rand_gray > 0:
        steps.append(RandomGrayAug(rand_gray))
    mean = _USUAL_MEAN if mean is True else mean
    std = _USUAL_STD if std is True else std
    if mean is not None or std is not None:
        steps.append(ColorNormalizeAug(mean, std))
    return steps


def _factor(amount: float) -> float:
    return 1 + random.uniform(-amount, amount)  # noqa: S311
