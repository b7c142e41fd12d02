"""mx.image.imdecode and imread: files of images into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from dali_rec._files import as_path
from dali_rec.compat.mxnet.io.pixels import decode
from dali_rec.compat.mxnet.ndarray import NDArray, handed_over
from dali_rec.errors import DatasetNotFoundError, ImageRejectedError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray as NumpyArray

_CHANNELS = {0: 1, 1: 3}


def imdecode(
    buf: bytes | bytearray | memoryview | NumpyArray[np.uint8], flag: int = 1, to_rgb: bool = True, out: Any = None
) -> NDArray:
    """The image in an encoded file: uint8 of shape (height, width, 3), RGB, or (height, width, 1) with ``flag`` 0.

    to_rgb: False for BGR. out: an array of this shape that is filled and returned. The EXIF orientation is applied,
    and transparency is dropped. A JPEG that breaks off is grey from there on.

    Raises ImageRejectedError, a ValueError, for what is not an image, such as the records without one in face sets.
    """
    if not isinstance(buf, (bytes, bytearray, memoryview, np.ndarray)):
        raise TypeError(f"the image is {type(buf).__name__}: expected bytes, a bytearray or a NumPy array of uint8")
    if flag not in _CHANNELS:
        raise ValueError(f"flag is {flag}: 1 for colour, 0 for grey")
    encoded = memoryview(np.frombuffer(buf, np.uint8).tobytes() if isinstance(buf, np.ndarray) else buf)
    pixels: NumpyArray[Any] = decode(encoded, _CHANNELS[flag])
    if not flag:
        pixels = pixels[..., np.newaxis]
    elif to_rgb:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return handed_over(pixels, out)


def imread(filename: str | os.PathLike[str], flag: int = 1, to_rgb: bool = True, out: Any = None) -> NDArray:
    """The image in a file, as imdecode gives it. Raises OSError, and ImageRejectedError with the name of the file."""
    path = as_path(filename)
    try:
        return imdecode(path.read_bytes(), flag, to_rgb, out)
    except FileNotFoundError:
        raise DatasetNotFoundError(f"{path}: no such file") from None  # an MXNetError, too
    except ImageRejectedError as error:
        raise ImageRejectedError(f"{path}: {error}") from None
