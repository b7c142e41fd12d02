"""What ``verify`` finds: faults, and notes on what is odd but does no harm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dali_rec._numbers import counted

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.inspection.verify_target import VerifyTarget
    from dali_rec.manifest import ShardEntry
    from dali_rec.recordio import Index

#: file: a .rec is missing, or there is no record; framing: no whole record where one was; header: a record without an
#: image header; image: it does not decode; index: the .idx does not fit the .rec; checksum, manifest: the file is not
#: what the manifest says; duplicate: the same image bytes as in another record.
FaultKind = Literal["file", "framing", "header", "image", "index", "checksum", "manifest", "duplicate"]

_FAULTS_SHOWN = 10


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

    def as_json(self, severity: Literal["fault", "note"] = "fault") -> dict[str, Any]:
        """As a line of ``dali-rec verify --json``."""
        return {
            "severity": severity,
            "kind": self.kind,
            "shard": self.path,
            "offset": self.offset,
            "id": self.key,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class ShardFindings:
    """What repair needs to know of one .rec: the index of its sound records, and what its manifest entry should say.

    index: keys and offsets to keep; changed: whether that is not what the .idx holds. left_out: ids that the index or
    the records name and that are not kept. sha256: of the file as it is, or None where no manifest names it.
    """

    path: Path
    entry: ShardEntry | None
    index: Index
    changed: bool
    left_out: tuple[int, ...]
    bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What was looked at, all shards of it that are there, and whether their images were decoded."""

    target: VerifyTarget
    shards: tuple[ShardFindings, ...]
    decoded: bool


@dataclass(frozen=True, slots=True, repr=False)
class VerifyReport:
    """What came of verifying.

    records: whole records that belong to the data set, by its index. images: those whose image decoded in full or,
    where nothing was decoded, has a sound header. notes: what does no harm, such as records that the index leaves out.
    """

    records: int
    images: int
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...] = ()
    findings: Findings | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def __repr__(self) -> str:
        records, images = counted(self.records, "record"), counted(self.images, "sound image")
        faults, notes = counted(len(self.faults), "fault"), counted(len(self.notes), "note")
        shown = [f"\n  {fault}" for fault in self.faults[:_FAULTS_SHOWN]]
        more = len(self.faults) - len(shown)
        end = f"\n  and {more:,} more in its faults" if more else ""
        return f"<VerifyReport: {records}, {images}, {faults}, {notes}{''.join(shown)}{end}>"
