"""Numbers from text, without the underscores that Python itself takes (``2019_1`` is a name), and from options."""

from __future__ import annotations

import contextlib
import operator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_VALUES_AT_ONCE = 65536

_Scalar = TypeVar("_Scalar", bound=np.generic)


def parse_int(text: str) -> int:
    """The whole number that ``text`` is, as ``int`` reads it. Raises ValueError, for underscores as well."""
    return int(_plain(text))


def parse_float(text: str) -> float:
    """The number that ``text`` is, as ``float`` reads it. Raises ValueError, for underscores as well."""
    return float(_plain(text))


def whole_number(name: str, value: Any) -> int:
    """The option ``name`` as a plain int, which JSON takes, of NumPy's as well. Raises ValueError for anything else."""
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError):
            return operator.index(value)
    raise ValueError(f"{name} is {value!r}: expected a whole number")


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 image`` or ``1,000 images``; ``many`` where that is more than an s behind ``one``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def distinct(values: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """What np.unique gives, for millions of ids or rows of which most are different.

    np.unique goes by hashes where they are whole numbers, which then takes far longer than sorting (NumPy 2.4).
    """
    ascending = np.sort(values)
    is_first = np.ones(len(ascending), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    return ascending[is_first]


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Some of the numbers 0…count-1, all of them up to ``most``: the first, the last and those evenly between."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def each(values: NDArray[Any]) -> Iterator[Any]:
    """The values one after another as Python's own, without a list of them all, which takes 40 bytes each."""
    for start in range(0, len(values), _VALUES_AT_ONCE):
        yield from values[start : start + _VALUES_AT_ONCE].tolist()


def _plain(text: str) -> str:
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    return text
