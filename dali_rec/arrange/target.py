"""The files of an arranged data set: made in a work folder beside the target, moved to their names when all is done."""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING

from dali_rec._files import check_space, fsync_directory, is_at, publish, require_output_name, try_lock
from dali_rec._shard_names import without_number
from dali_rec.errors import OutputExistsError
from dali_rec.manifest import replaceable_files
from dali_rec.packing.bad_images import rejections_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class Target:
    """The prefix ``out``, and the folder OUT.arranging in which everything lies until it is done.

    It is on the same file system, so that the last step is a rename; a run that was killed leaves nothing else.
    """

    def __init__(self, out: Path) -> None:
        self.prefix = require_output_name(out)
        self.directory = out.parent
        self.work = out.with_name(out.name + ".arranging")
        self.manifest = out.with_name(out.name + ".json")
        self.list = out.with_name(out.name + ".lst")
        self._checked: tuple[tuple[Path, ...], bool] | None = None

    def check(self, inputs: Iterable[Path], *, overwrite: bool) -> None:
        """Raise OutputExistsError if files of this name are there that must not be replaced.

        ``inputs``, the files that are read, are never replaced; others only if ``overwrite``.
        """
        inputs = tuple(inputs)
        self._checked = (inputs, overwrite)
        present = self._present()
        read = {(status.st_dev, status.st_ino): path for path in inputs if path.exists() for status in (path.stat(),)}
        for file in present:
            status = file.lstat() if file.is_symlink() and not file.exists() else file.stat()
            if (status.st_dev, status.st_ino) in read:
                raise OutputExistsError(f"{file} is what is being read, and would be replaced; choose another name")
        if present and not overwrite:
            raise OutputExistsError(f"{present[0]} exists already; choose another name or say --overwrite")

    def check_again(self) -> None:
        """Raise OutputExistsError if another process has made such files since ``check``, if that was called."""
        if self._checked is not None:
            inputs, overwrite = self._checked
            self.check(inputs, overwrite=overwrite)

    def check_space(self, size: int) -> None:
        """Raise OSError (ENOSPC) if the file system that the output goes to has not so many bytes left."""
        check_space(self.prefix, size)

    def _present(self) -> list[Path]:
        """Every file that a data set under this prefix has or would have."""
        name = self.prefix.name
        names = {self.manifest.name, self.list.name, f"{name}.rec", f"{name}.idx", *replaceable_files(self.manifest)}
        if not self.directory.is_dir():
            return []
        return sorted(
            entry
            for entry in self.directory.iterdir()
            if entry.name in names or (entry.suffix in (".rec", ".idx") and without_number(entry.stem) == name)
        )

    @contextlib.contextmanager
    def working(self) -> Iterator[Path]:
        """Hold the work folder, empty, for this process alone; it is gone afterwards.

        Raises OutputExistsError where another process is writing there, has been since ``check``, or where the folder
        is not one of ours.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.work.is_dir() and any(self.work.iterdir()) and not (self.work / "lock").exists():
            raise OutputExistsError(
                f"{self.work} is needed as a work folder but holds other files; move it or choose another name"
            )
        self.work.mkdir(exist_ok=True)
        with self._open_lock() as lock:
            self._take(lock)
            try:
                for leftover in self.work.iterdir():
                    if leftover.name != "lock":
                        leftover.unlink()
                self.check_again()
                yield self.work
            finally:
                self._remove()

    def _open_lock(self) -> IO[bytes]:
        try:
            return (self.work / "lock").open("wb")
        except FileNotFoundError:  # the other process finished, and removed the folder
            raise self._refusal() from None

    def _remove(self) -> None:
        """Remove the folder, the lock last: from when that is gone the folder may be another process's."""
        with contextlib.suppress(OSError):  # such as, on Windows, a lock that is held
            for path in sorted(self.work.iterdir(), key=lambda path: path.name == "lock"):
                path.unlink()
            self.work.rmdir()

    def _take(self, lock: IO[bytes]) -> None:
        path = self.work / "lock"
        # The second half: the other process finished, and removed the folder, between our open and our lock.
        if not try_lock(lock) or not is_at(lock, path):
            raise self._refusal()

    def _refusal(self) -> OutputExistsError:
        return OutputExistsError(f"{self.prefix}: another process is writing to it; wait or choose another name")

    def publish(self, finished: dict[str, Path]) -> None:
        """Give the finished files their names (name: where it is now), the manifest last: where that is, all is there.

        The files of a data set that is replaced are gone afterwards.
        """
        previous = {path.name for path in self._present()}
        if previous:
            previous.add(rejections_file(self.prefix.name))
        self.manifest.unlink(missing_ok=True)
        # An old index beside a new .rec would name other records; without one it is made from the .rec.
        for name in finished:
            if name.endswith(".idx"):
                (self.directory / name).unlink(missing_ok=True)
        for name, file in finished.items():
            if name != self.manifest.name:
                file.replace(self.directory / name)
        for name in previous - set(finished):
            (self.directory / name).unlink(missing_ok=True)
        fsync_directory(self.directory)
        publish(finished[self.manifest.name], self.manifest)
