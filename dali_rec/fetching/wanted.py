"""What is to be fetched: where a data set is, and which files it has there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from dali_rec._files import as_path, as_url, is_plain
from dali_rec._work_folders import JOURNAL, refuse_by_journals
from dali_rec.errors import DatasetError, DatasetNotFoundError
from dali_rec.manifest import manifest_in
from dali_rec.sources.remote import is_url, shown
from dali_rec.sources.remote_file import is_http, look_up, read_if_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dali_rec.manifest import Manifest


class Source(NamedTuple):
    """Where a data set is: its folder and name, and a query that goes with every file."""

    folder: str
    name: str
    query: str

    @classmethod
    def of(cls, url: str | os.PathLike[str]) -> Source:
        """The source behind a prefix, manifest or .rec file. Raises DatasetNotFoundError if it has no name."""
        text = os.fspath(url)
        if not is_url(text):
            path = as_path(text)
            text = as_url(path) or f"file://{path.absolute().as_posix()}"
        protocol, mark, place = text.partition("://")
        text = protocol.lower() + mark + place  # as fsspec knows it
        place, mark, query = text.partition("?") if is_http(text) else (text, "", "")
        folder, _, name = place.rstrip("/").rpartition("/")
        if "://" not in folder:
            raise DatasetNotFoundError(
                f"{shown(text)}: name the data set in it, such as {shown(place).rstrip('/')}/train"
            )
        name = unquote(name) if is_http(text) else name
        return cls(folder, name.removesuffix(".json").removesuffix(".rec"), mark + query)

    def url(self, name: str) -> str:
        """The URL of a file of this name."""
        return f"{self.folder}/{quote(name) if is_http(self.folder) else name}{self.query}"

    def __str__(self) -> str:
        """As it may be shown, without the query."""
        return shown(f"{self.folder}/{self.name}")


class File(NamedTuple):
    """A file of a data set.

    name: here. version: another if the content is another. size, sha256: where they are known beforehand. is_optional:
    a data set is whole without it.
    """

    name: str
    url: str
    version: str
    size: int | None = None
    sha256: str | None = None
    is_optional: bool = True


class Wanted(NamedTuple):
    """The files of a data set, and the manifest as it is to be here; None without one."""

    files: tuple[File, ...]
    manifest: bytes | None = None


def look(source: Source, name: str) -> Wanted:
    """What there is, to be called ``name`` here.

    Raises DatasetNotFoundError, DatasetError for a damaged manifest or a data set that is just being replaced there.
    """
    url = source.url(f"{source.name}.json")
    text = read_if_any(url)
    manifest = None if text is None else manifest_in(text, shown(url))
    if text is None or manifest is None:
        # The manifest goes first and comes last where a data set is replaced.
        refuse_by_journals(str(source), source.name, lambda folder: _json_if_any(source.url(f"{folder}/{JOURNAL}")))
        return Wanted(tuple(_loose(source, name)))
    return _described(source, name, manifest, text)


def _json_if_any(url: str) -> bytes | None:
    """As ``read_if_any``, but for the page that some servers give for whatever they do not have."""
    text = read_if_any(url)
    return text if text is not None and text.lstrip().startswith(b"{") else None


def _described(source: Source, name: str, there: Manifest, text: bytes) -> Wanted:
    """By the manifest, in which the shards of a data set that is renamed have other names."""
    shards = tuple(
        replace(one, rec=_local(source, name, one.rec, ".rec"), idx=_local(source, name, one.idx, ".idx"))
        for one in there.shards
    )
    names = {file for shard in shards for file in (shard.rec, shard.idx)}
    if len(names) < 2 * len(shards):
        raise DatasetError(f"{source}.json: it names a file twice")
    manifest = text if shards == there.shards else replace(there, shards=shards).to_json().encode()
    version = hashlib.sha256(manifest).hexdigest()
    files = [File(f"{name}.lst", source.url(f"{source.name}.lst"), version)]
    if there.options.get("format") == "insightface":
        files.append(File("property", source.url("property"), version))
    for old, new in zip(there.shards, shards, strict=True):
        files.append(File(new.rec, source.url(old.rec), new.sha256, new.bytes, new.sha256, is_optional=False))
        # A repair leaves the .rec as it is, and records out of the index.
        files.append(File(new.idx, source.url(old.idx), f"{new.sha256} {new.records}"))
    return Wanted(tuple(files), manifest)


def _local(source: Source, name: str, file: str, suffix: str) -> str:
    """What a file that the manifest names is called here."""
    if not is_plain(file) or not file.endswith(suffix):
        raise DatasetError(f"{source}.json: it names {file!r}, which is no {suffix} beside it")
    return name + file.removeprefix(source.name) if file.startswith(source.name) else file


def _loose(source: Source, name: str) -> Iterator[File]:
    """Without a manifest, as MXNet and InsightFace have it: what is there under the usual names."""
    for file in (f"{source.name}.rec", f"{source.name}.idx", f"{source.name}.lst", "property"):
        is_optional = not file.endswith(".rec")
        found = look_up(source.url(file), is_optional=is_optional)
        if found is not None:
            here = file if file == "property" else name + file.removeprefix(source.name)
            yield File(here, found.url, f"{found.size} {found.version}", found.size, None, is_optional)
        elif not is_optional:
            where = f"neither {source.name}.json nor {source.name}.rec exists"
            raise DatasetNotFoundError(f"{source}: no data set there: {where}")
