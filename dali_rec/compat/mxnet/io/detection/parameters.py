"""The parameters of mx.io.ImageDetRecordIter: names and defaults of MXNet 1.9.1, and which of them go together."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

_CHANNELS = "rgba"
_CROP_RANGES = ("scales", "aspect_ratios", "overlaps", "sample_coverages", "object_coverages")


@dataclass(frozen=True, slots=True)
class CropSampler:
    """One way to draw crops: each range is (least, largest).

    scales: of the square root of the area, in parts of the image. aspect_ratios: width to height, in pixels. overlaps:
    intersection over union of the crop and an object. sample_coverages: intersection over the crop. object_coverages:
    intersection over the object. trials: how many crops are drawn before the next sampler has its turn.
    """

    scales: tuple[float, float]
    aspect_ratios: tuple[float, float]
    overlaps: tuple[float, float]
    sample_coverages: tuple[float, float]
    object_coverages: tuple[float, float]
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionParameters:
    """Every parameter of ImageDetRecordIter, and ``framework`` and ``device``, which are ours.

    framework: what the arrays are, "numpy", "torch", "cupy", "jax" or "tensorflow". device: "auto" (a GPU where there
    is one), "gpu", "cpu", or the number of a GPU; ctx="cpu" means "cpu" too.

    Raises ValueError for values that MXNet refuses, and for those that would have no effect.
    """

    path_imgrec: Any
    data_shape: tuple[int, ...]
    batch_size: int
    path_imglist: Any = ""
    aug_seq: str = "det_aug_default"
    label_width: int = -1
    preprocess_threads: int = 4
    verbose: bool = True
    num_parts: int = 1
    part_index: int = 0
    shuffle_chunk_size: int = 0
    shuffle_chunk_seed: int = 0
    label_pad_width: int = 0
    label_pad_value: float = -1.0
    shuffle: bool = False
    seed: int = 0
    round_batch: bool = True
    prefetch_buffer: int = 4
    ctx: str = "gpu"
    dtype: str | None = None
    resize: int = -1
    rand_crop_prob: float = 0.0
    min_crop_scales: tuple[float, ...] = (0.0,)
    max_crop_scales: tuple[float, ...] = (1.0,)
    min_crop_aspect_ratios: tuple[float, ...] = (1.0,)
    max_crop_aspect_ratios: tuple[float, ...] = (1.0,)
    min_crop_overlaps: tuple[float, ...] = (0.0,)
    max_crop_overlaps: tuple[float, ...] = (1.0,)
    min_crop_sample_coverages: tuple[float, ...] = (0.0,)
    max_crop_sample_coverages: tuple[float, ...] = (1.0,)
    min_crop_object_coverages: tuple[float, ...] = (0.0,)
    max_crop_object_coverages: tuple[float, ...] = (1.0,)
    num_crop_sampler: int = 1
    crop_emit_mode: str = "center"
    emit_overlap_thresh: float = 0.3
    max_crop_trials: tuple[int, ...] = (25,)
    rand_pad_prob: float = 0.0
    max_pad_scale: float = 1.0
    max_random_hue: int = 0
    random_hue_prob: float = 0.0
    max_random_saturation: int = 0
    random_saturation_prob: float = 0.0
    max_random_illumination: int = 0
    random_illumination_prob: float = 0.0
    max_random_contrast: float = 0.0
    random_contrast_prob: float = 0.0
    rand_mirror_prob: float = 0.0
    fill_value: int = 127
    inter_method: int = 1
    resize_mode: str = "force"
    mean_img: Any = ""
    mean_r: float = 0.0
    mean_g: float = 0.0
    mean_b: float = 0.0
    mean_a: float = 0.0
    std_r: float = 0.0
    std_g: float = 0.0
    std_b: float = 0.0
    std_a: float = 0.0
    scale: float = 1.0
    data_name: str = "data"
    label_name: str = "softmax_label"
    framework: str = "numpy"
    device: str | int = "auto"

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
            raise TypeError(f"{unknown[0]} is no parameter of ImageDetRecordIter{meant}")
        missing = [name for name in ("path_imgrec", "data_shape", "batch_size") if name not in keywords]
        if missing:
            raise TypeError(f"ImageDetRecordIter needs {', '.join(missing)}")
        return cls(**{name: _coerce(name, value, str(fields[name].type)) for name, value in keywords.items()})

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_choices()
        self._check_samplers()
        self._check_effects()

    @property
    def channels(self) -> int:
        """Channels of an image: 1 (grey), 3 (RGB) or 4 (RGBA)."""
        return self.data_shape[0]

    @property
    def means(self) -> tuple[float, ...]:
        """What is subtracted from each channel: MXNet does so where any mean is above 0."""
        means = tuple(float(getattr(self, f"mean_{name}")) for name in _CHANNELS)
        return means[: self.channels] if max(means) > 0 else (0.0,) * self.channels

    @property
    def stds(self) -> tuple[float, ...]:
        """What each channel is divided by: MXNet does so where the deviation is above 0."""
        stds = (float(getattr(self, f"std_{name}")) for name in _CHANNELS[: self.channels])
        return tuple(std if std > 0 else 1.0 for std in stds)

    @property
    def changes_colour(self) -> bool:
        """Whether hue, saturation, illumination or contrast may change."""
        return any(
            getattr(self, f"random_{name}_prob") > 0 for name in ("hue", "saturation", "illumination", "contrast")
        )

    @property
    def has_order(self) -> bool:
        """Whether the random numbers are MXNet's, one image after another, as those of its single thread are."""
        return self.preprocess_threads == 1 and not self.shuffle and not self.shuffle_chunk_size

    @property
    def crop_samplers(self) -> tuple[CropSampler, ...]:
        """The samplers of crops; a parameter with one value has it for all of them."""

        def of(name: str, number: int) -> Any:
            values = getattr(self, name)
            return values[number if len(values) > 1 else 0]

        return tuple(
            CropSampler(
                trials=of("max_crop_trials", number),
                **{name: (of(f"min_crop_{name}", number), of(f"max_crop_{name}", number)) for name in _CROP_RANGES},
            )
            for number in range(self.num_crop_sampler)
        )

    def without_normalisation(self) -> Self:
        """The same images as they are before mean, deviation and scale."""
        plain: dict[str, Any] = {f"{what}_{name}": 0.0 for what in ("mean", "std") for name in _CHANNELS}
        return dataclasses.replace(self, **plain, mean_img="", scale=1.0, round_batch=False)

    def _check_ranges(self) -> None:
        shape = self.data_shape
        if len(shape) != 3 or shape[0] not in (1, 3, 4) or min(shape) < 1:
            raise ValueError(f"data_shape is {shape}: expected (channels, height, width) with 1, 3 or 4 channels")
        for name in ("batch_size", "preprocess_threads", "prefetch_buffer", "num_parts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1")
        if not 0 <= self.part_index < self.num_parts:
            raise ValueError(f"part_index is {self.part_index}: from 0 to num_parts - 1, which is {self.num_parts - 1}")
        if self.resize != -1 and self.resize < 1:
            raise ValueError(f"resize is {self.resize}: -1, or the length of the shorter side in pixels")
        if self.label_width == 0 or self.label_width < -1 or self.label_pad_width < -1 or self.shuffle_chunk_size < 0:
            raise ValueError(
                f"label_width is {self.label_width}, label_pad_width {self.label_pad_width}, shuffle_chunk_size "
                f"{self.shuffle_chunk_size}: -1 or a number of labels, -1 or from 0 up, from 0 up"
            )
        if not 0 <= self.fill_value <= 255 or self.emit_overlap_thresh < 0:
            raise ValueError(
                f"fill_value is {self.fill_value}, emit_overlap_thresh {self.emit_overlap_thresh}: 0 to 255, from 0 up"
            )

    def _check_choices(self) -> None:
        choices: dict[str, tuple[Any, ...]] = {
            "aug_seq": ("det_aug_default",),
            "ctx": ("cpu", "gpu"),
            "crop_emit_mode": ("center", "overlap"),
            "resize_mode": ("force", "shrink", "fit"),
            "inter_method": (0, 1, 2, 3, 4, 9, 10),
            "dtype": (None, "float32"),
            "framework": ("numpy", "torch", "cupy", "jax", "tensorflow"),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}: {' or '.join(map(repr, allowed))}, as in MXNet")

    def _check_samplers(self) -> None:
        for name in (*(f"{end}_crop_{what}" for what in _CROP_RANGES for end in ("min", "max")), "max_crop_trials"):
            count = len(getattr(self, name))
            if self.num_crop_sampler > 0 and count not in (1, self.num_crop_sampler):
                raise ValueError(
                    f"{name} has {count} values: one, or num_crop_sampler, which is {self.num_crop_sampler}"
                )
        for number, sampler in enumerate(self.crop_samplers):
            for what in _CROP_RANGES:
                low, high = getattr(sampler, what)
                is_scale = what == "scales"
                if not (0 <= low <= high if what in ("scales", "aspect_ratios") else low <= high) or (
                    is_scale and not low < high <= 1
                ):
                    raise ValueError(f"crop sampler {number}: {what} from {low} to {high}: in order and within 0 and 1")

    def _check_effects(self) -> None:
        if self.channels != 3 and self.changes_colour:
            raise ValueError(
                "random hue, saturation, illumination and contrast change colours: they need 3 channels, data_shape "
                f"has {self.channels}"
            )
        for name in ("hue", "saturation", "illumination", "contrast"):
            if getattr(self, f"max_random_{name}") and getattr(self, f"random_{name}_prob") <= 0:
                raise ValueError(f"max_random_{name} has no effect without random_{name}_prob above 0; give both")
        if self.shuffle_chunk_seed and not self.shuffle_chunk_size:
            raise ValueError("shuffle_chunk_seed has an effect only with shuffle_chunk_size")
        if self.rand_pad_prob > 0 and self.max_pad_scale <= 1:
            raise ValueError(
                f"rand_pad_prob has no effect with max_pad_scale={self.max_pad_scale}: above 1, or leave it out"
            )
        given = [name for name in _CHANNELS if getattr(self, f"mean_{name}")]
        if given and not any(getattr(self, f"mean_{name}") > 0 for name in given):
            raise ValueError("MXNet subtracts means only where one of them is above 0; none is")
        if given and self.mean_img:
            raise ValueError(f"mean_{given[0]} and mean_img: MXNet takes the first and not the second; give one")


def _coerce(name: str, value: Any, kind: str) -> Any:
    """The value as its field has it; MXNet turns every value into text and reads that."""
    readers: dict[str, Callable[[Any], Any]] = {
        "bool": _flag,
        "int": _whole,
        "float": _finite,
        "tuple[int, ...]": lambda given: tuple(map(_whole, _several(given))),
        "tuple[float, ...]": lambda given: tuple(map(_finite, _several(given))),
    }
    try:
        if name == "dtype" and value is not None:
            return None if value == "None" else np.dtype(value).name
        return readers[kind](value) if kind in readers else value
    except (TypeError, ValueError, SyntaxError, OverflowError):
        raise ValueError(f"{name} is {value!r}: expected {kind}") from None


def _several(value: Any) -> Any:
    read = ast.literal_eval(value) if isinstance(value, str) else value
    return read if np.iterable(read) else (read,)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _flag(value: Any) -> bool:
    text = str(value).lower().removesuffix(".0")
    if text not in ("0", "1", "false", "true"):
        raise ValueError(value)
    return text in ("1", "true")
