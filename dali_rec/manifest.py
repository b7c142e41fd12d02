"""The manifest, OUT.json: what a packed data set is, and what made it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dali_rec._files import write_text_atomically
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

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_text_atomically(path, self.to_json())


def replaceable_files(path: Path) -> set[str]:
    """The names of the shard files of the data set whose manifest is ``path``, which go when it is replaced.

    No names without a manifest that can be read, and only plain ones: one from elsewhere must not make us delete files
    there.
    """
    try:
        manifest = find_manifest(path)
    except DatasetError:
        return set()
    names = {name for shard in manifest.shards for name in (shard.rec, shard.idx)} if manifest is not None else set()
    return {name for name in names if "/" not in name and "\\" not in name}


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
    return None if _is_of_another_kind(data) else parse_manifest(data, str(path))


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
        classes = content["classes"]
        return Manifest(
            records=int(content["records"]),
            shards=tuple(ShardEntry(**shard) for shard in content["shards"]),
            label_width=int(content["label_width"]),
            label_kind=content["label_kind"],
            max_width=int(content["max_width"]),
            max_height=int(content["max_height"]),
            bytes=int(content["bytes"]),
            classes=None if classes is None else tuple(classes),
            label_classes=_label_classes(content.get("label_classes")),
            split=content.get("split"),
            options=content["options"],
            created_by=content["created_by"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: damaged manifest ({type(error).__name__}: {error}); {_REMEDY}") from None


def _label_classes(columns: list[list[str] | None] | None) -> tuple[tuple[str, ...] | None, ...] | None:
    return None if columns is None else tuple(None if names is None else tuple(names) for names in columns)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetNotFoundError(f"{path}: no such file") from None
    except OSError as error:
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
