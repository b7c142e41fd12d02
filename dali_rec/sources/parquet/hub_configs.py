"""The configs in the README.md of a data set of the Hugging Face Hub: which of its files are of which split.

They stand in YAML, as https://huggingface.co/docs/hub/datasets-manual-configuration has it, at the top of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dali_rec.errors import SourceError
from dali_rec.sources.text_lines import text_lines
from dali_rec.sources.yaml_text import parse_yaml, texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FENCE = "---"
_DEFAULT = "default"
_TRUE = ("true", "True")


@dataclass(frozen=True, slots=True)
class HubConfig:
    """A config: its name, whether it is the default, and the patterns of its files by split, "" for no split."""

    name: str
    is_default: bool
    patterns: Mapping[str, tuple[str, ...]]


def read_hub_configs(readme: Path) -> list[HubConfig]:
    """The configs of a README.md, if it has some. Raises SourceError, with the line, for what is no such YAML."""
    lines = text_lines(readme)
    if lines[:1] != [_FENCE] or _FENCE not in lines[1:]:
        return []
    front = parse_yaml(readme, "\n".join(lines[1 : lines.index(_FENCE, 1)]), first_line=2)
    configs = front.get("configs") or []
    return [_config(readme, one) for one in (configs if isinstance(configs, list) else [configs])]


def _config(readme: Path, values: Any) -> HubConfig:
    if not isinstance(values, dict) or len(name := texts(values.get("config_name"))) != 1:
        raise SourceError(f"{readme}: a config has no config_name")
    files, inside = values.get("data_files"), texts(values.get("data_dir"))
    entries = files if isinstance(files, list) else [files]
    if any(isinstance(entry, dict) for entry in entries):
        parts = [(texts(entry.get("split")), texts(entry.get("path"))) for entry in entries if isinstance(entry, dict)]
        if len(parts) < len(entries) or not all(len(split) == 1 for split, _ in parts):
            raise SourceError(f"{readme}: the data_files of the config {name[0]!r} are not all a split and its path")
        found = {split[0]: paths for split, paths in parts}
    else:
        found = {"": texts(files) or ["**"] * len(inside)}
    patterns = {split: tuple("/".join((*inside, path)) for path in paths) for split, paths in found.items()}
    return HubConfig(name[0], name[0] == _DEFAULT or values.get(_DEFAULT) in _TRUE, patterns)
