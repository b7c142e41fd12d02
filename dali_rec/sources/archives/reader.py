"""What is in a .tar or .zip: its headers, read once, as folders of members and the places of these."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from dali_rec._files import open_regular, read_at
from dali_rec._numbers import counted
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.archives.folder import clean_parts
from dali_rec.sources.archives.images import DEAD_LINK, DEFLATED, SPARSE, STORED, place_in_tar, place_in_zip
from dali_rec.sources.archives.tar_headers import DamagedTarError, TarHeaders
from dali_rec.sources.archives.zip_headers import DamagedZipError, SplitZipError, ZipMember, zip_members
from dali_rec.sources.git_lfs import IS_POINTER, is_pointer

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.sources.archives.folder import ArchiveFolder

TAR, ZIP = ".tar", ".zip"
#: How files begin that are compressed as a whole, and what makes of them such that can be read at any place.
_BEGINNINGS = (
    (b"\x1f\x8b", "gunzip -k"),
    (b"\xfd7zXZ\0", "unxz -k"),
    (b"\x28\xb5\x2f\xfd", "unzstd"),
    (b"BZh", "bunzip2 -k"),
)
_COMMANDS = {
    (".tar.gz", ".tgz"): "gunzip -k",
    (".tar.xz", ".txz"): "unxz -k",
    (".tar.zst", ".tzst"): "unzstd",
    (".tar.bz2", ".tbz2", ".tbz"): "bunzip2 -k",
}
_LONGEST_CHAIN = 8  # of links that lead to links


def read_archive(path: Path, folder: ArchiveFolder) -> list[str]:
    """Put the members of an archive into ``folder``; gives what the user should hear.

    A .tar in a .tar is a folder of its name without the extension. Of members of one name the last counts.

    Raises SourceError for what is no archive, is damaged or cut off, or cannot be read at any place.
    """
    members = _Members(folder)
    try:
        descriptor, status = open_regular(path)
        try:
            if is_pointer(read_at(descriptor, 0, 100)):
                raise SourceError(f"{path}: {IS_POINTER}")
            if path.suffix.lower() == ZIP:
                _read_zip(path, descriptor, status.st_size, members)
            else:
                _read_tar(descriptor, (0, status.st_size), members)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    return members.finish()


class _Members:
    """The members of an archive, or of a .tar in it, on their way into a folder."""

    def __init__(self, folder: ArchiveFolder) -> None:
        self._folder = folder
        self._folder_of: dict[str, ArchiveFolder] = {}
        self._links: list[tuple[ArchiveFolder, str, tuple[str, ...]]] = []
        self._repeated = 0
        self._inner: list[_Members] = []
        self.notes: list[str] = []

    def add(self, name: str, place: str) -> None:
        """A file."""
        way, _, last = name.rpartition("/")
        folder = self._at(way)
        if last in ("", ".", ".."):
            return
        self._repeated += last in folder.files
        folder.files[last] = place

    def add_link(self, name: str, link: str, *, is_symbolic: bool) -> None:
        """A link, which leads to a file that may come later."""
        self.add(name, DEAD_LINK)
        way, _, last = name.rpartition("/")
        if is_symbolic:  # as seen from its own folder, and perhaps out of the archive
            link = posixpath.normpath("/".join((*clean_parts(way), link)))
            if link.startswith(("..", "/")):
                return
        self._links.append((self._at(way), last, clean_parts(link)))

    def inner(self, name: str) -> _Members:
        """Where the members of a .tar in this one go."""
        *parts, last = clean_parts(name)
        self._inner.append(_Members(self._folder.at(tuple(parts)).add_archive(last)))
        return self._inner[-1]

    def read(self, name: str, place: str) -> bytes:
        """What is in a file. Raises ImageRejectedError where it is damaged."""
        return self._folder.images.read(f"{self._folder.listed}{name}{place}")

    @property
    def shown(self) -> str:
        """What messages call the archive."""
        return str(self._folder)

    def _at(self, way: str) -> ArchiveFolder:
        if way not in self._folder_of:
            self._folder_of[way] = self._folder.at(clean_parts(way))
        return self._folder_of[way]

    def finish(self) -> list[str]:
        """Lead links to their files; gives what the user should hear."""
        for _ in range(_LONGEST_CHAIN):
            self._links = [one for one in self._links if not self._resolve(*one)]
        for inner in self._inner:
            self.notes += inner.finish()
        if self._repeated:
            count = counted(self._repeated, "member stands", "members stand")
            self.notes.append(f"{self._folder}: {count} there again under the same name: the last counts")
        return self.notes

    def _resolve(self, folder: ArchiveFolder, name: str, target: tuple[str, ...]) -> bool:
        found = self._folder.find_place(target)
        if found in (None, DEAD_LINK):
            return False
        folder.files[name] = found
        return True


def _read_tar(descriptor: int, span: tuple[int, int], members: _Members, *, is_inner: bool = False) -> None:
    shown, (start, end) = members.shown, span
    _refuse_compressed(shown, read_at(descriptor, start, 6), is_inner=is_inner)
    if start == end:
        raise SourceError(f"{shown}: an empty file, which is no .tar")
    headers = TarHeaders(descriptor, start, end)
    try:
        for member in headers:
            if member.link is not None:
                members.add_link(member.name, member.link, is_symbolic=member.is_symbolic)
            elif member.name.lower().endswith(TAR) and not is_inner and not member.is_sparse:
                span = (member.start, member.start + member.size)
                _read_tar(descriptor, span, members.inner(member.name), is_inner=True)
            else:
                members.add(member.name, SPARSE if member.is_sparse else place_in_tar(member.start, member.size))
    except DamagedTarError as error:
        remedy = "get it anew" if is_inner else "get it anew, or write it again"
        raise SourceError(f"{shown}: {error}; {remedy}") from None
    if not headers.has_end:
        members.notes.append(f"{shown}: no mark of its end: it may have been cut off between two members")
    if headers.is_more is not None:
        members.notes.append(
            f"{shown}: its end is before byte {headers.is_more}, and what stands there is passed over: join .tar files "
            "by 'tar --concatenate'"
        )


def _read_zip(path: Path, descriptor: int, size: int, members: _Members) -> None:
    try:
        for member in zip_members(descriptor, size):
            if not member.name.endswith("/"):
                _add_zipped(path, member, members)
    except SplitZipError as error:
        raise SourceError(f"{path}: {error}; 'zip -s 0 {path} --out WHOLE.zip' joins them") from None
    except DamagedZipError as error:
        raise SourceError(
            f"{path}: no .zip, or cut off: its list of members is at its end ({error}); get it anew"
        ) from None


def _add_zipped(path: Path, member: ZipMember, members: _Members) -> None:
    name = member.name
    if member.is_encrypted:
        raise SourceError(f"{path}: {name} is encrypted; unpack the archive with its password, and pack the folder")
    if member.method not in (STORED, DEFLATED):
        raise SourceError(
            f"{path}: {name} is compressed by method {member.method}, which is not read here; unpack the archive"
        )
    name = name.replace("\\", "/") if "/" not in name else name
    place = place_in_zip(member.header, member.stored, member.size, member.checksum)
    if not member.is_link:
        members.add(name, place)
        return
    try:
        link = members.read(name, place)
    except ImageRejectedError as error:
        raise SourceError(f"{path}: {name}: {error}; get it anew") from None
    members.add_link(name, link.decode("utf-8", "surrogateescape"), is_symbolic=True)


def refuse_compressed(path: str) -> None:
    """Raise SourceError for an archive that is compressed as a whole, by its name."""
    for suffixes, command in _COMMANDS.items():
        if path.lower().endswith(suffixes):
            raise _compressed(path, f"'{command} {path}' makes a .tar of it")


def _refuse_compressed(shown: str, beginning: bytes, *, is_inner: bool) -> None:
    for begins, command in _BEGINNINGS:
        if beginning.startswith(begins):
            tool = command.split()[0]
            raise _compressed(shown, "unpack what it is in" if is_inner else f"'{tool} < {shown}' writes a .tar")


def _compressed(shown: str, remedy: str) -> SourceError:
    return SourceError(
        f"{shown}: compressed as a whole, so that no image in it can be read by its place; {remedy}, which can be "
        "packed as it is"
    )
