"""Images behind URLs: http(s), and s3://, gs:// and whatever else fsspec serves when its package is installed."""

from __future__ import annotations

import functools
import math
import os
import random
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dali_rec.errors import DaliRecError, ImageRejectedError, MissingDependencyError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Answer = TypeVar("_Answer")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 1 << 18
_LONGEST_WAIT = 30.0
_LONGEST_SILENCE = 60.0
_EXTRAS = {
    "s3": 'pip install "dali-rec[s3]"',
    "gs": 'pip install "dali-rec[gcs]"',
    "gcs": 'pip install "dali-rec[gcs]"',
}


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How images are fetched.

    timeout: seconds that one try may take in all. retries: further tries after what may pass (time-outs, broken
    connections, 429 and 5xx), waiting 0.5 s, 1 s, 2 s … in between, or what the server asks for, up to 30 s.
    connections: images fetched at a time. max_bytes: of one image; larger ones are rejected.
    """

    timeout: float = 30.0
    retries: int = 3
    connections: int = 16
    max_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout is {self.timeout}: more than 0 seconds, and a number of them")
        if self.retries < 0:
            raise ValueError(f"retries is {self.retries}: 0 or more")
        if self.connections < 1:
            raise ValueError(f"connections is {self.connections}: at least 1")
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes is {self.max_bytes}: at least 1")


def is_url(location: str) -> bool:
    """Whether a location is a URL, and not a path."""
    return _URL.match(location) is not None


def shown(url: str) -> str:
    """A URL as it may be shown, also a malformed one: without the password and the signature that it can hold."""
    scheme, separator, rest = url.partition("://")
    place = re.split("[?#]", rest, maxsplit=1)[0]
    server, slash, path = place.partition("/")
    return f"{scheme}{separator}{server.rpartition('@')[2]}{slash}{path}"


def check_protocols(locations: Iterable[str], options: FetchOptions) -> bool:
    """Whether any location is a URL; raises where fsspec cannot serve one.

    Raises MissingDependencyError, with what to install, or SourceError for a protocol that nobody knows.
    """
    protocols = {location.partition("://")[0].lower() for location in locations if is_url(location)}
    for protocol in sorted(protocols):
        filesystem_for(protocol, options.timeout)
    return bool(protocols)


def filesystem_of(url: str) -> Any:
    """The fsspec file system to write to ``url`` with.

    Raises MissingDependencyError, with what to install, or SourceError where it cannot be written to.
    """
    protocol = url.partition("://")[0].lower()
    if protocol in ("http", "https"):
        raise SourceError(f"{shown(url)}: web servers cannot be written to; name a folder, s3:// or gs://")
    return filesystem_for(protocol, FetchOptions().timeout)


@functools.lru_cache
def filesystem_for(protocol: str, timeout: float | None) -> Any:
    """The fsspec file system of a protocol; raises as ``check_protocols`` does.

    timeout: seconds that a request to a web server may take in all; None where only silence counts, of a minute.
    """
    import fsspec

    arguments: dict[str, Any] = {}
    if protocol in ("http", "https"):
        import aiohttp

        silence = _LONGEST_SILENCE if timeout is None else None
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=silence, sock_read=silence)
        arguments["client_kwargs"] = {"timeout": limits}
    try:
        return fsspec.filesystem(protocol, **arguments)
    except ImportError as error:
        remedy = _EXTRAS.get(protocol, "install the package that it names")
        raise MissingDependencyError(f"{protocol}:// locations: {error}; {remedy}") from None
    except ValueError as error:
        raise SourceError(f"{protocol}:// locations cannot be read: {error}") from None
    except TypeError as error:  # such as FTP's, which is of one host
        raise SourceError(
            f"{protocol}:// locations cannot be read: {error}, which no URL tells fsspec; fetch the files first"
        ) from None


def _forget_filesystems() -> None:
    """In a forked process: those of its parent have their thread there."""
    filesystem_for.cache_clear()
    if "fsspec.asyn" in sys.modules:
        sys.modules["fsspec.asyn"].reset_lock()  # which fsspec 2024.2 does not do itself


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_filesystems)


def fetch(url: str, options: FetchOptions) -> bytes:
    """The bytes behind ``url``. Raises ImageRejectedError with the reason where they cannot be had."""
    try:
        return persist(lambda: _fetch_once(url, options), url, options.retries)
    except OSError as error:
        raise ImageRejectedError(str(error)) from None


def persist(action: Callable[[], _Answer], url: str, retries: int) -> _Answer:
    """What ``action`` gives, tried again after what may pass; raises as ``wait_or_raise`` does."""
    tries = 0
    while True:
        try:
            return action()
        except DaliRecError:  # noqa: PERF203
            raise
        except Exception as error:  # noqa: BLE001  # each file system has errors of its own
            tries += 1
            wait_or_raise(error, url, tries, retries)


def wait_or_raise(error: Exception, url: str, tries: int, retries: int) -> None:
    """After the try of this number, from 1, failed: wait for the next, if it may help.

    Raises OSError with the reason otherwise; FileNotFoundError or PermissionError where it is that.
    """
    failure = _judge(error, url)
    if not failure.may_pass or tries > retries:
        kind = next((kind for kind in (FileNotFoundError, PermissionError) if isinstance(error, kind)), OSError)
        raise kind(f"{shown(url)}: {failure.reason}" + (f" ({tries} tries)" if tries > 1 else "")) from error
    backoff = 0.5 * 2 ** (tries - 1) * random.uniform(0.75, 1.25)  # noqa: S311
    time.sleep(min(backoff if failure.wait is None else failure.wait, _LONGEST_WAIT))


class _Failure(NamedTuple):
    """Why a try failed, whether another may help, and how many seconds the server asks to wait."""

    reason: str
    may_pass: bool
    wait: float | None = None


def _fetch_once(url: str, options: FetchOptions) -> bytes:
    protocol = url.partition("://")[0].lower()
    filesystem = filesystem_for(protocol, options.timeout)
    if protocol in ("http", "https"):
        from fsspec.asyn import sync

        # Not by filesystem.open, which asks for the size first and takes every failure of that for "not found".
        body: bytes = sync(filesystem.loop, _get, filesystem, url, options)
        return body
    ends = time.monotonic() + options.timeout
    pieces, size = [], 0
    with filesystem.open(url, "rb") as file:
        while piece := file.read(_CHUNK):
            size += len(piece)
            _check_size(url, size, options)
            pieces.append(piece)
            if time.monotonic() > ends:
                raise TimeoutError
    return b"".join(pieces)


async def _get(filesystem: Any, url: str, options: FetchOptions) -> bytes:
    session = await filesystem.set_session()
    pieces, size = [], 0
    async with session.get(url) as response:
        response.raise_for_status()
        async for piece in response.content.iter_chunked(_CHUNK):
            size += len(piece)
            _check_size(url, size, options)
            pieces.append(piece)
    return b"".join(pieces)


def _check_size(url: str, size: int, options: FetchOptions) -> None:
    if size > options.max_bytes:
        raise ImageRejectedError(f"{shown(url)}: more than the {options.max_bytes:,} bytes of --max-bytes")


def _judge(error: Exception, url: str) -> _Failure:
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    if isinstance(error, aiohttp.ClientResponseError):
        after = error.headers.get("Retry-After", "") if error.headers is not None else ""
        is_loop = isinstance(error, aiohttp.TooManyRedirects)
        reason = "redirected again and again" if is_loop else f"HTTP status {error.status}"
        return _Failure(reason, error.status in _PASSING, float(after) if after.isdecimal() else None)
    if isinstance(error, TimeoutError) or type(error).__name__ == "FSTimeoutError":
        return _Failure("timed out", may_pass=True)
    if isinstance(error, (aiohttp.ClientPayloadError, HttpProcessingError)):
        return _Failure("the transfer was cut off", may_pass=True)
    lasting = {
        FileNotFoundError: "not found",
        PermissionError: "no permission to read it",
        aiohttp.InvalidURL: "not a valid URL",
    }
    for kind, reason in lasting.items():
        if isinstance(error, kind):
            return _Failure(reason, may_pass=False)
    text = " ".join(str(error).replace(url, shown(url)).split()) or type(error).__name__
    return _Failure(text[:200], may_pass=isinstance(error, (OSError, aiohttp.ClientError)))
