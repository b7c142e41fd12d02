"""The arrays in a .npz, a .zip of .npy files: MedMNIST's, Keras's mnist.npz, and what numpy.savez writes."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.layout import ImageArray, Packed, image_shape
from dali_rec.sources.arrays.npy import NpyHeader, read_header, read_values

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

NPZ_SUFFIX = ".npz"
_NPY = ".npy"
# Of the header that a .zip has before each member: its signature, and the lengths of name and extra field.
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile)


class NpzArrays:
    """See NamedArrays. Raises SourceError for a file that is no .npz, or was cut off."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.folder = path.parent
        self._path = path
        try:
            with zipfile.ZipFile(path) as file:
                members = [one for one in file.infolist() if one.filename.endswith(_NPY)]
        except _DAMAGE as error:
            raise SourceError(
                f"{path}: cannot be read as .npz ({' '.join(str(error).split())}); it was cut off, or is none: get it "
                "anew"
            ) from None
        self._members = {one.filename.removesuffix(_NPY): one for one in members}
        self.names = [*self._members]

    def where(self, name: str) -> str:
        """See NamedArrays."""
        return f"{self._path}, {name}"

    def images(self, name: str) -> ImageArray:
        """See NamedArrays."""
        member, where = self._members[name], self.where(name)
        with self._path.open("rb") as file:
            file.seek(member.header_offset)
            head = file.read(_LOCAL_HEADER.size)
            if len(head) < _LOCAL_HEADER.size or not head.startswith(_SIGNATURE):
                raise SourceError(f"{where}: no member begins at byte {member.header_offset}; get the file anew")
            _, name_length, extra_length = _LOCAL_HEADER.unpack(head)
            start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        header, _ = self._read(name, with_values=False)
        shape = image_shape(where, header.dtype, header.shape)
        packed = None
        first = start + header.length
        if member.compress_type == zipfile.ZIP_DEFLATED:
            packed, first = Packed(start, member.compress_size, -zlib.MAX_WBITS, member.CRC), header.length
        return ImageArray(self._path.name, name, header.shape[0], shape, first, shape.size, packed)

    def stored(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """See NamedArrays."""
        header, _ = self._read(name, with_values=False)
        return header.dtype, header.shape

    def values(self, name: str) -> NDArray[Any]:
        """See NamedArrays."""
        values = self._read(name, with_values=True)[1]
        assert values is not None
        return values

    def _read(self, name: str, *, with_values: bool) -> tuple[NpyHeader, NDArray[Any] | None]:
        member, where = self._members[name], self.where(name)
        if member.compress_type not in _METHODS:
            raise SourceError(f"{where}: compressed in a way that NumPy does not write; save it by numpy.savez")
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as opened:
                file: IO[bytes] = opened
                header = read_header(where, file, member.file_size)
                return header, read_values(where, file, header) if with_values else None
        except SourceError:
            raise
        except _DAMAGE as error:
            raise SourceError(f"{where}: cannot be read ({' '.join(str(error).split())}); get it anew") from None
