"""Sizes as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)(i?)[bB]?\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(size: str | int) -> int:
    """Bytes from ``500MB`` (10^6), ``1GiB`` (2^30), ``1.5 TB`` or a whole number.

    Raises ValueError for anything else and for less than one byte.
    """
    match = _SIZE.fullmatch(str(size))
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{size!r}: expected a size such as 1GB, 500MB or 64MiB")
    count = int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2].lower()])
    if count < 1:
        raise ValueError(f"{size!r}: a size is at least one byte")
    return count


def shown_size(count: float) -> str:
    """Bytes as people read them, in three digits and powers of 1000: ``6.38 MB``."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:  # what is rounded up to 1000 has the next unit
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"
