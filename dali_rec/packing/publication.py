"""Publishing: the finished files of a job get their names. After a kill at any moment it is repeated to the same end.

When all shards are finished, the list, the rejections and the manifest of each data set are made in the work folder,
too. Then the journal, publishing.json, says what moves. From there on nothing but renames are left, which need neither
the images nor what stood under the names before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dali_rec.errors import DatasetError
from dali_rec.packing.report import ShardReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.packing.store import Store

#: In the work folder, from when nothing but moving is left until all is done.
JOURNAL = "publishing.json"


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
    """A job whose shards are all finished. ``job``: its fingerprint. ``reports``: of all its shards."""

    job: dict[str, Any]
    sets: tuple[Moves, ...]
    reports: tuple[ShardReport, ...]

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
            return cls(dict(content["job"]), sets, reports)
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(
                f"{path}: damaged, or of another version of dali-rec ({type(error).__name__}: {error}); remove its "
                "folder and pack anew with --overwrite"
            ) from None

    def missing(self, store: Store, folder: str) -> Iterator[str]:
        """The files that are neither in the work folder nor under their names."""
        waiting = set(store.names(folder))
        for one in self.sets:
            names = one.files if staged_manifest(one.name) in waiting else (*one.files, f"{one.name}.json")
            yield from (name for name in names if name not in waiting and not store.exists(name))

    def finish(self, store: Store, folder: str) -> None:
        """Move what is still in the work folder, the manifest of each data set last: where that is, all is there."""
        waiting = set(store.names(folder))
        for one in self.sets:
            manifest = staged_manifest(one.name)
            if manifest not in waiting:
                continue  # the whole data set has moved
            if not one.grows:
                store.remove(f"{one.name}.json")
            # An old index beside a new .rec would name other records; without one it is made from the .rec.
            for name in one.files:
                if name in waiting and name.endswith(".idx"):
                    store.remove(name)
            for name in one.files:
                if name in waiting:
                    store.move(f"{folder}/{name}", name)
            for name in one.obsolete:
                store.remove(name)
            store.move(f"{folder}/{manifest}", f"{one.name}.json")
