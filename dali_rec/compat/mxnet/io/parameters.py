"""The parameters of mx.io.ImageRecordIter: names and defaults of MXNet 1.9.1, and which of them go together."""

from __future__ import annotations

import ast
import dataclasses
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

INTERPOLATIONS = (0, 1, 2, 3, 4, 9, 10)
_CHANNELS = "rgba"
_TRUE, _FALSE = ("1", "true"), ("0", "false")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecordParameters:
    """Every parameter of ImageRecordIter, and ``framework`` and ``device``, which are ours.

    framework: what the arrays are, "numpy", "torch", "cupy", "jax" or "tensorflow". device: "auto" (a GPU where there
    is one), "gpu", "cpu", or the number of a GPU; ctx="cpu" and device_id=-1 mean "cpu" too.

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
        return cls(**{name: _coerce(name, value, str(fields[name].type)) for name, value in keywords.items()})

    def __post_init__(self) -> None:
        self._check_ranges()
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
        if self.min_aspect_ratio is not None:
            return self.min_aspect_ratio, self.max_aspect_ratio
        return 1 - self.max_aspect_ratio, 1 + self.max_aspect_ratio

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
        plain = {f"mean_{name}": 0.0 for name in _CHANNELS} | {f"std_{name}": 1.0 for name in _CHANNELS}
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
        for name in ("batch_size", "label_width", "preprocess_threads", "prefetch_buffer", "num_parts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1")
        if not 0 <= self.part_index < self.num_parts:
            raise ValueError(f"part_index is {self.part_index}: from 0 to num_parts - 1, which is {self.num_parts - 1}")
        if self.ctx not in ("cpu", "gpu"):
            raise ValueError(f"ctx is {self.ctx!r}: 'cpu' or 'gpu'")
        if self.aug_seq != "aug_default":
            raise ValueError(f"aug_seq is {self.aug_seq!r}: only MXNet's own sequence, 'aug_default', is there")
        if self.output_dtype.name not in ("float32", "uint8", "int8"):
            raise ValueError(f"dtype is {self.dtype!r}: 'float32', 'uint8' or 'int8', as in MXNet")
        if self.inter_method not in INTERPOLATIONS:
            raise ValueError(f"inter_method is {self.inter_method}: one of {INTERPOLATIONS}")
        if not 0 <= self.fill_value <= 255 or self.pad < 0:
            raise ValueError(f"fill_value is {self.fill_value} and pad {self.pad}: 0 to 255, and from 0 up")
        if self.resize != -1 and self.resize < 1:
            raise ValueError(f"resize is {self.resize}: -1, or the length of the shorter side in pixels")

    def _check_geometry(self) -> None:
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
                raise ValueError("min_random_area and max_random_area have an effect only with random_resized_crop=True")
            return
        scaled = (self.min_random_scale, self.max_random_scale) != (1.0, 1.0)
        if scaled or has_crop_size or self.rand_crop:
            raise ValueError(
                "random_resized_crop=True goes with neither min_random_scale, max_random_scale, min_crop_size, "
                "max_crop_size nor rand_crop"
            )
        if not 0 < self.min_random_area <= self.max_random_area:
            raise ValueError(
                f"random areas from {self.min_random_area} to {self.max_random_area}: above 0, in order"
            )

    def _check_colour(self) -> None:
        if self.channels != 3 and (self.has_jitter or self.has_hls or self.pca_noise):
            raise ValueError(
                "brightness, contrast, saturation, random_h, random_s, random_l and pca_noise change colours: they need "
                f"3 channels, data_shape has {self.channels}"
            )
        for name, value in zip(_CHANNELS, self.stds, strict=False):
            if value == 0:
                raise ValueError(f"std_{name} is 0, which nothing can be divided by")
        if self.output_dtype == np.float32:
            return
        without = ["std_r", "std_g", "std_b", "std_a", "scale", "max_random_contrast", "max_random_illumination"]
        if self.output_dtype == np.uint8:
            without += ["mean_r", "mean_g", "mean_b", "mean_a", "mean_img"]
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = [name for name in without if getattr(self, name) != defaults[name]]
        if given:
            raise ValueError(
                f"{', '.join(given)}: without effect on images of dtype {self.output_dtype}, as in MXNet; leave them "
                "out, or take dtype='float32'"
            )


def _coerce(name: str, value: Any, kind: str) -> Any:
    """The value as its field has it; MXNet turns every value into text and reads that."""
    if kind == "Any" or (value is None and "None" in kind):
        return value
    try:
        if name == "data_shape":
            shape = ast.literal_eval(value) if isinstance(value, str) else value
            return tuple(_whole(side) for side in shape)
        if name == "rotate_list":
            angles = value.split(",") if isinstance(value, str) else value
            return tuple(_whole(angle) for angle in angles)
        if name == "dtype":
            return None if value == "None" else np.dtype(value).name
        if kind == "bool":
            return _flag(value)
        if kind.startswith("int"):
            return _whole(value)
        if kind.startswith("float"):
            return float(value)
    except (TypeError, ValueError, SyntaxError):
        raise ValueError(f"{name} is {value!r}: expected {kind.removesuffix(' | None')}") from None
    return value


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _flag(value: Any) -> bool:
    text = str(value).lower().removesuffix(".0")
    if text not in _TRUE + _FALSE:
        raise ValueError(value)
    return text in _TRUE
