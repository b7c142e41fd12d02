"""Samples in, shards out."""

from dali_rec.packing.options import ImageOptions, PackOptions, available_cores
from dali_rec.packing.pack import PackReport, pack
from dali_rec.packing.shard import Rejection

__all__ = ["ImageOptions", "PackOptions", "PackReport", "Rejection", "available_cores", "pack"]
