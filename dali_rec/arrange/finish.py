"""The end of merging, splitting and shuffling: the manifest of what was written."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dali_rec._version import __version__
from dali_rec.images import MAX_PIXELS
from dali_rec.manifest import LabelKind, Manifest
from dali_rec.packing.options import ImageOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.arrange.inputs import ClassNames, Input
    from dali_rec.arrange.writer import SetWriter

_INPUTS = "inputs"


def finish(
    writer: SetWriter,
    inputs: Sequence[Input],
    options: dict[str, Any],
    names: ClassNames | None,
    *,
    split: str | None = None,
    measured: bool = False,
) -> Manifest:
    """Finish what was written; gives its manifest.

    options: what the user asked for. names: of the classes, by column of labels. measured: all images were; otherwise
    the manifests' sizes count too.
    """
    entries = writer.finish()
    facts = writer.facts
    manifests = [one.manifest for one in inputs if one.manifest is not None]
    kinds: set[LabelKind] = {manifest.label_kind for manifest in manifests}
    if len(manifests) < len(inputs) and "boxes" not in kinds:
        kinds.add("class" if facts.are_classes else "values")
    sizes = [(0, 0)] if measured else [(manifest.max_width, manifest.max_height) for manifest in manifests]
    return Manifest(
        records=sum(entry.records for entry in entries),
        shards=entries,
        label_width=next(iter(facts.widths)) if len(facts.widths) == 1 else 0,
        label_kind=kinds.pop() if len(kinds) == 1 else "values",
        max_width=max(facts.max_width, *(width for width, _ in sizes), 0),
        max_height=max(facts.max_height, *(height for _, height in sizes), 0),
        bytes=sum(entry.bytes for entry in entries),
        classes=names[0] if names is not None and len(names) == 1 else None,
        label_classes=names if names is not None and len(names) > 1 else None,
        split=split,
        options={**_image_options(manifests, len(inputs)), **options, _INPUTS: [_described(one) for one in inputs]},
        created_by=f"dali-rec {__version__}",
    )


def _image_options(manifests: Sequence[Manifest], inputs: int) -> dict[str, Any]:
    """How the images were made, as packing records it: what all inputs agree on, and the largest ``max_pixels``.

    Appending asks for the same options again, and verifying for the most pixels of an image.
    """
    recorded = [manifest.options for manifest in manifests]
    kept = {}
    for name in (field.name for field in fields(ImageOptions)):
        values = [options[name] for options in recorded if name in options]
        if name == "max_pixels" and values:
            kept[name] = max((value for value in values if isinstance(value, int)), default=MAX_PIXELS)
        elif len(values) == inputs and all(value == values[0] for value in values):
            kept[name] = values[0]
    return kept


def _described(one: Input) -> dict[str, Any]:
    """An input in the manifest, by names that do not depend on where it lies.

    Without its own inputs: a data set that a day is merged into each day would be described at ever more length.
    """
    options = None
    if one.manifest is not None:
        options = {name: value for name, value in one.manifest.options.items() if name != _INPUTS}
    return {
        "files": [shard.path.name for shard in one.dataset.shards],
        "records": len(one.dataset),
        "options": options,
    }
