"""``verify``: whether every record is framed and indexed and every image in it decodes."""

from __future__ import annotations

import contextlib
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from dali_rec._cores import available_cores
from dali_rec._files import as_path, require_name
from dali_rec._shard_names import dataset_name
from dali_rec._workers import begin_workers
from dali_rec.dataset import require_data_set
from dali_rec.errors import DatasetError
from dali_rec.images import MAX_PIXELS
from dali_rec.inspection.duplicates import Duplicates
from dali_rec.inspection.faults import Fault, Findings, ShardFindings, VerifyReport
from dali_rec.inspection.record_check import Checking, CheckOptions, LabelRule
from dali_rec.inspection.shard_check import ShardCheck
from dali_rec.manifest import Manifest, ShardEntry, find_manifest, read_manifest
from dali_rec.recordio import Index, RecordReader

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

# To begin a process takes about as long as to decode some hundreds of photographs.
_BYTES_A_PROCESS = 1 << 27


def verify(
    path: str | os.PathLike[str],
    *,
    decode: bool = True,
    duplicates: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check a packed data set: framing, headers, index, checksums, manifest, and every image decoded in full.

    path: a prefix, a manifest, or a .rec file. decode: False looks at the headers of images only. duplicates: whether
    an image that is there a second time, byte for byte, is a fault; otherwise it is noted, where images are decoded.
    workers: threads, by default one a core. progress: called with (bytes done, bytes in all).

    Damage does not end the check: it goes on at the next whole record, and past a manifest that cannot be read. Which
    records belong to the data set, the index says: what it leaves out of the .rec is noted and not looked at. Raises
    DatasetNotFoundError if there is nothing under ``path``, DatasetError if it is JSON of another kind.

    Example: ``[fault.key for fault in dali_rec.verify("data/train").faults if fault.kind == "image"]``
    """
    target = _find(as_path(path))
    options = CheckOptions(decode, decode or duplicates)
    if target.manifest is not None:
        options = _by_manifest(options, target.manifest)
    seen = Duplicates()
    faults = [
        Fault("file", str(rec), f"it is missing; {target.manifest_path} names it") for rec in target.missing_files
    ]
    if target.damaged_manifest is not None:
        faults.append(Fault("manifest", str(target.damaged_manifest), target.damage))
    notes: list[Fault] = []
    shards: list[ShardFindings] = []
    records = images = done = 0
    total = sum(rec.stat().st_size for rec, _ in target.files)
    most_processes = total // _BYTES_A_PROCESS if decode else 1
    checking = begin_workers(Checking(options), workers or available_cores(), most_processes)
    with contextlib.closing(checking), ThreadPoolExecutor(1, thread_name_prefix="dali-rec-hash") as hashing:
        for rec, entry in target.files:

            def advance(offset: int, base: int = done) -> None:
                if progress is not None:
                    progress(base + offset, total)

            check = ShardCheck(rec, entry, options, seen.add if options.hash_images else _ignore, advance)
            shards.append(check.run(checking, hashing))
            faults += check.faults
            notes += check.notes
            records += check.records
            images += check.images
            done += rec.stat().st_size
    manifest = target.manifest
    if manifest is not None and manifest.records != sum(entry.records for entry in manifest.shards):
        message = f"it says {manifest.records} records, its shards add up to another number"
        faults.append(Fault("manifest", str(target.manifest_path), message))
    if not records and not faults:
        faults.append(Fault("file", str(target.manifest_path or target.files[0][0]), "no records in it; pack it again"))
    copies = seen.find()
    if duplicates:
        faults += copies
        shards = [_without(shard, copies) for shard in shards]
    else:
        notes += copies
    findings = Findings(
        tuple(shards),
        manifest,
        target.manifest_path,
        target.missing,
        target.part_of,
        decode,
        target.damaged_manifest,
    )
    return VerifyReport(records, images, tuple(faults), tuple(notes), findings)


class _Target(NamedTuple):
    """What there is to verify: the .rec files with their entries in the manifest, and what is missing of them.

    damaged_manifest: that which cannot be read, and damage: why.
    """

    files: list[tuple[Path, ShardEntry | None]]
    manifest: Manifest | None = None
    manifest_path: Path | None = None
    missing: tuple[ShardEntry, ...] = ()
    part_of: Path | None = None
    damaged_manifest: Path | None = None
    damage: str = ""

    @property
    def missing_files(self) -> list[Path]:
        return [self.manifest_path.parent / entry.rec for entry in self.missing] if self.manifest_path else []


def _find(path: Path) -> _Target:
    require_name(path)
    manifest_path = path if path.suffix == ".json" else path.with_name(path.name.removesuffix(".rec") + ".json")
    try:
        manifest = find_manifest(manifest_path)
    except DatasetError as error:
        return _without_manifest(path, manifest_path, error)
    if path.suffix == ".json" and manifest is None:
        manifest = read_manifest(path)  # says what it is instead
    if manifest is not None:
        files = [(manifest_path.parent / entry.rec, entry) for entry in manifest.shards]
        if path.suffix != ".rec" or path in (file for file, _ in files):
            there = [(file, entry) for file, entry in files if file.exists()]
            missing = tuple(entry for file, entry in files if not file.exists())
            return _Target(list(there), manifest, manifest_path, missing)
    if path.suffix not in (".rec", ".json"):
        require_data_set(path)
    rec = path if path.suffix == ".rec" else path.with_name(path.name + ".rec")
    with RecordReader(rec):  # says so if it is not there
        return _shard_of(rec) or _Target([(rec, None)])


def _shard_of(rec: Path) -> _Target | None:
    """A single shard of a data set, with what the manifest of the whole says of it; None if it is not one."""
    whole = rec.with_name(dataset_name(rec.stem) + ".json")
    try:
        manifest = find_manifest(whole)
    except DatasetError as error:
        return _without_manifest(rec, whole, error)
    entries = [entry for entry in manifest.shards if entry.rec == rec.name] if manifest is not None else []
    return _Target([(rec, entries[0])], part_of=whole) if entries else None


def _without_manifest(path: Path, manifest_path: Path, error: DatasetError) -> _Target:
    """The .rec files, by name, of a data set whose manifest cannot be read. Raises ``error`` if there are none."""
    if path.suffix == ".rec":
        recs = [path]
    else:
        recs = sorted(
            rec
            for rec in manifest_path.parent.glob("*.rec")
            if manifest_path.stem in (rec.stem, dataset_name(rec.stem))
        )
    if not any(rec.exists() for rec in recs):
        raise error
    damage = str(error).removeprefix(f"{manifest_path}: ")
    return _Target([(rec, None) for rec in recs], damaged_manifest=manifest_path, damage=damage)


def _by_manifest(options: CheckOptions, manifest: Manifest) -> CheckOptions:
    """The options with what the manifest says of labels, and the limit on pixels with which the images were packed."""
    classes = None if manifest.classes is None else len(manifest.classes)
    rule = LabelRule(manifest.label_width, manifest.label_kind, classes)
    limit = manifest.options.get("max_pixels")
    return options._replace(labels=rule, max_pixels=max(MAX_PIXELS, limit if isinstance(limit, int) else 0))


def _ignore(_path: str, _checked: object) -> None:
    pass


def _without(shard: ShardFindings, copies: list[Fault]) -> ShardFindings:
    """The findings without the records that are copies of others."""
    offsets = {copy.offset for copy in copies if copy.path == str(shard.path)}
    if not offsets:
        return shard
    keep = [offset not in offsets for offset in shard.index.offsets.tolist()]
    left_out = {copy.key for copy in copies if copy.path == str(shard.path) and copy.key is not None}
    return dataclasses.replace(
        shard,
        index=Index(shard.index.keys[keep], shard.index.offsets[keep]),
        changed=True,
        left_out=tuple(sorted({*shard.left_out, *left_out})),
    )
