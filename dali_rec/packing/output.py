"""The files of a packed data set: made in a work folder beside the target, moved to their names when all is done."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from typing import IO, TYPE_CHECKING

from dali_rec._files import fsync_directory, try_lock, write_text_atomically
from dali_rec.errors import DatasetError, OutputExistsError
from dali_rec.manifest import is_manifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dali_rec.manifest import Manifest
    from dali_rec.packing.shard import Rejection


class Output:
    """The names of the files that packing to the prefix ``out`` makes.

    While packing, everything lies in the folder OUT.packing beside them: on the same file system, so that the last step
    is a rename, and in one place, so that a run that was killed leaves nothing else.
    """

    def __init__(self, out: Path) -> None:
        self.prefix = out
        self.directory = out.parent
        self.work = out.with_name(out.name + ".packing")
        self.manifest = out.with_name(out.name + ".json")
        self.list = out.with_name(out.name + ".lst")
        self.rejected = out.with_name(out.name + ".rejected.jsonl")

    @contextlib.contextmanager
    def working(self, shard_names: Iterable[str], *, overwrite: bool) -> Iterator[Path]:
        """Hold the work folder, empty, for this process alone; it is gone afterwards."""
        if not overwrite:
            self._refuse_to_replace(shard_names)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_work_folder()
        with (self.work / "lock").open("wb") as lock:
            self._take(lock)
            for leftover in self.work.iterdir():
                if leftover.name != "lock":
                    _remove(leftover)
            try:
                yield self.work
            finally:
                shutil.rmtree(self.work, ignore_errors=True)

    def _make_work_folder(self) -> None:
        if self.work.is_dir() and any(self.work.iterdir()) and not (self.work / "lock").exists():
            raise OutputExistsError(
                f"{self.work} is needed as a work folder but holds other files; move it or choose another name"
            )
        self.work.mkdir(exist_ok=True)

    def _take(self, lock: IO[bytes]) -> None:
        path = self.work / "lock"
        # The second half: the other process finished, and removed the folder, between our open and our lock.
        if not try_lock(lock) or not path.exists() or not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
            raise OutputExistsError(f"{self.prefix}: another process is packing to it; wait or choose another name")

    def _refuse_to_replace(self, shard_names: Iterable[str]) -> None:
        names = [f"{name}{suffix}" for name in shard_names for suffix in (".rec", ".idx")]
        files = [self.manifest, self.list, *(self.directory / name for name in names)]
        for file in files:
            if file.exists():
                raise OutputExistsError(f"{file} exists already; choose another name or say --overwrite")

    def refuse_to_replace_source(self, source: Path) -> None:
        """Raise OutputExistsError if packing would write over the list that it packs from."""
        for file in (self.manifest, self.list):
            if file.exists() and file.samefile(source):
                raise OutputExistsError(f"{file} would be written over, and is what is being packed; name it otherwise")

    def publish(self, manifest: Manifest, list_text: str, rejections: list[Rejection]) -> None:
        """Move the shards to their names, then the list, then the manifest: where that is, all is there."""
        previous = self._previous_files()
        self.manifest.unlink(missing_ok=True)
        names = [name for shard in manifest.shards for name in (shard.idx, shard.rec)]
        for name in names:
            (self.work / name).replace(self.directory / name)
        for name in previous - set(names):
            (self.directory / name).unlink(missing_ok=True)
        write_text_atomically(self.list, list_text)
        self.write_rejections(rejections)
        fsync_directory(self.directory)
        manifest.write(self.manifest)

    def _previous_files(self) -> set[str]:
        """The shard files of the data set that is being replaced."""
        if not is_manifest(self.manifest):
            return set()
        try:
            shards = read_manifest(self.manifest).shards
        except DatasetError:
            return set()
        # Only plain names: a manifest from elsewhere must not make us delete files elsewhere.
        names = {name for shard in shards for name in (shard.rec, shard.idx)}
        return {name for name in names if "/" not in name and "\\" not in name}

    def write_rejections(self, rejections: list[Rejection]) -> None:
        """Write OUT.rejected.jsonl, one JSON object a line, or remove an old one if nothing was rejected."""
        if not rejections:
            self.rejected.unlink(missing_ok=True)
            return
        lines = (
            json.dumps(
                {
                    "id": rejection.sample.key,
                    "labels": list(rejection.sample.labels),
                    "path": rejection.sample.location,
                    "reason": rejection.reason,
                }
            )
            for rejection in rejections
        )
        write_text_atomically(self.rejected, "".join(line + "\n" for line in lines))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
