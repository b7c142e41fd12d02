"""The Parquet or Arrow files of a data set, and the splits that they are of, as Hugging Face writes them."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.parquet.hub_configs import HubConfig, read_hub_configs
from dali_rec.sources.parquet.row_files import ROW_SUFFIXES, kind_of
from dali_rec.sources.parquet.saved import DICT, find_saved
from dali_rec.sources.shard_files import (
    SPLIT_WORDS,
    ShardFiles,
    absent_shards,
    files_of_pattern,
    known_names,
    refuse_several_sets,
    several,
    split_word,
    splits_of_files,
)
from dali_rec.sources.walk import is_image, scan, shown, walk

_README = "README.md"
# data/train-00000-of-00294.parquet; older ones have a hash behind.
_ENDS = "|".join(map(re.escape, ROW_SUFFIXES))
_SHARD = re.compile(rf"(.+)-(\d{{5}})-of-(\d{{5}}).*(?:{_ENDS})", re.IGNORECASE)


def find_parquet(path: Path) -> ShardFiles | None:
    """The Parquet or Arrow files that a path means: a file, a folder of them, or a pattern; None where it means none.

    The files of a folder are those, and of the splits, that ``datasets`` wrote down beside them (see ``find_saved``),
    or that its README.md has for the default config; or else of the split in their names (train-00000-of-00294.parquet,
    test.parquet) or in those of their folders (train/0.parquet). Those of a pattern are one data set, if they are not
    of several splits.

    Raises SourceError where some are of no split and others are, and where they lie in several folders that are none.
    """
    if path.is_dir():
        return _in_folder(path) if _holds_rows(path) else None
    if path.exists():
        return ShardFiles(str(path), path.parent, (path.name,)) if kind_of(path.name) else None
    found = files_of_pattern(path, lambda one: kind_of(one.name) is not None)
    if found is None:
        return None
    folder, files = found
    return ShardFiles(str(path), folder, files, several(splits_of_files(str(path), files, split_of)))


def _holds_rows(folder: Path) -> bool:
    """Whether a folder is one of such files: of shards as on the Hub, saved by ``datasets``, or of no images."""
    for place in (folder, folder / "data"):
        _, names = next(walk(place), ((), [])) if place.is_dir() else ((), [])
        if any(map(_SHARD.fullmatch, names)):
            return True  # a picture for the README may lie beside
    is_found, is_saved = False, (folder / DICT).is_file()
    for _, names in walk(folder):
        if any(map(is_image, names)) and not is_saved:
            return False
        is_found = is_found or any(map(kind_of, names))
    return is_found


def _in_folder(folder: Path) -> ShardFiles:
    tree = scan(folder)
    parquet = tuple(name for name in tree.others if kind_of(name) == "Parquet")
    arrow = tuple(name for name in tree.others if kind_of(name) == "Arrow")
    files = parquet or arrow
    kind = kind_of(files[0])
    images = ["/".join((*parts, name)) for parts, names in tree.images for name in names]
    notes = [
        f"{folder}: {counted(len(some), what)} beside the {kind} files left out: {shown(some)}"
        for what, some in (("image", images), ("Arrow file", arrow if parquet else ()))
        if some
    ]
    saved = None if parquet else find_saved(folder, files)
    if saved is not None:
        return _as_saved(folder, files, saved, notes)
    named = _of_default_config(folder, files, notes)
    files = tuple(file for file, _ in named) or files
    notes += absent_shards(folder, files, _SHARD)
    said = {split for _, split in named}
    if len(said) > 1 or ("" not in said and named and any(map(split_of, files))):
        splits: tuple[str, ...] | None = tuple(split for _, split in named)
    else:
        splits = splits_of_files(str(folder), files, split_of)
    if not named:
        refuse_several_sets(folder, files)
    return ShardFiles(str(folder), folder, files, splits, tuple(notes))


def _as_saved(folder: Path, files: tuple[str, ...], saved: list[tuple[str, str]], notes: list[str]) -> ShardFiles:
    """What ``datasets`` saved, all of one data set. Raises SourceError where several may be there."""
    chosen = tuple(file for file, _ in saved)
    left_out = sorted({*files}.difference(chosen))
    if left_out:
        count = counted(len(left_out), "Arrow file")
        notes.append(f"{folder}: {count} that datasets does not list left out: {shown(left_out)}")
    notes += absent_shards(folder, chosen, _SHARD)
    if not (folder / DICT).is_file():
        refuse_several_sets(folder, chosen)
    if all(split for _, split in saved):
        names = known_names(split for _, split in saved)
        return ShardFiles(str(folder), folder, chosen, tuple(names[split] for _, split in saved), tuple(notes))
    is_one = len({file.rpartition("/")[0] for file in chosen}) == 1  # whatever its folder is called
    return ShardFiles(
        str(folder), folder, chosen, None if is_one else splits_of_files(str(folder), chosen, split_of), tuple(notes)
    )


def _of_default_config(folder: Path, files: tuple[str, ...], notes: list[str]) -> list[tuple[str, str]]:
    """The files, with their splits, of the config in README.md that is the default, or the only one with files here.

    No file where there is no such config. What the user should hear is added to the notes.
    """
    readme = folder / _README
    try:
        configs = read_hub_configs(readme) if readme.is_file() else []
    except SourceError as error:
        notes.append(f"{error}; its configs are passed over")
        return []
    named = [(config, found) for config in configs if (found := _named_files(folder, {*files}, config))]
    chosen = named if len(named) == 1 else [(config, found) for config, found in named if config.is_default]
    if len(chosen) != 1:
        return []
    config, found = chosen[0]
    others = [repr(other.name) for other, _ in named if other is not config]
    left_out = [file for file in files if file not in {name for name, _ in found}]
    if others:
        remedy = f"for {shown(others)} name their folder, or their files by a pattern"
        notes.append(f"{readme}: the config {config.name!r} is packed; {remedy}")
    elif left_out:
        count = counted(len(left_out), f"{kind_of(left_out[0])} file")
        notes.append(f"{readme}: {count} that it does not name left out: {shown(left_out)}")
    return found


def _named_files(folder: Path, files: set[str], config: HubConfig) -> list[tuple[str, str]]:
    """The files that a config names, with their splits, in the order of its patterns."""
    names = known_names(config.patterns)
    found: dict[tuple[str, str], None] = {}
    for split, patterns in config.patterns.items():
        for pattern in patterns:
            matches = glob.glob(os.path.normpath(pattern), root_dir=folder, recursive=True)  # noqa: PTH207
            places = sorted(Path(match).as_posix() for match in matches)
            found |= dict.fromkeys((place, names[split]) for place in places if place in files)
    return [*found]


def split_of(file: str) -> str | None:
    """The split that a file is of by its path: what stands before the number of a shard, or a word for a split."""
    *folders, name = file.split("/")
    shard = _SHARD.fullmatch(name)
    before = shard[1] if shard is not None else ""
    if before.lower() in SPLIT_WORDS:
        return SPLIT_WORDS[before.lower()]
    is_name = before != "" and "-" not in before  # of a split that is called otherwise
    of_folder = next((split for part in reversed(folders) if (split := split_word(part)) is not None), None)
    return of_folder or (before if is_name else split_word(name))
