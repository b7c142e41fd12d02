"""The check of one .rec: what of it belongs to the data set, and what is wrong with it.

The index says which records belong to the data set. Records and damaged stretches that it leaves out do no harm; they
are what a repair leaves behind. Where it cannot be that file's index, every record of the file belongs.
"""

from __future__ import annotations

import bisect
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import counted, distinct
from dali_rec.errors import DaliRecError
from dali_rec.faces import count_images
from dali_rec.inspection.faults import Fault, FaultKind, ShardFindings
from dali_rec.inspection.shard_records import ShardRecords
from dali_rec.inspection.walk import Gap, walk
from dali_rec.recordio import Index, RecordReader, read_index
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec._workers import Workers
    from dali_rec.inspection.record_check import Checked, CheckOptions
    from dali_rec.manifest import ShardEntry

_CHUNK = 1 << 24
_NO_OFFSETS = np.zeros(0, np.int64)


class ShardCheck:
    """The check of one .rec file, and of what its .idx and its manifest say of it.

    on_sound: called with each sound record, in order, if images are hashed; advance: with the offset that was reached.
    """

    def __init__(
        self,
        path: Path,
        entry: ShardEntry | None,
        options: CheckOptions,
        on_sound: Callable[[str, Checked], None],
        advance: Callable[[int], None],
    ) -> None:
        self.path = path
        self.entry = entry
        self.faults: list[Fault] = []
        self.notes: list[Fault] = []
        self.records = 0
        self.images = 0
        self._idx = path.with_suffix(".idx")
        self._remedy = f"'dali-rec index {path}' rebuilds it"
        self._options = options
        self._on_sound = on_sound
        self._advance = advance
        self._sha256: str | None = None
        self._renumbered = False
        self._bare = 0  # records of a face set that describe the others: the manifest counts images alone

    def run(self, workers: Workers, hashing: Executor) -> ShardFindings:
        """Check the file; the faults are in ``faults`` and ``notes`` afterwards, in the order of the file.

        hashing: takes the checksum of the whole meanwhile.
        """
        with RecordReader(self.path) as reader:
            digest = None if self.entry is None else hashing.submit(_sha256, reader)
            offsets, gaps = walk(reader)
            index = self._read_index()
            entries = None if index is None else _once_each(index)
            self._bare = 0 if entries is None else len(entries) - count_images(reader, entries)
            usable = entries is not None and self._is_usable(entries, offsets, reader.size)
            named = _those(offsets, _among(offsets, entries.offsets)) if entries is not None and usable else offsets
            self.records = len(named)
            self._check_gaps(gaps, entries, usable=usable)
            records = ShardRecords(reader, named, entries if usable else None)
            records.check(workers, self._options, self._on_sound, self._advance)
            self.faults += records.faults
            self.notes += records.notes
            self.images = records.images
            if digest is not None:
                self._sha256 = digest.result()
            if entries is not None:
                self._check_entries(entries, offsets, gaps, reader.size)
                self._check_keys(entries, records)
                self._check_length(entries)
                self._note_oddities(index, entries, len(offsets) - len(named))
            self._check_manifest(reader.size)
            self._advance(reader.size)
            return self._findings(index, entries if usable else None, records, reader.size)

    def _fault(
        self, kind: FaultKind, message: str, offset: int | None = None, key: int | None = None, path: Path | None = None
    ) -> None:
        self.faults.append(Fault(kind, str(path or self.path), message, offset, key))

    def _note(self, kind: FaultKind, path: Path, message: str, offset: int | None = None) -> None:
        self.notes.append(Fault(kind, str(path), message, offset))

    def _read_index(self) -> Index | None:
        if not self._idx.exists():
            if self.entry is not None:
                self._fault("index", f"it is missing; 'dali-rec index {self.path}' makes it", path=self._idx)
            return None
        try:
            return read_index(self._idx)
        except DaliRecError as error:
            self._fault("index", str(error), path=self._idx)
            return None

    def _is_usable(self, entries: Index, offsets: NDArray[np.int64], size: int) -> bool:
        """Whether the index is this file's, and as long as the manifest says."""
        inside = entries.offsets[entries.offsets < size]
        hits = int(_among(inside, offsets).sum())
        if 2 * hits < len(inside):
            self._fault(
                "index",
                f"only {hits} of its {len(inside)} offsets are those of records: it belongs to another file; "
                f"{self._remedy}",
                path=self._idx,
            )
            return False
        if self.entry is not None:
            return len(entries) - self._bare == self.entry.records
        if len(offsets) and not len(entries):
            self._fault("index", f"it is empty; {self._remedy}", path=self._idx)
        return bool(len(inside))

    def _check_gaps(self, gaps: tuple[Gap, ...], entries: Index | None, *, usable: bool) -> None:
        """Damaged stretches of the file, with the id of the record that began there, by the index."""
        offsets = _NO_OFFSETS if entries is None else entries.offsets
        for gap in gaps:
            first, behind = np.searchsorted(offsets, (gap.start, gap.stop)).tolist()
            if usable and first == behind:
                self._note("framing", self.path, f"left out by the index: {gap.message}", gap.start)
            elif entries is not None and first < behind and offsets[first] == gap.start:
                self._fault("framing", gap.message, gap.start, unsigned(int(entries.keys[first])))
            else:
                self._fault("framing", gap.message, gap.start)

    def _check_entries(self, entries: Index, offsets: NDArray[np.int64], gaps: tuple[Gap, ...], size: int) -> None:
        """The lines of the index against the records."""
        whole = _among(entries.offsets, offsets)
        if 2 * int(whole.sum()) < int((entries.offsets < size).sum()):
            return  # of another file, which has been said
        starts = [gap.start for gap in gaps]
        for key, offset in zip(entries.keys[~whole].tolist(), entries.offsets[~whole].tolist(), strict=True):
            before = bisect.bisect_right(starts, offset) - 1
            if before < 0 or offset >= gaps[before].stop:
                beyond = f"beyond the end of the .rec, which has {size} bytes" if offset >= size else "inside a record"
                self._fault("index", f"its offset is {beyond}; {self._remedy}", offset, unsigned(key), self._idx)
            elif offset != starts[before]:
                message = f"lost in the damage that begins at offset {starts[before]}"
                self._fault("framing", message, offset, unsigned(key))

    def _check_keys(self, entries: Index, records: ShardRecords) -> None:
        """The ids in the index (``keys``) against those in the records (``found``)."""
        with_key = _those(records.offsets, records.has_key)
        is_there = _among(entries.offsets, with_key)
        keys, offsets = _those(entries.keys, is_there), _those(entries.offsets, is_there)
        if 2 * len(keys) < len(entries):
            return  # of another file, or of one that is lost for the most part, which has been said
        found = _those(records.keys, records.has_key)
        if not np.array_equal(with_key, offsets):
            found = found[np.searchsorted(with_key, offsets)]
        wrong = np.flatnonzero(keys != found)
        if not len(wrong):
            return
        distinct_ids = len(distinct(found))
        is_numbering = (np.diff(entries.keys) > 0).all() or distinct_ids == 1
        if self.entry is None and 2 * len(wrong) >= max(1, len(keys)) and is_numbering:
            self._renumbered = True
            are_unique = distinct_ids == len(found)
            message = "it numbers the records anew, as MXNet's rec2idx does; their own ids "
            message += f"are others; {self._remedy} with those" if are_unique else "stand for several records"
            self._note("index", self._idx, message)
        elif 2 * len(wrong) > len(keys):
            message = f"{len(wrong)} of its {len(keys)} ids are not those of the records: it belongs to another file"
            self._fault("index", f"{message}; {self._remedy}", path=self._idx)
        elif self.entry is not None and self._sha256 != self.entry.sha256:
            # The bytes have changed, and the index has not: what is wrong is the id in the record.
            for row in wrong.tolist():
                message = f"its id is {unsigned(int(found[row]))}, not that of the index: its header has changed"
                offset = int(offsets[row])
                self._fault("header", message, offset, unsigned(int(keys[row])))
                place = np.searchsorted(records.offsets, offset)
                records.sound[place], records.keys[place] = False, keys[row]
        else:
            for row in wrong.tolist():
                message = f"the record there has id {unsigned(int(found[row]))}; {self._remedy}"
                offset = int(offsets[row])
                self._fault("index", message, offset, unsigned(int(keys[row])), self._idx)

    def _check_length(self, entries: Index) -> None:
        """As many lines as the manifest says, where nothing else is wrong with the index."""
        if self.entry is None or len(entries) - self._bare == self.entry.records:
            return
        if not any(fault.path == str(self._idx) for fault in self.faults):
            message = (
                f"{len(entries) - self._bare} records are in it, the manifest says {self.entry.records}; {self._remedy}"
            )
            self._fault("index", message, path=self._idx)

    def _note_oddities(self, index: Index | None, entries: Index, absent: int) -> None:
        if absent:
            records = counted(absent, "whole record of the .rec is", "whole records of the .rec are")
            message = f"{records} not in it; the data set goes by the index"
            self._note("index", self._idx, message)
        if index is not None and len(entries) < len(index):
            self._note("index", self._idx, f"{len(index) - len(entries)} of its lines name a record a second time")
        if entries.repeated:
            message = (
                f"{entries.repeated} of its ids stand for several records; MXNet's reader finds only the last of them"
            )
            self._note("index", self._idx, message)

    def _check_manifest(self, size: int) -> None:
        entry = self.entry
        if entry is None:
            return
        if size != entry.bytes:
            self._fault("manifest", f"{size} bytes, the manifest says {entry.bytes}")
        if self.records - self._bare != entry.records:
            self._fault("manifest", f"{self.records - self._bare} whole records, the manifest says {entry.records}")
        if self._sha256 != entry.sha256:
            self._fault("checksum", "its SHA-256 is not the manifest's: it has changed since it was packed")

    def _findings(self, index: Index | None, entries: Index | None, records: ShardRecords, size: int) -> ShardFindings:
        kept = Index(_those(records.keys, records.sound), _those(records.offsets, records.sound))
        if self._renumbered and entries is not None:
            rows = _among(entries.offsets, kept.offsets)
            kept = Index(_those(entries.keys, rows), _those(entries.offsets, rows))
        left_out = () if kept == entries else self._left_out(entries, records, kept)
        changed = index is None or _sorted(index) != kept
        return ShardFindings(self.path, self.entry, kept, changed, left_out, size, self._sha256)

    def _left_out(self, entries: Index | None, records: ShardRecords, kept: Index) -> tuple[int, ...]:
        known = records.keys[records.has_key]
        if entries is not None:
            known = entries.keys if self._renumbered else np.concatenate((known, entries.keys))
        gone = known[~_among(known, np.sort(kept.keys))]
        return tuple(sorted({unsigned(key) for key in gone.tolist()}))


def _sha256(reader: RecordReader) -> str:
    digest = hashlib.sha256()
    for start in range(0, reader.size, _CHUNK):
        digest.update(reader.buffer[start : start + _CHUNK])  # nothing more once the reader is closed
    return digest.hexdigest()


# A data set may have tens of millions of records: columns of which all is wanted, or in order, are not copied.


def _sorted(index: Index) -> Index:
    if _ascends(index.offsets):
        return index
    order = np.argsort(index.offsets, kind="stable")
    return Index(index.keys[order], index.offsets[order])


def _once_each(index: Index) -> Index:
    """The entries by offset; of an offset that stands twice, the first."""
    if _ascends(index.offsets):
        return index
    offsets, rows = np.unique(index.offsets, return_index=True)
    return Index(index.keys[rows], offsets)


def _ascends(offsets: NDArray[np.int64]) -> bool:
    """Whether each is larger than the one before."""
    return bool((offsets[1:] > offsets[:-1]).all())


def _among(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``values`` are in ``ascending``: np.isin, but many times as fast on what is sorted."""
    if np.array_equal(values, ascending):
        return np.ones(len(values), np.bool_)
    if not len(ascending):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[places] == values
    return found


def _those(values: NDArray[np.int64], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``values[wanted]``."""
    return values if wanted.all() else values[wanted]
