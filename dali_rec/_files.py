"""Atomic files, complete under their own name or not there at all; and reading what is surely a file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import threading
import unicodedata
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dali_rec._disks import fsync, fsync_directory, naming
from dali_rec._open_files import patiently
from dali_rec._sizes import shown_size
from dali_rec.errors import DatasetError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARTIAL_SUFFIX = ".partial"

#: The errors of a disk that is full, a quota that is used up, and a file that is longer than is allowed.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# A pipe would wait for a writer, and a terminal for a key, before anything could be asked about them.
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_MOST_FILES = 1 << 16
_LONGEST_PATH = 259  # of Windows, as it comes
_CHUNK = 1 << 20
_NO_NAME = "Windows has no files of such a name"
_NOT_REGULAR = "not a regular file"
_GONE = "what was written for it has gone, perhaps by another process that is at the same; run it again, alone"
_KEPT = "no permission, or another program has it open"  # Windows says the same of both
_POSITION = threading.Lock()  # of open files, where it cannot be given with a read
# On Windows: what parts folders, and begins drives and streams, wildcards, and devices, whatever their extension.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\/:*?"<>|]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d\xb9\xb2\xb3]) *(\..*)?", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # of which Path leaves one slash; a drive has but one letter


def partial_path(path: Path) -> Path:
    """The temporary name beside ``path`` under which it is written by a process that has a lock."""
    return path.with_name(path.name + PARTIAL_SUFFIX)


def own_partial_path(path: Path) -> Path:
    """A temporary name beside ``path`` that no other process has, nor this one for another file."""
    return partial_path(path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}"))


def allow_many_files() -> None:
    """Let this process have as many files open as it may allow itself: a data set takes one for each of its shards.

    Systems begin with 1,024 for the sake of old programs, which cannot have more.
    """
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(ValueError, OSError):  # macOS, which has another limit behind this one
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def publish(temporary: Path, final: Path) -> None:
    """Give the finished file ``temporary`` its final name, replacing what stood there.

    Raises OSError, which names ``final``, also where the finished file has gone.
    """
    try:
        patiently(lambda: temporary.replace(final))
    except FileExistsError:  # of some that can rename, but not over another file
        final.unlink()
        temporary.replace(final)
    except FileNotFoundError as error:
        raise has_gone(final) from error
    fsync_directory(final.parent)


def has_gone(path: Path) -> FileNotFoundError:
    """The error for a file of which the beginning, or the folder that it is made in, has gone meanwhile."""
    return FileNotFoundError(errno.ENOENT, _GONE, str(path))


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes ``path`` when the block ends well and vanishes when it does not.

    Of several processes that write ``path`` at the same time the one that ends last has written it.
    """
    if sys.platform == "win32" and windows_forbids(path.name):
        raise OSError(errno.EINVAL, _NO_NAME, str(path))
    temporary = own_partial_path(path)
    try:
        with naming_writes(path):
            with temporary.open("xb") as file:
                yield file
                with naming(path):
                    file.flush()
                    fsync(file)
            publish(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing can be removed
            temporary.unlink()
        raise


def check_space(path: Path, size: int) -> None:
    """Raise OSError (ENOSPC) if the file system that ``path`` is to be on says that it has not so many bytes left."""
    place = next(folder for folder in (path.parent, *path.absolute().parents) if folder.is_dir())
    try:
        usage = shutil.disk_usage(place)
    except OSError:  # some in user space cannot be asked
        return
    if usage.total and usage.free < size:  # and of object stores some say that they have nothing at all
        message = f"it needs {shown_size(size)}, and {shown_size(usage.free)} are free there"
        raise OSError(errno.ENOSPC, message, str(path))


def hash_file(path: Path) -> hashlib._Hash:
    """The SHA-256 of a file, to which more can be added."""
    checksum = hashlib.sha256()
    with naming(path), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum.update(chunk)
    return checksum


@contextlib.contextmanager
def naming_writes(path: Path) -> Iterator[None]:
    """Give OSErrors of writing the name of the file: those of a full disk have none, others its temporary name."""
    try:
        yield
    except OSError as error:
        lacks_name = error.errno in NO_ROOM and error.filename is None
        if lacks_name or str(error.filename).endswith(PARTIAL_SUFFIX):
            error.filename = str(path)
            del error.filename2  # where a folder has the name that it was to get
        raise


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; names that are not valid Unicode keep their bytes (surrogateescape)."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def open_regular(path: str | os.PathLike[str]) -> tuple[int, os.stat_result]:
    """Open a file for reading: its descriptor, and its status. Raises OSError for pipes, devices and sockets, too."""
    try:
        descriptor = os.open(path, _READING)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            error.strerror = _NOT_REGULAR
        if sys.platform == "win32" and error.errno == errno.EACCES:
            error.strerror = _NOT_REGULAR if os.path.isdir(path) else _KEPT  # noqa: PTH112
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            error.strerror = _NO_NAME
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NOT_REGULAR, os.fspath(path))
    return descriptor, status


def read_regular(path: str | os.PathLike[str]) -> tuple[bytes, os.stat_result]:
    """All of a file, and its status. Raises OSError as ``open_regular`` does."""
    # Not by open(), which asks the system twice as often: each time Python's lock is let go of, and has to be had back.
    descriptor, status = open_regular(path)
    try:
        data = os.read(descriptor, status.st_size)
        if len(data) < status.st_size or not data:
            data += _rest(descriptor)
    finally:
        os.close(descriptor)
    return data, status


def windows_forbids(name: str) -> bool:
    """Whether Windows takes a name for something else than the file, or the folder, that it is elsewhere."""
    return bool(_FORBIDDEN.search(name) or _DEVICE.fullmatch(name) or name.endswith((" ", ".")))


def too_long(path: str | os.PathLike[str], more: int = 0) -> str:
    """What to say of a path that was not found, if it is longer than those that Windows finds; otherwise nothing.

    more: how many more letters the name may have had, under which the file was looked for.
    """
    if sys.platform == "win32" and len(os.path.abspath(path)) + more > _LONGEST_PATH:  # noqa: PTH100
        return (
            f"; paths of more than {_LONGEST_PATH} letters are found where Windows' LongPathsEnabled is set, or where "
            "they begin with \\\\?\\ and the drive"
        )
    return ""


def unnameable(error: UnicodeEncodeError) -> str:
    """Why no file can be called so, and what to do: told not to use UTF-8, Python goes by the locale."""
    return f"the locale's encoding, {error.encoding}, has not all letters of its name; set PYTHONUTF8=1"


def read_at(descriptor: int, position: int, size: int) -> bytes:
    """So many bytes of an open file from ``position`` on, or what there is; many threads may read at a time."""
    data = _read_once(descriptor, position, size)
    while len(data) < size and (more := _read_once(descriptor, position + len(data), size - len(data))):
        data += more  # Linux gives 2 GB at a time, and network disks what they like
    return data


def _read_once(descriptor: int, position: int, size: int) -> bytes:
    if sys.platform == "win32":
        with _POSITION:
            os.lseek(descriptor, position, os.SEEK_SET)
            return os.read(descriptor, size)
    else:
        return os.pread(descriptor, size, position)


def _rest(descriptor: int) -> bytes:
    """What the system has still to give: of a file that says no size, say."""
    pieces = []
    while piece := os.read(descriptor, _CHUNK):
        pieces.append(piece)
    return b"".join(pieces)


def as_path(path: str | os.PathLike[str]) -> Path:
    """A Path with ``~`` expanded."""
    return Path(path).expanduser()


def is_nameless(path: Path) -> bool:
    """Whether a path is a folder by its form (``.``, ``..``, ``/``, nothing), and no name for files or their prefix."""
    return path.name in ("", "..")


def is_plain(name: str) -> bool:
    """Whether text from elsewhere, as the name of a file, is one in the folder that it is put in, on any system.

    With a colon Windows has a drive before it, and a hidden part of another file behind it.
    """
    return not any(mark in name for mark in "/\\") and not (sys.platform == "win32" and ":" in name)


def folded(name: str) -> str:
    """The same for names that are of one file where capitals, or how a letter got its accent, do not tell apart."""
    return unicodedata.normalize("NFC", name).casefold()


def not_among(names: Iterable[str], kept: Iterable[str]) -> set[str]:
    """Those names that are of none of the files ``kept`` on any file system: on some, x.rec is X.rec."""
    folds = set(map(folded, kept))
    return {name for name in names if folded(name) not in folds}


def as_url(path: Path) -> str | None:
    """The path as the URL that it was meant to be, or None if it is a path: the folder ``s3:`` may be there."""
    text = path.as_posix()  # on Windows Path takes all slashes for its own
    is_url = _URL.match(text) is not None and not Path(path.parts[0]).is_dir()
    return text.replace(":/", "://", 1) if is_url else None


def require_name(path: Path) -> Path:
    """The path, if it is a name for a file or a prefix. Raises DatasetNotFoundError otherwise."""
    if (url := as_url(path)) is not None:
        raise DatasetNotFoundError(
            f"{url}: data sets are read from files of this machine: 'dali-rec fetch {url} FOLDER' brings it here"
        )
    if is_nameless(path):
        raise DatasetNotFoundError(
            f"{path} is no name of a data set; give a prefix, such as {path / 'train'}, a manifest or a .rec file"
        )
    return path


def wrong_output(out: str | os.PathLike[str]) -> str | None:
    """What is wrong with this as the prefix of files to be written, in words, or None."""
    path = as_path(out)
    if is_nameless(path):
        return f"{path}: the output needs a name, such as {path / 'train'}"
    if os.fspath(out).endswith(("/", os.sep)):
        return f"{out} is a folder: the output needs a name, such as {path / 'train'}"
    if sys.platform == "win32" and windows_forbids(f"{path.name}.rec"):
        return f"{path}: {_NO_NAME}"
    if path.suffix in (".rec", ".json"):  # by that name a file is opened, and no data set of this prefix
        return f"{path}: the output is a prefix, to which {path.suffix} is added: say {path.with_suffix('')}"
    return None


def require_local_output(path: Path) -> Path:
    """The path, if it is not a URL. Raises DatasetError otherwise: a folder called s3: would be made."""
    if (url := as_url(path)) is not None:
        raise DatasetError(f"{url}: this is not written to URLs: write to this machine, and copy it there")
    return path


def require_output_name(out: str | os.PathLike[str]) -> Path:
    """The path, if it is a prefix for files to be written. Raises DatasetError otherwise."""
    path = require_local_output(as_path(out))
    wrong = wrong_output(out)
    if wrong is not None:
        raise DatasetError(wrong)
    return path
