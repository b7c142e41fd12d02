"""What TensorFlow itself writes and reads, beside our reader and what tests write without it."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tfrecord_files import CLASSES, FILES, example, images_of, labelled, labels_of, read

import dali_rec
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources.tfrecord.example import ExampleError, Window, read_example

tf = pytest.importorskip("tensorflow")

from google.protobuf.message import DecodeError  # noqa: E402  # comes with TensorFlow

KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int", None: "none"}
INTEGERS = st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=4)
FLOATS = st.lists(st.floats(width=32), max_size=4)
BYTES = st.lists(st.binary(max_size=150), max_size=3)


def feature(kind, values):
    lists = {"bytes": tf.train.BytesList, "float": tf.train.FloatList, "int": tf.train.Int64List}
    name = next(name for name, one in KINDS.items() if one == kind)
    return tf.train.Feature(**{name: lists[kind](value=values)})


def built(features):
    """An Example of (kind, values) by their names."""
    entries = {name: feature(*one) for name, one in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=entries))


def comparable(kind, values):
    return kind, [struct.pack("<f", one) for one in values] if kind == "float" else [*values]


def theirs(data):
    """The features in these bytes by TensorFlow, None where these are no Example."""
    try:
        found = tf.train.Example.FromString(data).features.feature
    except DecodeError:
        return None
    kinds = {name: one.WhichOneof("kind") for name, one in found.items()}
    return {
        name: comparable(KINDS[kinds[name]], getattr(one, kinds[name]).value if kinds[name] else [])
        for name, one in found.items()
    }


def ours(data):
    window = Window(data)
    return {
        name: comparable(one.kind, [window.take(value) for value in one.values] if one.kind == "bytes" else one.values)
        for name, one in read_example(window, 0, len(data)).items()
    }


VALUES = st.one_of(
    st.tuples(st.just("int"), INTEGERS), st.tuples(st.just("float"), FLOATS), st.tuples(st.just("bytes"), BYTES)
)
FEATURES = st.dictionaries(st.sampled_from(["a", "image/encoded", "é", ""]), VALUES, max_size=4)


@given(FEATURES)
def test_examples_that_tensorflow_writes(features):
    data = built(features).SerializeToString()
    assert ours(data) == theirs(data) == {name: comparable(*one) for name, one in features.items()}


@given(FEATURES, FEATURES)
def test_examples_one_behind_another_are_merged_as_protobuf_does(one, other):
    data = built(one).SerializeToString() + built(other).SerializeToString()
    assert ours(data) == theirs(data)


@settings(max_examples=300)
@given(VALUES, st.data())
def test_a_damaged_example_is_read_as_tensorflow_reads_it_or_not_at_all(values, data):
    damaged = bytearray(built({"a": values}).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = ours(bytes(damaged))
    except ExampleError:
        return
    # Protobuf of Python leaves out a feature beside whose name and value stands a field that it does not know.
    assert theirs(bytes(damaged)) in (None, found, {})


def test_what_tests_write_is_what_tensorflow_reads(tmp_path):
    file = labelled(tmp_path / "x.tfrecord", [5, "cat", [0.5, 2.0]])
    found = [theirs(one.numpy()) for one in tf.data.TFRecordDataset(str(file))]
    labels = [("int", [5]), ("bytes", [b"cat"]), comparable("float", [0.5, 2.0])]
    wanted = [{"image": ("bytes", [FILES[at]]), "label": label} for at, label in enumerate(labels)]
    assert found == wanted
    assert ours(example({"a": [1, -1]})) == theirs(example({"a": [1, -1]})) == {"a": ("int", [1, -1])}


def write(path, rows, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as file:
        for row in rows:
            file.write(built(row).SerializeToString())
    return path


ROWS = [
    {
        "image/encoded": ("bytes", [file]),
        "image/class/label": ("int", [1 + number % 3]),
        "image/class/text": ("bytes", [CLASSES[number % 3].encode()]),
        "image/filename": ("bytes", [f"{number}.jpg".encode()]),
        "image/object/bbox/xmin": ("float", []),
    }
    for number, file in enumerate(FILES)
]


def test_a_file_that_tensorflow_writes_is_packed(tmp_path):
    dali_rec.pack(write(tmp_path / "train-00000-of-00001", ROWS), tmp_path / "out" / "x")
    data = dali_rec.open(tmp_path / "out" / "x")
    assert [(record.labels.tolist(), record.image) for record in data] == [
        ([1 + number % 3], file) for number, file in enumerate(FILES)
    ]
    assert data.classes == ("0", *CLASSES)
    assert (tmp_path / "out" / "x.lst").read_text().splitlines()[11] == "11\t3\t11.jpg"


@pytest.mark.parametrize("kind", ["GZIP", "ZLIB"])
def test_files_that_tensorflow_compresses_are_refused(tmp_path, kind):
    file = write(tmp_path / "x.tfrecord", ROWS, kind)
    with pytest.raises(SourceError, match=rf"compressed as a whole \({kind}\)"):
        read(file)


def test_images_that_tensorflow_encodes(tmp_path):
    pixels = tf.cast(tf.random.stateless_uniform((6, 8, 3), (1, 2), 0, 256, tf.int32), tf.uint8)
    files = [tf.io.encode_png(pixels).numpy(), tf.io.encode_jpeg(pixels).numpy()]
    rows = [{"image": ("bytes", [file]), "label": ("int", [at])} for at, file in enumerate(files)]
    source = read(write(tmp_path / "x.tfrecord", rows))
    assert (images_of(source), labels_of(source)) == (files, [(0,), (1,)])


@pytest.mark.parametrize("shape", [(6, 8, 3), (6, 8, 1), (6, 8)])
def test_images_that_tensorflow_serializes_as_tensors(tmp_path, shape):
    tensor = tf.cast(tf.random.stateless_uniform(shape, (1, 2), 0, 256, tf.int32), tf.uint8)
    data = tf.io.serialize_tensor(tensor).numpy()
    source = read(write(tmp_path / "x.tfrecord", [{"image": ("bytes", [data]), "label": ("int", [1])}]))
    (image,) = images_of(source)
    assert image.startswith(b"\x89PNG")
    channels = shape[2] if len(shape) == 3 else 1
    assert (tf.io.decode_png(image, channels).numpy() == tensor.numpy().reshape(6, 8, channels)).all()


@pytest.mark.parametrize(
    ("shape", "cut", "reason"),
    [
        ((6, 8, 4), None, r"pixels of shape \(6, 8, 4\)"),
        ((6,), None, r"pixels of shape \(6,\)"),
        ((6, 8, 3), -5, "a field of 144 bytes|are left"),
    ],
)
def test_tensors_that_are_no_images_are_rejected(tmp_path, shape, cut, reason):
    data = tf.io.serialize_tensor(tf.ones(shape, tf.uint8)).numpy()[:cut]
    source = read(write(tmp_path / "x.tfrecord", [{"image": ("bytes", [data]), "label": ("int", [1])}]))
    with pytest.raises(ImageRejectedError, match=rf"x\.tfrecord, record 0: .*({reason})"):
        images_of(source)
