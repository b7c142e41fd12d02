"""What Hugging Face's ``datasets`` writes beside Arrow files: which are a data set, of which splits, with what columns.

``Dataset.save_to_disk`` writes state.json and dataset_info.json into the folder of the files, ``DatasetDict`` a
dataset_dict.json above the folders of its splits. In the cache of ``load_dataset`` a dataset_info.json lies beside
NAME-SPLIT.arrow, or NAME-SPLIT-00000-of-00002.arrow, and beside what ``map`` and the like have kept there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dali_rec._files import is_plain
from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

STATE, DICT, _INFO = "state.json", "dataset_dict.json", "dataset_info.json"
_FILES = "_data_files"
_IN_CACHE = re.compile(r".+?-(\w+(?:\.\w+)*?)(?:-\d{5}-of-\d{5})?\.arrow")
_ANEW = "load it with the version of datasets that wrote it, and save it after flatten_indices()"


@dataclass(frozen=True, slots=True)
class Beside:
    """What is said of the files of a folder: the features of their columns, and which of these are shown, None: all."""

    features: Mapping[str, Any] = field(default_factory=dict)
    columns: frozenset[str] | None = None
    notes: tuple[str, ...] = ()


def read_beside(folder: Path) -> Beside:
    """What is said of the Arrow files of a folder. Raises SourceError for what is no JSON, and as ``_state`` does."""
    features = (_read(folder / _INFO) or {}).get("features")
    state = _state(folder) or {}
    shown = state.get("_format_columns")
    if not isinstance(shown, list) or state.get("_output_all_columns"):
        return Beside(features if isinstance(features, dict) else {})
    note = f"{folder / STATE}: only the columns {', '.join(map(repr, shown))} are shown, as set_format has it"
    return Beside(features if isinstance(features, dict) else {}, frozenset(map(str, shown)), (note,))


def find_saved(folder: Path, files: Iterable[str]) -> list[tuple[str, str]] | None:
    """Of Arrow files below a folder those that are a data set, in its order, with their splits, "" for none.

    None where nothing says it. Raises SourceError where one is not there, and as ``_state`` does.
    """
    splits = (_read(folder / DICT) or {}).get("splits")
    if isinstance(splits, list):
        return [(file, split) for split in map(str, splits) for file in _files_of_split(folder, split)]
    there: dict[str, list[str]] = {}
    for file in files:
        place, _, name = file.rpartition("/")
        there.setdefault(place, []).append(name)
    found: list[tuple[str, str]] = []
    is_told = False
    for place, names in there.items():
        told = _in_order(folder / place, names)
        is_told = is_told or told is not None
        before = f"{place}/" if place else ""
        found += [(before + name, split) for name, split in told or [(name, "") for name in names]]
    return found if is_told else None


def _files_of_split(folder: Path, split: str) -> list[str]:
    where = f"{folder / DICT}: the split {split!r}"
    if not is_plain(split) or split in ("", ".", ".."):
        raise SourceError(f"{where} is no name of a folder")
    if (state := _state(folder / split)) is None:
        raise SourceError(f"{where} is not there, or lacks its {STATE}; copy the data set whole, or pack a split alone")
    return [f"{split}/{name}" for name in _names(folder / split, state)]


def _in_order(folder: Path, names: list[str]) -> list[tuple[str, str]] | None:
    """See ``find_saved``, of files in one folder."""
    if (state := _state(folder)) is not None:
        return [(name, "") for name in _names(folder, state)]
    splits = (_read(folder / _INFO) or {}).get("splits")
    if not isinstance(splits, dict):
        return None
    of_split = {name: match[1] for name in names if (match := _IN_CACHE.fullmatch(name)) is not None}
    return [(name, split) for split in splits for name in names if of_split.get(name) == split] or None


def _state(folder: Path) -> Mapping[str, Any] | None:
    """What state.json says. Raises SourceError where rows or columns are others than those in the files."""
    state = _read(folder / STATE)
    if state is None or not isinstance(state.get(_FILES), list):
        return None
    history = state.get("_inplace_history")
    steps = [one.get("transforms") if isinstance(one, dict) else one for one in history or []]
    if any(value for name, value in state.items() if name.startswith("_indices")):
        raise SourceError(f"{folder / STATE}: its rows are chosen by a file of indices, which is not read; {_ANEW}")
    if any(steps):
        raise SourceError(f"{folder / STATE}: its columns were changed after they were written; {_ANEW}")
    return state


def _names(folder: Path, state: Mapping[str, Any]) -> list[str]:
    names = []
    for entry in state[_FILES]:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not is_plain(name) or set(entry) != {"filename"}:
            raise SourceError(f"{folder / STATE}: {str(entry)[:80]} under {_FILES!r} is no name of a file; {_ANEW}")
        if not (folder / name).is_file():
            raise SourceError(f"{folder / STATE}: {name} is not there; fetch or write the data set anew")
        names.append(name)
    return names


def _read(path: Path) -> dict[str, Any] | None:
    """What is in a file of JSON, None where there is none, or no object in it."""
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON ({error}); is the file cut short?") from None
    return values if isinstance(values, dict) else None
