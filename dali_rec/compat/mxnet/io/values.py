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
    """The value of the parameter ``name`` as its type, ``kind``, has it. Raises ValueError."""
    if kind.endswith("None") and (value is None or str(value) == "None"):
        return None
    if kind == "Any":
        return value
    try:
        return _parser(name, kind)(value)
    except (TypeError, ValueError, SyntaxError, OverflowError):
        raise ValueError(f"{name} is {value!r}: expected {kind.removesuffix(' | None')}") from None


def _parser(name: str, kind: str) -> Callable[[Any], Any]:
    if name == "dtype":
        return lambda given: np.dtype(given).name
    if name == "max_img_size":
        return float  # infinity: no limit
    if kind.startswith("tuple"):
        return _numbers
    parsers: dict[str, Callable[[Any], Any]] = {"bool": _flag, "int": _whole, "float": _finite}
    return parsers.get(kind.removesuffix(" | None"), lambda given: given)


def _numbers(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        value = ast.literal_eval(f"({value.strip('()[] ,')},)")
    return tuple(_whole(number) for number in value)


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
