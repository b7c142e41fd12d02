"""More images for a packed data set, as further shards: its files stay, its classes keep their numbers."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._numbers import counted, distinct
from dali_rec._shard_names import appended_name, appending_of
from dali_rec.errors import DatasetNotFoundError, SourceError
from dali_rec.manifest import parse_manifest
from dali_rec.packing.options import ImageOptions
from dali_rec.packing.plan import plan_shards
from dali_rec.recordio.header import MAX_ID
from dali_rec.recordio.index import parse_index

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dali_rec.manifest import Manifest, ShardEntry
    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.plan import Plan
    from dali_rec.packing.store import Store
    from dali_rec.sources import Source

# These say which images are refused, and not what the others become.
_FREE_OPTIONS = ("max_pixels", "trust")
# Among the options in the manifest: a digest of the images that were the last to be added.
_IMAGES = "last_appended"


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """The data set that is appended to.

    ``keys``: its ids, uint64. ``number``: of this appending, from 1. ``images``: a digest of which ones are added.
    """

    name: str
    manifest: Manifest
    keys: NDArray[np.uint64]
    number: int
    images: str

    @property
    def has_them(self) -> bool:
        """Whether these images were the last to be added to it."""
        return self.manifest.options.get(_IMAGES) == self.images

    def extended(self, added: Manifest) -> Manifest:
        """The manifest with more shards. It keeps the options that made the first of them."""
        options = {**self.manifest.options, _IMAGES: self.images}
        joined = self.manifest.joined(added)
        return replace(joined, classes=added.classes, created_by=added.created_by, options=options)

    @property
    def added_name(self) -> str:
        """What the shards of this appending are called."""
        return appended_name(self.name, self.number)


def append_to(
    store: Store,
    source: Source,
    plans: tuple[Plan, ...],
    options: PackOptions,
    before: Mapping[str, Manifest] | None = None,
) -> tuple[Source, tuple[Plan, ...], tuple[Base, ...]]:
    """The source and the plans as what is added to the data sets of the same names in ``store``, and those.

    Names of classes that the data sets have keep their numbers, new ones come after them. Ids go on after the largest,
    unless the source gives them.

    before: manifests by name, instead of those in ``store``, where an appending is finished that has replaced some.

    Raises DatasetNotFoundError, or SourceError where the two do not go together.
    """
    bases = tuple(_read_base(store, plan, (before or {}).get(plan.name), source) for plan in plans)
    if source.has_boxes:
        for base in bases:
            _refuse_other_boxes(store, base, source)
    for base in bases:
        _refuse_other_labels(store.path(f"{base.name}.json"), base.manifest, source)
        _refuse_other_options(store.path(f"{base.name}.json"), base.manifest, options)
    classes, new_labels = _unite(bases[0].manifest.classes, source.classes)
    extended = tuple(_extend(plan, base, new_labels, source) for plan, base in zip(plans, bases, strict=True))
    added = len(classes or ()) - len(bases[0].manifest.classes or ())
    notes = source.notes
    if classes is not None and added:
        shown = ", ".join(classes[-added:][:5]) + (" …" if added > 5 else "")
        notes = (*notes, f"{counted(added, 'new class', 'new classes')}: {shown}")
    return replace(source, classes=classes, notes=notes), extended, bases


def _read_base(store: Store, plan: Plan, before: Manifest | None, source: Source) -> Base:
    name = plan.name
    path = store.path(f"{name}.json")
    if not store.exists(f"{name}.json"):
        raise DatasetNotFoundError(f"{path}: no such data set to append to; leave --append out to make it")
    manifest = before or parse_manifest(store.read(f"{name}.json"), path)
    keys = [_read_keys(store, shard) for shard in manifest.shards]
    before_this = max((appending_of(PurePath(shard.rec).stem) for shard in manifest.shards), default=0)
    which = json.dumps([os.path.abspath(source.root), source.classes, plan.samples.digest])  # noqa: PTH100  # or a URL
    images = hashlib.sha256(which.encode()).hexdigest()
    return Base(name, manifest, np.concatenate(keys).astype(np.uint64), before_this + 1, images)


def _read_keys(store: Store, shard: ShardEntry) -> NDArray[np.int64]:
    path = store.path(shard.idx)
    if not store.exists(shard.idx):
        raise DatasetNotFoundError(f"{path}: no such file; rebuild it with 'dali-rec index {store.path(shard.rec)}'")
    return parse_index(store.read(shard.idx), path).keys


def _refuse_other_labels(path: str, manifest: Manifest, source: Source) -> None:
    widths = source.samples.label_widths
    width = next(iter(widths)) if len(widths) == 1 else 0
    kind = source.label_kind
    same_width = manifest.label_width == width or kind == "boxes"
    if not same_width or manifest.label_kind != kind:
        raise SourceError(
            f"{path} has {_labels(manifest.label_width, manifest.label_kind)}, the images to append have "
            f"{_labels(width, kind)}: pack them as a data set of their own"
        )
    if (manifest.classes is None) != (source.classes is None):
        ours, theirs = "the data set has", "the images to append have"
        named, unnamed = (ours, theirs) if manifest.classes else (theirs, ours)
        raise SourceError(
            f"{path}: {named} names for the classes, and {unnamed} none; pack the images as a data set of their own"
        )
    if manifest.label_classes != source.label_classes:
        raise SourceError(f"{path}: the columns of labels have other names; pack the images as a data set of their own")


def _refuse_other_boxes(store: Store, base: Base, source: Source) -> None:
    """Boxes of one data set have as many numbers each."""
    if base.manifest.label_kind != "boxes":
        return  # _refuse_other_labels says so
    before = _box_layout(store, f"{base.name}.lst")
    now = next((list(sample.labels[:2]) for sample in source.samples if sample.labels), before)
    if now != before:
        raise SourceError(
            f"{store.path(base.name)}.json has boxes of {before[1]:.0f} numbers an object, these have {now[1]:.0f}: "
            "say --flagged as it was said for it, or pack a data set of its own"
        )


def _box_layout(store: Store, name: str) -> list[float]:
    """The two numbers with which the labels of each image with boxes begin, by the list."""
    first = store.read(name).split(b"\n", 1)[0].split(b"\t")[1:3] if store.exists(name) else []
    try:
        header, width = (float(number) for number in first)
    except ValueError:
        raise SourceError(
            f"{store.path(name)}: missing, or without the labels of the first record, which say how boxes are laid "
            "out: put it back from a copy; 'dali-rec merge' of this data set alone makes it anew, as another one"
        ) from None
    return [header, width]


def _labels(width: int, kind: str) -> str:
    if kind == "boxes":
        return "boxes"
    what = "one label" if width == 1 else f"{width} labels" if width else "labels of different numbers"
    return f"{what} an image ({'class numbers' if kind == 'class' else 'values'})"


def _refuse_other_options(path: str, manifest: Manifest, options: PackOptions) -> None:
    recorded = options.recorded()
    for field in fields(ImageOptions):
        before = manifest.options.get(field.name, field.default)
        if field.name not in _FREE_OPTIONS and before != recorded[field.name]:
            then, now = _option(field.name, before), _option(field.name, recorded[field.name])
            raise SourceError(
                f"{path} was packed with {then}, and this would be with {now}: say the same, or pack a data set of its "
                "own"
            )


def _option(name: str, value: object) -> str:
    """As it is given to the command."""
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return f"no {option}"
    return option if value is True else f"{option} {value}"


def _unite(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> tuple[tuple[str, ...] | None, list[int] | None]:
    """All names, the old ones first, and for each new number the one that it becomes."""
    if old is None or new is None:
        return old, None
    names = list(dict.fromkeys((*old, *new)))
    numbers = {name: number for number, name in enumerate(names)}
    return tuple(names), [numbers[name] for name in new]


def _extend(plan: Plan, base: Base, new_labels: list[int] | None, source: Source) -> Plan:
    samples = plan.samples
    if source.keys_are_given:
        keys = distinct(samples.keys)
        taken = keys[np.isin(keys, base.keys)]
        if len(taken):
            remedy = "'dali-rec merge' numbers packed data sets anew"
            if not source.files:
                remedy = f"number the new images otherwise, or pack them by themselves: {remedy}"
            raise SourceError(f"id {taken[0]}, and {len(taken) - 1} more, are in {base.name} already: {remedy}")
    else:
        first = int(base.keys.max()) + 1 if len(base.keys) else 0
        if first + len(samples) - 1 > MAX_ID:
            raise SourceError(
                f"{base.name} has the id {first - 1}, after which there are not enough: give the images ids, in a list "
                "or a column"
            )
        samples = samples.renumbered(first)
    if new_labels is not None:
        relabel = samples.with_objects_relabelled if source.has_boxes else samples.relabelled
        samples = relabel(new_labels)
    bounds = [plan.shards[0].start, *(shard.stop for shard in plan.shards)]
    return replace(plan, samples=samples, shards=plan_shards(base.added_name, bounds))
