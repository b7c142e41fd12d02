"""The configs in the README.md of a data set of the Hugging Face Hub: which of its files are of which split.

They stand in YAML, as https://huggingface.co/docs/hub/datasets-manual-configuration has it, at the top of the file.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec.errors import SourceError
from dali_rec.sources.detection.yaml_forms import scalars, without_comment
from dali_rec.sources.text_lines import text_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FENCE = "---"
_CONFIGS = re.compile(r"configs\s*:")
_ENTRY = re.compile(r"('[^']*'|\"[^\"]*\"|[\w.-]+)\s*:(?:\s+(.*))?")
_ITEM = re.compile(r"-(?:\s+(.*))?")
_DEFAULT = "default"
_TRUE = (["true"], ["True"])


@dataclass(frozen=True, slots=True)
class HubConfig:
    """A config: its name, whether it is the default, and the patterns of its files by split, "" for no split."""

    name: str
    is_default: bool
    patterns: Mapping[str, tuple[str, ...]]


def read_hub_configs(readme: Path) -> list[HubConfig]:
    """The configs of a README.md, if it has some. Raises SourceError, with the line, for what is no such YAML."""
    lines = [without_comment(line) for line in text_lines(readme)]
    if lines[:1] != [_FENCE] or _FENCE not in lines[1:]:
        return []
    lines = lines[: lines.index(_FENCE, 1)]
    first = next((number for number, line in enumerate(lines) if _CONFIGS.fullmatch(line)), len(lines))
    block = [
        _Line(number, len(text) - len(text.lstrip()), text.strip())
        for number, text in enumerate(lines[first + 1 :], first + 1)
    ]
    inside = itertools.takewhile(lambda line: line.indent or not line.text or _ITEM.fullmatch(line.text), block)
    parser = _Parser(readme, lines, [line for line in inside if line.text])
    return [_config(readme, one) for one in parser.all()]


def _config(readme: Path, values: Any) -> HubConfig:
    if not isinstance(values, dict) or len(name := _texts(values.get("config_name"))) != 1:
        raise SourceError(f"{readme}: a config has no config_name")
    files, inside = values.get("data_files"), _texts(values.get("data_dir"))
    entries = files if isinstance(files, list) else [files]
    if any(isinstance(entry, dict) for entry in entries):
        parts = [
            (_texts(entry.get("split")), _texts(entry.get("path"))) for entry in entries if isinstance(entry, dict)
        ]
        if len(parts) < len(entries) or not all(len(split) == 1 for split, _ in parts):
            raise SourceError(f"{readme}: the data_files of the config {name[0]!r} are not all a split and its path")
        found = {split[0]: paths for split, paths in parts}
    else:
        found = {"": _texts(files) or ["**"] * len(inside)}
    patterns = {split: tuple("/".join((*inside, path)) for path in paths) for split, paths in found.items()}
    return HubConfig(name[0], name[0] == _DEFAULT or _texts(values.get(_DEFAULT)) in _TRUE, patterns)


def _texts(value: Any) -> list[str]:
    """The texts in a value, one or several."""
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


class _Line(NamedTuple):
    """A line: its number from 0, how far it is indented, and what stands there."""

    number: int
    indent: int
    text: str


class _Parser:
    """Lists and mappings in blocks, with texts and lists in brackets in them: so much of YAML do configs need."""

    def __init__(self, path: Path, lines: list[str], block: list[_Line]) -> None:
        self._path = path
        self._lines = lines
        self._block = block
        self._at = 0

    def all(self) -> list[Any]:
        """What stands in the block, which is a list."""
        values = self._node() if self._block else []
        if self._at < len(self._block) or not isinstance(values, list):
            raise self._unexpected()
        return values

    def _node(self) -> Any:
        return self._items() if _ITEM.fullmatch(self._block[self._at].text) else self._entries()

    def _items(self) -> list[Any]:
        indent, items = self._block[self._at].indent, []
        while (line := self._line(indent)) is not None and (item := _ITEM.fullmatch(line.text)):
            rest = item[1] or ""
            if _ENTRY.fullmatch(rest):  # a mapping that begins on the line of its dash
                self._block[self._at] = _Line(line.number, indent + item.start(1), rest)
                items.append(self._entries())
            else:
                items.append(self._value(line, rest))
        return items

    def _entries(self) -> dict[str, Any]:
        indent, entries = self._block[self._at].indent, dict[str, Any]()
        while (line := self._line(indent)) is not None and (entry := _ENTRY.fullmatch(line.text)):
            entries[entry[1].strip("'\"")] = self._value(line, entry[2] or "")
        if not entries:
            raise self._unexpected()
        return entries

    def _value(self, line: _Line, rest: str) -> Any:
        """What stands behind a key or a dash, or below it."""
        self._at += 1
        if rest:
            return scalars(self._path, line.number, rest, self._lines)
        below = self._block[self._at] if self._at < len(self._block) else None
        is_list_of_key = below is not None and below.indent == line.indent and _ITEM.fullmatch(below.text)
        return self._node() if below is not None and (below.indent > line.indent or is_list_of_key) else None

    def _line(self, indent: int) -> _Line | None:
        """The next line if it is indented so far."""
        line = self._block[self._at] if self._at < len(self._block) else None
        return line if line is not None and line.indent == indent else None

    def _unexpected(self) -> SourceError:
        line = self._block[min(self._at, len(self._block) - 1)]
        return SourceError(
            f"{self._path}, line {line.number + 1}: expected KEY: VALUE or - ITEM, found {line.text[:40]!r}"
        )
