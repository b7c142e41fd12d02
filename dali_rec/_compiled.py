"""Numba's decorators, keeping what they compile for later processes, wherever a folder can be written.

Numba's own cache numbers its files and notes the numbers in an index. Processes that begin together, on machines that
share a home folder above all, take the same number for different things, and a later one runs code for another
processor, or for images of another size. And a folder that is full ends the program. Here a file is named by what is
in it, and what cannot be kept is compiled anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

from dali_rec._files import own_partial_path

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger(__name__)
# Of a file that is not there, that may not be read, or that is cut short.
_UNREADABLE = (OSError, EOFError, ValueError, pickle.UnpicklingError)


def compiled(function: Callable[..., Any]) -> Any:
    """A decorator: Numba's njit, without Python's lock and with NumPy's rules for errors."""
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    if hasattr(dispatcher, "py_func"):  # not where NUMBA_DISABLE_JIT is set
        _keep(dispatcher, function)
    return dispatcher


def c_function(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: Numba's cfunc, of this signature."""

    def decorate(function: Callable[..., Any]) -> Any:
        made = CFunc(function, normalize_signature(signature), locals={}, options={})
        _keep(made, function)
        made.compile()
        return made

    return decorate


def _keep(compiler: Any, function: Callable[..., Any]) -> None:
    try:
        compiler._cache = _Cache(function)  # noqa: SLF001  # what its enable_caching() does
    except RuntimeError:
        _tell_once("no folder for it can be written")


@functools.cache
def _tell_once(reason: str) -> None:
    what = "what Numba compiles is not kept, and each process begins with compiling, which takes some seconds"
    _logger.warning("%s (%s); set NUMBA_CACHE_DIR to a folder that can be written", what, reason)


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's, but for the files."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Raises RuntimeError if there is no folder that can be written."""
        super().__init__(function)
        stamp = numba.__version__, self._impl.locator.get_source_stamp()
        self._cache_file = _Files(Path(self.cache_path), self._impl.filename_base, stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for this signature, if it can be."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _tell_once(f"{self.cache_path}: {error.strerror or error}")


class _Files:
    """A file for each key, which says what was compiled, for which processor."""

    def __init__(self, folder: Path, name: str, stamp: tuple[Any, ...]) -> None:
        self._folder, self._name, self._stamp = folder, name, stamp

    def _path(self, key: Any) -> Path:
        return self._folder / f"{self._name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"

    def load(self, key: Any) -> Any:
        """What was kept for the key by this version of the source, or None."""
        try:
            stamp, kept_for, data = pickle.loads(self._path(key).read_bytes())  # noqa: S301  # from a folder of ours
        except _UNREADABLE:
            return None
        return pickle.loads(data) if (stamp, kept_for) == (self._stamp, repr(key)) else None  # noqa: S301

    def save(self, key: Any, data: Any) -> None:
        """Raises OSError where that cannot be."""
        path = self._path(key)
        partial = own_partial_path(path)
        try:
            partial.write_bytes(pickle.dumps((self._stamp, repr(key), dumps(data))))
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
