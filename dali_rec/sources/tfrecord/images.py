"""The images in TFRecord files, read from where their records lie by any thread of any process."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from dali_rec.errors import ImageRejectedError
from dali_rec.sources.image_names import with_slashes
from dali_rec.sources.open_file import OpenFile
from dali_rec.sources.pixels import encode_png, is_encoded_image, to_pixels
from dali_rec.sources.tfrecord.example import Window, read_example
from dali_rec.sources.tfrecord.records import check_record, size_of_record
from dali_rec.sources.tfrecord.tensors import is_tensor, read_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dali_rec.sources.tfrecord.example import Feature
    from dali_rec.sources.tfrecord.features import PixelFeatures

# Before what says where an image is, behind the path that its record gives. The relative path of a file never holds it.
_PLACE = "//"
_RECORD = re.compile(r"(.*)#(\d+)@(\d+)\+(\d+)\Z", re.DOTALL)
_FILES_OPEN = 128
_CHANNELS = (1, 3)


def tfrecord_location(file: str, number: int, start: int, length: int, path: str | None) -> str:
    """What a sample has for the location of the image in a record, with the path that the record gives it."""
    # A .lst cannot hold these.
    is_listed = path is not None and not any(character in path for character in "\t\r\n")
    place = f"{file}#{number}@{start}+{length}"
    return f"{with_slashes(path)}{_PLACE}{place}" if path and is_listed else place


class TFRecordImages:
    """The images in a feature of the TFRecord files below ``folder``: a location is ORIGIN//FILE#NUMBER@START+LENGTH.

    ORIGIN is the path that the record gives its image, if it gives one; NUMBER counts the records from 0, START is the
    byte where one begins, and LENGTH how long its data is. pixels: which features say of which size images are that
    stand in the records as pixels of a byte for each channel, row by row.

    A file is opened once a process, but for the least used where there are many.
    """

    stays_here: ClassVar[bool] = False

    def __init__(self, folder: str, feature: str, pixels: PixelFeatures | None = None) -> None:
        self._folder = folder
        self._feature = feature
        self._pixels = pixels
        self._open = functools.lru_cache(_FILES_OPEN)(OpenFile)

    def __reduce__(self) -> tuple[object, ...]:
        return _of_this_process, (self._folder, self._feature, self._pixels)

    def holds(self, _location: str) -> bool:
        """All locations are these."""
        return True

    def listed(self, location: str) -> str:
        """See HeldImages: the path that the record gives, or the file and the number of the record."""
        origin, _, place = location.rpartition(_PLACE)
        return origin or place.rpartition("@")[0]

    def file_of(self, location: str) -> str:
        """See HeldImages: the TFRecord file."""
        return os.path.join(self._folder, _parted(location)[0])  # noqa: PTH118  # a Path takes longer

    def absolute(self) -> TFRecordImages:
        """See HeldImages."""
        return TFRecordImages(os.path.abspath(self._folder), self._feature, self._pixels)  # noqa: PTH100

    def read(self, location: str) -> bytes:
        """See HeldImages. Raises ImageRejectedError, with file and record, where it has no image or is damaged."""
        file, number, start, length = _parted(location)
        path = os.path.join(self._folder, file)  # noqa: PTH118
        try:
            record = self._open(path).read(start, size_of_record(length))
            data = check_record(record, length)
            wanted = {self._feature}
            if self._pixels is not None:
                wanted |= {self._pixels.height, self._pixels.width, self._pixels.depth or ""}
            window = Window(record)
            return self._image(window, read_example(window, *data, wanted))
        except OSError as error:
            reason = error.strerror or str(error)
        except ValueError as error:
            reason = str(error)
        raise ImageRejectedError(f"{Path(path)}, record {number}: {reason}")

    def _image(self, window: Window, features: Mapping[str, Feature]) -> bytes:
        found = features.get(self._feature)
        if found is None or not found.values:
            raise ValueError(f"no {self._feature!r} in it" if found is None else f"{self._feature!r} is empty")
        if found.kind != "bytes" or len(found.values) > 1:
            what = f"{len(found.values)} values" if found.kind == "bytes" else f"numbers ({found.kind})"
            raise ValueError(f"{self._feature!r} holds {what}; expected the bytes of an image")
        image = window.take(found.values[0])  # type: ignore[arg-type]
        if not image:
            raise ValueError(f"{self._feature!r} is empty")
        if is_tensor(image):
            return _png(read_tensor(image))
        if self._pixels is None or is_encoded_image(image):
            return image
        height, width = (_whole(features, name) for name in (self._pixels.height, self._pixels.width))
        channels = _whole(features, self._pixels.depth) if self._pixels.depth else len(image) // max(height * width, 1)
        if height * width * channels != len(image) or channels not in _CHANNELS:
            raise ValueError(
                f"{self._feature!r} is no file of an image, and its {len(image):,} bytes are not {height} × {width} "
                f"pixels of {' or '.join(map(str, _CHANNELS))} bytes"
            )
        return _png(np.frombuffer(image, np.uint8).reshape(height, width, channels))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels of shape (height, width), or (height, width, 1 or 3), as the file of an image."""
    return encode_png(Image.fromarray(to_pixels(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)))


def _whole(features: Mapping[str, Feature], name: str) -> int:
    found = features.get(name)
    value = found.values[0] if found is not None and found.kind == "int" and len(found.values) == 1 else None
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"{name!r} says nothing of the size of the image")
    return value


@functools.lru_cache(maxsize=1)
def _of_this_process(folder: str, feature: str, pixels: PixelFeatures | None) -> TFRecordImages:
    """The one of a process to which they are sent with each request, and whose files stay open between these."""
    return TFRecordImages(folder, feature, pixels)


def _parted(location: str) -> tuple[str, int, int, int]:
    """The file, the number of the record, the byte where it begins, and the length of its data."""
    found = _RECORD.fullmatch(location.rpartition(_PLACE)[2])
    assert found is not None
    return found[1], int(found[2]), int(found[3]), int(found[4])
