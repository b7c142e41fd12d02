"""The plan: which sample goes into which record of which shard, fixed before any image is read."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.packing.options import PackOptions
    from dali_rec.sources import SampleTable, Source


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One shard to be: the name of its files without suffix, and rows ``start`` to ``stop`` of the plan's samples."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole work: samples in packing order under their final ids, parted into shards."""

    samples: SampleTable
    root: str
    shards: tuple[ShardPlan, ...]


def make_plan(source: Source, out: Path, options: PackOptions) -> Plan:
    """Order, number and part the samples of ``source``.

    Ids run from 0 in packing order unless the source gives them. They are given before any image is read, so that a
    rejected image leaves a gap and the ids of the others depend on nothing but the source and the options.
    """
    samples = source.samples
    if len(samples) < options.shards:
        raise SourceError(f"{len(samples)} images cannot fill {options.shards} shards; ask for fewer")
    shuffle = options.shuffle if options.shuffle is not None else source.shuffled_by_default
    if shuffle:
        order = list(range(len(samples)))
        random.Random(options.seed).shuffle(order)  # noqa: S311  # a repeatable order, not a secret
        samples = samples.take(order)
    if not source.keys_are_given:
        samples = samples.renumbered()
    return Plan(samples, source.root, plan_shards(len(samples), out.name, options.shards))


def plan_shards(count: int, name: str, shards: int) -> tuple[ShardPlan, ...]:
    """Part ``count`` rows into ``shards`` runs whose lengths differ by one at most."""
    if shards == 1:
        return (ShardPlan(name, 0, count),)
    bounds = [count * shard // shards for shard in range(shards + 1)]
    return tuple(
        ShardPlan(f"{name}-{shard:05d}-of-{shards:05d}", bounds[shard], bounds[shard + 1]) for shard in range(shards)
    )
