"""Publishing: the finished files of a job get their names. After a kill at any moment it is repeated to the same end.

When all shards are finished, the list, the rejections and the manifest of each data set are made in the work folder,
too. Then the journal, publishing.json, says what moves. From there on nothing but renames are left, which need neither
the images nor what stood under the names before. Merging, splitting and shuffling end in the same way.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dali_rec._files import is_plain
from dali_rec.errors import DatasetError
from dali_rec.packing.report import ShardReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.packing.store import Store


def staged_manifest(name: str) -> str:
    """What the manifest of a data set is called in the work folder, where job.json is something else."""
    return f"{name}.manifest.json"


@dataclass(frozen=True, slots=True)
class Moves:
    """What gives one data set its files.

    name: of the data set. files: those that move from the work folder, in this order; the manifest follows them.
    obsolete: files that are removed. grows: the data set is appended to, and stays whole all the time.
    """

    name: str
    files: tuple[str, ...]
    obsolete: tuple[str, ...]
    grows: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """Data sets of which all files are finished. ``job``, ``reports``: of packing, its fingerprint and its shards."""

    sets: tuple[Moves, ...]
    job: dict[str, Any] = field(default_factory=dict)
    reports: tuple[ShardReport, ...] = ()

    def to_json(self) -> str:
        """The publication as the text of the journal."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Publication:
        """The publication in the journal ``path``. Raises DatasetError if that holds anything else."""
        try:
            content = json.loads(data)
            sets = tuple(
                Moves(str(one["name"]), tuple(one["files"]), tuple(one["obsolete"]), bool(one["grows"]))
                for one in content["sets"]
            )
            reports = tuple(ShardReport.from_content(one) for one in content["reports"])
            for one in sets:
                _require_plain(one.name, *one.files, *one.obsolete)
            return cls(sets, dict(content["job"]), reports)
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(
                f"{path}: damaged, or of another version of dali-rec ({type(error).__name__}: {error}); remove its "
                "folder and make the data set anew, with --overwrite"
            ) from None

    def _missing(self, store: Store, folder: str) -> Iterator[str]:
        """The files that are neither in the work folder nor under their names."""
        waiting = set(store.names(folder))
        for one in self.sets:
            names = one.files if staged_manifest(one.name) in waiting else (*one.files, f"{one.name}.json")
            yield from (name for name in names if name not in waiting and not store.exists(name))

    def finish(self, store: Store, folder: str) -> None:
        """Move what is still in the work folder, the manifests last: where that of a data set is, all is there.

        At no moment are there manifests of old and of new data sets: of a split in two shares of which one is old, both
        may have the same records. Raises, before anything is moved, DatasetError if a file is gone, and PermissionError
        if one that is replaced is open and stays for that.
        """
        for name in self._missing(store, folder):
            raise DatasetError(
                f"{store.path(name)} was finished, and is neither there nor in {store.path(folder)}: put it back, or "
                "remove that folder and make the data set anew, with --overwrite"
            )
        waiting = set(store.names(folder))
        unfinished = [one for one in self.sets if staged_manifest(one.name) in waiting]
        store.refuse_open(name for one in unfinished for name in (f"{one.name}.json", *one.files, *one.obsolete))
        for one in unfinished:
            if not one.grows:
                store.remove(f"{one.name}.json")
        for one in unfinished:
            # An old index beside a new .rec would name other records; without one it is made from the .rec.
            moving = [name for name in one.files if name in waiting]
            for name in (name for name in moving if name.endswith(".idx")):
                store.remove(name)
            for name in moving:
                store.move(f"{folder}/{name}", name)
            for name in one.obsolete:
                store.remove(name)
        for one in unfinished:
            store.move(f"{folder}/{staged_manifest(one.name)}", f"{one.name}.json")


def _require_plain(*names: str) -> None:
    """A journal from elsewhere must not make us move or delete files elsewhere."""
    for name in names:
        if not is_plain(name):
            raise ValueError(f"{name!r} is no name of a file")
