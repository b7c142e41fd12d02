"""Images in TFRecord files, read where their records lie."""

import io
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import windows_files
from PIL import Image
from support import traced_peak
from tfrecord_files import FILES, images_of, labelled, labels_of, read, write

import dali_rec
from dali_rec.errors import ImageRejectedError, SourceError, TooManyBadImagesError


def rejected(source, row):
    with pytest.raises(ImageRejectedError) as caught:
        source.pixels.read(source.samples[row].location)
    return str(caught.value)


def test_threads_and_processes_read_at_any_place(tmp_path):
    for name, files in (("a.tfrecord", FILES[:6]), ("b.tfrecord", FILES[6:])):
        labelled(tmp_path / "set" / name, [0] * 6, files)
    source = read(tmp_path / "set")
    locations = [sample.location for sample in source.samples][::-1]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.pixels.read, locations * 20)) == FILES[::-1] * 20
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert list(pool.map(source.pixels.read, locations)) == FILES[::-1]


def test_a_file_is_opened_once_a_process(tmp_path, opened):
    source = read(labelled(tmp_path / "x.tfrecord", [0] * 12))
    sent = pickle.dumps(source.pixels.absolute())
    for sample in source.samples:
        source.pixels.read(sample.location)
        pickle.loads(sent).read(sample.location)  # as it comes with each request to another process
    assert opened == [str(tmp_path / "x.tfrecord")] * 2


@pytest.mark.usefixtures("open_files_stay")
def test_nothing_stays_open_behind_packing(tmp_path):
    good = labelled(tmp_path / "good.tfrecord", [0, 1] * 6)
    source = read(good)
    assert source.pixels.read(source.samples[3].location) == FILES[3]
    assert sys.platform != "linux" or windows_files.is_open(good)
    del source
    dali_rec.pack(good, tmp_path / "out" / "good", workers=3)
    good.unlink()


@pytest.mark.usefixtures("open_files_stay")
@pytest.mark.parametrize(
    ("name", "labels", "files", "cut", "reason"),
    [
        ("x.tfrecord", [0] * 12, FILES, 9, "cut off in record 11"),
        ("train-00000-of-00001", [0] * 12, FILES, 9, "cut off in record 11"),
        ("x.tfrecord", [0] * 11 + [None], FILES, 0, "record 11"),
        ("x.tfrecord", [0] * 12, [*FILES[:11], b"no image"], 0, "x.tfrecord#11.*: not an image"),
    ],
)
def test_nothing_stays_open_behind_packing_that_fails(tmp_path, name, labels, files, cut, reason):
    bad = labelled(tmp_path / name, labels, files)
    bad.write_bytes(bad.read_bytes()[: bad.stat().st_size - cut])
    with pytest.raises((SourceError, TooManyBadImagesError), match=reason) as caught:
        dali_rec.pack(bad, tmp_path / "out" / "x", workers=3)
    assert caught.value.__traceback__  # as a notebook keeps it
    bad.rename(tmp_path / "renamed")
    (tmp_path / "renamed").unlink()


def test_names_of_images(tmp_path):
    rows = [
        {"image": FILES[0], "label": 0, "filename": "cat/1.jpg"},
        {"image": FILES[1], "label": 0, "filename": "a\tb"},
        {"image": FILES[2], "label": 0},
    ]
    source = read(write(tmp_path / "x.tfrecord", rows))
    listed = [source.pixels.listed(sample.location) for sample in source.samples]
    assert listed == ["cat/1.jpg", "x.tfrecord#1", "x.tfrecord#2"]
    assert source.samples[0].location.startswith("cat/1.jpg//x.tfrecord#0@0+")
    assert source.pixels.file_of(source.samples[0].location) == str(tmp_path / "x.tfrecord")


def test_a_folder_is_found_from_any_working_folder(tmp_path, monkeypatch):
    labelled(tmp_path / "x.tfrecord", [0])
    monkeypatch.chdir(tmp_path)
    source = read("x.tfrecord")
    absolute = pickle.loads(pickle.dumps(source.pixels.absolute()))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert absolute.read(source.samples[0].location) == FILES[0]


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({}, "x.tfrecord, record 1: no 'image' in it"),
        ({"image": None}, "x.tfrecord, record 1: 'image' is empty"),
        ({"image": b""}, "x.tfrecord, record 1: 'image' is empty"),
        ({"image": [FILES[0], FILES[1]]}, "x.tfrecord, record 1: 'image' holds 2 values"),
        ({"image": 5}, "x.tfrecord, record 1: 'image' holds numbers"),
    ],
)
def test_a_record_without_an_image_is_rejected_and_named(tmp_path, features, reason):
    rows = [{"image": FILES[0], "label": 0}, {"label": 1, **features}, {"image": FILES[2], "label": 2}]
    file = write(tmp_path / "x.tfrecord", rows)
    assert reason in rejected(read(file), 1)
    report = dali_rec.pack(file, tmp_path / "out" / "x", max_bad=1)
    assert report.sets[0].manifest.records == 2
    assert '"x.tfrecord#1@' in (tmp_path / "out" / "x.rejected.jsonl").read_text()


def pixels(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("names", [("height", "width", "depth"), ("image/height", "image/width", "image/channels")])
@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7, 1)])
def test_pixels_are_stored_as_png(tmp_path, names, shape):
    images = [pixels(shape, seed) for seed in range(2)]
    rows = [{"image_raw": one.tobytes(), **dict(zip(names, shape, strict=True)), "label": 3} for one in images]
    found = images_of(read(write(tmp_path / "x.tfrecord", rows)))
    for data, image in zip(found, images, strict=True):
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.format == "PNG"
            assert np.array_equal(np.asarray(opened), image if shape[2] == 3 else image[:, :, 0])


def test_pixels_may_lack_the_number_of_their_channels(tmp_path):
    rows = [{"image": pixels((4, 6, 3)).tobytes(), "height": 4, "width": 6, "label": 1}]
    (data,) = images_of(read(write(tmp_path / "x.tfrecord", rows)))
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.mode, opened.size) == ("RGB", (6, 4))


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"image": bytes(4 * 6 * 3 * 4)}, "its 288 bytes are not 4 × 6 pixels of 1 or 3 bytes"),
        ({"height": 5}, "its 72 bytes are not 5 × 6 pixels"),
        ({"height": None}, "'height' says nothing of the size"),
        ({"height": -4}, "'height' says nothing of the size"),
        ({"depth": 2, "height": 6}, "its 72 bytes are not 6 × 6 pixels of 1 or 3 bytes"),
    ],
)
def test_pixels_of_another_size_are_rejected(tmp_path, features, reason):
    good = {"image": pixels((4, 6, 3)).tobytes(), "height": 4, "width": 6, "depth": 3, "label": 1}
    source = read(write(tmp_path / "x.tfrecord", [good, {**good, **features}]))
    assert reason in rejected(source, 1)


def test_labels_are_read_without_the_bytes_of_the_images(tmp_path, monkeypatch):
    file = write(tmp_path / "x.tfrecord", [{"image": FILES[0] + bytes(200_000), "label": at} for at in range(5)])
    from dali_rec.sources.tfrecord import records

    sizes = []
    read_at = records.read_at

    def counting(descriptor, position, size):
        sizes.append(size)
        return read_at(descriptor, position, size)

    monkeypatch.setattr(records, "read_at", counting)
    assert labels_of(read(file)) == [(at,) for at in range(5)]
    assert sum(sizes) < 500_000 < 1_000_000 < file.stat().st_size


def test_images_are_not_held_in_memory(tmp_path):
    file = write(tmp_path / "x.tfrecord", [{"image": FILES[0] + bytes(1 << 18), "label": at} for at in range(12)])
    read(file)  # what is compiled and imported once

    def pack():
        source = read(file)
        for sample in source.samples:
            assert source.pixels.read(sample.location).startswith(FILES[0])

    assert traced_peak(pack) < 2 << 20
