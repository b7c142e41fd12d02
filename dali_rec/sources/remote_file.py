"""Files behind URLs: what there is, a range of it, and all of it, from servers that give no ranges."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec.errors import DatasetError
from dali_rec.sources.remote import filesystem_for, persist, shown, wait_or_raise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_RETRIES = 4
_CHUNK = 1 << 20
_VERSIONS = ("LastModified", "last_modified", "mtime", "created")  # of S3, Azure, Google and files, memory
# Compressed on the way, a text would have another length than the server says.
_AS_IT_IS = {"Accept-Encoding": "identity"}


class RemoteFile(NamedTuple):
    """A file behind a URL. version: when it was written, as the server says it, or its ETag; empty if it says neither.

    has_ranges: whether parts can be asked for.
    """

    url: str
    size: int
    version: str
    has_ranges: bool = True


def is_http(url: str) -> bool:
    """Whether the URL is of a web server."""
    return url.lower().startswith(("http://", "https://"))


def look_up(url: str, *, is_optional: bool = False) -> RemoteFile | None:
    """The file behind a URL, None if there is none.

    is_optional: None also where it is forbidden to read it: so object stores may say that they have no such file.
    Raises PermissionError, DatasetError for a server that does not say how long it is, OSError where nobody can tell.
    """
    try:
        return persist(lambda: _look_up(url), url, _RETRIES)
    except FileNotFoundError:
        return None
    except PermissionError:
        if is_optional:
            return None
        raise


def read_if_any(url: str) -> bytes | None:
    """All bytes of a small file; None if there is none, or none for us. Raises OSError where nobody can tell."""
    try:
        return persist(lambda: _read(url), url, _RETRIES)
    except (FileNotFoundError, PermissionError):
        return None


def read_range(url: str, start: int, end: int) -> bytes:
    """The bytes from ``start`` to ``end``. Raises OSError with the reason where they cannot be had."""
    return persist(lambda: _read_range(url, start, end), url, _RETRIES)


def stream(file: RemoteFile, start: int) -> Iterator[bytes]:
    """The bytes from ``start`` to the end, of a web server that gives whole files only; raises as ``read_range``."""
    tries = 0
    while start < file.size:
        try:
            at = 0
            opened = _filesystem(file.url).open(file.url, block_size=0, size=file.size, headers=_AS_IT_IS)
            with contextlib.closing(opened) as body:
                while piece := body.read(_CHUNK):
                    at += len(piece)
                    if at > start:
                        yield piece[start - at :]
                        start, tries = at, 0
            if start < file.size:
                raise OSError(f"it ended after {at:,} of {file.size:,} bytes")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001, PERF203  # never the reader's own, which do not come in here
            tries += 1
            wait_or_raise(error, file.url, tries, _RETRIES)


def _filesystem(url: str) -> Any:
    return filesystem_for(url.partition("://")[0].lower(), None)


def _look_up(url: str) -> RemoteFile | None:
    filesystem = _filesystem(url)
    if is_http(url):
        from fsspec.asyn import sync

        return sync(filesystem.loop, _ask, filesystem, url)  # type: ignore[no-any-return]
    filesystem.invalidate_cache()
    info = filesystem.info(url)
    version = next((info[name] for name in _VERSIONS if info.get(name)), "")
    return None if info["type"] == "directory" else RemoteFile(url, info["size"], str(version))


def _read(url: str) -> bytes:
    filesystem = _filesystem(url)
    if is_http(url):
        from fsspec.asyn import sync

        return sync(filesystem.loop, _get, filesystem, url)  # type: ignore[no-any-return]
    return filesystem.cat_file(url)  # type: ignore[no-any-return]


def _read_range(url: str, start: int, end: int) -> bytes:
    filesystem = _filesystem(url)
    if is_http(url):
        from fsspec.asyn import sync

        data: bytes = sync(filesystem.loop, _get_range, filesystem, url, start, end)
    else:
        data = filesystem.cat_file(url, start=start, end=end)
    if len(data) != end - start:
        raise OSError(f"it gave {len(data):,} bytes from {start:,} on, where {end - start:,} were asked for")
    return data


async def _ask(filesystem: Any, url: str) -> RemoteFile:
    # Not by HEAD, which addresses that are signed for GET refuse.
    async with _request(filesystem, url, 0, 1) as response:
        has_ranges = response.status != 200
        in_range = response.headers.get("Content-Range", "").rpartition("/")[2]
        size = in_range if has_ranges else response.headers.get("Content-Length", "")
        if not size.isdecimal():
            raise DatasetError(
                f"{shown(url)}: the server does not say how long it is, so nobody could tell whether all has come; "
                "bring the files here by other means, as with curl"
            )
        version = response.headers.get("Last-Modified") or response.headers.get("ETag", "")
        return RemoteFile(url, int(size), version, has_ranges)


async def _get(filesystem: Any, url: str) -> bytes:
    async with _request(filesystem, url) as response:
        data: bytes = await response.read()
        return data


async def _get_range(filesystem: Any, url: str, start: int, end: int) -> bytes:
    async with _request(filesystem, url, start, end) as response:
        response.raise_for_status()
        if response.status == 200 and start:
            raise OSError("the server gives ranges only now and then")
        pieces, left = [], end - start
        while left and (piece := await response.content.read(min(left, _CHUNK))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


@contextlib.asynccontextmanager
async def _request(filesystem: Any, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[Any]:
    session = await filesystem.set_session()
    span = {} if end is None else {"Range": f"bytes={start}-{end - 1}"}
    async with session.get(url, headers={**_AS_IT_IS, **span}) as response:
        if response.status in (404, 410):
            raise FileNotFoundError(shown(url))
        if response.status in (401, 403):
            raise PermissionError(shown(url))
        if response.status != 416:  # there is no first byte: an empty file
            response.raise_for_status()
        yield response
