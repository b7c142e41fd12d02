"""Images as values: nested lists or arrays of 0…255, numbers in a text, files in base64."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_CHANNELS = 3
# As FER2013 has it: a number for each pixel of a square.
_SQUARE = re.compile(r"\d{1,3}(?: \d{1,3}){3,}")
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,", re.IGNORECASE)
# How JPEG, PNG, GIF, WebP and TIFF files begin in base64. A path may, too, but then has a dot for its extension.
_BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|SUkqA|TU0AK)(?:[A-Za-z0-9+/=\s]{200}|[A-Za-z0-9+/=\s]{50,}\Z)")
# How files of images begin: those that are loaded, and those that are encoded anew.
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*|"
    rb"\0\0\0\x0cjP  |P[1-6]\s|....ftypavi[fs]",
    re.DOTALL,
)


def is_encoded_image(beginning: bytes) -> bool:
    """Whether bytes are the file of an image, by the first twelve or more of them."""
    return _BEGINNINGS.match(beginning) is not None


def is_base64(text: str) -> bool:
    """Whether a text is the file of an image in base64: a data: URL, or by its beginning."""
    return _DATA_URL.match(text) is not None or _BASE64.match(text) is not None


def is_pixels(text: str) -> bool:
    """Whether a text is the pixels of an image: nested lists, or numbers with blanks between them."""
    # By the end as well: a name may begin with a bracket.
    return (text.startswith("[") and text.rstrip().endswith("]")) or _SQUARE.fullmatch(text) is not None


def from_base64(text: str) -> bytes:
    """The file that a text holds in base64, by itself or as a data: URL. Raises ValueError for what is none."""
    prefix = _DATA_URL.match(text)
    digits = "".join(text[prefix.end() if prefix is not None else 0 :].split())
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64 ({error})") from None


def encode_png(image: Image.Image) -> bytes:
    """The image as a PNG, compressed lightly."""
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=3)
    return encoded.getvalue()


def to_pixels(value: Any) -> NDArray[np.uint8]:
    """Nested lists, or their text, as uint8 of shape (height, width) or (height, width, 3).

    Numbers with blanks between them are the rows of a square, one behind the other.

    Raises ValueError for other shapes, ragged rows, and values that are not whole numbers within 0 and 255.
    """
    try:
        nested = _parsed(value) if isinstance(value, str) else value
    except RecursionError:
        raise ValueError("lists within lists, too deep to be read; expected height × width (× 3)") from None
    try:
        array = np.array(nested)
    except ValueError:
        raise ValueError("the rows of pixels are not all of one length") from None
    if array.dtype.kind not in "iu":
        raise ValueError("pixels must be whole numbers")
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] != _CHANNELS):
        raise ValueError(f"pixels of shape {array.shape}; expected height × width or height × width × 3")
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"pixel values from {array.min()} to {array.max()}; expected 0 to 255")
    return array.astype(np.uint8)


def _parsed(text: str) -> Any:
    if not _SQUARE.fullmatch(text):
        return json.loads(text)
    numbers = [*map(int, text.split())]
    side = math.isqrt(len(numbers))
    if side * side != len(numbers):
        raise ValueError(f"{len(numbers):,} pixels are no square; write height × width as nested lists")
    return [numbers[start : start + side] for start in range(0, len(numbers), side)]
