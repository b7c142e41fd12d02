"""The parameters of mx.io.ImageRecordIter: names and defaults of MXNet 1.9.1, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dali_rec.compat.mxnet.io.base_parameters import MEANS, STDS, BaseParameters

if TYPE_CHECKING:
    from typing_extensions import Self

_FROM_0 = (
    *("pad", "max_rotate_angle", "max_shear_ratio", "brightness", "contrast", "saturation", "pca_noise"),
    *("max_random_contrast", "max_random_illumination", "min_img_size"),
)
_GAIN = ("scale", "max_random_contrast", "max_random_illumination")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecordParameters(BaseParameters):
    """All parameters of ImageRecordIter; ``framework``, ``device`` and ``engine`` are ours, the others MXNet's.

    framework: what the arrays are, "numpy", "torch", "cupy", "jax" or "tensorflow". device: "auto" (a GPU where there
    is one), "gpu", "cpu", or the number of a GPU; ctx="cpu" and device_id=-1 mean "cpu" too. engine: what makes the
    images, "opencv", for all settings, "dali", for those that it meets, or "auto".

    Raises ValueError for values that MXNet refuses, and, as ``raise_or_warn`` does, for those without effect.
    """

    iterator: ClassVar[str] = "ImageRecordIter"

    aug_seq: str = "aug_default"
    label_width: int = 1
    device_id: int = 0
    seed_aug: int | None = None
    rand_crop: bool = False
    random_resized_crop: bool = False
    max_rotate_angle: int = 0
    max_aspect_ratio: float = 0.0
    min_aspect_ratio: float | None = None
    max_shear_ratio: float = 0.0
    max_crop_size: int = -1
    min_crop_size: int = -1
    max_random_scale: float = 1.0
    min_random_scale: float = 1.0
    max_random_area: float = 1.0
    min_random_area: float = 1.0
    max_img_size: float = 1e10
    min_img_size: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    pca_noise: float = 0.0
    random_h: int = 0
    random_s: int = 0
    random_l: int = 0
    rotate: int = -1
    rotate_list: tuple[int, ...] = ()
    fill_value: int = 255
    pad: int = 0
    mirror: bool = False
    rand_mirror: bool = False
    std_r: float = 1.0
    std_g: float = 1.0
    std_b: float = 1.0
    std_a: float = 1.0
    max_random_contrast: float = 0.0
    max_random_illumination: float = 0.0
    engine: str = "auto"

    def __post_init__(self) -> None:
        if self.path_imgidx:
            self.without_effect("with path_imgidx", "shuffle_chunk_size", "shuffle_chunk_seed")
        self.check_common()
        self.check_least(1, "label_width")
        self.check_least(0, *_FROM_0)
        self.check_choice("dtype", None, "float32", "uint8", "int8")
        self.check_choice("aug_seq", "aug_default")
        self.check_choice("engine", "auto", "opencv", "dali")
        self._check_affine()
        self._check_crops()
        self._check_colours()
        self._check_normalisation()

    @property
    def means(self) -> tuple[float, ...]:
        """The mean of each channel."""
        return tuple(getattr(self, name) for name in MEANS[: self.channels])

    @property
    def stds(self) -> tuple[float, ...]:
        """The standard deviation of each channel."""
        return tuple(getattr(self, name) for name in STDS[: self.channels])

    @property
    def aspect_ratios(self) -> tuple[float, float]:
        """The least and the largest aspect ratio, as MXNet reads its two parameters."""
        largest = np.float32(self.max_aspect_ratio)
        if self.min_aspect_ratio is not None:
            return float(np.float32(self.min_aspect_ratio)), float(largest)
        return float(1 - largest), float(1 + largest)

    @property
    def has_affine(self) -> bool:
        """Whether images are rotated, sheared, scaled or stretched."""
        stretched = not self.random_resized_crop and self.aspect_ratios != (1.0, 1.0)
        limited = (self.min_img_size, self.max_img_size) != (0.0, 1e10)
        turned = self.max_rotate_angle > 0 or self.rotate > 0 or bool(self.rotate_list) or self.max_shear_ratio > 0
        return turned or self.has_random_scale or stretched or limited

    @property
    def has_random_scale(self) -> bool:
        """Whether images are scaled by a random factor."""
        return (self.min_random_scale, self.max_random_scale) != (1.0, 1.0)

    @property
    def has_random_resized_crop(self) -> bool:
        """Whether crops of a random area and shape are taken."""
        areas = (self.min_random_area, self.max_random_area)
        return self.random_resized_crop and (areas != (1.0, 1.0) or self.aspect_ratios != (1.0, 1.0))

    @property
    def has_crop_size(self) -> bool:
        """Whether square crops of a random size are taken."""
        return self.max_crop_size != -1

    @property
    def has_jitter(self) -> bool:
        """Whether brightness, contrast or saturation change."""
        return max(self.brightness, self.contrast, self.saturation) > 0

    @property
    def has_hls(self) -> bool:
        """Whether hue, saturation or lightness change in HLS."""
        return any((self.random_h, self.random_s, self.random_l))

    @property
    def has_gain(self) -> bool:
        """Whether contrast or illumination change at random after normalising."""
        return bool(self.max_random_contrast or self.max_random_illumination)

    def without_normalisation(self) -> Self:
        """The parameters of the same images before they are mirrored and normalised, as float32."""
        return self.with_defaults(*MEANS, *STDS, *_GAIN, "dtype", "mean_img", "mirror", "rand_mirror")

    def _check_affine(self) -> None:
        if self.rotate < -1 or (self.rotate == 0 and self.max_rotate_angle):
            self.without_effect("below 1 (for -30 take 330)", "rotate")
        if not self.min_img_size <= self.max_img_size:  # nor is it where one is NaN
            raise ValueError(f"min_img_size is {self.min_img_size}, above max_img_size {self.max_img_size}")
        if self.min_random_scale > self.max_random_scale or self.min_random_scale <= 0:
            raise ValueError(f"random scale from {self.min_random_scale} to {self.max_random_scale}: above 0, in order")
        low, high = self.aspect_ratios
        if not 0 < low <= high and (self.has_affine or self.has_random_resized_crop):
            raise ValueError(f"aspect ratios from {low} to {high}: above 0, in order")

    def _check_crops(self) -> None:
        has_crop_size = (self.min_crop_size, self.max_crop_size) != (-1, -1)
        if has_crop_size and not 1 <= self.min_crop_size <= self.max_crop_size:
            raise ValueError(
                f"min_crop_size is {self.min_crop_size} and max_crop_size {self.max_crop_size}: give both, in order"
            )
        if self.random_resized_crop:
            if self.has_random_scale or has_crop_size or self.rand_crop:
                raise ValueError(
                    "random_resized_crop=True goes with neither min_random_scale, max_random_scale, min_crop_size, "
                    "max_crop_size nor rand_crop"
                )
            least, most = self.min_random_area, self.max_random_area
            if not 0 < least <= most:
                raise ValueError(f"random areas from {least} to {most}: above 0, in order")
        else:
            self.without_effect("without random_resized_crop=True", "min_random_area", "max_random_area")

    def _check_colours(self) -> None:
        if self.channels != 3 and (self.has_jitter or self.has_hls or self.pca_noise):
            raise ValueError(
                "brightness, contrast, saturation, random_h, random_s, random_l and pca_noise change colours: they "
                f"need 3 channels, data_shape has {self.channels}"
            )

    def _check_normalisation(self) -> None:
        if self.output_dtype == np.uint8:
            self.without_effect("on images of dtype uint8", *STDS, *_GAIN, *MEANS, "mean_img")
        if self.output_dtype == np.int8:
            self.without_effect("on images of dtype int8", *STDS, *_GAIN)
        if self.mean_img:
            self.without_effect("with mean_img", *MEANS)
        for name, value in zip(STDS, self.stds, strict=False):
            if value == 0:
                raise ValueError(f"{name} is 0, which nothing can be divided by")
