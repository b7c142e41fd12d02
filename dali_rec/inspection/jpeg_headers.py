"""JPEG headers by the hundred thousand: markers are walked over all images at once.

A JPEG is a row of segments, ``FF marker length…``, up to the frame header (SOFn), which says the process, the size and
the components. A step of the walk handles the current segment of every image that has not reached its frame header;
few images need more than ten. (ITU-T T.81, annex B.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Frame headers: SOF0 … SOF15 without DHT (C4), JPG (C8) and DAC (CC), which stand among them.
_FRAME_MARKERS = np.array([0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) for marker in range(256)])
#: Markers without a length: TEM and the restart markers.
_BARE_MARKERS = np.array([marker == 0x01 or 0xD0 <= marker <= 0xD7 for marker in range(256)])
#: Where the header ends without a frame: start of image, end of image, start of scan, and stuffing.
_FINAL_MARKERS = np.array([marker in (0x00, 0xD8, 0xD9, 0xDA) for marker in range(256)])

#: The usual processes of coding, by n of the frame header SOFn.
PROCESSES = {0: "baseline", 1: "extended", 2: "progressive", 3: "lossless"}
BASELINE, PROGRESSIVE = 0, 2

_SEGMENTS_AT_MOST = 4096  # an ICC profile takes up to 255 of them; a loop without an end would be an attacker's


class JpegFrames(NamedTuple):
    """The frame headers of N JPEGs, each an array of shape (N,).

    found: bool, whether there is a frame header; the rest is 0 where there is none. process: n of SOFn. precision: bits
    a component. width, height: pixels as stored. components: 1 grey, 3 colour, 4 CMYK or YCCK. sampling: horizontal and
    vertical sampling factors of the first component, as ``h << 4 | v``.
    """

    found: NDArray[np.bool_]
    process: NDArray[np.uint8]
    precision: NDArray[np.uint8]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    components: NDArray[np.uint8]
    sampling: NDArray[np.uint8]


def read_frames(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> JpegFrames:
    """The frame headers of the JPEGs that lie at ``data[start:end]``; nothing outside is looked at.

    An image whose segments do not join, or whose frame header is cut off or says a size of 0, has none.
    """
    count = len(starts)
    frames = JpegFrames(
        np.zeros(count, np.bool_),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
    )
    rows = np.arange(count)
    at = starts + 2  # behind the start of image
    for _ in range(_SEGMENTS_AT_MOST):
        inside = at + 4 <= ends[rows]
        rows, at = rows[inside], at[inside]
        if not len(rows):
            break
        marker = data[at + 1]
        is_frame = _FRAME_MARKERS[marker] & (data[at] == 0xFF)
        if is_frame.any():
            _read(frames, data, rows[is_frame], at[is_frame], ends)
        length = _two_bytes(data, at + 2)
        is_bare, is_fill = _BARE_MARKERS[marker], marker == 0xFF
        goes_on = (data[at] == 0xFF) & ~is_frame & ~_FINAL_MARKERS[marker] & ((length >= 2) | is_bare | is_fill)
        step = np.where(is_fill, 1, np.where(is_bare, 2, 2 + length))
        rows, at = rows[goes_on], (at + step)[goes_on]
    return frames


def _read(
    frames: JpegFrames, data: NDArray[np.uint8], rows: NDArray[np.intp], at: NDArray[np.int64], ends: NDArray[np.int64]
) -> None:
    whole = at + 13 <= ends[rows]  # to the sampling of the first component
    rows, at = rows[whole], at[whole]
    height, width = _two_bytes(data, at + 5), _two_bytes(data, at + 7)
    frames.found[rows] = (height > 0) & (width > 0) & (data[at + 9] > 0)
    for column, values in (
        (frames.process, data[at + 1] - 0xC0),
        (frames.precision, data[at + 4]),
        (frames.width, width),
        (frames.height, height),
        (frames.components, data[at + 9]),
        (frames.sampling, data[at + 11]),
    ):
        column[rows] = np.where(frames.found[rows], values, 0)


def _two_bytes(data: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.int64]:
    return data[at].astype(np.int64) << 8 | data[at + 1]
