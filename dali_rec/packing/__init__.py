"""Samples in, shards out."""

from dali_rec.packing.options import ImageOptions, PackOptions, available_cores
from dali_rec.packing.pack import PackedSet, PackReport, pack, plan_pack
from dali_rec.packing.shard import Rejection

__all__ = [
    "ImageOptions",
    "PackOptions",
    "PackReport",
    "PackedSet",
    "Rejection",
    "available_cores",
    "pack",
    "plan_pack",
]
