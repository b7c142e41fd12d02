"""The records of one .rec, each checked: which are sound, which ids they have, what is wrong with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dali_rec.faces import find_bare
from dali_rec.inspection.faults import Fault
from dali_rec.inspection.header_scan import scan_headers
from dali_rec.inspection.headers import FORMATS, IMAGE, MODES
from dali_rec.inspection.record_check import check_record, check_records
from dali_rec.recordio import Index
from dali_rec.recordio.index import signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dali_rec._workers import Workers
    from dali_rec.inspection.headers import RecordHeaders
    from dali_rec.inspection.record_check import Checked, CheckOptions, LabelRule
    from dali_rec.recordio import RecordReader


class ShardRecords:
    """Checks the records at ``offsets`` (ascending) of a file, and keeps what it finds.

    keys: int64 of shape (N,), ids with the sign bit as in Index; has_key: where there is one. sound: bool of shape
    (N,). images: how many of them hold a sound image. faults, notes: in the order of the file.
    """

    def __init__(self, reader: RecordReader, offsets: NDArray[np.int64], entries: Index | None) -> None:
        self.offsets = offsets
        self.keys = np.zeros(len(offsets), np.int64)
        self.has_key = np.zeros(len(offsets), np.bool_)
        self.sound = np.zeros(len(offsets), np.bool_)
        self.images = 0
        self.faults: list[Fault] = []
        self.notes: list[Fault] = []
        self._reader = reader
        self._path = str(reader.path)
        self._entries = entries
        self._empty: list[tuple[int, Checked]] = []

    def check(
        self,
        workers: Workers,
        options: CheckOptions,
        on_sound: Callable[[str, Checked], None],
        advance: Callable[[int], None],
    ) -> None:
        """Check all; ``on_sound`` is called with each sound record if images are hashed, ``advance`` with offsets."""
        if options.decode or options.hash_images:
            for row, checked in enumerate(check_records(self._reader.path, self.offsets, workers)):
                self._take(row, checked)
                if options.hash_images and self.sound[row]:
                    on_sound(self._path, checked)
                advance(checked.offset)
        else:
            self._check_headers(options, advance)
        self._judge_empty()

    def _check_headers(self, options: CheckOptions, advance: Callable[[int], None]) -> None:
        """The same from headers alone: all at once, and one by one only what is not plainly sound."""
        start = 0
        for headers in scan_headers(self._reader, self.offsets):
            rows = slice(start, start + len(headers.outcome))
            plain = (headers.outcome == IMAGE) & _is_usual(headers)
            if options.labels is not None:
                plain &= self._keeps(options.labels, headers)
            self.keys[rows], self.has_key[rows], self.sound[rows] = headers.key.view(np.int64), plain, plain
            self.images += int(plain.sum())
            for row in (start + np.flatnonzero(~plain)).tolist():
                self._take(row, check_record(self._reader, int(self.offsets[row]), options))
            start = rows.stop
            advance(int(self.offsets[start - 1]))

    def _keeps(self, rule: LabelRule, headers: RecordHeaders) -> NDArray[np.bool_]:
        """Which records plainly keep to the rule; the others are looked at one by one."""
        values = np.frombuffer(self._reader.buffer, "<f4", self._reader.size // 4)
        widths = np.maximum(headers.flag.astype(np.int64), 1)
        there = headers.label_at >= 0
        first = np.where(there, values[np.where(there, headers.label_at >> 2, 0)], np.nan)
        keeps: NDArray[np.bool_] = there & (widths == 1) & (rule.width in (0, 1)) & np.isfinite(first)
        if rule.kind == "boxes":
            keeps &= False
        if rule.kind == "class":
            keeps &= (first == np.floor(first)) & (first >= 0)
            if rule.classes is not None:
                keeps &= first < rule.classes
        return keeps

    def _take(self, row: int, checked: Checked) -> None:
        key = checked.key
        if key is not None:
            self.keys[row], self.has_key[row] = signed(key), True
        if checked.empty_labels is not None:
            self._empty.append((row, checked))
        elif checked.fault is None:
            self.images += 1
            self.sound[row] = True
        else:
            if key is None and self._entries is not None:
                place = np.searchsorted(self._entries.offsets, checked.offset)
                key = unsigned(int(self._entries.keys[place]))
            self.faults.append(Fault(checked.fault, self._path, checked.reason, checked.offset, key))

    def _judge_empty(self) -> None:
        """Records without an image are faults, but for those of InsightFace.

        Its header and its identities say, without an image, which records are of one person. They stay, as they are,
        also in a repaired index; so what counts is whether the records that are kept make a face set.
        """
        if not self._empty:
            return
        kept = self.sound.copy()
        kept[[row for row, _ in self._empty]] = True
        bare = find_bare(self._reader, Index(self.keys[kept], self.offsets[kept]))
        of_faces = 0
        for row, checked in self._empty:
            if checked.offset in bare:
                of_faces += 1
                self.sound[row] = True
            else:
                self.faults.append(Fault("image", self._path, checked.reason, checked.offset, checked.key))
        if of_faces:
            message = f"{of_faces} records without an image describe the others, as InsightFace writes them"
            self.notes.append(Fault("header", self._path, message))


def _is_usual(headers: RecordHeaders) -> NDArray[np.bool_]:
    """Which images are of formats that the loader decodes all of, if not always turned as Pillow does."""
    usual: NDArray[np.bool_] = np.isin(headers.format, [FORMATS.index(name) for name in ("JPEG", "PNG", "WEBP")])
    usual &= headers.mode != MODES.index("CMYK")
    return usual
