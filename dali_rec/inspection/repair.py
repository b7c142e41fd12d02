"""``repair``: the index and the manifest anew, without the bad records. The .rec is never touched."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec._files import atomic_write
from dali_rec.errors import DatasetError
from dali_rec.faces import count_images
from dali_rec.manifest import find_manifest
from dali_rec.recordio import RecordReader, write_index
from dali_rec.recordio.index import unsigned

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.inspection.faults import Findings, ShardFindings, VerifyReport
    from dali_rec.manifest import Manifest, ShardEntry


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What came of a repair: the files written, the records that remain, the ids left out, the shards dropped."""

    written: tuple[Path, ...]
    records: int
    left_out: tuple[int, ...]
    dropped: tuple[str, ...]


def repair(report: VerifyReport, *, drop_missing: bool = False) -> RepairReport:
    """Leave the bad records that ``verify`` found out of a data set, so that it opens, loads and verifies clean.

    The .idx files are written anew with the sound records, in the order of the file; the manifest with their number
    and with the size and checksum of each .rec as it is now; the .lst, if there is one, without the lines of records
    that are gone. The .rec files stay as they are, and with them what can be got back later. drop_missing: take
    shards that are missing out of the manifest, and their records out of the data set.

    Raises DatasetError, and writes nothing, if a shard is missing and ``drop_missing`` is False, if no sound record is
    left, if images were not decoded, if the manifest cannot be read, if it or the size of a .rec has changed since, or
    if one shard of a sharded data set was verified alone.

    Example: ``dali_rec.repair(dali_rec.verify("data/train"))``
    """
    findings = report.findings
    if findings is None:
        raise DatasetError("this report cannot be repaired from: take one that verify() has returned")
    target = findings.target
    _refuse(findings, drop_missing=drop_missing)
    if report.ok:
        return RepairReport((), _records(findings), (), ())
    written = []
    for shard in findings.shards:
        idx = shard.path.with_suffix(".idx")
        if shard.changed:
            write_index(idx, shard.index)
            written.append(idx)
    lst = target.head.with_suffix(".lst")
    if lst.exists() and _rewrite_list(lst, findings):
        written.append(lst)
    if target.manifest is not None and target.manifest_path is not None:
        _repaired(target.manifest, findings).write(target.manifest_path)
        written.append(target.manifest_path)
    left_out = tuple(sorted({key for shard in findings.shards for key in shard.left_out}))
    dropped = tuple(entry.rec for entry in target.missing)
    return RepairReport(tuple(written), _records(findings), left_out, dropped)


def _refuse(findings: Findings, *, drop_missing: bool) -> None:
    target = findings.target
    if not findings.decoded:
        raise DatasetError("repair needs to know which images decode: verify again without --quick")
    if target.damaged_manifest is not None:
        raise DatasetError(
            f"{target.damaged_manifest} cannot be read, and the .rec files do not tell the names of the classes: put "
            "it back from a copy, or move it away, and verify again; nothing was changed"
        )
    if target.part_of is not None:
        name = target.part_of.with_suffix("")
        raise DatasetError(
            f"{findings.shards[0].path} is a shard of {target.part_of}: repair the whole, 'dali-rec verify {name} "
            "--repair'"
        )
    if target.manifest_path is not None and find_manifest(target.manifest_path) != target.manifest:
        raise DatasetError(
            f"{target.manifest_path} has changed since it was verified: verify it again; nothing was changed"
        )
    for shard in findings.shards:
        if shard.path.stat().st_size != shard.bytes:
            raise DatasetError(f"{shard.path} has changed since it was verified: verify it again; nothing was changed")
    if target.missing and not drop_missing:
        names = ", ".join(entry.rec for entry in target.missing)
        records = sum(entry.records for entry in target.missing)
        raise DatasetError(
            f"{target.manifest_path}: {names} missing, with {records:,} records: put it back and verify again, or say "
            "--drop-missing-shards to take those records out of the data set; nothing was changed"
        )
    if not _records(findings):
        raise DatasetError(f"{target.head}: no sound record is left; pack it again; nothing was changed")


def _records(findings: Findings) -> int:
    return sum(len(shard.index) for shard in findings.shards)


def _repaired(manifest: Manifest, findings: Findings) -> Manifest:
    """The manifest of the files as they are; largest sizes and labels stay as they were, as bounds."""
    entries = tuple(_entry(shard) for shard in findings.shards)
    return dataclasses.replace(
        manifest,
        records=sum(entry.records for entry in entries),
        shards=entries,
        bytes=sum(entry.bytes for entry in entries),
    )


def _entry(shard: ShardFindings) -> ShardEntry:
    if shard.entry is None or shard.sha256 is None:
        raise DatasetError(f"{shard.path}: the manifest does not name it")
    with RecordReader(shard.path) as reader:
        records = count_images(reader, shard.index)
    return dataclasses.replace(shard.entry, records=records, bytes=shard.bytes, sha256=shard.sha256)


def _rewrite_list(path: Path, findings: Findings) -> bool:
    """Take the lines of records that are gone out of the .lst; the others keep their bytes. Whether any went.

    Our own lists name what was packed, so what is not kept goes. A list from elsewhere may name more than the .rec
    holds: only records that were found to be bad go.
    """
    kept = {unsigned(key) for shard in findings.shards for key in shard.index.keys.tolist()}
    bad = {key for shard in findings.shards for key in shard.left_out} - kept
    lines = path.read_bytes().splitlines(keepends=True)
    remaining = []
    for line in lines:
        first = line.split(None, 1)[:1]
        key = int(first[0]) if first and first[0].isdigit() else None
        is_gone = key is not None and (key not in kept if findings.target.manifest is not None else key in bad)
        if not is_gone:
            remaining.append(line)
    if len(remaining) == len(lines):
        return False
    with atomic_write(path) as file:
        file.writelines(remaining)
    return True
