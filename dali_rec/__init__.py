"""Pack image data sets into RecordIO and feed them to training through NVIDIA DALI."""

from dali_rec import _interrupt, _required, errors  # noqa: F401  # the first before all that takes time
from dali_rec._version import __version__
from dali_rec.dataset import Dataset
from dali_rec.fetching import fetch
from dali_rec.images import decode_image
from dali_rec.inspection import contact_sheet, info, repair, unpack, verify
from dali_rec.loading import Loader, image_pipeline
from dali_rec.opening import open_dataset as open  # noqa: A004  # dali_rec.open, as in gzip.open
from dali_rec.packing import PackReport, pack
from dali_rec.recordio import Record, RecordReader, RecordWriter

__all__ = [
    "Dataset",
    "Loader",
    "PackReport",
    "Record",
    "RecordReader",
    "RecordWriter",
    "__version__",
    "contact_sheet",
    "decode_image",
    "errors",
    "fetch",
    "image_pipeline",
    "info",
    "open",
    "pack",
    "repair",
    "unpack",
    "verify",
]
