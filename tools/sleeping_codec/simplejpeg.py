"""simplejpeg for tools/many_cores: heads are read, but decoding and encoding sleep, and let go of Python's lock.

Put before the real one on the search path. DALI_REC_CODEC_MS: milliseconds for an image.
"""

import importlib
import os
import sys
import time

import numpy as np
from numpy.typing import NDArray

_folder = os.path.dirname(__file__)  # noqa: PTH120
sys.path = [folder for folder in sys.path if folder != _folder]
del sys.modules["simplejpeg"]
real = importlib.import_module("simplejpeg")
sys.path.insert(0, _folder)  # for the processes that this one begins

_SECONDS = float(os.environ["DALI_REC_CODEC_MS"]) / 1000
_pictures: dict[tuple[int, ...], NDArray[np.uint8]] = {}
_encoded: bytes = real.encode_jpeg(np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8), quality=95)


def _decode(
    _data: bytes,
    _colors: str,
    *,
    min_width: int,
    min_height: int,
    strict: bool = False,  # noqa: ARG001
) -> NDArray[np.uint8]:
    """Twice what is wanted is asked for; what is wanted comes, so that there is nothing to resize."""
    time.sleep(_SECONDS * 2 / 3)
    size = (min_height // 2, min_width // 2, 3)
    if size not in _pictures:
        _pictures[size] = np.zeros(size, np.uint8)
    return _pictures[size]


def _encode(_pixels: NDArray[np.uint8], **_options: object) -> bytes:
    time.sleep(_SECONDS / 3)
    return _encoded


real.decode_jpeg, real.encode_jpeg = _decode, _encode
