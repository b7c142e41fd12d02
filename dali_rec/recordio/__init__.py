"""The RecordIO file format and nothing else: framing, image header, index, reader, writer."""

from dali_rec.recordio.framing import MAGIC, MAX_RECORD_LENGTH
from dali_rec.recordio.header import ImageHeader, pack_header, unpack_header
from dali_rec.recordio.index import Index, index_path_of, read_index, write_index
from dali_rec.recordio.reader import Record, RecordReader
from dali_rec.recordio.writer import RecordWriter

__all__ = [
    "MAGIC",
    "MAX_RECORD_LENGTH",
    "ImageHeader",
    "Index",
    "Record",
    "RecordReader",
    "RecordWriter",
    "index_path_of",
    "pack_header",
    "read_index",
    "unpack_header",
    "write_index",
]
