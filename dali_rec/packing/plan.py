"""The plan: which sample goes into which record of which shard, fixed before any image is read."""

from __future__ import annotations

import itertools
import os
import random
from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dali_rec._shard_names import shard_names
from dali_rec.errors import SourceError
from dali_rec.packing.reading import Origin
from dali_rec.packing.sizing import bounds_by_count, bounds_by_size
from dali_rec.packing.split import check_name, split_rows
from dali_rec.sources.remote import check_protocols

if TYPE_CHECKING:
    from dali_rec.packing.options import PackOptions
    from dali_rec.sources import Sample, SampleTable, Source


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One shard to be: the name of its files without suffix, and rows ``start`` to ``stop`` of the plan's samples."""

    name: str
    start: int
    stop: int

    @property
    def images(self) -> int:
        """Images that are to go into it."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Plan:
    """One data set to be: samples in packing order under their final ids, parted into shards.

    ``origin``: where their images are. ``name``: what its files are called. ``split``: train, val or test, or None
    where the source is not parted. ``has_urls``: whether some of the images are behind URLs.
    """

    samples: SampleTable
    origin: Origin
    shards: tuple[ShardPlan, ...]
    name: str
    split: str | None = None
    has_urls: bool = False

    def class_counts(self) -> dict[float, int]:
        """How many samples have each first label."""
        labels, counts = np.unique(self.samples.first_labels, return_counts=True)
        return dict(zip(labels.tolist(), counts.tolist(), strict=True))

    def missing_files(self) -> list[Sample]:
        """The samples whose file is not there; images that are no files, or behind URLs, are not looked for."""
        files = ((sample, self.origin.file_of(sample.location)) for sample in self.samples)
        return [sample for sample, file in files if file and not os.path.exists(file)]  # noqa: PTH110

    @property
    def stays_here(self) -> bool:
        """Whether this process alone can read the images: it knows what fsspec was given, or holds them itself."""
        return self.has_urls or (self.origin.pixels is not None and self.origin.pixels.stays_here)

    def listed(self, sample: Sample) -> Sample:
        """The sample as a .lst has it."""
        return sample if self.origin.pixels is None else replace(sample, location=self.origin.listed(sample.location))

    def named(self, sample: Sample) -> Sample:
        """The sample as messages and the list of rejected images name it."""
        return sample if self.origin.pixels is None else replace(sample, location=self.origin.named(sample.location))

    def only(self, shard: ShardPlan) -> Plan:
        """The plan of one shard alone, which takes no more memory, or network, than that shard needs."""
        samples = self.samples.take(np.arange(shard.start, shard.stop))
        return replace(self, samples=samples, shards=(ShardPlan(shard.name, 0, len(samples)),))


def make_plans(source: Source, name: str, options: PackOptions) -> tuple[Plan, ...]:
    """Part, order and number the samples of ``source``: one plan, or one for each split, NAME-train and so on.

    Ids run from 0 in packing order unless the source gives them. They are given before any image is read, so that a
    rejected image leaves a gap and the ids of the others depend on nothing but the source and the options.
    """
    return tuple(
        _make_plan(source, samples, name if split is None else f"{name}-{split}", split, options)
        for split, samples in _split(source, options)
    )


def _split(source: Source, options: PackOptions) -> list[tuple[str | None, SampleTable]]:
    samples = source.samples
    if source.splits:
        if options.split:
            raise SourceError(
                f"{source.name}: it is split already ({', '.join(split.name for split in source.splits)}); "
                "leave --split out, or pack one of them; --split-column '' makes one data set of a table or of arrays"
            )
        for split in source.splits:
            check_name(split.name)
        return [(split.name, samples.take(np.arange(split.start, split.stop))) for split in source.splits]
    if not options.split:
        return [(None, samples)]
    groups = samples.first_labels if options.stratify else None
    parts = split_rows(len(samples), options.split, options.seed, groups)
    return [(name, samples.take(rows)) for name, rows in parts.items()]


def _make_plan(source: Source, samples: SampleTable, name: str, split: str | None, options: PackOptions) -> Plan:
    if not len(samples) and split is not None and source.splits:
        raise SourceError(f"{source.name}: the split {split!r} has no images; take it away, or give it some")
    if not len(samples) and split is not None:
        remedy = "; --stratify parts each class by itself, and they are small" if options.stratify else ""
        raise SourceError(
            f"the split {split!r} gets none of the {len(source.samples)} images of {source.name}; give it a larger "
            f"share, or leave it out{remedy}"
        )
    if len(samples) < (options.shards or 1):
        what = "images" if split is None else f"images of the split {split!r}"
        raise SourceError(f"{len(samples)} {what} cannot fill {options.shards} shards; ask for fewer")
    if shuffles(source, options):
        if source.is_in_order:
            raise SourceError(
                f"{source.name}: its images can be read in their order alone, and not shuffled at the same time; leave "
                "--shuffle out, and shuffle the packed data set by 'dali-rec shuffle', or when it is loaded"
            )
        order = array("q", range(len(samples)))
        random.Random(options.seed).shuffle(order)  # noqa: S311  # a repeatable order, not a secret
        samples = samples.take(order)
    if not source.keys_are_given:
        samples = samples.renumbered()
    origin = Origin(source.root, source.pixels)
    # What is held is read from where it is, whatever URL it came from.
    files = (sample.location for sample in samples if origin.holder_of(sample.location) is None)
    has_urls = check_protocols(files, options.fetch)
    shards = plan_shards(name, _bounds(samples, origin, options, has_urls=has_urls))
    return Plan(samples, origin, shards, name, split, has_urls)


def shuffles(source: Source, options: PackOptions) -> bool:
    """Whether the samples are shuffled: as asked, or as is usual for the source."""
    return options.shuffle if options.shuffle is not None else source.shuffled_by_default


def _bounds(samples: SampleTable, origin: Origin, options: PackOptions, *, has_urls: bool) -> list[int]:
    """The rows at which shards begin, and the number of rows."""
    count = len(samples)
    if options.shard_size is not None:
        return bounds_by_size(samples, origin, options, options.shard_size, has_urls=has_urls)
    if options.shard_records is not None:
        return bounds_by_count(count, -(-count // options.shard_records))
    return bounds_by_count(count, options.shards or 1)


def plan_shards(name: str, bounds: list[int]) -> tuple[ShardPlan, ...]:
    """The shards of the data set ``name`` between these rows."""
    names = shard_names(name, len(bounds) - 1)
    return tuple(ShardPlan(shard, *rows) for shard, rows in zip(names, itertools.pairwise(bounds), strict=True))
