"""Which columns of Parquet and Arrow files are what: by what Hugging Face says of them, by their types and names."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dali_rec.errors import SourceError
from dali_rec.sources.tables.columns import ALL_LABELS, Columns, TableOptions, is_no_label, is_path_name, named_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULTS = TableOptions()
# What pandas writes for an index.
_INDEX = "__index_level_"
_FEATURES = b"huggingface"

# Of images, and of lists with several.
Kind = Literal["image", "binary", "text", "number", "list", "images", "other"]
_LISTS: dict[Kind, Kind] = {"number": "list", "text": "list", "image": "images", "binary": "images"}
Names = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its type, in PyArrow's words, and what it can be.

    names: those of the classes, of which a number is the place, also where several stand in a list. is_image: whether
    Hugging Face says that it holds images. has_path: whether images have paths beside their bytes.
    """

    kind: Kind
    type: str
    names: Names = None
    is_image: bool = False
    has_path: bool = False


def read_fields(where: str, schema: Any, beside: Mapping[str, Any]) -> dict[str, Field]:
    """The columns of a file, by its schema. Raises SourceError where two have one name, which PyArrow cannot read.

    beside: what Hugging Face says of columns in another file, for those of which the schema says nothing.
    """
    features = {**beside, **_features(schema.metadata or {})}
    name, count = Counter(schema.names).most_common(1)[0] if schema.names else ("", 0)
    if count > 1:
        raise SourceError(f"{where}: the column {name!r} stands {count} times; write it with names that differ")
    return {field.name: _field(field.type, features.get(field.name)) for field in schema}


def _features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """What Hugging Face writes of the columns; nothing where it did not, or wrote something else."""
    try:
        features = json.loads(metadata[_FEATURES])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _field(type_: Any, feature: Any) -> Field:
    inner = feature
    if isinstance(inner, dict) and "feature" in inner:  # of a list
        inner = inner["feature"]
    elif isinstance(inner, list) and inner:  # of a list, as older versions have it
        inner = inner[0]
    names: Any = inner.get("names") if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" else None
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    is_image = isinstance(feature, dict) and feature.get("_type") == "Image"
    paths = [field for field in type_ if field.name == "path"] if _kind(type_) == "image" else []
    has_path = len(paths) == 1 and _kind(paths[0].type) == "text"
    return Field(_kind(type_), str(type_), tuple(names) if are_names else None, is_image, has_path)


def _kind(type_: Any) -> Kind:
    import pyarrow.types as is_

    if is_.is_dictionary(type_):
        return "other" if is_.is_nested(type_.value_type) else _kind(type_.value_type)
    if is_.is_struct(type_):
        return "image" if any(field.name == "bytes" and _kind(field.type) == "binary" for field in type_) else "other"
    lists = (is_.is_list, is_.is_large_list, is_.is_fixed_size_list, is_.is_list_view, is_.is_large_list_view)
    if any(is_list(type_) for is_list in lists):
        return _LISTS.get(_kind(type_.value_type), "other")
    if is_.is_binary(type_) or is_.is_large_binary(type_) or is_.is_binary_view(type_):
        return "binary"
    if is_.is_string(type_) or is_.is_large_string(type_) or is_.is_string_view(type_):
        return "text"
    return "number" if is_.is_integer(type_) or is_.is_floating(type_) or is_.is_boolean(type_) else "other"


def choose_columns(where: str, fields: Mapping[str, Field], options: TableOptions) -> Columns:
    """Which columns are what, as of a table, where the images and the classes of Hugging Face go before names.

    Images without any other column that may be labels all get label 0.

    Raises SourceError where that cannot be told, and for a column of a type that it cannot have.
    """
    if options.columns is not None:
        raise SourceError(f"{where}: --columns names the columns of a CSV without a header; leave it out")
    chosen, notes = options, list[str]()
    image = (
        _only(where, "images", _images(fields), "--location-column") if options.location == _DEFAULTS.location else None
    )
    if image is not None:
        chosen = replace(chosen, location=image)
    if options.labels == _DEFAULTS.labels and not any(name.casefold() == "label" for name in fields):
        classes = [name for name, field in fields.items() if field.names is not None]
        label = _only(where, "labels", classes, "--label-column", ", '' for none")
        if label is not None:
            chosen = replace(chosen, labels=(label,))
            notes.append(f"{where}: the column {label!r} is taken for 'label'")
    names = tuple(name for name in fields if not name.startswith(_INDEX) or name in (*options.labels, options.id))
    others = names
    if options.labels == ALL_LABELS:  # what can be one
        named = (chosen.location, chosen.id, chosen.split)
        others = tuple(name for name in names if name in named or fields[name].kind in ("number", "text", "list"))
    is_unlabelled = image is not None and chosen.labels == _DEFAULTS.labels and _is_alone(image, names, chosen)
    if is_unlabelled:
        chosen = replace(chosen, labels=())
        notes.append(f"{where}: no column of labels: all images get label 0")
    notes += [
        f"{where}: the boxes in the column {name!r} are passed over; write COCO annotations to pack them"
        for name, field in fields.items()
        if field.kind == "other" and "bbox" in field.type
    ]
    found = named_columns(where, others, chosen)
    _check_kinds(where, fields, found.options)
    return replace(found, names=names, notes=(*notes, *found.notes))


def _is_alone(image: str, names: Sequence[str], options: TableOptions) -> bool:
    """Whether there is nothing beside the images that may be labels."""
    return all(name == image or is_no_label(name, options) for name in names)


def _images(fields: Mapping[str, Field]) -> list[str]:
    """The columns that may be the images: those that are said to be, or of images with paths, or of bytes."""
    if fields.get(_DEFAULTS.location, Field("other", "")).kind in ("image", "binary"):
        return [_DEFAULTS.location]
    for are_these in (
        [name for name, field in fields.items() if field.is_image and field.kind in ("image", "binary", "text")],
        [name for name, field in fields.items() if field.kind == "image"],
        [name for name, field in fields.items() if field.kind == "binary"],
        # Where nothing else can be one, the error is of these.
        [name for name, field in fields.items() if field.kind == "images" or field.is_image]
        if not any(map(is_path_name, fields))
        else [],
    ):
        if are_these:
            return are_these
    return []


def _only(where: str, what: str, names: Sequence[str], option: str, none: str = "") -> str | None:
    if len(names) > 1:
        any_of = ", ".join(map(repr, names))
        raise SourceError(f"{where}: the {what} may be in any of the columns {any_of}; name one by {option}{none}")
    return names[0] if names else None


def _check_kinds(where: str, fields: Mapping[str, Field], options: TableOptions) -> None:
    numbers: tuple[Kind, ...] = ("number", "text")
    for names, kinds, what, option in (
        ((options.location,), ("image", "binary", "text"), "images, or their paths or URLs", "--location-column"),
        (options.labels, (*numbers, "list"), "numbers, names, or lists of these", "--label-column"),
        ((options.id,), numbers, "whole numbers", "--id-column"),
        ((options.split,), numbers, "names of splits", "--split-column"),
    ):
        for name in names:
            field = fields.get(name or "")
            if field is not None and field.kind not in kinds:
                remedy = _remedy(name or "", field) if name == options.location else ""
                raise SourceError(
                    f"{where}: the column {name!r} is of the type {field.type}; expected {what}; {remedy}name another "
                    f"by {option}"
                )


def _remedy(name: str, field: Field) -> str:
    """What to do with a column of images that are not one in each row."""
    if field.kind == "images":
        return f"make a row of each image, as explode({name!r}) of pandas does, or "
    return "write their bytes, paths or URLs as a column of their own, or " if field.type.startswith("struct") else ""
