"""Where packed files go: a folder of this machine's file system, or whatever fsspec reaches (s3://, gs://, …).

Both put a file under its name whole or not at all.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dali_rec._disks import fsync_directory, read_named
from dali_rec._files import (
    PARTIAL_SUFFIX,
    as_path,
    as_url,
    atomic_write,
    hash_file,
    publish,
    wrong_output,
)
from dali_rec._locks import Claim
from dali_rec._open_files import OPEN_FILES_STAY, patiently, refuse_open
from dali_rec._work_folders import is_lock
from dali_rec.errors import OutputExistsError, SourceError
from dali_rec.sources.remote import filesystem_of, is_url

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

_LOCAL = "file://"
# What NFS and FUSE call a file that was removed and is still open.
_REMOVED_WHILE_OPEN = (".nfs", ".fuse_hidden")


class Store(Protocol):
    """A place for files. Names are relative to it, with at most one folder in them."""

    def path(self, name: str) -> str:
        """What the user would call the file."""

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None if it is not there."""

    def sha256(self, name: str) -> str | None:
        """Of a file, in hex; None where to know it would mean to fetch the file."""

    def read(self, name: str) -> bytes:
        """The bytes of a file."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, replacing what stood there."""

    def move(self, name: str, to: str) -> None:
        """Give a file another name, replacing what stood there."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def refuse_open(self, names: Iterable[str]) -> None:
        """Raise PermissionError if one of these files can be neither replaced nor removed because it is open."""

    def names(self, folder: str) -> list[str]:
        """The names, without the folder's, of what lies in a folder."""

    def make_folder(self, folder: str) -> None:
        """Make a folder, if it is not there."""

    def remove_folder(self, folder: str, last: Sequence[str] = ()) -> None:
        """Remove a folder, if it is there: first its other files, then those in ``last``, in that order.

        Files that come while it is being removed stay.
        """

    def lock(self, name: str, *, shared: bool = False) -> contextlib.AbstractContextManager[Claim]:
        """Hold a lock while the block lasts; what it gives is false if another process has it."""

    def scratch(self, folder: str) -> contextlib.AbstractContextManager[Path]:
        """A folder of this machine in which files are made before ``keep``."""

    def keep(self, made: Path, folder: str) -> None:
        """Bring a file from ``scratch`` to ``folder``."""


def open_store(out: str | os.PathLike[str]) -> tuple[Store, str]:
    """The store that a prefix is in, and the prefix's name in it."""
    if isinstance(out, str) and is_url(out) and not out.lower().startswith(_LOCAL):
        protocol, _, place = out.rstrip("/").partition("://")
        bucket, _, name = place.rpartition("/")
        if not bucket or not name or out.endswith("/"):
            example = f"{protocol.removesuffix(':')}://{place.strip('/') or 'bucket'}/train"
            raise SourceError(f"{out}: the output needs a name after the bucket, such as {example}")
        if place.partition("/")[2].startswith("/"):
            raise SourceError(f"{out}: two slashes follow the bucket, where it lists no files: leave one out")
        directory = f"{protocol.lower()}://{bucket}"
        if (wrong := wrong_output(Path(name))) is not None:
            raise SourceError(wrong)
        filesystem_of(directory)  # fails here, before any work, where the package for it is missing
        return RemoteStore(directory), name
    if isinstance(out, str) and out.lower().startswith(_LOCAL):
        out = out[len(_LOCAL) :]
        if sys.platform == "win32" and out[2:3] == ":":
            out = out.removeprefix("/")  # of file:///C:/data/x
    wrong = wrong_output(out)
    if wrong is not None:
        raise SourceError(wrong)
    path = as_path(out)
    if as_url(path) is not None:
        raise SourceError(f"{out}: neither a URL, which has two slashes after the colon, nor in a folder that is there")
    return LocalStore(path.parent), path.name


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A folder. Files are made in its work folder, so that bringing them to their names is a rename."""

    directory: Path

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def exists(self, name: str) -> bool:
        return (self.directory / name).exists()

    def size(self, name: str) -> int | None:
        try:
            return (self.directory / name).stat().st_size
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str | None:
        return hash_file(self.directory / name).hexdigest()

    def read(self, name: str) -> bytes:
        return read_named(self.directory / name)

    def write(self, name: str, data: bytes) -> None:
        # Several machines may write the same file, with the same content.
        with atomic_write(self.directory / name) as file:
            file.write(data)

    def move(self, name: str, to: str) -> None:
        publish(self.directory / name, self.directory / to)

    def remove(self, name: str) -> None:
        path = self.directory / name
        if not path.is_dir() or path.is_symlink():  # a folder is none of our files, whatever a manifest calls a shard
            patiently(lambda: path.unlink(missing_ok=True))

    def refuse_open(self, names: Iterable[str]) -> None:
        refuse_open(self.directory / name for name in names)

    def names(self, folder: str) -> list[str]:
        path = self.directory / folder
        if not path.is_dir():
            return []
        return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(_REMOVED_WHILE_OPEN))

    def make_folder(self, folder: str) -> None:
        (self.directory / folder).mkdir(parents=True, exist_ok=True)

    def remove_folder(self, folder: str, last: Sequence[str] = ()) -> None:
        path = self.directory / folder
        with contextlib.suppress(OSError):
            for name in _in_order(self.names(folder), last):
                if OPEN_FILES_STAY and is_lock(name):
                    _remove_lock(path / name)
                else:
                    self.remove(f"{folder}/{name}")
            path.rmdir()
            fsync_directory(self.directory)

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False) -> Iterator[Claim]:
        path = self.directory / name
        try:
            claim = Claim.ask(path, shared=shared)
        except FileNotFoundError:  # the other process finished, and removed the folder
            yield Claim(path)
            return
        try:
            yield claim
        finally:
            is_removed = claim and not path.exists()
            claim.close()
            if is_removed and path.parent.is_dir() and not self.names(path.parent.name):
                with contextlib.suppress(OSError):
                    path.parent.rmdir()  # it held the open file, under a name of the file system's
            names = self.names(path.parent.name) if OPEN_FILES_STAY else []
            if names and all(map(is_lock, names)):  # what could not be removed while it was open
                for one in names:
                    _remove_lock(path.with_name(one))
                with contextlib.suppress(OSError):  # such as for a lock that is held
                    path.parent.rmdir()

    @contextlib.contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:
        yield self.directory / folder

    def keep(self, made: Path, folder: str) -> None:
        assert made.parent == self.directory / folder


def _remove_lock(path: Path) -> None:
    """Remove a lock where nobody, this process included, holds it; whoever does removes it when letting go of it."""
    with contextlib.suppress(OSError):
        path.unlink()


def _in_order(names: Sequence[str], last: Sequence[str]) -> list[str]:
    """``names``, those that are in ``last`` after the others and in its order."""
    return [name for name in names if name not in last] + [name for name in last if name in names]


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """A folder of an object store. Files are made on this machine, uploaded whole, and have no locks."""

    url: str

    @contextlib.contextmanager
    def _asked_for(self, name: str) -> Iterator[Any]:
        """The file system, to be asked for a file: whatever it raises becomes an OSError that names the file."""
        filesystem = filesystem_of(self.url)
        try:
            yield filesystem
        except Exception as error:
            kind = next((kind for kind in (FileNotFoundError, PermissionError) if isinstance(error, kind)), OSError)
            raise kind(f"{self.path(name)}: {error or type(error).__name__}") from error

    def path(self, name: str) -> str:
        return f"{self.url}/{name}"

    def exists(self, name: str) -> bool:
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        try:
            with self._asked_for(name) as filesystem:
                return int(filesystem.info(self.path(name))["size"] or 0)
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str | None:  # noqa: ARG002  # the service vouches for what it took
        return None

    def read(self, name: str) -> bytes:
        with self._asked_for(name) as filesystem:
            data: bytes = filesystem.cat_file(self.path(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        with self._asked_for(name) as filesystem:
            filesystem.pipe_file(self.path(name), data)

    def move(self, name: str, to: str) -> None:
        from fsspec import AbstractFileSystem

        with self._asked_for(to) as filesystem:
            if type(filesystem).mv is not AbstractFileSystem.mv:  # such as SFTP, which renames
                filesystem.mv(self.path(name), self.path(to))
            else:  # it copies what has such a name, in which ?, * and [ stand for others
                filesystem.cp_file(self.path(name), self.path(to))
                filesystem.rm_file(self.path(name))

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._asked_for(name) as filesystem:
            filesystem.rm_file(self.path(name))

    def refuse_open(self, names: Iterable[str]) -> None:
        """Nothing is ever open there."""

    def names(self, folder: str) -> list[str]:
        try:
            with self._asked_for(folder) as filesystem:
                filesystem.invalidate_cache()
                found = filesystem.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def make_folder(self, folder: str) -> None:
        """Object stores have no folders."""

    def remove_folder(self, folder: str, last: Sequence[str] = ()) -> None:
        for name in _in_order(self.names(folder), last):
            self.remove(f"{folder}/{name}")

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False) -> Iterator[Claim]:  # noqa: ARG002
        yield Claim(Path(), is_held=True)

    @contextlib.contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix=folder.replace("/", "-") + ".") as path:
            yield Path(path)

    def keep(self, made: Path, folder: str) -> None:
        name = f"{folder}/{made.name}"
        with self._asked_for(name) as filesystem:
            filesystem.put_file(str(made), self.path(name))
        made.unlink()


def clear_partials(folder: Path) -> None:
    """Remove what a run that was killed left half-written in a work folder."""
    for path in folder.glob(f"*{PARTIAL_SUFFIX}"):
        path.unlink(missing_ok=True)


def refuse_lock(prefix: str) -> OutputExistsError:
    """The error for an output that another process is at."""
    return OutputExistsError(f"{prefix}: another process is packing to it; wait or choose another name")


def refuse_loss(prefix: str) -> OutputExistsError:
    """The error for an output that another process has begun to write, too, which no lock kept away."""
    return OutputExistsError(
        f"{prefix}: another process has begun to write it, too, and its file system has no locks that keep one "
        "away: nothing was moved to its name by this one; let the other finish, or run one again, alone"
    )
