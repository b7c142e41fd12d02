"""InsightFace's verification sets, ``lfw.bin`` and the like: a pickle of (2P encoded images, P flags: same or not)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from dali_rec._disks import map_file
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.pickled import read_pickle
from dali_rec.sources.pickled_values import Form, PickledArray, Piece, decode_piece
from dali_rec.sources.sample import Sample, SampleTable, Source
from dali_rec.sources.tables.pixel_table import PixelTable

if TYPE_CHECKING:
    import mmap

PAIRS_SUFFIX = ".bin"
MAX_IMAGE_BYTES = 256 << 20
_PLACE = re.compile(r"#(\d+)\+(\d+)(?:\.([a-z0-9-]+))?\Z")
_BYTE_TYPES = ("u1", "i1", "b1")
_MAX_AMPLIFICATION = 16


@dataclass(frozen=True, slots=True)
class PairImages(PixelTable):
    """The images inside a .bin: a location is the file's name and the place of the bytes."""

    def holds(self, location: str) -> bool:
        """Whether ``location`` is one of this file's."""
        return location.startswith(Path(self.path).name + "#") and _PLACE.search(location) is not None

    def read(self, location: str) -> bytes:
        """The encoded image at ``location``. Raises ImageRejectedError."""
        place = _PLACE.search(location)
        assert place is not None
        start, length = int(place[1]), int(place[2])
        if length > MAX_IMAGE_BYTES:
            raise ImageRejectedError(f"{length} bytes at byte {start} of {self.path} are too many for an image")
        form: Form = next((known for known in get_args(Form) if known == place[3]), "raw")
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123
                file.seek(start)
                return decode_piece(file.read(length), form)
        except (OSError, ValueError) as error:
            raise ImageRejectedError(f"image at byte {start} of {self.path}: {error}") from None


def read_pairs(path: Path) -> Source:
    """A verification set as samples: records 2i and 2i + 1 are pair ``i``, labels [1 if the same person else 0, i].

    Nothing that the pickle names is called; see dali_rec/sources/pickled.py. Images may be byte strings of Python 2 or
    3, or NumPy arrays of uint8; flags may be truths, 0 and 1, or NumPy's. The order is kept.

    Raises SourceError for a file that is anything else.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    with path.open("rb") as file, map_file(file, path) as data:
        content = read_pickle(data, str(path))
        if not isinstance(content, (tuple, list)) or len(content) != 2:
            raise SourceError(f"{path}: not a pair of images and flags, which is what a verification set is")
        images = [_image(path, number, value) for number, value in enumerate(_items(path, content[0]))]
        flags = _flags(path, content[1], data)
    if len(images) != 2 * len(flags) or not flags:
        raise SourceError(f"{path}: {len(images)} images and {len(flags)} flags; two images belong to each flag")
    if sum(piece.length for piece in images) > _MAX_AMPLIFICATION * path.stat().st_size:
        raise SourceError(f"{path}: its images are many times the size of the file, so it repeats them; not a real set")
    samples = SampleTable.of(
        Sample(number, (float(flags[number // 2]), float(number // 2)), _location(path, piece))
        for number, piece in enumerate(images)
    )
    return Source(samples, str(path.parent), pixels=PairImages(str(path), 0))


def _location(path: Path, piece: Piece) -> str:
    form = "" if piece.form == "raw" else f".{piece.form}"
    return f"{path.name}#{piece.start}+{piece.length}{form}"


def _items(path: Path, value: Any) -> list[Any]:
    """The entries of a list, a tuple, or an array of objects."""
    if isinstance(value, PickledArray) and value.dtype.startswith("O") and isinstance(value.data, list):
        return value.data
    if isinstance(value, (list, tuple)):
        return list(value)
    raise SourceError(f"{path}: something else stands where the list of images is expected")


def _image(path: Path, number: int, value: Any) -> Piece:
    piece = value.data if isinstance(value, PickledArray) and value.dtype in _BYTE_TYPES else value
    if not isinstance(piece, Piece) or piece.form in ("utf8", "unicode"):
        raise SourceError(f"{path}: image {number} is not a string of bytes or an array of uint8")
    return piece


def _flags(path: Path, value: Any, data: mmap.mmap) -> list[bool]:
    """The flags as truths, from a list of them or from an array."""
    if isinstance(value, PickledArray) and not isinstance(value.data, list):
        return [flag != 0 for flag in _array_bytes(path, value, data)]
    flags: list[bool] = []
    for flag in _items(path, value):
        plain = _array_bytes(path, flag, data)[:1] if isinstance(flag, PickledArray) else flag
        number = plain[0] if isinstance(plain, bytes) and plain else plain
        if not isinstance(number, int) or number not in (0, 1):
            raise SourceError(f"{path}: flag {len(flags)} is neither true nor false")
        flags.append(bool(number))
    return flags


def _array_bytes(path: Path, array: PickledArray, data: mmap.mmap) -> bytes:
    piece = array.data
    if array.dtype not in _BYTE_TYPES or not isinstance(piece, Piece) or piece.length > MAX_IMAGE_BYTES:
        raise SourceError(f"{path}: its flags are an array of {array.dtype or 'nothing'}, expected truths (b1)")
    try:
        return decode_piece(data[piece.start : piece.start + piece.length], piece.form)
    except ValueError as error:
        raise SourceError(f"{path}: its flags cannot be read ({error})") from None
