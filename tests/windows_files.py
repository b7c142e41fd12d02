"""Files as Windows has them, on Linux: as long as this process has one open, it is not removed, renamed or replaced."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dali_rec import _open_files
from dali_rec.packing import store


def is_open(path: Path) -> bool:
    """Whether this process has the file open, or mapped."""
    try:
        status = path.lstat()
    except OSError:
        return False
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # of the listing itself
            if os.path.samestat(status, descriptor.stat()):
                return True
    maps = Path("/proc/self/maps").read_text(errors="surrogateescape")
    return f" {os.path.realpath(path)}\n" in maps


def _careful(change: Callable[..., Any]) -> Callable[..., Any]:
    """A change to one name, or two, that fails where a file of that name is open."""

    def changed(*names: Any, dir_fd: int | None = None, **options: Any) -> Any:
        folder = Path() if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}")
        for name in names:
            if isinstance(name, (str, os.PathLike)) and is_open(folder / name):
                raise PermissionError(errno.EACCES, "open in this process, as Windows does not allow", os.fspath(name))
        return change(*names, **options) if dir_fd is None else change(*names, dir_fd=dir_fd, **options)

    return changed


def let_open_files_stay(patch: pytest.MonkeyPatch) -> None:
    """From here on nothing that this process has open is removed, renamed or replaced, and dali_rec knows."""
    patch.setattr(_open_files, "OPEN_FILES_STAY", True)
    patch.setattr(store, "OPEN_FILES_STAY", True)
    for name in ("unlink", "remove", "rename", "replace"):
        patch.setattr(os, name, _careful(getattr(os, name)))
        if name != "remove":  # Python 3.10 has its own references to those of os
            patch.setattr(Path, name, _careful(getattr(Path, name)))
