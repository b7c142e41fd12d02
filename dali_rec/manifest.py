"""The manifest, OUT.json: what a packed data set is, and what made it."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from dali_rec._files import is_plain, write_text_atomically
from dali_rec._numbers import counted
from dali_rec._sizes import shown_size
from dali_rec.errors import DatasetError, DatasetNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "dali-rec"
VERSION = 1

_REMEDY = (
    "put it back from a copy, or move it away and name the .rec files, which keep the labels but not the names of the "
    "classes"
)

LabelKind = Literal["class", "values", "boxes"]
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard: its files, relative to the manifest, and what is in them. ``sha256`` is that of the .rec."""

    rec: str
    idx: str
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a packed data set is.

    classes: name of each label index, or None where the source had none.
    label_classes: the names behind each column of labels, where there are several columns.
    label_width: labels a record, 0 where records differ.
    label_kind: "class" for one class index a record, "boxes" for object detection
        ([header width, object width, …, (class, xmin, ymin, xmax, ymax, …) × N]), "values" for anything else.
    split: train, val or test, where the source was parted.
    max_width, max_height: pixels of the largest stored image.
    bytes: of all .rec files.
    """

    records: int
    shards: tuple[ShardEntry, ...]
    label_width: int
    label_kind: LabelKind
    max_width: int
    max_height: int
    bytes: int
    classes: tuple[str, ...] | None = None
    label_classes: tuple[tuple[str, ...] | None, ...] | None = None
    split: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    created_by: str = ""

    def to_json(self) -> str:
        """The text of a manifest file."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1) + "\n"

    @property
    def replaceable_files(self) -> set[str]:
        """The names of the shard files, which go when the data set is replaced.

        Only plain names: a manifest from elsewhere must not make us delete files elsewhere.
        """
        names = {name for shard in self.shards for name in (shard.rec, shard.idx)}
        return set(filter(is_plain, names))

    def in_few_words(self) -> str:
        """What is said of the data set: ``1,000 records in 10 classes in 8 shards, 121 MB``."""
        in_classes = f" in {counted(len(self.classes), 'class', 'classes')}" if self.classes else ""
        in_shards = f" in {len(self.shards)} shards" if len(self.shards) > 1 else ""
        return f"{counted(self.records, 'record')}{in_classes}{in_shards}, {shown_size(self.bytes)}"

    def joined(self, other: Manifest) -> Manifest:
        """The manifest of the records of both, these first. What it says of classes, split and options stays."""
        return replace(
            self,
            records=self.records + other.records,
            shards=self.shards + other.shards,
            label_width=self.label_width if self.label_width == other.label_width else 0,
            max_width=max(self.max_width, other.max_width),
            max_height=max(self.max_height, other.max_height),
            bytes=self.bytes + other.bytes,
        )

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_text_atomically(path, self.to_json())


def replaceable_files(path: Path) -> set[str]:
    """``Manifest.replaceable_files`` of the manifest ``path``; none where there is none that can be read."""
    try:
        manifest = find_manifest(path)
    except DatasetError:
        return set()
    return set() if manifest is None else manifest.replaceable_files


def is_manifest(path: Path) -> bool:
    """Whether the file is one of our manifests, for a hint; False for one that cannot be read, too."""
    try:
        return _content(path.read_bytes(), str(path)).get("format") == FORMAT
    except (OSError, DatasetError):
        return False


def find_manifest(path: Path) -> Manifest | None:
    """The manifest in the file, where there is one of ours; None where there is no file, or other JSON.

    Raises DatasetError if the file cannot be read, or parsed: then nobody can tell what it was.
    """
    try:
        data = _read(path)
    except DatasetNotFoundError:
        return None
    return manifest_in(data, str(path))


def manifest_in(data: bytes, path: str) -> Manifest | None:
    """The manifest in the bytes of the file ``path``; None where they are other JSON. Raises as ``read_manifest``."""
    return None if _is_of_another_kind(data) else parse_manifest(data, path)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises DatasetError if it is not one, is damaged or was written by a newer dali-rec."""
    return parse_manifest(_read(path), str(path))


def parse_manifest(data: bytes, path: str) -> Manifest:
    """The manifest in the bytes of the file ``path``; raises as ``read_manifest`` does."""
    content = _content(data, path)
    if content.get("format") != FORMAT:
        raise DatasetError(f"{path}: not a manifest of dali-rec (its 'format' is {content.get('format')!r})")
    if content.get("version") != VERSION:
        raise DatasetError(
            f"{path}: manifest version {content.get('version')!r}, this dali-rec reads version {VERSION}; upgrade it"
        )
    try:
        return Manifest(
            records=_of(int, content["records"]),
            shards=tuple(_shard(**shard) for shard in _of(list, content["shards"])),
            label_width=_of(int, content["label_width"]),
            label_kind=_label_kind(content["label_kind"]),
            max_width=_of(int, content["max_width"]),
            max_height=_of(int, content["max_height"]),
            bytes=_of(int, content["bytes"]),
            classes=_names(content["classes"]),
            label_classes=_label_classes(content.get("label_classes")),
            split=None if content.get("split") is None else _of(str, content["split"]),
            options=_of(dict, content["options"]),
            created_by=_of(str, content["created_by"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: damaged manifest ({type(error).__name__}: {error}); {_REMEDY}") from None


def _of(kind: type[_Kind], value: object) -> _Kind:
    """The value, if it is of this type. Raises TypeError for others, ValueError for numbers below 0."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{value} is below 0")
    return value


def _shard(rec: object, idx: object, records: object, bytes: object, sha256: object) -> ShardEntry:  # noqa: A002
    return ShardEntry(_of(str, rec), _of(str, idx), _of(int, records), _of(int, bytes), _of(str, sha256))


def _label_kind(value: object) -> LabelKind:
    for kind in get_args(LabelKind):
        if value == kind:
            return cast("LabelKind", kind)
    raise ValueError(f"{value!r:.40} is no kind of labels")


def _names(value: object) -> tuple[str, ...] | None:
    return None if value is None else tuple(_of(str, name) for name in _of(list, value))


def _label_classes(value: object) -> tuple[tuple[str, ...] | None, ...] | None:
    return None if value is None else tuple(_names(column) for column in _of(list, value))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetNotFoundError(f"{path}: no such file") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # such as a pattern's: on Windows no name has a * or ?
            raise DatasetNotFoundError(f"{path}: no such file") from None
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error}); {_REMEDY}") from None


def _is_of_another_kind(data: bytes) -> bool:
    """Whether it is a list, or begins with JSON that is no manifest: somebody's table of images may have that name."""
    try:
        text = data.decode(json.detect_encoding(data)).lstrip()
        return text.startswith("[") or json.JSONDecoder().raw_decode(text)[0].get("format") != FORMAT
    except AttributeError:  # a number, or a text
        return True
    except (ValueError, RecursionError):
        return False


def _content(data: bytes, path: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError
        raise DatasetError(f"{path}: not JSON ({error}); {_REMEDY}") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: not a manifest of dali-rec")
    return content
