"""The parameters of mx.io.ImageRecordIter: names and defaults of MXNet 1.9.1, and which of them go together."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_rec.compat.mxnet.io.values import parse_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

_CHOICES: dict[str, tuple[Any, ...]] = {
    "inter_method": (0, 1, 2, 3, 4, 9, 10),
    "dtype": (None, "float32", "uint8", "int8"),
    "ctx": ("cpu", "gpu"),
    "aug_seq": ("aug_default",),
    "framework": ("numpy", "torch", "cupy", "jax", "tensorflow"),
    "engine": ("auto", "opencv", "dali"),
}
_FROM_1 = ("batch_size", "label_width", "preprocess_threads", "prefetch_buffer", "num_parts")
_FROM_0 = (
    *("part_index", "shuffle_chunk_size", "fill_value", "pad", "max_rotate_angle", "max_shear_ratio", "brightness"),
    *("contrast", "saturation", "pca_noise", "max_random_contrast", "max_random_illumination", "min_img_size"),
)
_CHANNELS = "rgba"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecordParameters:
    """Every parameter of ImageRecordIter, and ``framework``, ``device`` and ``engine``, which are ours.

    framework: what the arrays are, "numpy", "torch", "cupy", "jax" or "tensorflow". device: "auto" (a GPU where there
    is one), "gpu", "cpu", or the number of a GPU; ctx="cpu" and device_id=-1 mean "cpu" too. engine: what makes the
    images, "opencv", for all settings, "dali", for those that it meets, or "auto".

    Raises ValueError for values that MXNet refuses, and for those that would have no effect.
    """

    path_imgrec: Any
    data_shape: tuple[int, int, int]
    batch_size: int
    path_imglist: Any = ""
    path_imgidx: Any = ""
    aug_seq: str = "aug_default"
    label_width: int = 1
    preprocess_threads: int = 4
    verbose: bool = True
    num_parts: int = 1
    part_index: int = 0
    device_id: int = 0
    shuffle_chunk_size: int = 0
    shuffle_chunk_seed: int = 0
    seed_aug: int | None = None
    shuffle: bool = False
    seed: int = 0
    round_batch: bool = True
    prefetch_buffer: int = 4
    ctx: str = "gpu"
    dtype: str | None = None
    resize: int = -1
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
    inter_method: int = 1
    pad: int = 0
    mirror: bool = False
    rand_mirror: bool = False
    mean_img: Any = ""
    mean_r: float = 0.0
    mean_g: float = 0.0
    mean_b: float = 0.0
    mean_a: float = 0.0
    std_r: float = 1.0
    std_g: float = 1.0
    std_b: float = 1.0
    std_a: float = 1.0
    scale: float = 1.0
    max_random_contrast: float = 0.0
    max_random_illumination: float = 0.0
    data_name: str = "data"
    label_name: str = "softmax_label"
    framework: str = "numpy"
    device: str | int = "auto"
    engine: str = "auto"

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> Self:
        """The parameters from an iterator's keywords, where numbers and shapes may also be given as text.

        Raises TypeError for a name that MXNet does not know either, which MXNet would have ignored.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(keywords.keys() - fields.keys())
        if unknown:
            near = difflib.get_close_matches(unknown[0], fields, 1)
            meant = f"; did you mean {near[0]}?" if near else "; MXNet would ignore it: leave it out"
            raise TypeError(f"{unknown[0]} is no parameter of ImageRecordIter{meant}")
        missing = [name for name in ("path_imgrec", "data_shape", "batch_size") if name not in keywords]
        if missing:
            raise TypeError(f"ImageRecordIter needs {', '.join(missing)}")
        return cls(**{name: parse_value(name, value, str(fields[name].type)) for name, value in keywords.items()})

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_order()
        self._check_geometry()
        self._check_colour()

    @property
    def channels(self) -> int:
        """Channels of an image: 1 (grey), 3 (RGB) or 4 (RGBA)."""
        return self.data_shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.data_shape[1], self.data_shape[2]

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """What the images are."""
        return np.dtype(self.dtype or "float32")

    @property
    def means(self) -> tuple[float, ...]:
        """The mean of each channel."""
        return tuple(getattr(self, f"mean_{name}") for name in _CHANNELS[: self.channels])

    @property
    def stds(self) -> tuple[float, ...]:
        """The standard deviation of each channel."""
        return tuple(getattr(self, f"std_{name}") for name in _CHANNELS[: self.channels])

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
        scaled = (self.min_random_scale, self.max_random_scale) != (1.0, 1.0)
        limited = (self.min_img_size, self.max_img_size) != (0.0, 1e10)
        turned = self.max_rotate_angle > 0 or self.rotate > 0 or bool(self.rotate_list) or self.max_shear_ratio > 0
        return turned or scaled or stretched or limited

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
        """The same images as they are before mean, deviation, scale and mirror, as float32."""
        plain: dict[str, Any] = {f"mean_{name}": 0.0 for name in _CHANNELS} | {f"std_{name}": 1.0 for name in _CHANNELS}
        return dataclasses.replace(
            self,
            **plain,
            dtype="float32",
            mean_img="",
            scale=1.0,
            mirror=False,
            rand_mirror=False,
            max_random_contrast=0.0,
            max_random_illumination=0.0,
            round_batch=False,
        )

    def _check_ranges(self) -> None:
        shape = self.data_shape
        if len(shape) != 3 or shape[0] not in (1, 3, 4) or min(shape) < 1:
            raise ValueError(f"data_shape is {shape}: expected (channels, height, width) with 1, 3 or 4 channels")
        for name in _FROM_1 + _FROM_0:
            least = 1 if name in _FROM_1 else 0
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: at least {least}")
        if self.part_index >= self.num_parts:
            raise ValueError(f"part_index is {self.part_index}: from 0 to num_parts - 1, which is {self.num_parts - 1}")
        if self.resize != -1 and self.resize < 1:
            raise ValueError(f"resize is {self.resize}: -1, or the length of the shorter side in pixels")
        if self.fill_value > 255:
            raise ValueError(f"fill_value is {self.fill_value}: 0 to 255")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}: one of {', '.join(map(repr, choices))}")

    def _check_order(self) -> None:
        if self.shuffle_chunk_size and self.path_imgidx:
            raise ValueError("shuffle_chunk_size has no effect with path_imgidx, in MXNet either: leave one out")
        if self.shuffle_chunk_seed and not self.shuffle_chunk_size:
            raise ValueError("shuffle_chunk_seed has an effect only with shuffle_chunk_size")

    def _check_geometry(self) -> None:
        if self.rotate < -1 or (self.rotate == 0 and self.max_rotate_angle):
            raise ValueError(
                f"rotate is {self.rotate}: MXNet rotates by it only from 1 up; -30 is 330, and for none leave it out"
            )
        if not self.min_img_size <= self.max_img_size:  # nor is it where one is NaN
            raise ValueError(f"min_img_size is {self.min_img_size}, above max_img_size {self.max_img_size}")
        has_crop_size = (self.min_crop_size, self.max_crop_size) != (-1, -1)
        if has_crop_size and not 1 <= self.min_crop_size <= self.max_crop_size:
            raise ValueError(
                f"min_crop_size is {self.min_crop_size} and max_crop_size {self.max_crop_size}: give both, in order"
            )
        if self.min_random_scale > self.max_random_scale or self.min_random_scale <= 0:
            raise ValueError(f"random scale from {self.min_random_scale} to {self.max_random_scale}: above 0, in order")
        low, high = self.aspect_ratios
        if not 0 < low <= high and (self.has_affine or self.has_random_resized_crop):
            raise ValueError(f"aspect ratios from {low} to {high}: above 0, in order")
        if not self.random_resized_crop:
            if (self.min_random_area, self.max_random_area) != (1.0, 1.0):
                raise ValueError(
                    "min_random_area and max_random_area have an effect only with random_resized_crop=True"
                )
            return
        scaled = (self.min_random_scale, self.max_random_scale) != (1.0, 1.0)
        if scaled or has_crop_size or self.rand_crop:
            raise ValueError(
                "random_resized_crop=True goes with neither min_random_scale, max_random_scale, min_crop_size, "
                "max_crop_size nor rand_crop"
            )
        if not 0 < self.min_random_area <= self.max_random_area:
            raise ValueError(f"random areas from {self.min_random_area} to {self.max_random_area}: above 0, in order")

    def _check_colour(self) -> None:
        if self.channels != 3 and (self.has_jitter or self.has_hls or self.pca_noise):
            raise ValueError(
                "brightness, contrast, saturation, random_h, random_s, random_l and pca_noise change colours: they "
                f"need 3 channels, data_shape has {self.channels}"
            )
        for name, value in zip(_CHANNELS, self.stds, strict=False):
            if value == 0:
                raise ValueError(f"std_{name} is 0, which nothing can be divided by")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        means = ("mean_r", "mean_g", "mean_b", "mean_a")
        without: tuple[str, ...] = ()
        why = ""
        if self.mean_img:
            without, why = means, "with mean_img"
        if self.output_dtype != np.float32:
            without = ("std_r", "std_g", "std_b", "std_a", "scale", "max_random_contrast", "max_random_illumination")
            without += (*means, "mean_img") if self.output_dtype == np.uint8 else (means if self.mean_img else ())
            why = f"on images of dtype {self.output_dtype}"
        given: list[str] = [name for name in without if getattr(self, name) != defaults[name]]
        if given:
            raise ValueError(f"{', '.join(given)}: without effect {why}, in MXNet too; leave them out")
