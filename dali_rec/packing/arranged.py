"""The data sets that a command makes of packed ones: in a work folder until all is done, then under their names."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec._files import check_space, not_among, require_output_name
from dali_rec._open_files import refuse_open, without_views
from dali_rec._shard_names import without_number
from dali_rec._work_folders import ARRANGING, JOURNAL, LOCK, refuse_half_moved, refuse_other_files
from dali_rec.errors import OutputExistsError
from dali_rec.manifest import replaceable_files
from dali_rec.packing.bad_images import rejections_file
from dali_rec.packing.publication import Moves, Publication, staged_manifest
from dali_rec.packing.store import LocalStore, refuse_loss

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dali_rec._locks import Claim
    from dali_rec.manifest import Manifest

logger = logging.getLogger("dali_rec")


@dataclass(frozen=True, slots=True, repr=False)
class ArrangedSet:
    """One data set that was written."""

    manifest_path: Path
    manifest: Manifest

    def __repr__(self) -> str:
        return f"<ArrangedSet of {self.manifest.in_few_words()}: {self.manifest_path}>"


class ArrangeTarget:
    """The data sets that are made of the prefix ``out``, and the folder OUT.arranging in which they lie until then.

    It is on the same file system, so that the last step is renames; a run that was killed leaves nothing else. One that
    is killed at the last step is finished by the next: see ``Publication``.

    names: of the data sets, one for each of ``splits``, or that of ``out``. beside: further files of each.
    """

    def __init__(self, out: str | os.PathLike[str], splits: Iterable[str] = (), beside: Sequence[str] = ()) -> None:
        self.prefix = require_output_name(out)
        self.names = tuple(f"{self.prefix.name}-{split}" for split in splits) or (self.prefix.name,)
        self._beside = tuple(beside)
        self._store = LocalStore(self.prefix.parent)
        self._folder = self.prefix.name + ARRANGING
        self._journal = f"{self._folder}/{JOURNAL}"
        self._claim: Claim | None = None
        self._checked: tuple[tuple[Path, ...], bool] | None = None

    def clear(self) -> None:
        """Finish what a run was moving to its names when it was interrupted, and remove what others have left.

        Raises OutputExistsError as ``working`` does.
        """
        if self._store.exists(self._folder):
            with self._hold():
                pass

    def check(self, inputs: Iterable[Path], *, overwrite: bool) -> None:
        """Raise OutputExistsError if files of these names are there that must not be replaced.

        ``inputs``, the files that are read, are never replaced; others only if ``overwrite``. Raises PermissionError
        where one of those is open and stays for that.
        """
        self._checked = tuple(inputs), overwrite
        self._check_again()

    def _check_again(self) -> None:
        """Raise OutputExistsError if another process has made such files since ``check``, if that was called."""
        if self._checked is None:
            return
        inputs, overwrite = self._checked
        read = {(status.st_dev, status.st_ino) for path in inputs if path.exists() for status in (path.stat(),)}
        for name in self.names:
            refuse_half_moved(self.prefix.with_name(name))
            present = self._present(name)
            for file in present:
                status = file.lstat() if file.is_symlink() and not file.exists() else file.stat()
                if (status.st_dev, status.st_ino) in read:
                    raise OutputExistsError(f"{file} is what is being read, and would be replaced; choose another name")
                if file.is_dir():
                    raise OutputExistsError(f"{file} is a folder, and is not replaced; choose another name")
            if present and not overwrite:
                raise OutputExistsError(f"{present[0]} exists already; choose another name or say --overwrite")
            refuse_open(present)

    def check_space(self, size: int) -> None:
        """Raise OSError (ENOSPC) if the file system that the output goes to has not so many bytes left."""
        check_space(self.prefix, size)

    def _present(self, name: str) -> list[Path]:
        """Every file that a data set of this name has or would have."""
        folder = self.prefix.parent
        names = {*self._beside, *(f"{name}{suffix}" for suffix in (".json", ".lst", ".rec", ".idx"))}
        names |= replaceable_files(folder / f"{name}.json")
        # By asking for each, as some file systems take X.json for x.json.
        named = [path for path in (folder / one for one in names) if path.exists() or path.is_symlink()]
        shards = [
            entry
            for entry in (folder.iterdir() if folder.is_dir() else ())
            if entry.suffix in (".rec", ".idx") and without_number(entry.stem) == name
        ]
        return sorted({*named, *shards})

    @contextlib.contextmanager
    def working(self) -> Iterator[Path]:
        """Hold the work folder, empty, for this process alone; afterwards it is gone, unless publishing did not end.

        Raises OutputExistsError where another process is writing there, has been since ``check``, or where the folder
        is not one of ours.
        """
        with self._hold() as folder:
            self._check_again()
            yield folder

    @contextlib.contextmanager
    def _hold(self) -> Iterator[Path]:
        store, folder = self._store, self._folder
        refuse_other_files(store.path(folder), store.names(folder))
        store.make_folder(folder)
        with store.lock(f"{folder}/{LOCK}") as is_locked:
            self._claim = is_locked
            if not is_locked:
                raise OutputExistsError(f"{self.prefix}: another process is writing to it; wait or choose another name")
            try:
                if store.exists(self._journal):
                    self._move()
                    logger.warning(
                        "%s: it was made by a run that was interrupted; its files are all there now", self.prefix
                    )
                for leftover in set(store.names(folder)) - {LOCK}:
                    store.remove(f"{folder}/{leftover}")
                    store.remove_folder(f"{folder}/{leftover}")
                with without_views():
                    yield store.directory / folder
            finally:
                self._leave()

    def _leave(self) -> None:
        """Remove the folder, the lock last: from when that is gone the folder may be another process's."""
        if self._is_lost:
            return
        if self._store.exists(self._journal):
            logger.warning(
                "all records are written, and some files are still to be moved from %s; say the command again",
                self._store.path(self._folder),
            )
        else:
            self._store.remove_folder(self._folder, [LOCK])

    @property
    def _is_lost(self) -> bool:
        return self._claim is not None and self._claim.is_lost

    def publish(self, manifests: Sequence[Manifest]) -> tuple[ArrangedSet, ...]:
        """Write the manifest of each data set, and give its files in the work folder their names.

        These are the list, the shards, those ``beside`` them and, if it is there, the list of rejected images. The
        files of data sets that are replaced are gone afterwards. Raises OutputExistsError as ``check`` does, before
        anything is moved.
        """
        self._check_again()
        if self._is_lost:
            raise refuse_loss(str(self.prefix))
        sets = [self._stage(name, manifest) for name, manifest in zip(self.names, manifests, strict=True)]
        self._store.write(self._journal, Publication(tuple(sets)).to_json().encode())
        self._move()
        paths = (self.prefix.with_name(f"{name}.json") for name in self.names)
        return tuple(map(ArrangedSet, paths, manifests))

    def _stage(self, name: str, manifest: Manifest) -> Moves:
        manifest.write(self._store.directory / self._folder / staged_manifest(name))
        files = [f"{name}.lst", *(file for shard in manifest.shards for file in (shard.rec, shard.idx)), *self._beside]
        if self._store.exists(f"{self._folder}/{rejections_file(name)}"):
            files.append(rejections_file(name))
        obsolete = {rejections_file(name), *(path.name for path in self._present(name))}
        return Moves(name, tuple(files), tuple(sorted(not_among(obsolete, [*files, f"{name}.json"]))), grows=False)

    def _move(self) -> None:
        """Move what the journal says, or what is left of it."""
        store = self._store
        Publication.from_json(store.read(self._journal), store.path(self._journal)).finish(store, self._folder)
        store.remove(self._journal)
