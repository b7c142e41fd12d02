"""The data set of this machine: what of it is here, what must not be replaced, and how files get their names."""

from __future__ import annotations

import functools
import json
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING

from dali_rec._disks import fsync_directory
from dali_rec._files import atomic_write, hash_file, write_text_atomically
from dali_rec._open_files import patiently, refuse_open
from dali_rec._work_folders import FETCHING, JOB, JOURNAL, refuse_half_moved, refuse_other_files
from dali_rec.errors import OutputExistsError
from dali_rec.fetching.record import Entry, Record, state
from dali_rec.manifest import is_manifest, replaceable_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dali_rec.fetching.wanted import File, Wanted


class Target:
    """The data set ``prefix``, from ``source``. work: the folder in which its files lie until all have come."""

    def __init__(self, prefix: Path, source: str) -> None:
        self.prefix, self._folder, self._source = prefix, prefix.parent, source
        self._manifest, self._record, self.work = (
            prefix.with_name(prefix.name + suffix) for suffix in (".json", ".fetched", FETCHING)
        )

    def has(self, wanted: Wanted) -> bool:
        """Whether all of it is here as it was fetched, and nothing is left to be done."""
        record = Record.read(self._record)
        return (
            not self.work.exists()
            and self._read_manifest() == wanted.manifest
            and all(record.knows(self._folder / file.name, file.version) for file in wanted.files)
        )

    def _read_manifest(self) -> bytes | None:
        return self._manifest.read_bytes() if is_manifest(self._manifest) else None

    def prepare(self, wanted: Wanted, *, overwrite: bool) -> list[File]:
        """Make the work folder, without what is of other versions. Gives the files that are not here.

        Raises OutputExistsError if another data set is here, unless ``overwrite``.
        """
        missing = self._missing(wanted)
        refuse_open(self._replaced(wanted, missing, overwrite=overwrite))
        self.work.mkdir(exist_ok=True)
        paths = list(self.work.iterdir())
        refuse_other_files(str(self.work), [path.name for path in paths])
        begun = Record.read(self.work / JOB).files
        versions: dict[str, Entry] = {file.name: [file.version] for file in missing}
        # Of a file without a known size nobody could tell whether its end belongs to its beginning.
        going_on = {file.name for file in missing if file.size is not None}
        for path in paths:
            is_begun = path.name in going_on and begun.get(path.name) == versions[path.name]
            if path.name not in (JOB, JOURNAL) and not is_begun:
                path.unlink()
        Record(self._source, versions).write(self.work / JOB)
        return missing

    def _missing(self, wanted: Wanted) -> list[File]:
        record = Record.read(self._record)

        def is_here(file: File) -> bool:
            path = self._folder / file.name
            if record.knows(path, file.version):
                return True
            if file.sha256 is None or state(path)[:1] != [file.size]:
                return False
            return hash_file(path).hexdigest() == file.sha256  # a copy that was made by other means

        with ThreadPool() as pool:
            here = pool.map(is_here, wanted.files, chunksize=1)
        return [file for file, is_known in zip(wanted.files, here, strict=True) if not is_known]

    def _replaced(self, wanted: Wanted, missing: Sequence[File], *, overwrite: bool) -> list[Path]:
        """The files that are to go, the manifest first: old ones, and those in the place of which others come.

        Raises OutputExistsError if they are of a data set that was not fetched from there, unless ``overwrite``, and
        DatasetError if another command is just moving such files.
        """
        refuse_half_moved(self.prefix, own=self.work.name)
        here, name = self._read_manifest(), self.prefix.name
        old = {f"{name}.rec", f"{name}.idx"} if here is None else replaceable_files(self._manifest)
        old = (old | {f"{name}.lst"}).difference(file.name for file in wanted.files)
        paths = [self._folder / one for one in sorted(old.union(file.name for file in missing))]
        if here is not None or wanted.manifest is not None:
            paths.insert(0, self._manifest)
        replaced = [path for path in paths if path.exists()]
        for path in replaced:
            if path.is_dir():
                raise OutputExistsError(f"{path} is a folder, and is not replaced; choose another name")
        is_same = here is not None and here == wanted.manifest
        if not replaced or overwrite or is_same or (self.work / JOURNAL).exists():
            return replaced
        record = Record.read(self._record)
        head = self.prefix.with_name(f"{name}.rec") if here is None else self._manifest
        if record.source != self._source or not record.has(head):
            raise OutputExistsError(
                f"{replaced[0]} is here already, and is not what was fetched from {self._source}; choose another name "
                "or say --overwrite"
            )
        return replaced

    def publish(self, wanted: Wanted, missing: Sequence[File], *, overwrite: bool) -> None:
        """Give what has come its names, the manifest last, and remove what the data set no longer has.

        From when the journal is there to when the manifest is, nobody takes the files for a data set; after a kill
        another fetch ends the same. Raises as ``prepare``: others may have made a data set meanwhile.
        """
        replaced = self._replaced(wanted, missing, overwrite=overwrite)
        refuse_open(replaced)
        entries: dict[str, Entry] = {}
        coming = {file.name for file in missing}
        for one in wanted.files:
            place = self.work if one.name in coming else self._folder
            entries[one.name] = [one.version, *state(place / one.name)]
        moving = [one.name for one in missing if (self.work / one.name).exists()]
        if wanted.manifest is not None:
            staged = self.work / self._manifest.name
            with atomic_write(staged) as file:
                file.write(wanted.manifest)
            entries[staged.name] = ["", *state(staged)]
            moving.append(staged.name)
        # Before the others, which would not be known otherwise.
        moving.insert(0, self._record.name)
        Record(self._source, entries).write(self.work / self._record.name)
        write_text_atomically(self.work / JOURNAL, json.dumps({"sets": [{"name": self.prefix.name}]}))
        for path in replaced:
            patiently(path.unlink)
        for name in moving:
            patiently(functools.partial((self.work / name).replace, self._folder / name))
        fsync_directory(self._folder)
        for name in (JOURNAL, JOB):
            (self.work / name).unlink()
        self.work.rmdir()
