"""Of YAML just the forms in which YOLO's data.yaml is written: ``[a, b]``, ``- a``, ``0: a``, ``{0: a}`` and ``a``."""

from __future__ import annotations

import ast
import itertools
import re
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

_ITEM = re.compile(r"\s*-\s+(.*)")
_ENTRY = re.compile(r"\s*(\d+)\s*:\s*(.*)")
_FLOW_ITEM = re.compile(r"\s*(?:(\d+)\s*:\s*)?('(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"|[^,'\"\[\]{}][^,\]}]*)\s*(?:,|$)")


def scalars(path: Path, at: int, rest: str, lines: list[str]) -> list[str]:
    """The text, or the list of texts, behind a key on line ``at`` (from 0); none for ``null`` and ``~``."""
    if rest[:1] == "[":
        return list(_flow(path, at, rest, lines).values())
    if rest:
        return [] if rest in ("null", "~") else [_scalar(path, at, rest)]
    below = itertools.takewhile(lambda line: _ITEM.fullmatch(line) or not line.strip(), lines[at + 1 :])
    return list(_block(path, at, "", [*lines[: at + 1], *below]).values())


def numbered_texts(path: Path, at: int, rest: str, lines: list[str]) -> dict[int, str]:
    """The texts by number behind a key on line ``at`` (from 0), of which ``rest`` is what follows it there.

    Raises SourceError, with the line, for other forms.
    """
    return _flow(path, at, rest, lines) if rest[:1] in ("[", "{") else _block(path, at, rest, lines)


def _flow(path: Path, at: int, rest: str, lines: list[str]) -> dict[int, str]:
    """``[a, b]`` or ``{0: a, 1: b}``, which may go on for several lines."""
    closing = "]" if rest[0] == "[" else "}"
    text, number = rest, at
    while not text.endswith(closing):
        number += 1
        if number == len(lines):
            raise SourceError(f"{path}, line {at + 1}: the list of names does not end with {closing}")
        text = f"{text} {lines[number].strip()}".rstrip()
    inside = text[1:-1].strip()
    numbered: dict[int, str] = {}
    place = 0
    while place < len(inside):
        item = _FLOW_ITEM.match(inside, place)
        if item is None:
            raise SourceError(f"{path}, line {at + 1}: cannot read the names from {inside[place : place + 40]!r} on")
        key = int(item[1]) if item[1] and closing == "}" else len(numbered)
        numbered[key] = _scalar(path, at, item[2])
        place = item.end()
    return numbered


def _block(path: Path, at: int, rest: str, lines: list[str]) -> dict[int, str]:
    """A line for each text: ``- a`` or ``0: a``."""
    if rest:
        raise SourceError(f"{path}, line {at + 1}: expected a list of names, found {rest[:40]!r}")
    numbered: dict[int, str] = {}
    for number, line in enumerate(lines[at + 1 :], at + 1):
        if not line.strip():
            continue
        if item := _ITEM.fullmatch(line):
            numbered[len(numbered)] = _scalar(path, number, item[1])
        elif (entry := _ENTRY.fullmatch(line)) and line[0] in " \t":
            if int(entry[1]) in numbered:
                raise SourceError(f"{path}, line {number + 1}: the class {entry[1]} stands twice")
            numbered[int(entry[1])] = _scalar(path, number, entry[2])
        elif line[0] not in " \t":
            break
        else:
            raise SourceError(f"{path}, line {number + 1}: expected '- NAME' or 'NUMBER: NAME', found {line[:40]!r}")
    return numbered


def _scalar(path: Path, number: int, text: str) -> str:
    text = text.strip()
    try:
        if text[:1] == '"':
            text = str(ast.literal_eval(text))  # YAML's escapes in double quotes are near enough to Python's
        elif text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
            text = text[1:-1].replace("''", "'")
    except (ValueError, SyntaxError):
        text = ""
    if not text:
        raise SourceError(f"{path}, line {number + 1}: a name is empty or its quotes do not end")
    return text


def without_comment(line: str) -> str:
    """The line without what stands behind a # that is not within quotes."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and (place == 0 or line[place - 1] in " [{,:"):
            quote = character
        elif character == "#" and (place == 0 or line[place - 1] in " \t"):
            return line[:place].rstrip()
    return line.rstrip()
