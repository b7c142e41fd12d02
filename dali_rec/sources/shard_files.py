"""Data sets of many files that are numbered through, and the splits that they are of by their names."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._numbers import counted
from dali_rec.errors import SourceError
from dali_rec.sources.sample import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: What is taken for a split as a word of a name, as Hugging Face does.
SPLIT_WORDS = {**SPLIT_NAMES, "eval": "test", "evaluation": "test"}
_WORDS = re.compile("[a-z]+")
_ENDS_WITH_NUMBERS = re.compile(r"-of-\d+\Z")


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The files of one data set.

    name: what messages call them. folder: what the names of files are relative to. splits: of each file, None where
    all are one data set.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    splits: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def files_of_pattern(pattern: Path, is_one: Callable[[Path], bool]) -> tuple[Path, tuple[str, ...]] | None:
    """The files that a pattern means, of those that ``is_one`` takes, and the folder that they are in; None without."""
    found = [one for one in map(Path, glob.glob(str(pattern), recursive=True)) if is_one(one)]  # noqa: PTH207
    if not found:
        return None
    found.sort(key=Path.as_posix)  # and not as Windows has it, which is another order
    folder = Path(os.path.commonpath([one.parent for one in found]))
    return folder, tuple(one.relative_to(folder).as_posix() for one in found)


def several(splits: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The splits of files if they are several, None if all are of one."""
    return splits if splits is not None and len({*splits}) > 1 else None


def split_word(name: str) -> str | None:
    """The split of which a name has a word, None where it has none, or those of several."""
    splits = {SPLIT_WORDS[word] for word in _WORDS.findall(name.lower()) if word in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def known_names(splits: Iterable[str]) -> dict[str, str]:
    """What each split is called here, or as it is where two would become one: eval and test, for example."""
    names = {split: SPLIT_WORDS.get(split.lower(), split) for split in splits}
    return names if len({*names.values()}) == len(names) else {split: split for split in names}


def splits_of_files(name: str, files: Sequence[str], split_of: Callable[[str], str | None]) -> tuple[str, ...] | None:
    """The split of each file, None where none has one.

    Raises SourceError where some are of no split and others are.
    """
    found = [split_of(file) for file in files]
    if {*found} <= {None} or (len({*found}) == 1 and found[0] not in SPLIT_WORDS.values()):
        return None  # images-00000-of-00008.parquet alone say no split
    splits = tuple(split for split in found if split is not None)
    if len(splits) < len(files):
        odd, other = files[found.index(None)], next(file for file in files if split_of(file) is not None)
        raise SourceError(
            f"{name}: {odd} is of no split by its name, as {other} is of {splits[0]!r}; rename it, move it away, or "
            f"name the files to pack by a pattern such as '{other.partition('-')[0]}*{_ending(other)}'"
        )
    return splits


def absent_shards(folder: Path, files: Sequence[str], shard: re.Pattern[str]) -> list[str]:
    """Say it where of files that are numbered through some are not there.

    shard: matches the name of one, with what is before its number, the number and how many there are for its groups.
    """
    numbers: dict[tuple[str, str], set[int]] = {}
    for file in files:
        if (match := shard.fullmatch(file)) is not None:
            numbers.setdefault((match[1], match[3]), set()).add(int(match[2]))
    return [
        f"{folder}: of the {int(count):,} files {name}-…-of-{count} only {counted(len(found), 'is', 'are')} there"
        for (name, count), found in numbers.items()
        if len(found) < int(count)
    ]


def refuse_several_sets(folder: Path, files: Sequence[str]) -> None:
    """Raise SourceError where files lie in folders that are no splits: most are data sets of their own."""
    above = {
        "/".join(part for part in file.split("/")[:-1] if split_word(part) is None): file for file in reversed(files)
    }
    if len(above) > 1:
        first, second = sorted(above)[:2]
        raise SourceError(
            f"{folder}: {above[first]} and {above[second]} lie in folders that may be two data sets; pack one of them, "
            f"or all files by a pattern such as '{folder}/**/*{_ending(files[0])}'"
        )


def _ending(file: str) -> str:
    """How files like this one end, for a pattern."""
    return "" if _ENDS_WITH_NUMBERS.search(file) else Path(file).suffix
