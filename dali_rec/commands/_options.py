"""Options of several commands: what is checked, and what is made of their text."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import typer

from dali_rec._sizes import parse_size
from dali_rec.packing.split import parse_shares
from dali_rec.recordio.header import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def seconds_above_zero(value: float) -> float:
    """The value, if it is a time to work with. Raises BadParameter for zero, less, infinity and NaN."""
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g}: expected a number of seconds, more than 0")
    return value


def size(text: str | None) -> str | None:
    """The text, if it is a size such as 1GB. Raises BadParameter otherwise."""
    if text is not None:
        try:
            parse_size(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return text


def expanded(paths: Sequence[Path]) -> list[Path]:
    """The paths, with the files that ``*`` and ``?`` stand for: shells of Windows leave that to the program."""
    found: list[Path] = []
    for path in paths:
        named: list[Path] = []
        if sys.platform == "win32" and ("*" in path.name or "?" in path.name):
            named = sorted(path.parent.glob(path.name.replace("[", "[[]")))
        found += named or [path]
    return found


def parse_split(text: str | None) -> dict[str, float] | None:
    """``train=0.9,val=0.1`` as shares by name."""
    if text is None:
        return None
    try:
        return parse_shares(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--split") from None


def parse_ids(text: str | None) -> list[int] | None:
    """``1,2,3`` as numbers, each an id that a record can have."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal()) or len(part) > 20 or int(part) > MAX_ID:
            raise typer.BadParameter(
                f"{part[:40]!r}: expected whole numbers from 0 to 2^64-1, as in 1,2,3", param_hint="--ids"
            )
    return [int(part) for part in parts]


def parse_device(text: str) -> str | int:
    """``auto``, ``gpu`` or ``cpu`` as it is, and the number of a GPU as a number."""
    return int(text) if text.isdecimal() else text
