"""The two command lines of im2rec: im2rec.py's options, and the C++ tool's ``key=value``."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._cores import available_cores
from dali_rec._numbers import parse_float, parse_int
from dali_rec._streams import prepare_streams
from dali_rec.errors import DaliRecError, SourceError
from dali_rec.im2rec.database import DatabaseOptions, Row, write_database
from dali_rec.im2rec.listing import ListOptions, make_lists
from dali_rec.im2rec.old_flags import without_values
from dali_rec.recordio import index_path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LEAST_COLUMNS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run im2rec; returns the exit status: 0 done (also where single images were left out), 1 failed, 2 wrong usage."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    prepare_streams()
    try:
        # The C++ tool takes three names and key=value, im2rec.py two names and options.
        if len(arguments) >= 3 and not any(one.startswith("-") for one in arguments):
            return _run_cpp(arguments)
        return _run_python(arguments)
    except (DaliRecError, OSError, ValueError) as error:
        print(f"im2rec: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


# im2rec.py


def _run_python(arguments: Sequence[str]) -> int:
    parser, arguments = _parser(), without_values(arguments, parted=False)
    if parser.parse_known_args(arguments)[1]:
        arguments = without_values(arguments, parted=True)
    options = parser.parse_args(arguments)
    prefix, root = Path(options.prefix).absolute(), Path(options.root).absolute()
    if options.list:
        lists = ListOptions(
            exts=tuple(options.exts),
            chunks=options.chunks,
            train_ratio=options.train_ratio,
            test_ratio=options.test_ratio,
            recursive=options.recursive,
            shuffle=not options.no_shuffle,
        )
        if options.test_ratio and options.train_ratio == 1.0:
            _say("--test-ratio has no effect without --train-ratio: all images are in one list")
        _, labels = make_lists(prefix, root, lists)
        for folder, label in labels.items():
            _say(f"{folder} {label}")
        return 0
    found = _lists_of(prefix)
    if not found:
        missing = prefix if prefix.suffix == ".lst" else f"{prefix}.lst"
        raise SourceError(f"{missing}: no such list; make it with --list")
    filled = [path for path in found if next(_lines(path), None) is not None]
    if not filled:
        raise SourceError(f"{found[0]}: an empty list; make it with --list")
    first = next(_tab_rows(filled[0], root))
    if not Path(root).is_dir() and not Path(first.path).exists():
        raise SourceError(f"{root}: no such folder; it is where the paths in {filled[0]} begin")
    for path in found:
        if path not in filled:
            _say(f"{path}: an empty list, passed over")
            continue
        rec = path.with_suffix(".rec")
        database = DatabaseOptions(
            pass_through=options.pass_through,
            resize=options.resize,
            center_crop=options.center_crop,
            quality=options.quality,
            color=options.color,
            encoding=options.encoding,
            pack_label=options.pack_label,
            workers=options.num_thread,
        )
        packed, bad = write_database(_tab_rows(path, root), rec, rec.with_suffix(".idx"), database, _say)
        _say(f"{rec}: {packed} records" + (f", {bad} images left out" if bad else ""))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="im2rec.py",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Make image lists and RecordIO files with the options of MXNet's im2rec.py. The C++ tool's form, "
        "'im2rec.py LIST ROOT OUT.rec key=value …', works as well.",
    )
    parser.add_argument("prefix", help="prefix of the .lst and .rec files")
    parser.add_argument("root", help="folder of the images")
    lists = parser.add_argument_group("lists")
    lists.add_argument("--list", action="store_true", help="make PREFIX.lst; otherwise it is read and packed")
    lists.add_argument("--exts", nargs="+", default=[".jpeg", ".jpg", ".png"], help="extensions of images")
    lists.add_argument("--chunks", type=int, default=1, help="number of lists")
    lists.add_argument("--train-ratio", type=float, default=1.0, help="share of the images for training")
    lists.add_argument("--test-ratio", type=float, default=0.0, help="share of the images for testing")
    lists.add_argument("--recursive", action="store_true", help="search folders, a label for each; otherwise label 0")
    lists.add_argument("--no-shuffle", action="store_true", help="keep the order of the folders")
    database = parser.add_argument_group("database")
    database.add_argument("--pass-through", action="store_true", help="store the bytes as they are, unchecked")
    database.add_argument("--resize", type=int, default=0, help="length of the shorter side; 0 leaves the size")
    database.add_argument("--center-crop", action="store_true", help="cut the largest square from the centre")
    database.add_argument("--quality", type=int, default=95, help="of JPEG, 1 to 100; or PNG's compression, 1 to 9")
    database.add_argument("--num-thread", type=int, default=1, help="threads; the order of the list is kept")
    database.add_argument("--color", type=int, default=1, choices=[-1, 0, 1], help="1 colour, 0 grey, -1 as it is")
    database.add_argument("--encoding", default=".jpg", choices=[".jpg", ".png"], help="of the images")
    database.add_argument("--pack-label", action="store_true", help="store all labels of a line, not only the first")
    return parser


def _lists_of(prefix: Path) -> list[Path]:
    """The lists that --list makes for ``prefix``; all in it where it is a folder, itself where it is a list.

    A folder without lists is that of the images, of which PREFIX may have the name.
    """
    if prefix.is_dir() and (inside := sorted(prefix.glob("*.lst"))):
        return inside
    if prefix.suffix == ".lst" and prefix.is_file():
        return [prefix]
    name = re.compile(re.escape(prefix.name) + r"(_\d+)?(_(train|val|test))?\.lst")
    return sorted(path for path in prefix.parent.glob("*.lst") if name.fullmatch(path.name))


def _tab_rows(path: Path, root: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        columns = [column.strip() for column in line.strip().split("\t")]
        if len(columns) < _LEAST_COLUMNS:
            raise SourceError(
                f"{where}: {line[:80]!r} has {len(columns)} columns; expected id, label, path with tabs between"
            )
        yield _row(columns[:-1], os.path.join(root, columns[-1]), where)  # noqa: PTH118  # as MXNet joins them


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}, line {number}", line.rstrip("\r\n")


def _row(numbers: list[str], path: str, where: str) -> Row:
    """A line's row: ``numbers`` are its id and its labels. ``where`` names the line in the error."""
    try:
        return Row(parse_int(numbers[0]), tuple(map(parse_float, numbers[1:])), _file_at(path))
    except ValueError:
        raise SourceError(f"{where}: the id and labels {numbers} are not all numbers") from None


def _file_at(path: str) -> str:
    """The path as this system has it: MXNet on Windows writes its backslashes into lists."""
    if os.sep != "/":
        return path.replace("/", os.sep)
    plain = path.replace("\\", "/")
    return plain if plain != path and os.path.isfile(plain) and not os.path.isfile(path) else path  # noqa: PTH113


# The C++ im2rec


@dataclass(frozen=True, slots=True)
class _CppOptions:
    """The C++ tool's options, with its defaults."""

    color: int = 1
    resize: int = -1
    label_width: int = 1
    pack_label: int = 0
    nsplit: int = 1
    part: int = 0
    center_crop: int = 0
    quality: int = 95
    encoding: str = ".jpg"
    inter_method: int = 1
    unchanged: int = 0

    def __post_init__(self) -> None:
        if self.label_width < 1:
            raise ValueError(f"label_width is {self.label_width}: at least 1")
        if self.pack_label and self.label_width == 1:
            raise ValueError("pack_label=1 stores several labels: it needs a label_width above 1")
        if not 0 <= self.part < self.nsplit:
            raise ValueError(f"part is {self.part} of nsplit {self.nsplit}: parts count from 0")


def _run_cpp(arguments: Sequence[str]) -> int:
    listed, root, out = Path(arguments[0]), arguments[1], Path(arguments[2])
    options = _cpp_options(arguments[3:])
    if options.nsplit > 1:
        out = out.with_name(f"{out.name}.part{options.part:03d}")
    database = DatabaseOptions(
        pass_through=bool(options.unchanged),
        resize=options.resize,
        center_crop=bool(options.center_crop) and options.resize > 0,
        quality=options.quality,
        color=options.color,
        encoding=options.encoding,
        pack_label=bool(options.pack_label),
        inter_method=options.inter_method,
        workers=available_cores(),
        first_label_in_header=True,
    )
    if Path(root).is_dir() and root and not root.endswith(("/", os.sep)):
        root += "/"  # the C++ tool puts nothing between, though its own page shows a root without it
    packed, bad = write_database(_space_rows(listed, root, options), out, index_path_of(out), database, _say)
    _say(f"{out}: {packed} records" + (f", {bad} images left out" if bad else ""))
    return 0


def _cpp_options(pairs: Sequence[str]) -> _CppOptions:
    known = [field.name for field in dataclasses.fields(_CppOptions)]
    values: dict[str, int | str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in known:
            raise ValueError(f"unknown option {key!r}; known are {', '.join(known)}")
        if not equals:
            raise ValueError(f"{key} without a value: write {key}=VALUE, without blanks")
        try:
            values[key] = value if key == "encoding" else parse_int(value)
        except ValueError:
            raise ValueError(f"{pair}: expected a whole number") from None
    return _CppOptions(**values)  # type: ignore[arg-type]  # the values fit the keys


def _space_rows(path: Path, root: str, options: _CppOptions) -> Iterator[Row]:
    """Lines of id, ``label_width`` labels and a path that may hold blanks, parted by any white space."""
    data = path.read_bytes()
    step = -(-len(data) // options.nsplit)
    start, stop = (_line_after(data, step * part) for part in (options.part, options.part + 1))
    first = data[:start].count(b"\n") + 1
    for number, raw in enumerate(data[start:stop].split(b"\n"), start=first):
        line = raw.decode("utf-8", "surrogateescape").lstrip("\ufeff").strip()
        if not line:
            continue
        columns = line.split(None, options.label_width + 1)
        if len(columns) < options.label_width + 2:
            raise SourceError(
                f"{path}, line {number}: {line[:80]!r} has too few columns for label_width={options.label_width}"
            )
        yield _row(columns[:-1], root + columns[-1], f"{path}, line {number}")  # the C++ tool puts nothing between


def _line_after(data: bytes, offset: int) -> int:
    """Where the first line after ``offset`` begins, as dmlc-core parts a text: 0 stays 0."""
    if offset == 0:
        return 0
    end = data.find(b"\n", offset)
    return len(data) if end == -1 else end + 1
