import json
import multiprocessing
import pickle
import random
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support import DATA, picture

import dali_rec.compat.mxnet as mx
from dali_rec.errors import IndexFileError, TruncatedRecordError

FACTS = json.loads((DATA / "facts.json").read_text())


# What MXNet's own tests check


def test_records_come_back_in_order(tmp_path):
    record = mx.recordio.MXRecordIO(tmp_path / "x.rec", "w")
    for number in range(255):
        record.write(str(chr(number % 128)).encode())
    del record
    record = mx.recordio.MXRecordIO(tmp_path / "x.rec", "r")
    assert [record.read() for _ in range(255)] == [str(chr(number % 128)).encode() for number in range(255)]
    assert record.read() is None


def test_records_come_back_by_key(tmp_path):
    keys = [f"key{number}" for number in range(255)]
    record = mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w", key_type=str)
    for key in keys:
        record.write_idx(key, key.encode())
    del record
    record = mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r", key_type=str)
    assert record.keys == keys
    random.Random(0).shuffle(keys)
    assert [record.read_idx(key) for key in keys] == [key.encode() for key in keys]


@pytest.mark.parametrize("width", [1, 2, 7, 63, 254])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 64, 254])
def test_labels_and_content_come_back(width, length):
    generator = np.random.default_rng(width * 255 + length)
    labels, content = generator.random(width).astype(np.float32), generator.bytes(length)
    header, found = mx.recordio.unpack(mx.recordio.pack((0, labels, 7, 3), content))
    assert (header.flag, header.id, header.id2, found) == (width, 7, 3, content)
    assert np.array_equal(header.label, labels)


# An .idx that is not as it should be


def indexed(tmp_path, text):
    (tmp_path / "x.idx").write_text(text)
    return mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", DATA / "single.rec", "r")


def test_unknown_key_is_named_with_those_there_are(tmp_path):
    with pytest.raises(KeyError, match=r"x\.idx has no record 0; the keys are 1 … 9"):
        indexed(tmp_path, "1\t0\n9\t0\n").read_idx(0)
    with pytest.raises(KeyError, match="the keys are none"):
        indexed(tmp_path, "").read_idx(0)


# MXNet on Windows wrote 2^64 - 1 for places beyond 2 GB, and negative ones.
@pytest.mark.parametrize("offset", [2**64 - 1, -(2**31) + 4, (DATA / "single.rec").stat().st_size])
def test_place_outside_of_the_file_is_an_error(tmp_path, offset):
    record = indexed(tmp_path, f"1\t0\n2\t{offset}\n")
    assert record.read_idx(1)
    with pytest.raises(IndexFileError, match=rf"record 2 is said to be at offset {offset}, but .* 'dali-rec index"):
        record.read_idx(2)


def test_blanks_part_columns_as_well(tmp_path):
    assert indexed(tmp_path, "5 0\n\n6\t0\t9\n").idx == {5: 0, 6: 0}


@pytest.mark.parametrize("line", ["7", "a\t0", "7\tb", "7.5 0"])
def test_line_that_is_no_entry_is_named(tmp_path, line):
    with pytest.raises(IndexFileError, match=r"x\.idx, line 2: .* is not 'key<TAB>offset'; rebuild it with 'dali-rec"):
        indexed(tmp_path, f"5\t0\n{line}\n")


# Byte for byte


@pytest.mark.parametrize("name", ["magic", "single", "multi", "detection"])
def test_file_of_mxnet_is_written_again_as_it_was(tmp_path, name):
    old = mx.recordio.MXIndexedRecordIO(DATA / f"{name}.idx", DATA / f"{name}.rec", "r")
    new = mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w")
    for key in old.keys:  # MXNet's keys is a list
        new.write_idx(key, old.read_idx(key))
    new.close()
    for suffix in (".rec", ".idx"):
        assert (tmp_path / f"x{suffix}").read_bytes() == (DATA / f"{name}{suffix}").read_bytes()


def test_images_of_mxnet_are_packed_again_as_they_were():
    record = mx.recordio.MXIndexedRecordIO(DATA / "multi.idx", DATA / "multi.rec", "r")
    for key in record.keys:
        payload = record.read_idx(key)
        header, image = mx.recordio.unpack(payload)
        assert mx.recordio.pack(header, image) == payload


LABELS = [(3, 0), (3.5, 0), (np.float32(2), 0), ([1], 1), ([], 0), ([1, 2], 2), (np.array(4.0), 1)]


@pytest.mark.parametrize(("label", "flag"), LABELS)
def test_flag_follows_the_label(label, flag):
    header, _ = mx.recordio.unpack(mx.recordio.pack(mx.recordio.IRHeader(99, label, 1, 0), b""))
    assert header.flag == flag
    assert np.allclose(np.asarray(header.label).ravel()[: max(1, flag)], np.ravel(label) if np.size(label) else 0)


# Images


@pytest.mark.parametrize(("kind", "quality", "tolerance"), [(".jpg", 95, 4), (".JPEG", 80, 8), (".png", 3, 0)])
def test_image_comes_back_in_opencvs_order(kind, quality, tolerance):
    image = np.asarray(picture(3, (64, 48)))[:, :, ::-1]
    packed = mx.recordio.pack_img(mx.recordio.IRHeader(0, 5.0, 9, 0), image, quality=quality, img_fmt=kind)
    header, found = mx.recordio.unpack_img(packed)
    assert header == (0, 5.0, 9, 0)
    assert np.abs(found.astype(int) - image).mean() <= tolerance
    assert packed[24:] == cv2.imencode(kind, image, [16 if kind == ".png" else 1, quality])[1].tobytes()


@pytest.mark.parametrize(("iscolor", "shape"), [(-1, (48, 64, 3)), (1, (48, 64, 3)), (0, (48, 64))])
def test_colour_is_as_asked(iscolor, shape):
    packed = mx.recordio.pack_img((0, 1.0, 1, 0), np.asarray(picture(3, (64, 48))))
    assert mx.recordio.unpack_img(packed, iscolor)[1].shape == shape


# Files, processes and pickles


def read_first(record, queue):
    queue.put(record.read())


def test_pickled_reader_begins_anew_in_another_process():
    record = mx.recordio.MXRecordIO(DATA / "magic.rec", "r")
    payloads = [bytes.fromhex(text) for text in FACTS["magic_payloads_hex"]]
    assert [record.read(), record.read()] == payloads[:2]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=read_first, args=(record, queue))
    process.start()
    assert queue.get(timeout=60) == payloads[0]
    process.join()


def test_reader_is_refused_in_a_forked_process_until_it_is_placed():
    # As in MXNet: a worker that went on from the beginning would train on the wrong records.
    record = mx.recordio.MXIndexedRecordIO(DATA / "single.idx", DATA / "single.rec", "r")
    sixth = record.read_idx(6)
    record.pid = -1  # what a fork sees
    with pytest.raises(RuntimeError, match="opened by another process"):
        record.read()
    assert record.read_idx(6) == sixth
    record.pid = -1
    record.reset()
    assert mx.recordio.unpack(record.read())[0].id == 0


def test_closed_file_is_not_read_or_written(tmp_path):
    for record in (mx.recordio.MXRecordIO(DATA / "single.rec", "r"), mx.recordio.MXRecordIO(tmp_path / "x.rec", "w")):
        record.close()
        with pytest.raises(RuntimeError, match="is closed"):
            record.write(b"x") if record.writable else record.read()


def test_writer_in_another_process_is_refused(tmp_path):
    record = mx.recordio.MXRecordIO(tmp_path / "x.rec", "w")
    record.pid = -1
    with pytest.raises(RuntimeError, match="another process"):
        record.write(b"x")


@pytest.mark.posix
def test_forked_process_that_ends_writes_nothing(tmp_path):
    code = f"""
import os, sys
from dali_rec.compat import mxnet as mx
record = mx.recordio.MXIndexedRecordIO({str(tmp_path / "x.idx")!r}, {str(tmp_path / "x.rec")!r}, "w")
record.write_idx(1, b"one")
pid = os.fork()
if pid == 0:
    sys.exit(0)
os.waitpid(pid, 0)
record.write_idx(2, b"two")
record.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "x.idx").read_text() == "1\t0\n2\t12\n"
    record = mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r")
    assert [record.read(), record.read(), record.read()] == [b"one", b"two", None]


def test_reader_is_pickled_and_writer_is_not(tmp_path):
    record = mx.recordio.MXIndexedRecordIO(DATA / "single.idx", DATA / "single.rec", "r")
    copy = pickle.loads(pickle.dumps(record))
    assert copy.keys == record.keys
    assert copy.read_idx(5) == record.read_idx(5)
    with pytest.raises(TypeError, match="close it before it is pickled"):
        pickle.dumps(mx.recordio.MXRecordIO(tmp_path / "x.rec", "w"))


def test_reset_goes_back_and_seek_goes_on_from_there():
    record = mx.recordio.MXIndexedRecordIO(DATA / "single.idx", DATA / "single.rec", "r")
    first = record.read()
    record.reset()
    assert record.read() == first
    record.seek(4)
    assert [mx.recordio.unpack(record.read())[0].id for _ in range(3)] == [4, 5, 6]


def test_closed_file_can_be_opened_again(tmp_path):
    record = mx.recordio.MXRecordIO(tmp_path / "x.rec", "w")
    record.write(b"one")
    record.close()
    record.close()
    record = mx.recordio.MXRecordIO(tmp_path / "x.rec", "r")
    record.close()
    record.open()
    assert record.read() == b"one"


def test_wrong_direction_and_flag_are_errors(tmp_path):
    record = mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w")
    with pytest.raises(ValueError, match="open for writing"):
        record.read()
    with pytest.raises(ValueError, match="Invalid flag 'a'"):
        mx.recordio.MXRecordIO(tmp_path / "x.rec", "a")
    with pytest.raises(ValueError, match="open for reading"):
        mx.recordio.MXRecordIO(DATA / "single.rec", "r").write(b"x")
    with pytest.raises(ValueError, match="open for reading"):
        mx.recordio.MXIndexedRecordIO(DATA / "single.idx", DATA / "single.rec", "r").tell()


@pytest.mark.parametrize("line", ["1_0\t0", "1\t0_0", "cat\t0"])
def test_index_of_other_than_numbers_is_refused(tmp_path, line):
    (tmp_path / "x.idx").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=line.removesuffix("\t0").rpartition("\t")[2]):
        mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", DATA / "single.rec", "r")


def test_more_columns_of_an_index_are_passed_over(tmp_path):
    (tmp_path / "x.idx").write_text("7\t0\tcat.jpg\n")
    assert mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", DATA / "single.rec", "r").idx == {7: 0}


def test_keys_of_an_index_are_what_the_caller_says(tmp_path):
    (tmp_path / "x.idx").write_text("cat_1\t0\n")
    record = mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", DATA / "single.rec", "r", key_type=str)
    assert record.keys == ["cat_1"]


def test_cut_file_raises(tmp_path):
    (tmp_path / "x.rec").write_bytes((DATA / "magic.rec").read_bytes()[:-4])
    record = mx.recordio.MXRecordIO(tmp_path / "x.rec", "r")
    for payload in FACTS["magic_payloads_hex"][:-1]:
        assert record.read() == bytes.fromhex(payload)
    with pytest.raises(TruncatedRecordError):
        record.read()
