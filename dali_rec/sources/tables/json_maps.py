"""JSON of one object that is no row: paths by class, labels by path, or a list of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_rec.sources.image_names import names_image
from dali_rec.sources.sample import SPLIT_NAMES
from dali_rec.sources.tables.columns import is_location_name

if TYPE_CHECKING:
    from collections.abc import Mapping


def paths_and_labels(values: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    """The path and the label of each image where an object has all of them, None where it is one of rows.

    ``{class: [path, …], …}`` as Food-101's train.json, ``{path: label, …}``, or ``{"labels": [[path, label], …]}`` as
    StyleGAN's dataset.json.

    Raises ValueError for lists of something else than the paths of a class.
    """
    pairs = values.get("labels") if len(values) == 1 else None
    if isinstance(pairs, list) and pairs and all(map(_is_pair, pairs)):
        return [(path, label) for path, label in pairs]
    if values and all(map(names_image, values)):
        return list(values.items())
    if values and all(map(_is_list_of_text, values.values())):
        _refuse_no_classes(values)
        return [(path, label) for label, paths in values.items() for path in paths]
    return None


def _refuse_no_classes(lists: Mapping[str, list[str]]) -> None:
    if all(name.lower() in SPLIT_NAMES for name in lists):
        raise ValueError(
            f"its lists are of splits, {', '.join(lists)}, and have no labels; write a table with the columns "
            "location, label and split"
        )
    column = next(filter(is_location_name, lists), None)
    if column is not None and len(set(map(len, lists.values()))) == 1:
        raise ValueError(
            f"its lists look like columns, {', '.join(lists)[:80]}; write a list of rows, [{{{column!r}: …}}, …], as "
            "pandas does by orient='records'"
        )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
