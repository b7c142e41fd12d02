"""Samples in, shards out."""

from dali_rec._cores import available_cores
from dali_rec.packing.finish import PackedSet
from dali_rec.packing.insightface import pack_insightface, run_pack_insightface, write_insightface
from dali_rec.packing.options import ImageOptions, PackOptions, RunOptions
from dali_rec.packing.pack import pack
from dali_rec.packing.report import Rejection
from dali_rec.packing.run import PackReport, plan_pack, run_pack

__all__ = [
    "ImageOptions",
    "PackOptions",
    "PackReport",
    "PackedSet",
    "Rejection",
    "RunOptions",
    "available_cores",
    "pack",
    "pack_insightface",
    "plan_pack",
    "run_pack",
    "run_pack_insightface",
    "write_insightface",
]
