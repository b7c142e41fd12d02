"""Which features of the records are what: by the names that TensorFlow's own programs give them, and by what they hold.

Names are those of TF-slim and the Object Detection API (image/encoded, image/class/label), of TensorFlow Datasets
(image, label), and of what Kaggle's data sets have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from dali_rec.errors import SourceError
from dali_rec.sources.pixels import is_encoded_image
from dali_rec.sources.tables.columns import Columns, TableOptions, named_columns
from dali_rec.sources.tfrecord.tensors import is_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dali_rec.sources.tfrecord.example import Feature
    from dali_rec.sources.tfrecord.records import Record

_DEFAULTS = TableOptions()
_IMAGES = ("image/encoded", "image", "image_raw", "encoded", "img", "image_bytes")
#: Of labels of whole images, which go before boxes.
WHOLE_IMAGE = ("image/class/label", "label", "class", "target", "image/label", "class/label", "class_id", "category")
_OTHER_LABELS = ("labels", "image/class/text", "image/class/synset", "class_name", "label_name")
_PATHS = ("image/filename", "filename", "file_name", "image_name", "image_id", "id")
_HEIGHTS = ("image/height", "height", "rows", "image_height", "h")
_WIDTHS = ("image/width", "width", "cols", "columns", "image_width", "w")
_DEPTHS = ("image/channels", "image/depth", "depth", "channels", "image_channels", "c")
# What describes the image, and is no label.
_DESCRIPTIONS = frozenset(
    (*_PATHS, *_HEIGHTS, *_WIDTHS, *_DEPTHS, "image/format", "image/colorspace", "image/key/sha256", "image/source_id")
)
_BEGINNING = 32
_LONGEST_TEXT = 4096

# "text" is of bytes that are UTF-8, "bytes" of others, "list" of several numbers or texts.
Kind = Literal["image", "bytes", "text", "number", "list", "none"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the first records have in a feature: of which kind it is, and how many values."""

    kind: Kind
    count: int


@dataclass(frozen=True, slots=True)
class PixelFeatures:
    """The features that say of which size an image is whose pixels stand in the record as they are."""

    height: str
    width: str
    depth: str | None


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Which feature has the images, which has the paths of their files, if any has, and of pixels their size."""

    name: str
    path: str | None = None
    pixels: PixelFeatures | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which features are what. columns: as of a table."""

    columns: Columns
    image: ImageFeatures


def see(records: Iterable[Record]) -> dict[str, Seen]:
    """What these records have in their features, sorted; of a feature the first that has a value counts."""
    found: dict[str, Seen] = {}
    for record in records:
        for name, feature in record.features().items():
            if name not in found or found[name].kind == "none":
                found[name] = Seen(_kind(record, feature), len(feature.values))
    return dict(sorted(found.items()))  # TensorFlow writes them in any order


def _kind(record: Record, feature: Feature) -> Kind:
    if feature.kind == "none" or not feature.values:
        return "none"
    if feature.kind != "bytes":
        return "number" if len(feature.values) == 1 else "list"
    kind = _kind_of_bytes(record.take(feature.values[0], _LONGEST_TEXT))  # type: ignore[arg-type]
    return "list" if kind == "text" and len(feature.values) > 1 else kind


def _kind_of_bytes(value: bytes) -> Kind:
    if is_encoded_image(value[:_BEGINNING]) or is_tensor(value):
        return "image"
    if len(value) == _LONGEST_TEXT or b"\0" in value:
        return "bytes"
    try:
        value.decode()
    except UnicodeDecodeError:
        return "bytes"
    return "text"


def choose(where: str, seen: Mapping[str, Seen], options: TableOptions) -> Chosen:
    """Which features are what, as of a table of these columns. where: what messages call the first file.

    Images without any other feature that may be a label all get label 0.

    Raises SourceError where that cannot be told, and for a feature that cannot be what it is to be.
    """
    if options.columns is not None:
        raise SourceError(f"{where}: --columns names the columns of a CSV without a header; leave it out")
    notes: list[str] = []
    image = choose_image(where, seen, options)
    chosen = replace(options, location=image.name)
    if options.labels == _DEFAULTS.labels:
        label = next((name for name in (*WHOLE_IMAGE, *_OTHER_LABELS) if name in seen), None)
        if label is None and _is_alone(seen, chosen):
            chosen = replace(chosen, labels=())
            notes.append(f"{where}: no feature of labels: all images get label 0")
        elif label is not None:
            chosen = replace(chosen, labels=(label,))
            if label != _DEFAULTS.labels[0]:
                notes.append(f"{where}: the feature {label!r} is taken for 'label'")
    if options.id == _DEFAULTS.id and seen.get(options.id, Seen("number", 1)).kind != "number":
        chosen = replace(chosen, id="")  # Kaggle's are names
    names = tuple(name for name in seen if _may_be_column(name, seen[name], chosen))
    found = named_columns(where, names, chosen)
    _check_kinds(where, seen, found.options)
    return Chosen(replace(found, names=names, notes=(*notes, *found.notes)), image)


def choose_image(where: str, seen: Mapping[str, Seen], options: TableOptions) -> ImageFeatures:
    """The feature of the images, and those that tell of them. Raises SourceError where they are not to be told."""
    name = _image(where, seen, options)
    pixels = _pixels(seen) if seen[name].kind != "image" else None
    if pixels is None and seen[name].kind != "image" and options.location == _DEFAULTS.location:
        raise SourceError(
            f"{where}: {name!r} begins as no image, and there are no features such as 'height' and 'width' that say "
            "of which size its pixels are; name the feature of the images by --location-column"
        )
    paths = (one for one in _PATHS if one in seen and seen[one].kind == "text" and one not in options.labels)
    return ImageFeatures(name, next(paths, None), pixels)


def _image(where: str, seen: Mapping[str, Seen], options: TableOptions) -> str:
    """The feature of the images."""
    if options.location != _DEFAULTS.location:
        if options.location not in seen:
            raise SourceError(f"{where}: no feature {options.location!r} among {_shown(seen)}; see --location-column")
        return options.location
    images = [name for name, one in seen.items() if one.kind == "image"]
    named = [name for name in _IMAGES if name in seen and seen[name].kind in ("image", "bytes", "none")]
    known = [name for name in named if name in images] or (named if not images else [])
    if known:
        return known[0]
    if len(images) == 1:
        return images[0]
    if images:
        which = ", ".join(map(repr, images))
        raise SourceError(f"{where}: the images may be in any of the features {which}; name one by --location-column")
    raise SourceError(
        f"{where}: no feature that begins as an image among {_shown(seen)}; name the one that has the bytes of the "
        "images by --location-column"
    )


def _pixels(seen: Mapping[str, Seen]) -> PixelFeatures | None:
    height, width, depth = (_first(seen, names) for names in (_HEIGHTS, _WIDTHS, _DEPTHS))
    return None if height is None or width is None else PixelFeatures(height, width, depth)


def _first(seen: Mapping[str, Seen], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in seen and seen[name].kind == "number"), None)


def _may_be_column(name: str, seen: Seen, options: TableOptions) -> bool:
    """Whether a feature is one that is used, or may be a label or something else that is told by its name."""
    if name in (options.location, options.id, options.split, *options.labels):
        return True
    return name not in _DESCRIPTIONS and "/object/" not in name and seen.kind in ("number", "text", "list")


def _is_alone(seen: Mapping[str, Seen], options: TableOptions) -> bool:
    """Whether there is nothing beside the images that may be a label."""
    no_labels = (options.location, options.id, options.split)
    return all(name in no_labels or not _may_be_column(name, one, options) for name, one in seen.items())


def _check_kinds(where: str, seen: Mapping[str, Seen], options: TableOptions) -> None:
    numbers: tuple[Kind, ...] = ("number", "text")
    for names, kinds, what, option in (
        ((options.location,), ("image", "bytes", "none"), "the bytes of images", "--location-column"),
        (options.labels, (*numbers, "list", "none"), "numbers, names, or lists of these", "--label-column"),
        ((options.id,), numbers, "whole numbers", "--id-column"),
        ((options.split,), numbers, "names of splits", "--split-column"),
    ):
        for name in filter(None, names):
            if name in seen and seen[name].kind not in kinds:
                raise SourceError(f"{where}: the feature {name!r} holds something else than {what}; see {option}")


def _shown(seen: Mapping[str, Seen]) -> str:
    return ", ".join(map(repr, sorted(seen)))[:200] or "none"
