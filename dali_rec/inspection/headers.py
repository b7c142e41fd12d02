"""What records say of themselves in their headers, as columns over many records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a record can turn out to be: an image whose header is whole, an image whose header is damaged, bytes that are no
#: image, an image header without an image (as InsightFace's identity records), a record too short for an image header,
#: and no record at all where the index says that one begins.
OUTCOMES = ("image", "damaged", "not an image", "no image", "no header", "no record")
IMAGE, DAMAGED, NOT_AN_IMAGE, NO_IMAGE, NO_HEADER, NO_RECORD = range(len(OUTCOMES))

FORMATS = ("", "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "AVIF", "other")
MODES = ("", "RGB", "L", "P", "RGBA", "LA", "CMYK", "I;16", "1", "other")
FORMAT_CODES = {name: code for code, name in enumerate(FORMATS)}
MODE_CODES = {name: code for code, name in enumerate(MODES)}


class RecordHeaders(NamedTuple):
    """The headers of N records, each an array of shape (N,).

    outcome: uint8, one of OUTCOMES. key: uint64, the id. flag: uint32 of the image header. label_at: int64, the byte
    offset of the first label in the file, or -1 where it must be read otherwise. size: int64, bytes of the encoded
    image. format, mode: uint8, into FORMATS and MODES. width, height: int32, pixels as stored. process, sampling:
    uint8, as in JpegFrames, for JPEGs. eight_bit: bool, whether components have eight bits, for JPEGs.
    """

    outcome: NDArray[np.uint8]
    key: NDArray[np.uint64]
    flag: NDArray[np.uint32]
    label_at: NDArray[np.int64]
    size: NDArray[np.int64]
    format: NDArray[np.uint8]
    mode: NDArray[np.uint8]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    process: NDArray[np.uint8]
    sampling: NDArray[np.uint8]
    eight_bit: NDArray[np.bool_]

    @classmethod
    def blank(cls, count: int) -> RecordHeaders:
        """To be filled in: no record anywhere."""
        return cls(
            outcome=np.full(count, NO_RECORD, np.uint8),
            key=np.zeros(count, np.uint64),
            flag=np.zeros(count, np.uint32),
            label_at=np.full(count, -1, np.int64),
            size=np.zeros(count, np.int64),
            format=np.zeros(count, np.uint8),
            mode=np.zeros(count, np.uint8),
            width=np.zeros(count, np.int32),
            height=np.zeros(count, np.int32),
            process=np.zeros(count, np.uint8),
            sampling=np.zeros(count, np.uint8),
            eight_bit=np.zeros(count, np.bool_),
        )
