"""Samples in, shards out."""

from dali_rec.packing.insightface import pack_insightface, write_insightface
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
    "pack_insightface",
    "plan_pack",
    "write_insightface",
]
