"""TFRecord files, written without TensorFlow or our own reader, and what is packed of them."""

import struct

from support import jpeg

import dali_rec
from dali_rec.sources import SourceOptions, TableOptions, open_source

FILES = [jpeg(number, (24, 32)) for number in range(12)]
CLASSES = ["hen", "tench", "shark"]


def crc32c(data):
    """CRC-32C bit by bit, as RFC 3720 has it, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data):
    """A record with this data."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def varint(value):
    value %= 1 << 64
    pieces = bytearray()
    while value > 127:
        pieces.append(value & 127 | 128)
        value >>= 7
    return bytes([*pieces, value])


def field(number, data):
    """A field of a message that has a length."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(value):
    """A feature of one value or a list of them, of bytes or text, integers, or floats; None says nothing."""
    if value is None:
        return b""
    values = value if isinstance(value, list) else [value]
    if values and all(isinstance(one, int) for one in values):
        return field(3, field(1, b"".join(map(varint, values))))
    if values and all(isinstance(one, float) for one in values):
        return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
    return field(1, b"".join(field(1, one.encode() if isinstance(one, str) else one) for one in values))


def example(features):
    """An Example of features by their names."""
    entries = (field(1, name.encode()) + field(2, feature(value)) for name, value in features.items())
    return field(1, b"".join(field(1, entry) for entry in entries))


def write(path, examples):
    """A file of such Examples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(record(example(one)) for one in examples))
    return path


def labelled(path, labels, files=FILES):
    return write(path, [{"image": file, "label": label} for file, label in zip(files, labels, strict=False)])


def read(path, classes=None, **options):
    return open_source(path, SourceOptions(table=TableOptions(**options), classes=classes))


def labels_of(source):
    return [sample.labels for sample in source.samples]


def images_of(source):
    return [source.pixels.read(sample.location) for sample in source.samples]


def records_of(prefix):
    return [(one.key, one.labels.tolist(), one.image) for one in dali_rec.open(prefix)]
