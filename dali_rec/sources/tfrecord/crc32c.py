"""The checksum of TFRecord: CRC-32C (Castagnoli's polynomial), masked as TensorFlow does.

Compiled by Numba, eight bytes at a time, without Python's lock: a gigabyte takes a second or less, where a loop of
Python takes minutes. Importing this module imports Numba, which takes a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dali_rec._compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # its bits turned around
_AT_ONCE = 8
# tensorflow/core/lib/hash/crc32c.h
_MASK_DELTA = 0xA282EAD8
_ALL = 0xFFFFFFFF


def _tables() -> NDArray[np.uint32]:
    """What a byte makes of the checksum, uint32 of shape (8, 256): of table n one with n bytes behind it."""
    tables = np.zeros((_AT_ONCE, 256), np.uint32)
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, values >> 1 ^ np.uint32(_POLYNOMIAL), values >> 1)
    tables[0] = values
    for row in range(1, _AT_ONCE):
        tables[row] = tables[0][tables[row - 1] & 0xFF] ^ tables[row - 1] >> 8
    return tables


_TABLES = _tables()


@compiled
def _checksum(data: NDArray[np.uint8]) -> np.uint32:
    crc = np.uint32(0xFFFFFFFF)
    byte = np.uint32(0xFF)
    words = data[: len(data) // 8 * 8].view(np.uint32)
    for at in range(0, len(words), 2):
        low = crc ^ words[at]
        high = words[at + 1]
        crc = (
            _TABLES[7, low & byte]
            ^ _TABLES[6, low >> np.uint32(8) & byte]
            ^ _TABLES[5, low >> np.uint32(16) & byte]
            ^ _TABLES[4, low >> np.uint32(24)]
            ^ _TABLES[3, high & byte]
            ^ _TABLES[2, high >> np.uint32(8) & byte]
            ^ _TABLES[1, high >> np.uint32(16) & byte]
            ^ _TABLES[0, high >> np.uint32(24)]
        )
    for at in range(len(data) // 8 * 8, len(data)):
        crc = _TABLES[0, (crc ^ data[at]) & byte] ^ crc >> np.uint32(8)
    return crc ^ np.uint32(0xFFFFFFFF)


def masked_crc32c(data: bytes) -> int:
    """The checksum that TFRecord has of these bytes."""
    crc = int(_checksum(np.frombuffer(data, np.uint8)))
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & _ALL
