"""What there is to verify: the .rec files that a path names, and what manifests say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dali_rec._files import require_name
from dali_rec._shard_names import dataset_name
from dali_rec._work_folders import require_whole
from dali_rec.errors import DatasetError
from dali_rec.manifest import Manifest, ShardEntry, find_manifest, read_manifest
from dali_rec.opening import require_data_set
from dali_rec.recordio import RecordReader

if TYPE_CHECKING:
    from pathlib import Path


class VerifyTarget(NamedTuple):
    """The .rec files with their entries in the manifest, and what is missing of them.

    part_of: the manifest of the whole, where a single shard is verified. damaged_manifest: that which cannot be read,
    and damage: why.
    """

    files: list[tuple[Path, ShardEntry | None]]
    manifest: Manifest | None = None
    manifest_path: Path | None = None
    missing: tuple[ShardEntry, ...] = ()
    part_of: Path | None = None
    damaged_manifest: Path | None = None
    damage: str = ""

    @property
    def head(self) -> Path:
        """The file that stands for the whole: the manifest, or without one the first .rec."""
        return self.manifest_path or self.files[0][0]

    @property
    def missing_files(self) -> list[Path]:
        """The .rec files that the manifest names and that are not there."""
        return [self.manifest_path.parent / entry.rec for entry in self.missing] if self.manifest_path else []


def find_target(path: Path) -> VerifyTarget:
    """What there is under a prefix, a manifest or a .rec file.

    Raises DatasetNotFoundError if there is nothing, DatasetError if it is JSON of another kind, or not all there yet.
    """
    require_name(path)
    require_whole(path)
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
            return VerifyTarget(list(there), manifest, manifest_path, missing)
    if path.suffix not in (".rec", ".json"):
        require_data_set(path)
    rec = path if path.suffix == ".rec" else path.with_name(path.name + ".rec")
    with RecordReader(rec):  # says so if it is not there
        return _shard_of(rec) or VerifyTarget([(rec, None)])


def _shard_of(rec: Path) -> VerifyTarget | None:
    """A single shard of a data set, with what the manifest of the whole says of it; None if it is not one."""
    whole = rec.with_name(dataset_name(rec.stem) + ".json")
    try:
        manifest = find_manifest(whole)
    except DatasetError as error:
        return _without_manifest(rec, whole, error)
    entries = [entry for entry in manifest.shards if entry.rec == rec.name] if manifest is not None else []
    return VerifyTarget([(rec, entries[0])], part_of=whole) if entries else None


def _without_manifest(path: Path, manifest_path: Path, error: DatasetError) -> VerifyTarget:
    """The .rec files, by name, of a data set whose manifest cannot be read. Raises ``error`` if there are none."""
    if path.suffix == ".rec":
        recs = [path]
    else:
        folder, name = manifest_path.parent, manifest_path.stem
        recs = sorted(rec for rec in folder.glob("*.rec") if name in (rec.stem, dataset_name(rec.stem)))
    if not any(rec.exists() for rec in recs):
        raise error
    damage = str(error).removeprefix(f"{manifest_path}: ")
    return VerifyTarget([(rec, None) for rec in recs], damaged_manifest=manifest_path, damage=damage)
