"""Arrays that are .npy files beside each other, called as images and labels are: x_train.npy and y_train.npy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.arrays.layout import ImageArray, image_shape
from dali_rec.sources.arrays.names import has_images, has_labels, part
from dali_rec.sources.arrays.npy import NpyHeader, read_header, read_values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from dali_rec.sources.tables.columns import TableOptions

NPY_SUFFIX = ".npy"


class NpyArrays:
    """See NamedArrays: these files in a folder, by their names less the extension."""

    def __init__(self, name: str, folder: Path, files: Iterable[str]) -> None:
        self.name = name
        self.folder = folder
        self._files = {npy_stem(file): file for file in files}
        self.names = list(self._files)

    def where(self, name: str) -> str:
        """See NamedArrays."""
        return str(self._path(name))

    def images(self, name: str) -> ImageArray:
        """See NamedArrays."""
        path, header = self._path(name), self._header(name)
        shape = image_shape(str(path), header.dtype, header.shape)
        return ImageArray(path.name, "", header.shape[0], shape, header.length, shape.size)

    def stored(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """See NamedArrays."""
        header = self._header(name)
        return header.dtype, header.shape

    def values(self, name: str) -> NDArray[Any]:
        """See NamedArrays."""
        path = self._path(name)
        with path.open("rb") as file:
            return read_values(str(path), file, read_header(str(path), file, path.stat().st_size))

    def _header(self, name: str) -> NpyHeader:
        path = self._path(name)
        with path.open("rb") as file:
            return read_header(str(path), file, path.stat().st_size)

    def _path(self, name: str) -> Path:
        return self.folder / self._files[name]


def npy_of_folder(folder: Path, files: Iterable[str]) -> NpyArrays:
    """All .npy files of a folder, in which ``files`` are."""
    return NpyArrays(str(folder), folder, sorted(filter(is_npy, files), key=npy_stem))


def npy_beside(path: Path, options: TableOptions) -> NpyArrays:
    """A .npy file of images, and those beside it that may be its labels: of its split, or named in ``options``.

    Raises SourceError where the file is called as one of labels is.
    """
    name = npy_stem(path.name)
    split = part(name)[1]
    beside = {npy_stem(one.name): one.name for one in path.parent.iterdir() if is_npy(one.name)}
    labels = [one for one in sorted(beside) if one in options.labels or (has_labels(one) and part(one)[1] == split)]
    if name in labels and not has_images(name):
        raise SourceError(f"{path}: by its name it holds labels; give the file of the images")
    return NpyArrays(str(path), path.parent, [path.name, *(beside[one] for one in labels if one != name)])


def is_npy(name: str) -> bool:
    """Whether a file is a .npy, by its name."""
    return name.lower().endswith(NPY_SUFFIX)


def npy_stem(name: str) -> str:
    """The name of a .npy file without its extension."""
    return name[: -len(NPY_SUFFIX)]
