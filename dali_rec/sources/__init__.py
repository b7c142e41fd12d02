"""Where images and labels come from. Each source yields samples: an id, labels, and where the image is."""

from dali_rec.sources.archives.images import ArchivedImages
from dali_rec.sources.arrays.find import read_arrays
from dali_rec.sources.arrays.images import ArrayImages
from dali_rec.sources.detection import Empty, Flagged, Format, read_detection
from dali_rec.sources.folders.folder import read_folder
from dali_rec.sources.folders.folder_labels import FolderLabels
from dali_rec.sources.held_images import HeldImages
from dali_rec.sources.items import ItemImages, read_items
from dali_rec.sources.lst import format_label, format_list, read_list
from dali_rec.sources.opening import open_source
from dali_rec.sources.options import SourceOptions
from dali_rec.sources.packed import read_packed
from dali_rec.sources.pairs import read_pairs
from dali_rec.sources.parquet.images import ParquetImages
from dali_rec.sources.parquet.source import read_parquet
from dali_rec.sources.remote import FetchOptions
from dali_rec.sources.sample import Sample, SampleTable, Source, Split
from dali_rec.sources.tables.columns import TableOptions
from dali_rec.sources.tables.pixel_table import PixelTable
from dali_rec.sources.tables.table import read_table
from dali_rec.sources.tfrecord.images import TFRecordImages
from dali_rec.sources.tfrecord.source import read_tfrecords

__all__ = [
    "ArchivedImages",
    "ArrayImages",
    "Empty",
    "FetchOptions",
    "Flagged",
    "FolderLabels",
    "Format",
    "HeldImages",
    "ItemImages",
    "ParquetImages",
    "PixelTable",
    "Sample",
    "SampleTable",
    "Source",
    "SourceOptions",
    "Split",
    "TFRecordImages",
    "TableOptions",
    "format_label",
    "format_list",
    "open_source",
    "read_arrays",
    "read_detection",
    "read_folder",
    "read_items",
    "read_list",
    "read_packed",
    "read_pairs",
    "read_parquet",
    "read_table",
    "read_tfrecords",
]
