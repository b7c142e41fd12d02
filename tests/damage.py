"""What befalls data sets: each function damages one, and says which record it was."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dali_rec.recordio import RecordReader


class Damaged(NamedTuple):
    """The record that was damaged: its id and its offset in the file."""

    key: int
    offset: int


def locate(rec: Path, row: int) -> Damaged:
    """The record in row ``row`` of the file's index."""
    with RecordReader(rec) as reader:
        return Damaged(int(reader.index.keys[row]), int(reader.index.offsets[row]))


def overwrite(rec: Path, at: int, data: bytes) -> None:
    """Put ``data`` at offset ``at``."""
    content = bytearray(rec.read_bytes())
    content[at : at + len(data)] = data
    rec.write_bytes(content)


def bad_magic(rec: Path, row: int = 4) -> Damaged:
    """The head of a record overwritten with zeros."""
    record = locate(rec, row)
    overwrite(rec, record.offset, bytes(4))
    return record


def cut_tail(rec: Path, by: int = 8) -> Damaged:
    """A file whose last bytes are missing, as a full disk leaves it."""
    record = locate(rec, -1)
    rec.write_bytes(rec.read_bytes()[:-by])
    return record


def flipped_image(rec: Path, row: int = 4) -> Damaged:
    """The last quarter of an image overwritten, which is coded pixels; its headers are whole."""
    record = locate(rec, row)
    with RecordReader(rec) as reader:
        end = reader.end_of(record.offset)
        image = len(reader.record_at(record.offset).image)
    overwrite(rec, end - image // 4, b"\xff\xd9" * (image // 8 - 2))
    return record


def wiped_image(rec: Path, row: int = 4) -> Damaged:
    """An image whose beginning is zeros, so that no decoder takes it."""
    record = locate(rec, row)
    with RecordReader(rec) as reader:
        payload = len(reader.read_at(record.offset))
        image = len(reader.record_at(record.offset).image)
    overwrite(rec, record.offset + 8 + payload - image, bytes(64))
    return record


def harmless_change(rec: Path) -> None:
    """A comment in the last image that the decoder does not look at."""
    overwrite(rec, rec.read_bytes().rindex(b"JFIF"), b"JFIX")


def index_beyond_the_end(rec: Path, key: int = 77, by: int = 4000) -> Damaged:
    """One more line in the index, for a record behind the end of the file."""
    offset = rec.stat().st_size + by
    with rec.with_suffix(".idx").open("a") as index:
        index.write(f"{key}\t{offset}\n")
    return Damaged(key, offset)


def index_of_another_file(rec: Path, other: Path) -> None:
    """The index of ``other`` in place of the file's own."""
    rec.with_suffix(".idx").write_bytes(other.read_bytes())


def wrong_checksum(manifest: Path) -> None:
    """A manifest whose first checksum is another's."""
    text = manifest.read_text()
    at = text.index('"sha256": "') + len('"sha256": "')
    manifest.write_text(text[:at] + "0" * 64 + text[at + 64 :])
