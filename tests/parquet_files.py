"""Parquet and Arrow files as Hugging Face writes them, and what is packed of them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
from support import jpeg

import dali_rec
from dali_rec.sources import SourceOptions, TableOptions, open_source

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FILES = [jpeg(number, (24, 32)) for number in range(12)]
CLASSES = ["hen", "tench", "shark"]


def features(**columns):
    """What Hugging Face writes beside the columns."""
    return {b"huggingface": json.dumps({"info": {"features": columns}}).encode()}


HUGGING_FACE = features(image={"_type": "Image"}, label={"names": CLASSES, "_type": "ClassLabel"})


def images(files=FILES, paths=None):
    rows = zip(files, paths or [f"n{number}.jpg" for number in range(len(files))], strict=True)
    return pa.array([{"bytes": file, "path": path} for file, path in rows], IMAGE)


def write(path, columns, metadata=None, group=5, **options):
    """A file of these columns with so many rows in a group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=group, **options)
    return path


def write_arrow(path, columns, metadata=None, group=5, *, new=pa.ipc.new_stream, compression=None):
    """An Arrow file of these columns with so many rows in a batch, as a stream or with ``new`` as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns).replace_schema_metadata(metadata)
    with new(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=group)
    return path


def labelled(path, labels, files=None, metadata=HUGGING_FACE, **options):
    """A file of images with these labels, Parquet or Arrow by its name."""
    files = FILES[: len(labels)] if files is None else files
    columns = {"image": images(files), "label": pa.array(labels, pa.int64())}
    return (write_arrow if path.suffix == ".arrow" else write)(path, columns, metadata, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(path, classes=None, root=None, **options):
    return open_source(path, SourceOptions(root=root, table=TableOptions(**options), classes=classes))


def labels_of(source):
    return [sample.labels for sample in source.samples]


def images_of(source):
    return [source.pixels.read(sample.location) for sample in source.samples]


def records_of(prefix):
    return [(record.key, record.labels.tolist(), record.image) for record in dali_rec.open(prefix)]
