"""The image header: what stands in a record before the image.

struct ``<IfQQ``: flag, label, id, id2. flag 0: ``label`` is the one label. flag n > 0: n float32 labels follow the
header, and ``label`` is 0 (mx.recordio.pack) or the first of them (the C++ im2rec). Then comes the encoded image.
(apache/mxnet, python/mxnet/recordio.py and src/io/image_recordio.h.)
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dali_rec.errors import CorruptRecordError, UnwritableRecordError
from dali_rec.recordio.framing import MAGIC_BYTES, Buffer, aligned_magics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEADER = struct.Struct("<IfQQ")
MAX_ID = (1 << 64) - 1
MAX_EXACT_LABEL = 1 << 24


class ImageHeader(NamedTuple):
    """The header of an image record.

    ``labels`` is float32 of shape (1,) where ``flag`` is 0 and of shape (flag,) otherwise.
    """

    flag: int
    labels: NDArray[np.float32]
    id: int
    id2: int


def pack_header(labels: float | Sequence[float] | NDArray[Any], key: int, id2: int = 0) -> bytes:
    """The header and labels of an image record, in the bytes that mx.recordio.pack writes.

    A number is stored in the header itself (flag 0), a sequence behind it (flag = its length), so ``[3.0]`` and ``3.0``
    differ. Raises UnwritableRecordError for an id outside 0…2^64-1, for a whole-number label that float32 cannot hold
    (above 2^24), for a label that is not a number, and where the RecordIO magic would stand in the header or labels:
    such a record would be split there, which DALI's reader refuses.
    """
    for name, number in (("id", key), ("id2", id2)):
        if not 0 <= number <= MAX_ID:
            raise UnwritableRecordError(f"record {key}: {name} {number} is not within 0 and 2^64-1; number it anew")
    if isinstance(labels, (int, float, np.number)):
        label = float(labels)
        values, flag = [label], 0
    else:
        label = 0.0
        values = [float(value) for value in labels]
        flag = len(values)
    for value in values:
        if math.isnan(value):
            raise UnwritableRecordError(f"record {key}: its label is not a number (NaN); correct it in the source")
        if abs(value) > MAX_EXACT_LABEL and value.is_integer() and float(np.float32(value)) != value:
            raise UnwritableRecordError(
                f"record {key}: label {value:.0f} cannot be stored exactly: labels are float32, whole numbers up to "
                "2^24; number the classes from 0"
            )
    header = HEADER.pack(flag, label, key, id2)
    if flag:
        header += np.asarray(values, dtype="<f4").tobytes()
    if MAGIC_BYTES in header and aligned_magics(header):
        raise UnwritableRecordError(
            f"record {key}: its id or a label holds the bytes of RecordIO's magic number (0xced7230a), at which the "
            "record would be split; DALI cannot read such a record. Give it another id"
        )
    return header


def unpack_header(payload: Buffer, where: str) -> tuple[ImageHeader, memoryview]:
    """Part a record into its header and a view of the encoded image; ``where`` names the record in messages."""
    view = memoryview(payload)
    if len(view) < HEADER.size:
        raise CorruptRecordError(
            f"{where}: {len(view)} bytes are too few for an image header ({HEADER.size}): it is not an image record"
        )
    flag, label, key, id2 = HEADER.unpack_from(view)
    start = HEADER.size + 4 * flag
    if start > len(view):
        raise CorruptRecordError(
            f"{where}: the header promises {flag} labels, but the record has only {len(view)} bytes: it is damaged or "
            "not an image record"
        )
    if flag:
        labels = np.frombuffer(view, dtype="<f4", count=flag, offset=HEADER.size)
    else:
        labels = np.array([label], dtype=np.float32)
    return ImageHeader(flag, labels, key, id2), view[start:]
