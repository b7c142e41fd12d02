"""Numbers in text. Python's own also take underscores between digits: ``2019_1`` is a name, and not 20191."""

from __future__ import annotations


def parse_int(text: str) -> int:
    """The whole number that ``text`` is, as ``int`` reads it. Raises ValueError, for underscores as well."""
    return int(_plain(text))


def parse_float(text: str) -> float:
    """The number that ``text`` is, as ``float`` reads it. Raises ValueError, for underscores as well."""
    return float(_plain(text))


def _plain(text: str) -> str:
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    return text
