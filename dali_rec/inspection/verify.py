"""``verify``: whether every record is framed and indexed and every image in it decodes."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dali_rec._files import as_path
from dali_rec.errors import DaliRecError, ImageRejectedError, RecordError
from dali_rec.faces import find_faces
from dali_rec.images import check_image
from dali_rec.manifest import Manifest, ShardEntry, is_manifest, read_manifest
from dali_rec.packing.options import available_cores
from dali_rec.recordio import RecordReader, read_index
from dali_rec.recordio.framing import find_record
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from dali_rec.recordio import Index

FaultKind = Literal["file", "framing", "header", "image", "index", "checksum", "manifest"]

_IN_FLIGHT_PER_WORKER = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong: of what kind, in which file, at which byte offset and record id where that is known."""

    kind: FaultKind
    path: str
    message: str
    offset: int | None = None
    key: int | None = None

    def __str__(self) -> str:
        where = self.path
        if self.offset is not None:
            where += f", offset {self.offset}"
        if self.key is not None:
            where += f", id {self.key}"
        return f"{where}: {self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``records``: records found; ``images``: images that decoded. ``ok`` when there are no faults."""

    records: int
    images: int
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(
    path: str | os.PathLike[str],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check a packed data set: framing, headers, index, checksums, manifest, and every image decoded in full.

    path: a prefix, a manifest, or a .rec file. workers: threads, by default one a core. progress: called with (bytes
    done, bytes in all).

    Damage does not end the check: it goes on at the next whole record. Raises DatasetNotFoundError if there is nothing
    under ``path``.
    """
    rec_paths, manifest, faults = _files_of(as_path(path))
    entries = {entry.rec: entry for entry in manifest.shards} if manifest is not None else {}
    total = sum(rec.stat().st_size for rec in rec_paths)
    done = records = images = 0
    for rec in rec_paths:
        base = done

        def advance(offset: int, base: int = base) -> None:
            if progress is not None:
                progress(base + offset, total)

        check = _ShardCheck(rec, entries.get(rec.name), workers or available_cores(), advance)
        check.run()
        faults += check.faults
        records += check.records
        images += check.images
        done += rec.stat().st_size
    if manifest is not None and manifest.records != sum(entry.records for entry in manifest.shards):
        faults.append(Fault("manifest", str(path), f"it says {manifest.records} records, its shards add up to another"))
    return VerifyReport(records, images, tuple(faults))


def _files_of(path: Path) -> tuple[list[Path], Manifest | None, list[Fault]]:
    """The .rec files of a data set, its manifest, and what is missing."""
    manifest_path = path if path.suffix == ".json" else path.with_name(path.name.removesuffix(".rec") + ".json")
    if path.suffix == ".json" or is_manifest(manifest_path):
        manifest = read_manifest(manifest_path)
        files = [manifest_path.parent / entry.rec for entry in manifest.shards]
        if path.suffix != ".rec" or path in files:
            missing = [
                Fault("file", str(file), f"it is missing; {manifest_path} names it")
                for file in files
                if not file.exists()
            ]
            return [file for file in files if file.exists()], manifest, missing
    rec = path if path.suffix == ".rec" else path.with_name(path.name + ".rec")
    with RecordReader(rec):  # says so if it is not there
        return [rec], None, []


class _ShardCheck:
    """The check of one .rec file."""

    def __init__(self, path: Path, entry: ShardEntry | None, workers: int, advance: Callable[[int], None]) -> None:
        self.path = path
        self.entry = entry
        self.faults: list[Fault] = []
        self.records = 0
        self.images = 0
        self._workers = workers
        self._advance = advance
        self._key_at: dict[int, int] = {}
        self._bare: frozenset[int] = frozenset()

    def run(self) -> None:
        with RecordReader(self.path) as reader:
            self._bare = _records_without_image(reader)
            self._check_images(reader)
            self._check_index()
            if self.entry is not None:
                self._check_entry(self.entry, reader)
        self._advance(self.path.stat().st_size)

    def _fault(self, kind: FaultKind, message: str, offset: int | None = None, key: int | None = None) -> None:
        self.faults.append(Fault(kind, str(self.path), message, offset, key))

    def _check_images(self, reader: RecordReader) -> None:
        pending: deque[tuple[int, int, Future[None]]] = deque()
        with ThreadPoolExecutor(self._workers) as pool:
            for offset in self._walk(reader):
                self.records += 1
                try:
                    record = reader.record_at(offset)
                except RecordError as error:
                    self._fault("header", str(error), offset)
                    continue
                self._key_at[offset] = record.key
                if offset in self._bare:
                    continue
                pending.append((offset, record.key, pool.submit(_check, record.image)))
                if len(pending) >= self._workers * _IN_FLIGHT_PER_WORKER:
                    self._finish(*pending.popleft())
            while pending:
                self._finish(*pending.popleft())

    def _finish(self, offset: int, key: int, result: Future[None]) -> None:
        try:
            result.result()
        except ImageRejectedError as error:
            self._fault("image", str(error), offset, key)
        else:
            self.images += 1
        self._advance(offset)

    def _walk(self, reader: RecordReader) -> Iterator[int]:
        """Offsets of the whole records, going on after damage at the next one."""
        offset = 0
        while offset < reader.size:
            try:
                following = reader.end_of(offset)
            except RecordError as error:
                self._fault("framing", str(error), offset)
                found = find_record(reader.buffer, offset + 4, str(self.path))
                if found is None:
                    return
                offset = found
                continue
            yield offset
            offset = following

    def _check_index(self) -> None:
        path = self.path.with_suffix(".idx")
        if not path.exists():
            if self.entry is not None:
                self.faults.append(Fault("index", str(path), f"it is missing; 'dali-rec index {self.path}' makes it"))
            return
        try:
            index = read_index(path)
        except DaliRecError as error:
            self.faults.append(Fault("index", str(path), str(error)))
            return
        self._compare_index(path, index)

    def _compare_index(self, path: Path, index: Index) -> None:
        remedy = f"'dali-rec index {self.path}' rebuilds it"
        for key, offset in zip(index.keys.tolist(), index.offsets.tolist(), strict=True):
            found = self._key_at.get(offset)
            if found is None:
                message = f"no whole record begins there; {remedy}"
            elif found != unsigned(key):
                message = f"the record there has id {found}; {remedy}"
            else:
                continue
            self.faults.append(Fault("index", str(path), message, offset, unsigned(key)))
        absent = len(self._key_at) - len(np.intersect1d(index.offsets, np.fromiter(self._key_at, np.int64)))
        if absent:
            self.faults.append(Fault("index", str(path), f"{absent} records of the .rec are not in it; {remedy}"))

    def _check_entry(self, entry: ShardEntry, reader: RecordReader) -> None:
        if reader.size != entry.bytes:
            self._fault("manifest", f"{reader.size} bytes, the manifest says {entry.bytes}")
        samples = self.records - len(self._bare)
        if samples != entry.records:
            self._fault("manifest", f"{samples} whole records, the manifest says {entry.records}")
        if hashlib.sha256(reader.buffer).hexdigest() != entry.sha256:
            self._fault("checksum", "its SHA-256 is not the manifest's: it has changed since it was packed")


def _records_without_image(reader: RecordReader) -> frozenset[int]:
    """Offsets of the header and the identities of InsightFace's face sets; none in other files, or without an index."""
    try:
        index = reader.index
    except DaliRecError:  # said by the check of the index
        return frozenset()
    faces = find_faces(reader, index)
    if faces is None:
        return frozenset()
    return frozenset(np.delete(index.offsets, faces.images).tolist())


def _check(image: memoryview) -> None:
    check_image(image)
