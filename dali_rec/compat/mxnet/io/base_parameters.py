"""The parameters that ImageRecordIter and ImageDetRecordIter have in common, and the checks that hold for both."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dali_rec.compat.mxnet.ignored import raise_or_warn
from dali_rec.compat.mxnet.io.values import parse_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

MEANS = ("mean_r", "mean_g", "mean_b", "mean_a")
STDS = ("std_r", "std_g", "std_b", "std_a")
_REQUIRED = ("path_imgrec", "data_shape", "batch_size")
_FROM_1 = ("batch_size", "preprocess_threads", "prefetch_buffer", "num_parts")
_FROM_0 = ("part_index", "shuffle_chunk_size", "fill_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseParameters:
    """What both iterators can be told.

    A subclass adds the parameters of one iterator, whose name is ``iterator``, and checks them all when it is made.
    """

    iterator: ClassVar[str]

    path_imgrec: Any
    data_shape: tuple[int, int, int]
    batch_size: int
    path_imgidx: Any = ""
    path_imglist: Any = ""
    aug_seq: str
    label_width: int
    preprocess_threads: int = 4
    verbose: bool = True
    num_parts: int = 1
    part_index: int = 0
    shuffle_chunk_size: int = 0
    shuffle_chunk_seed: int = 0
    shuffle: bool = False
    seed: int = 0
    round_batch: bool = True
    prefetch_buffer: int = 4
    ctx: str = "gpu"
    dtype: str | None = None
    resize: int = -1
    fill_value: int
    inter_method: int = 1
    mean_img: Any = ""
    mean_r: float = 0.0
    mean_g: float = 0.0
    mean_b: float = 0.0
    mean_a: float = 0.0
    scale: float = 1.0
    data_name: str = "data"
    label_name: str = "softmax_label"
    framework: str = "numpy"
    device: str | int = "auto"

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> Self:
        """The parameters from an iterator's keywords, where numbers and shapes may also be given as text.

        Raises TypeError for a missing parameter, and, as ``raise_or_warn`` does, for a name that MXNet does not know
        either.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for unknown in sorted(keywords.keys() - fields.keys()):
            near = difflib.get_close_matches(unknown, fields, 1)
            meant = f"; did you mean {near[0]}?" if near else ", nor of MXNet's: leave it out"
            raise_or_warn(TypeError(f"{unknown} is no parameter of {cls.iterator}{meant}"))
        missing = [name for name in _REQUIRED if name not in keywords]
        if missing:
            raise TypeError(f"{cls.iterator} needs {', '.join(missing)}")
        known = {name: value for name, value in keywords.items() if name in fields}
        return cls(**{name: parse_value(name, value, str(fields[name].type)) for name, value in known.items()})

    @property
    def channels(self) -> int:
        """Channels of an image: 1 (grey), 3 (RGB) or 4 (RGBA)."""
        return self.data_shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.data_shape[1], self.data_shape[2]

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The value that each parameter has where it is not given."""
        return {field.name: field.default for field in dataclasses.fields(cls)}

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """What the values of the images are."""
        return np.dtype(self.dtype or "float32")

    def with_defaults(self, *names: str) -> Self:
        """The same parameters but for these, which have their defaults."""
        usual = self.defaults()
        return dataclasses.replace(self, **{name: usual[name] for name in names})

    def check_common(self) -> None:
        """Raise ValueError for a value of a common parameter that cannot be honoured."""
        shape = self.data_shape
        if len(shape) != 3 or shape[0] not in (1, 3, 4) or min(shape) < 1:
            raise ValueError(f"data_shape is {shape}: expected (channels, height, width) with 1, 3 or 4 channels")
        self.check_least(1, *_FROM_1)
        self.check_least(0, *_FROM_0)
        if self.part_index >= self.num_parts:
            raise ValueError(f"part_index is {self.part_index}: from 0 to num_parts - 1, which is {self.num_parts - 1}")
        if self.resize != -1 and self.resize < 1:
            raise ValueError(f"resize is {self.resize}: -1, or the length of the shorter side in pixels")
        if self.fill_value > 255:
            raise ValueError(f"fill_value is {self.fill_value}: 0 to 255")
        self.check_choice("inter_method", 0, 1, 2, 3, 4, 9, 10)
        self.check_choice("ctx", "cpu", "gpu")
        self.check_choice("framework", "numpy", "torch", "cupy", "jax", "tensorflow")
        if not self.shuffle_chunk_size:
            self.without_effect("without shuffle_chunk_size", "shuffle_chunk_seed")

    def without_effect(self, where: str, *names: str) -> None:
        """Raise ValueError if one of these, which have no effect there, has not its default.

        Where ``raise_or_warn`` does not raise, all of them then have their defaults.
        """
        usual = self.defaults()
        given = [name for name in names if getattr(self, name) != usual[name]]
        if given:
            raise_or_warn(ValueError(f"{', '.join(given)}: no effect {where}, in MXNet either; to be left out"))
        for name in given:
            object.__setattr__(self, name, usual[name])

    def check_least(self, least: int, *names: str) -> None:
        """Raise ValueError unless all of these are so large."""
        for name in names:
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: at least {least}")

    def check_choice(self, name: str, *choices: Any) -> None:
        """Raise ValueError unless the parameter has one of these values."""
        if getattr(self, name) not in choices:
            raise ValueError(f"{name} is {getattr(self, name)!r}: one of {', '.join(map(repr, choices))}")
