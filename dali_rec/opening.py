"""From a path, or several, to the data set that is there: ``dali_rec.open``."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dali_rec._files import as_path, require_name
from dali_rec._work_folders import require_whole
from dali_rec.dataset import Dataset
from dali_rec.errors import DaliRecError, DatasetError, DatasetNotFoundError, IndexFileError
from dali_rec.manifest import Manifest, find_manifest, is_manifest, read_manifest
from dali_rec.shard import Shard

if TYPE_CHECKING:
    from pathlib import Path

_MOST_NAMED = 5


def open_dataset(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Dataset:
    """Open a packed data set: a prefix (``data/train``), a manifest, a .rec file, or several of these.

    Sizes and counts are compared with the manifest. A .rec without an .idx is indexed in memory.

    Raises DatasetNotFoundError, DatasetError, IndexFileError.
    """
    if isinstance(path, (str, os.PathLike)):
        return _open_one(as_path(path))
    if not isinstance(path, Iterable):
        raise DatasetNotFoundError(f"{path!r} names no data set: expected a prefix, a manifest, .rec files, or several")
    return join_datasets([_open_one(as_path(one)) for one in path])


def join_datasets(parts: Sequence[Dataset]) -> Dataset:
    """One data set of the records of several, end to end. Raises DatasetError where their labels mean other things."""
    if not parts:
        raise DatasetNotFoundError("no data set given: name a prefix, a manifest or .rec files")
    if len(parts) == 1:
        return parts[0]
    return Dataset([shard for part in parts for shard in part.shards], _common_manifest(parts))


def require_data_set(path: Path) -> None:
    """Raise DatasetNotFoundError, with what is there instead, unless a prefix has a manifest or a .rec file."""
    manifest, rec = (path.with_name(path.name + suffix) for suffix in (".json", ".rec"))
    if rec.exists() or find_manifest(manifest) is not None:
        return
    remedy = "'dali-rec pack' makes data sets"
    if path.is_dir():
        remedy = (
            f"it is a folder: name a data set in it, or pack its images with 'dali-rec pack {path} OUT' and open OUT"
        )
    elif path.suffix in (".idx", ".lst"):
        remedy = f"the data set is called {path.with_suffix('')}"
    elif others := _named_after(path):
        remedy = f"name one that is there: {', '.join(others)}"
    raise DatasetNotFoundError(f"{path}: no data set there: neither {manifest} nor {rec} exists; {remedy}")


def _named_after(path: Path) -> list[str]:
    """The data sets beside a prefix that begin with it: data/photos-train and data/photos-val of data/photos."""
    found = sorted(path.parent.glob(f"{glob.escape(path.name)}-*.json")) if path.name else []
    return [str(one.with_suffix("")) for one in found if is_manifest(one)][:_MOST_NAMED]


def _open_one(path: Path) -> Dataset:
    if path.suffix != ".rec":
        require_name(path)
    require_whole(path)
    if path.suffix == ".rec":
        shards, manifest = _open_rec(path)
    else:
        manifest_path = path if path.suffix == ".json" else path.with_name(path.name + ".json")
        manifest = read_manifest(path) if path.suffix == ".json" else find_manifest(manifest_path)
        if manifest is not None:
            shards = [Shard(manifest_path.parent / entry.rec, entry.records, entry.bytes) for entry in manifest.shards]
        else:
            require_data_set(path)
            shards, manifest = _open_rec(path.with_name(path.name + ".rec"))
    if not sum(map(len, shards)):
        raise no_records(path, shards)
    return Dataset(shards, manifest)


def no_records(path: object, shards: Iterable[Shard]) -> DaliRecError:
    """The error for a data set without a single record; it names an empty .idx, as a killed im2rec leaves it."""
    for shard in shards:
        if shard.reader.size and not len(shard.reader.index):
            return IndexFileError(
                f"{shard.path}: its .idx is empty, which leaves out all records; rebuild it with 'dali-rec index "
                f"{shard.path}'"
            )
    return DatasetError(f"{path}: no records in it")


def _open_rec(path: Path) -> tuple[list[Shard], Manifest | None]:
    """A single .rec file, with the manifest that describes just it, if there is one beside it."""
    manifest = find_manifest(path.with_suffix(".json"))
    entries = () if manifest is None else manifest.shards
    if len(entries) == 1 and entries[0].rec == path.name:
        return [Shard(path, entries[0].records, entries[0].bytes)], manifest
    return [Shard(path)], None


def _common_manifest(parts: Sequence[Dataset]) -> Manifest | None:
    """One manifest for several data sets; None unless all have one.

    Raises DatasetError where those that have one do not agree on what the labels mean.
    """
    manifests = [part.manifest for part in parts if part.manifest is not None]
    if not manifests:
        return None
    total = first = manifests[0]
    for manifest in manifests[1:]:
        theirs, ours = ((one.classes, one.label_classes, one.label_kind) for one in (manifest, first))
        if theirs != ours:
            raise DatasetError(
                f"{parts[0].name} and the others given with it have different classes: their label indices do not mean "
                "the same; 'dali-rec merge' unites them by name"
            )
        total = total.joined(manifest)
    if len(manifests) < len(parts):
        return None
    return dataclasses.replace(total, split=None, options={}, created_by="")
