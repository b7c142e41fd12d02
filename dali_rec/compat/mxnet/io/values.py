"""Values of parameters as scripts write them: MXNet turns each into text and reads that, so text will do."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUE, _FALSE = ("1", "true"), ("0", "false")


def parse_value(name: str, value: Any, kind: str) -> Any:
    """The value of the parameter ``name``, in the type that the annotation ``kind`` names. Raises ValueError."""
    wanted = kind.removesuffix(" | None")
    if wanted != kind and (value is None or str(value) == "None"):
        return None
    try:
        return _parser(name, wanted)(value)
    except (TypeError, ValueError, SyntaxError, OverflowError):
        raise ValueError(f"{name} is {value!r}: expected {wanted}") from None


def _parser(name: str, kind: str) -> Callable[[Any], Any]:
    if name == "dtype":
        return lambda value: np.dtype(value).name
    if name == "max_img_size":
        return float  # infinity: no limit
    parsers: dict[str, Callable[[Any], Any]] = {
        "bool": _flag,
        "int": _whole,
        "float": _finite,
        "tuple[int, int, int]": lambda value: tuple(map(_whole, _several(value))),
        "tuple[int, ...]": lambda value: tuple(map(_whole, _several(value))),
        "tuple[float, ...]": lambda value: tuple(map(_finite, _several(value))),
    }
    return parsers.get(kind, lambda value: value)


def _several(value: Any) -> Any:
    read = ast.literal_eval(value) if isinstance(value, str) else value
    return read if np.iterable(read) else (read,)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _flag(value: Any) -> bool:
    text = str(value).lower().removesuffix(".0")
    if text not in _TRUE + _FALSE:
        raise ValueError(value)
    return text in _TRUE
