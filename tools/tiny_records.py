"""Data sets of millions of tiny records, made by repeating one frame."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._files import atomic_write
from dali_rec.recordio import Index, write_index
from dali_rec.recordio.framing import HEAD, frame
from dali_rec.recordio.header import pack_header

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 16  # pixels
CLASSES = 1000
_AT_ONCE = 50_000
_INDEX_LINE = 20  # bytes, about


def write_tiny_records(prefix: Path, count: int) -> int:
    """Write ``count`` records with ids from 0 and labels id % 1000 to PREFIX.rec and .idx; returns the bytes of .rec.

    All hold the same JPEG of 16 × 16 pixels, so that ten million are less than 5 GB. Raises SystemExit where the disk
    has no room for them.
    """
    image = _tiny_jpeg()
    chunks = frame(pack_header(0.0, 0) + image)
    assert len(chunks) <= 3, "the magic stands in the image"  # head, payload, padding: a record in one part
    template = np.frombuffer(b"".join(chunks), np.uint8)
    needed = count * (len(template) + 2 * _INDEX_LINE)  # the Loader makes an index of its own
    free = shutil.disk_usage(prefix.parent).free
    if free < 1.1 * needed:
        raise SystemExit(
            f"{prefix.parent}: {count:,} records take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "name a larger disk with --work, or fewer --records"
        )
    label, key = HEAD.size + 4, HEAD.size + 8  # behind the flag, and behind the label
    with atomic_write(prefix.with_suffix(".rec")) as file:
        for start in range(0, count, _AT_ONCE):
            keys = np.arange(start, min(start + _AT_ONCE, count), dtype="<u8")
            frames = np.tile(template, (len(keys), 1))
            frames[:, label : label + 4] = (keys % CLASSES).astype("<f4")[:, np.newaxis].view(np.uint8)
            frames[:, key : key + 8] = keys[:, np.newaxis].view(np.uint8)
            file.write(frames.data)
    keys = np.arange(count, dtype=np.int64)
    write_index(prefix.with_suffix(".idx"), Index(keys, keys * len(template)))
    return count * len(template)


def _tiny_jpeg() -> bytes:
    from PIL import Image

    ramp = np.linspace(0, 255, SIDE, dtype=np.uint8)
    pixels = np.stack([np.tile(ramp, (SIDE, 1)), np.tile(ramp[:, np.newaxis], (1, SIDE)), np.full((SIDE, SIDE), 90)], 2)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=70, optimize=True)
    return file.getvalue()
