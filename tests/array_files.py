"""Files of arrays as others write them, and what is read from them."""

import gzip
import io
import pickle
import struct

import numpy as np
from PIL import Image

from dali_rec.sources import SourceOptions, TableOptions, open_source

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def noise(*shape, seed=0):
    """Random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def read(path, *, classes=None, **columns):
    return open_source(path, SourceOptions(classes=classes, table=TableOptions(**columns)))


def pixels_of(source, rows=None):
    """The pixels of all images, or of those in some rows of the source, by Pillow."""
    samples = list(source.samples) if rows is None else [source.samples[row] for row in rows]
    return decoded(source.pixels.read(sample.location) for sample in samples)


def decoded(files):
    """The pixels of encoded images, by Pillow."""
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])


def labels_of(source):
    return [sample.labels[0] if len(sample.labels) == 1 else sample.labels for sample in source.samples]


def split_of(source, name):
    """The rows of a split."""
    return next(range(one.start, one.stop) for one in source.splits if one.name == name)


def idx(array):
    """An array of bytes as an IDX file, by the format that MNIST's page gives."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, *, packed=False, prefix="", train=30, test=10):
    """MNIST's four files; gives the images and labels of train and t10k."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for seed, (name, count) in enumerate([("train", train), ("t10k", test)]):
        made[name] = noise(count, 28, 20, seed=seed), (np.arange(count) % 10).astype(np.uint8)
        for array, what in zip(made[name], ("images-idx3", "labels-idx1"), strict=True):
            data = idx(array)
            path = folder / f"{prefix}{name}-{what}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return made


def python2_pickle(value):
    """What cPickle of Python 2 writes by protocol 2, of mappings, lists, byte strings, small numbers and arrays."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value):
    if isinstance(value, bytes):
        return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))) + value
    if isinstance(value, int):
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(part) for pair in value.items() for part in pair) + b"u"
    shape = b"".join(map(_python2, value.shape)) + b"\x86"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return made + b"(K\x01" + shape + dtype + b"\x89" + _python2(value.tobytes()) + b"tb"


def write_cifar10(folder, dump=python2_pickle, batches=2, count=6):
    """cifar-10-batches-py; gives images (N, 32, 32, 3) and labels of train and test, as torchvision reads them."""
    folder.mkdir()
    made = {"train": [], "test": []}
    files = [*(f"data_batch_{number + 1}" for number in range(batches)), "test_batch"]
    for seed, file in enumerate(files):
        data, labels = noise(count, 3072, seed=seed), [(seed + row) % 10 for row in range(count)]
        names = [b"s_%06d.png" % row for row in range(count)]
        content = {b"batch_label": file.encode(), b"labels": labels, b"data": data, b"filenames": names}
        (folder / file).write_bytes(dump(content))
        made["test" if file == "test_batch" else "train"].append((data, labels))
    meta = {b"num_cases_per_batch": count, b"label_names": [name.encode() for name in CIFAR10], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(dump(meta))
    (folder / "readme.html").write_text("CIFAR")
    return {split: _seen(some) for split, some in made.items()}


def _seen(batches):
    # Of torchvision.datasets.CIFAR10.
    data = np.vstack([data for data, _ in batches]).reshape(-1, 3, 32, 32).transpose((0, 2, 3, 1))
    return data, [label for _, labels in batches for label in labels]


def python3_pickle(value):
    """As Python 3 pickles it, with texts for keys and names."""
    return pickle.dumps(_texts(value), protocol=4)


def _texts(value):
    if isinstance(value, dict):
        return {key.decode(): _texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value
