import struct

import numpy as np
import pytest
from support import DATA, jpeg

import dali_rec.compat.mxnet as mx
from dali_rec.compat.mxnet.io.mean_image import read_mean_image, write_mean_image
from dali_rec.errors import DatasetError
from dali_rec.recordio import RecordWriter

# mx.nd.save(path, {"mean_img": mx.nd.array([[[0, 1], [2, 3]]])}) of MXNet 1.9.1
BY_MXNET = bytes.fromhex(
    "120100000000000000000000000000000100000000000000c9fa93f90000000003000000010000000000000002000000000000000200000000000000010000000000000000000000000000000000803f0000004000004040010000000000000008000000000000006d65616e5f696d67"
)
IMAGE = np.array([[[0, 1], [2, 3]]], np.float32)


def test_a_file_of_mxnet_is_read(tmp_path):
    (tmp_path / "mean.nd").write_bytes(BY_MXNET)
    assert np.array_equal(read_mean_image(tmp_path / "mean.nd", (1, 2, 2)), IMAGE)


def test_what_is_written_is_what_mxnet_writes(tmp_path):
    write_mean_image(tmp_path / "mean.nd", IMAGE)
    assert (tmp_path / "mean.nd").read_bytes() == BY_MXNET


def test_files_of_before_mxnet_0_11_are_read(tmp_path):
    head = struct.pack("<QQQ", 0x112, 0, 1) + struct.pack("<I3I", 3, 1, 2, 2) + struct.pack("<iii", 1, 0, 0)
    (tmp_path / "mean.nd").write_bytes(head + IMAGE.tobytes() + struct.pack("<Q", 0))
    assert np.array_equal(read_mean_image(tmp_path / "mean.nd", (1, 2, 2)), IMAGE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a mean image that MXNet wrote"),
        (b"\xff\xd8\xff" + bytes(60), "it begins with"),
        (BY_MXNET[:40], "not a mean image that MXNet wrote"),
        (BY_MXNET[:80], "it was cut short"),
        (BY_MXNET[:28] + b"\1" + BY_MXNET[29:], "its array is sparse"),
        (BY_MXNET[:32] + b"\x7f" + BY_MXNET[33:], "127 dimensions"),
    ],
)
def test_other_files_are_refused(tmp_path, data, message):
    (tmp_path / "mean.nd").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_mean_image(tmp_path / "mean.nd", (1, 2, 2))


def test_files_of_other_arrays_are_refused(tmp_path):
    for arrays, message in (([IMAGE, IMAGE], "it has 2 arrays"), ([IMAGE.astype(np.uint8)], "its values are uint8")):
        mx.nd.save(tmp_path / "mean.nd", arrays)
        with pytest.raises(DatasetError, match=message):
            read_mean_image(tmp_path / "mean.nd", (1, 2, 2))


def test_another_shape_is_refused(tmp_path):
    write_mean_image(tmp_path / "mean.nd", IMAGE)
    with pytest.raises(DatasetError, match=r"its shape is \(1, 2, 2\), data_shape is \(3, 4, 4\)"):
        read_mean_image(tmp_path / "mean.nd", (3, 4, 4))


def test_it_is_made_from_all_records_where_there_is_none(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(7):
            writer.write_image(jpeg(key, (40, 36)), 0.0, key)
    settings = {"path_imgrec": tmp_path / "x.rec", "data_shape": (3, 24, 32), "batch_size": 7}
    plain = mx.io.ImageRecordIter(**settings).next().data[0]
    made = mx.io.ImageRecordIter(**settings, mean_img=tmp_path / "mean.nd", std_r=2, mirror=1, num_parts=1)
    stored = read_mean_image(tmp_path / "mean.nd", (3, 24, 32))
    assert np.allclose(stored, plain.mean(axis=0), atol=1e-4)
    expected = (plain - stored)[..., ::-1]
    expected[:, 0] /= 2
    assert np.allclose(made.next().data[0], expected, atol=1e-4)
    again = mx.io.ImageRecordIter(**settings, mean_img=tmp_path / "mean.nd").next().data[0]
    assert np.allclose(again, plain - stored)


def test_with_int8_it_is_rounded(tmp_path):
    mean = np.full((3, 24, 32), 100.5, np.float32)
    write_mean_image(tmp_path / "mean.nd", mean)
    settings = {"path_imgrec": DATA / "single.rec", "data_shape": (3, 24, 32), "batch_size": 4}
    plain = mx.io.ImageRecordIter(**settings).next().data[0]
    less = mx.io.ImageRecordInt8Iter(**settings, mean_img=tmp_path / "mean.nd").next().data[0]
    assert np.array_equal(less, np.clip(plain - 101, -128, 127))
