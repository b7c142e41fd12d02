"""``verify``: whether every record is framed and indexed and every image in it decodes."""

from __future__ import annotations

import contextlib
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._cores import available_cores
from dali_rec._files import as_path
from dali_rec._workers import begin_workers
from dali_rec.images import MAX_PIXELS
from dali_rec.inspection.duplicates import Duplicates
from dali_rec.inspection.faults import Fault, Findings, ShardFindings, VerifyReport
from dali_rec.inspection.record_check import Checking, CheckOptions, LabelRule
from dali_rec.inspection.shard_check import ShardCheck
from dali_rec.inspection.verify_target import VerifyTarget, find_target
from dali_rec.recordio import Index

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from dali_rec.manifest import Manifest

# To begin a process takes about as long as to decode some hundreds of photographs.
_BYTES_A_PROCESS = 1 << 27
# Copies that are no faults and named all the same; of the others there is the number.
_MOST_NOTED = 1000


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
    an image that is there a second time, byte for byte, is a fault; otherwise 1,000 of them are noted, and how many
    more there are, where images are decoded. workers: threads, by default one a core. progress: called with (bytes
    done, bytes in all).

    Damage does not end the check: it goes on at the next whole record, and past a manifest that cannot be read. Which
    records belong to the data set, the index says: what it leaves out of the .rec is noted and not looked at. Raises
    DatasetNotFoundError if there is nothing under ``path``, DatasetError if it is JSON of another kind.

    Example: ``[fault.key for fault in dali_rec.verify("data/train").faults if fault.kind == "image"]``
    """
    target = find_target(as_path(path))
    options = CheckOptions(decode=decode, hash_images=decode or duplicates)
    if target.manifest is not None:
        options = _by_manifest(options, target.manifest)
    seen = Duplicates()
    checks, shards = _check_files(target, options, seen, workers or available_cores(), progress)
    records = sum(check.records for check in checks)
    faults = [*_missing(target), *(fault for check in checks for fault in check.faults), *_wrong_sum(target)]
    notes = [note for check in checks for note in check.notes]
    if not records and not faults:
        faults.append(Fault("file", str(target.head), "no records in it; pack it again"))
    copies, count = seen.find(None if duplicates else _MOST_NOTED)
    if duplicates:
        faults += copies
        shards = _without(shards, copies)
    else:
        notes += copies
        if count > len(copies):
            message = f"{count - len(copies):,} more images are there a second time; 'verify --duplicates' names all"
            notes.append(Fault("duplicate", str(target.head), message))
    findings = Findings(target, tuple(shards), decode)
    return VerifyReport(records, sum(check.images for check in checks), tuple(faults), tuple(notes), findings)


def _check_files(
    target: VerifyTarget,
    options: CheckOptions,
    seen: Duplicates,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[ShardCheck], list[ShardFindings]]:
    """Check one file after the other; sound records whose images are hashed go to ``seen``."""
    checks: list[ShardCheck] = []
    shards: list[ShardFindings] = []
    done = 0
    sizes = [rec.stat().st_size for rec, _ in target.files]
    total = sum(sizes)
    most_processes = total // _BYTES_A_PROCESS if options.decode else 1
    checking = begin_workers(Checking(options), workers, most_processes)
    with contextlib.closing(checking), ThreadPoolExecutor(1, thread_name_prefix="dali-rec-hash") as hashing:
        for (rec, entry), size in zip(target.files, sizes, strict=True):

            def advance(offset: int, base: int = done) -> None:
                if progress is not None:
                    progress(base + offset, total)

            check = ShardCheck(rec, entry, options, seen.add, advance)
            shards.append(check.run(checking, hashing))
            checks.append(check)
            done += size
    return checks, shards


def _missing(target: VerifyTarget) -> Iterator[Fault]:
    """Files of the data set that are not there, or, its manifest, not to be read."""
    for rec in target.missing_files:
        yield Fault("file", str(rec), f"it is missing; {target.manifest_path} names it")
    if target.damaged_manifest is not None:
        yield Fault("manifest", str(target.damaged_manifest), target.damage)


def _wrong_sum(target: VerifyTarget) -> Iterator[Fault]:
    manifest = target.manifest
    if manifest is not None and manifest.records != sum(entry.records for entry in manifest.shards):
        message = f"it says {manifest.records} records, its shards add up to another number"
        yield Fault("manifest", str(target.manifest_path), message)


def _by_manifest(options: CheckOptions, manifest: Manifest) -> CheckOptions:
    """The options with what the manifest says of labels, and the limit on pixels with which the images were packed."""
    classes = None if manifest.classes is None else len(manifest.classes)
    rule = LabelRule(manifest.label_width, manifest.label_kind, classes)
    limit = manifest.options.get("max_pixels")
    return options._replace(labels=rule, max_pixels=max(MAX_PIXELS, limit if isinstance(limit, int) else 0))


def _without(shards: list[ShardFindings], copies: list[Fault]) -> list[ShardFindings]:
    """The findings without the records that are copies of others."""
    by_path: dict[str, list[Fault]] = {}
    for copy in copies:
        by_path.setdefault(copy.path, []).append(copy)
    found = []
    for shard in shards:
        gone = by_path.get(str(shard.path), [])
        keep = ~np.isin(shard.index.offsets, [copy.offset for copy in gone if copy.offset is not None])
        left_out = {copy.key for copy in gone if copy.key is not None}
        found.append(
            dataclasses.replace(
                shard,
                index=Index(shard.index.keys[keep], shard.index.offsets[keep]),
                changed=shard.changed or bool(gone),
                left_out=tuple(sorted({*shard.left_out, *left_out})),
            )
        )
    return found
