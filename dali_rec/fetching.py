"""``fetch``: a packed data set behind a URL, brought to this machine or up to date there.

What comes lies in OUT.fetching/ until all is whole; a fetch that was killed goes on from there. OUT.fetching.lock is
held meanwhile. Files get the time of the manifest there, or without a manifest their own: by that a later fetch knows
them again without reading them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import math
import os
import time
from collections import deque
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from dali_rec._files import (
    as_path,
    as_url,
    check_space,
    fsync_directory,
    hash_file,
    locked,
    naming_writes,
    publish,
    require_output_name,
)
from dali_rec.errors import DatasetError, DatasetNotFoundError, OutputExistsError
from dali_rec.manifest import find_manifest, is_manifest, manifest_in, replaceable_files
from dali_rec.opening import open_dataset
from dali_rec.sources.remote import is_url, shown
from dali_rec.sources.remote_file import RemoteFile, is_http, look_up, read_range, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.pool import AsyncResult
    from pathlib import Path

    from dali_rec.dataset import Dataset
    from dali_rec.manifest import Manifest

logger = logging.getLogger("dali_rec")

_CONNECTIONS = 16  # so many pieces are in memory
_PIECE = 8 << 20


def fetch(
    url: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Bring a packed data set to this machine, and open it; what is here already and whole is not fetched again.

    url: its prefix, manifest or .rec file, on whatever fsspec reads (``s3://``, ``gs://``, ``https://``, …), or a path.
    out: a folder that is there, or ends with a slash; or the prefix that the files get. overwrite: replace a data set
    of this name that was not fetched. progress: called with (bytes done, bytes in all) of what is fetched.

    All processes of a training job may call it: one fetches, the others wait. Files get their names when all have come
    and agree with the checksums in the manifest; without a manifest, sizes and times are compared.

    Raises DatasetNotFoundError, PermissionError, OSError for a transfer that failed or a full disk, DatasetError for
    files that are damaged or change while they are fetched, OutputExistsError, MissingDependencyError.
    """
    source = _Source.of(url)
    is_folder = os.fspath(out).endswith(("/", os.sep)) or as_path(out).is_dir()
    prefix = require_output_name(as_path(out) / source.name if is_folder else as_path(out))
    if not _look(source, prefix).is_here:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with _alone(prefix):
            wanted = _look(source, prefix)  # another process may have fetched it meanwhile
            if not wanted.is_here:
                _bring(wanted, progress, overwrite=overwrite)
    return open_dataset(prefix)


class _Source(NamedTuple):
    """Where a data set is: its folder and name, and a query that goes with every file."""

    folder: str
    name: str
    query: str

    @classmethod
    def of(cls, url: str | os.PathLike[str]) -> _Source:
        text = os.fspath(url)
        if not is_url(text):
            path = as_path(text)
            text = as_url(path) or f"file://{path.absolute()}"
        place, mark, query = text.partition("?") if is_http(text) else (text, "", "")
        folder, _, name = place.rstrip("/").rpartition("/")
        if "://" not in folder:
            raise DatasetNotFoundError(
                f"{shown(text)}: name the data set in it, such as {shown(place).rstrip('/')}/train"
            )
        name = unquote(name) if is_http(text) else name
        return cls(folder, name.removesuffix(".json").removesuffix(".rec"), mark + query)

    def url(self, name: str) -> str:
        return f"{self.folder}/{quote(name) if is_http(self.folder) else name}{self.query}"


class _File(NamedTuple):
    """A file of the data set: its size and checksum as far as they are known, and the time that says it was fetched."""

    path: Path
    url: str
    size: int | None
    sha256: str | None = None
    time: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether the file is here as it was fetched."""
        if not self.path.is_file():
            return False
        status = self.path.stat()
        return status.st_mtime_ns == self.time and self.size in (None, status.st_size)

    @property
    def is_whole(self) -> bool:
        """Whether the file is here, by its checksum if not otherwise."""
        if self.is_known or self.sha256 is None or not self.path.is_file():
            return self.is_known
        return self.path.stat().st_size == self.size and hash_file(self.path).hexdigest() == self.sha256


class _Here(NamedTuple):
    """The manifest that is here, if there is one; its text and time."""

    manifest: Manifest | None = None
    text: bytes | None = None
    time: int | None = None

    @classmethod
    def at(cls, path: Path) -> _Here:
        with contextlib.suppress(DatasetError):  # a damaged one, which is replaced
            manifest = find_manifest(path)
            if manifest is not None:
                return cls(manifest, path.read_bytes(), path.stat().st_mtime_ns)
        return cls()


class _Wanted(NamedTuple):
    """What is to be here. text: of the manifest, None without one. seen: what must not change in the meantime."""

    prefix: Path
    text: bytes | None
    files: list[_File]
    seen: list[RemoteFile]

    @property
    def manifest(self) -> Path:
        return self.prefix.with_name(self.prefix.name + ".json")

    @property
    def work(self) -> Path:
        return self.prefix.with_name(self.prefix.name + ".fetching")

    @property
    def is_here(self) -> bool:
        """Whether it was fetched; a .lst may be missing at the source, too."""
        same = _Here.at(self.manifest).text == self.text
        return same and all(file.is_known for file in self.files if file.path.suffix != ".lst")

    def refuse_to_replace(self, missing: Sequence[_File]) -> None:
        """Raise OutputExistsError if another data set is here that was not fetched."""
        here = _Here.at(self.manifest)
        recs = [] if here.manifest is None else [self.prefix.with_name(shard.rec) for shard in here.manifest.shards]
        was_fetched = all(rec.stat().st_mtime_ns == here.time for rec in recs if rec.exists())
        if here.manifest is not None and (was_fetched or here.text == self.text):
            return
        for path in (self.manifest, *(file.path for file in missing if file.size is not None)):
            if path.exists():
                raise OutputExistsError(
                    f"{path} is here already, and is not what was fetched; choose another name or say --overwrite"
                )

    def refuse_changed(self) -> None:
        """Raise DatasetError if it is no longer what it was."""
        for file in self.seen:
            if look_up(file.url) != file:
                raise DatasetError(f"{shown(file.url)} was changed while it was fetched: fetch what it is now")


def _look(source: _Source, prefix: Path) -> _Wanted:
    """See what there is, and by which time of a file here it is known."""
    found = _look_up_if_any(source.url(f"{source.name}.json"))
    text = b"" if found is None else read_range(found.url, 0, found.size)
    manifest = None if found is None else manifest_in(text, shown(found.url))
    if found is None or manifest is None:
        return _look_without_manifest(source, prefix)
    local = functools.partial(_local, source=source, name_here=prefix.name)
    shards = tuple(replace(one, rec=local(one.rec, ".rec"), idx=local(one.idx, ".idx")) for one in manifest.shards)
    if len({name for shard in shards for name in (shard.rec, shard.idx)}) < 2 * len(shards):
        raise DatasetError(f"{shown(found.url)}: it names a file twice")
    if shards != manifest.shards:
        text = replace(manifest, shards=shards).to_json().encode()
    here = _Here.at(prefix.with_name(prefix.name + ".json"))
    checksums = {} if here.manifest is None else {shard.rec: shard.sha256 for shard in here.manifest.shards}
    lst = _File(prefix.with_name(prefix.name + ".lst"), source.url(source.name + ".lst"), None)
    files = [lst._replace(time=here.time) if here.text == text else lst]
    for there, shard in zip(manifest.shards, shards, strict=True):
        time_here = here.time if checksums.get(shard.rec) == shard.sha256 else None
        rec, idx = prefix.with_name(shard.rec), prefix.with_name(shard.idx)
        files.append(_File(rec, source.url(there.rec), shard.bytes, shard.sha256, time_here))
        files.append(_File(idx, source.url(there.idx), None, None, time_here))
    return _Wanted(prefix, text, files, [found])


def _local(name: str, suffix: str, source: _Source, name_here: str) -> str:
    """What a file that the manifest names is called here."""
    if "/" in name or "\\" in name or not name.endswith(suffix):
        raise DatasetError(f"{shown(source.url(source.name))}.json: it names {name!r}, which is no {suffix} beside it")
    return name_here + name.removeprefix(source.name) if name.startswith(source.name) else name


def _look_without_manifest(source: _Source, prefix: Path) -> _Wanted:
    rec = look_up(source.url(f"{source.name}.rec"))
    if rec is None:
        where = f"neither {source.name}.json nor {source.name}.rec exists"
        raise DatasetNotFoundError(f"{shown(source.url(source.name))}: no data set there: {where}")
    besides = {suffix: _look_up_if_any(source.url(source.name + suffix)) for suffix in (".idx", ".lst")}
    seen = {suffix: one for suffix, one in {".rec": rec, **besides}.items() if one is not None}
    paths = {suffix: prefix.with_name(prefix.name + suffix) for suffix in seen}
    files = [_File(paths[suffix], one.url, one.size, None, one.modified * 10**9) for suffix, one in seen.items()]
    return _Wanted(prefix, None, files, list(seen.values()))


def _look_up_if_any(url: str) -> RemoteFile | None:
    """A file that may be missing; an object store whose files may not be listed says that it is forbidden."""
    try:
        return look_up(url)
    except PermissionError:
        return None


@contextlib.contextmanager
def _alone(prefix: Path) -> Iterator[None]:
    """Hold the lock, having waited for it."""
    path = prefix.with_name(prefix.name + ".fetching")
    path.with_name(path.name + ".lock").touch()  # fails where no file can be made
    with locked(path, seconds=0) as is_held:
        if is_held:
            yield
            return
    logger.warning("%s: waiting for another process that fetches it", prefix)
    with locked(path, math.inf):
        yield


class _Part(NamedTuple):
    """A file that is to come. path: where it is until all is whole."""

    file: _File
    remote: RemoteFile
    path: Path

    @property
    def left(self) -> range:
        """Where the pieces begin that have not come."""
        return range(self.path.stat().st_size if self.path.exists() else 0, self.remote.size, _PIECE)


def _bring(wanted: _Wanted, progress: Callable[[int, int], None] | None, *, overwrite: bool) -> None:
    """Fetch what is missing, and give all files their names and times."""
    began = time.perf_counter()
    # Unlike an executor's, its threads do not hold up an interruption until a slow server has answered.
    with ThreadPool(_CONNECTIONS) as pool:
        is_whole = pool.map(attrgetter("is_whole"), wanted.files, chunksize=1)
        missing = [file for file, whole in zip(wanted.files, is_whole, strict=True) if not whole]
        if not overwrite:
            wanted.refuse_to_replace(missing)
        remotes = pool.map(_look_up_file, missing)
        parts = [_part(wanted, file, one) for file, one in zip(missing, remotes, strict=True) if one is not None]
        _prepare(wanted.work, parts)
        total = sum(part.remote.size - part.left.start for part in parts)
        check_space(wanted.prefix, total)
        for done in _download(wanted, pool, parts):
            if progress is not None:
                progress(done, total)
    wanted.refuse_changed()
    _publish(wanted, missing, parts)
    rate = total / 1e6 / (time.perf_counter() - began)
    logger.info("%s: fetched %d files, %.1f MB, %.1f MB/s", wanted.prefix, len(parts), total / 1e6, rate)


def _look_up_file(file: _File) -> RemoteFile | None:
    if file.path.suffix != ".rec":
        return _look_up_if_any(file.url)
    remote = look_up(file.url)
    if remote is None:
        raise DatasetNotFoundError(f"{shown(file.url)}: not found, and the manifest names it")
    if file.size not in (None, remote.size):
        raise DatasetError(
            f"{shown(file.url)}: {remote.size} bytes, the manifest says {file.size}: it was cut short or replaced there"
        )
    return remote


def _part(wanted: _Wanted, file: _File, remote: RemoteFile) -> _Part:
    version = file.sha256 or f"{remote.size} {remote.modified}"
    return _Part(file, remote, wanted.work / f"{file.path.name}.{hashlib.sha256(version.encode()).hexdigest()[:16]}")


def _prepare(work: Path, parts: Sequence[_Part]) -> None:
    """Make the work folder, and remove from it what is of other versions."""
    work.mkdir(exist_ok=True)
    sizes = {part.path: part.remote.size for part in parts}
    for path in work.glob("*." + "[0-9a-f]" * 16):
        if path.stat().st_size > sizes.get(path, -1):
            path.unlink()


def _download(wanted: _Wanted, pool: ThreadPool, parts: Sequence[_Part]) -> Iterator[int]:
    """Bring the parts to the work folder; gives the number of bytes that have come, now and then."""
    done, ranges = 0, _ahead(pool, parts)
    for part in parts:
        checksum = hash_file(part.path) if part.file.sha256 and part.left.start else hashlib.sha256()
        pieces = (next(ranges).get() for _ in part.left)
        with naming_writes(part.file.path), part.path.open("ab") as file:
            for piece in pieces if part.remote.has_ranges else stream(part.remote, part.left.start):
                file.write(piece)
                checksum.update(piece)
                done += len(piece)
                yield done
            file.flush()
            os.fsync(file.fileno())
        if part.file.sha256 not in (None, checksum.hexdigest()):
            part.path.unlink()
            wanted.refuse_changed()
            raise DatasetError(
                f"{shown(part.remote.url)}: what came has another checksum than the manifest says: fetch it again; if "
                "that does not help, it is damaged there"
            )


def _ahead(pool: ThreadPool, parts: Sequence[_Part]) -> Iterator[AsyncResult[bytes]]:
    """The pieces of all parts in their order; so many as there are connections are under way or waiting."""
    futures: deque[AsyncResult[bytes]] = deque()
    for part in parts:
        for start in part.left if part.remote.has_ranges else ():
            if len(futures) == _CONNECTIONS:
                yield futures.popleft()
            end = min(start + _PIECE, part.remote.size)
            futures.append(pool.apply_async(read_range, (part.remote.url, start, end)))
    yield from futures


def _publish(wanted: _Wanted, missing: Sequence[_File], parts: Sequence[_Part]) -> None:
    """Give what has come its names, the manifest last; what the data set no longer has is gone afterwards."""
    folder, manifest = wanted.prefix.parent, wanted.manifest
    kept = {file.path for file in wanted.files if file not in missing}
    old = {folder / name for name in replaceable_files(manifest)} | {manifest.with_suffix(".lst")}
    is_stale = is_manifest(manifest) and (wanted.text is None or any(part.file.path.exists() for part in parts))
    # An old index beside a new .rec would name other records; without one it is made from the .rec.
    for path in (old | {file.path for file in missing if file.path.suffix != ".rec"}) - kept:
        path.unlink(missing_ok=True)
    if is_stale:
        manifest.unlink()
    for part in parts:
        _stamp(part.path, part.remote.modified)
        part.path.replace(part.file.path)
    fsync_directory(folder)
    if wanted.text is not None:
        staged = wanted.work / "manifest"
        staged.write_bytes(wanted.text)
        for path in (*kept, *(part.file.path for part in parts), staged):
            _stamp(path, wanted.seen[0].modified)
        publish(staged, manifest)
    with contextlib.suppress(OSError):  # somebody's files in it
        wanted.work.rmdir()


def _stamp(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))
