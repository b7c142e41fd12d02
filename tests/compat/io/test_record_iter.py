import itertools
from collections import Counter

import cv2
import numpy as np
import pytest
from support import DATA, encoded, jpeg, picture

import dali_rec.compat.mxnet as mx
from dali_rec.compat.mxnet.io import record_iter
from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
from dali_rec.errors import DatasetError, DatasetNotFoundError, IndexFileError, LoaderError, SourceError
from dali_rec.loading.device import Device
from dali_rec.recordio import RecordWriter

SHAPE = (3, 24, 32)


def write(path, count=10, first=0, label=lambda key: float(key % 3), image=lambda key: jpeg(key, (40, 36))):
    with RecordWriter(path) as writer:
        for key in range(first, first + count):
            writer.write_image(image(key), label(key), key)
    return path


@pytest.fixture
def rec(tmp_path):
    """Ten records with ids 0 to 9."""
    return write(tmp_path / "x.rec")


def iterator(rec, **parameters):
    return mx.io.ImageRecordIter(**{"path_imgrec": rec, "data_shape": SHAPE, "batch_size": 4, **parameters})


def ids(batches, with_padding=False):
    return [key for batch in batches for key in batch.index.tolist()[: None if with_padding else 4 - batch.pad]]


def test_what_a_batch_has(rec):
    made = iterator(rec)
    batch = made.next()
    (data,), (label,) = batch.data, batch.label
    assert (data.shape, data.dtype) == ((4, *SHAPE), np.float32)
    assert (label.tolist(), label.dtype) == ([0, 1, 2, 0], np.float32)
    assert (batch.pad, batch.index.tolist(), batch.index.dtype) == (0, [0, 1, 2, 3], np.uint64)
    assert made.provide_data == [("data", (4, *SHAPE))]
    assert made.provide_label == [("softmax_label", (4,))]
    assert (made.provide_data[0].dtype, made.provide_data[0].layout) == (np.float32, "NCHW")
    assert made.batch_size == 4
    pixels = cv2.imdecode(np.frombuffer(jpeg(0, (40, 36)), np.uint8), 1)[6:30, 4:36, ::-1]
    assert np.array_equal(data[0], pixels.transpose(2, 0, 1))


def test_no_path_may_be_none(rec):
    assert iterator(rec, path_imgidx=None, path_imglist=None).next().index.tolist() == [0, 1, 2, 3]


def test_empty_index_is_said(rec, tmp_path):
    (tmp_path / "other.idx").touch()
    with pytest.raises(IndexFileError, match=r"x\.rec: its \.idx is empty.*rebuild it"):
        iterator(rec, path_imgidx=tmp_path / "other.idx")


def test_names_can_be_given(rec):
    made = iterator(rec, data_name="image", label_name="class", label_width=1)
    assert (made.provide_data[0].name, made.provide_label[0].name) == ("image", "class")


def test_epochs_roll_over_and_end_until_reset(rec):
    made = iterator(rec)
    assert [batch.index.tolist() for batch in made] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    with pytest.raises(StopIteration):
        made.next()
    made.reset()
    assert [(batch.index.tolist(), batch.pad) for batch in made] == [([2, 3, 4, 5], 0), ([6, 7, 8, 9], 0)]


def test_without_round_batch_every_epoch_has_each_record_once(rec):
    made = iterator(rec, round_batch=False, shuffle=True)
    orders = []
    for _ in range(3):
        batches = list(made)
        assert [batch.pad for batch in batches] == [0, 0, 2]
        assert np.array_equal(batches[-1].data[0][2], batches[-1].data[0][1])
        assert len(set(batches[-1].index.tolist()[1:])) == 1
        orders.append(tuple(ids(batches)))
        assert sorted(orders[-1]) == list(range(10))
        made.reset()
    assert len(set(orders)) == 3


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("round_batch", [False, True])
def test_parts_together_have_each_record_once(tmp_path, shuffle, round_batch):
    rec = write(tmp_path / "x.rec", 23)
    seen = Counter()
    for part in range(3):
        made = iterator(rec, num_parts=3, part_index=part, shuffle=shuffle, round_batch=round_batch, seed=4)
        seen.update(ids(made))
    assert seen == Counter(range(23))


def test_round_batch_gives_each_record_equally_often(rec):
    made, seen = iterator(rec, shuffle=True), Counter()
    for _ in range(8):
        seen.update(ids(made, with_padding=True))
        made.reset()
    # Eight epochs are at least 80 records, in order pass after pass.
    assert max(seen.values()) - min(seen.values()) <= 1


def test_reset_in_the_middle_begins_anew(rec):
    made = iterator(rec)
    assert made.next().index.tolist() == [0, 1, 2, 3]
    made.reset()
    assert ids(made) == list(range(10))
    made.reset()
    made.next()
    made.reset()
    assert made.next().index.tolist() == [0, 1, 2, 3]


def test_reset_before_anything_was_taken_changes_nothing(rec):
    made = iterator(rec, shuffle=True, seed=2)
    made.reset()
    assert ids(made) == ids(iterator(rec, shuffle=True, seed=2))


def test_shuffling_follows_the_seed(rec):
    assert ids(iterator(rec, shuffle=True, seed=2)) == ids(iterator(rec, shuffle=True, seed=2))
    assert ids(iterator(rec, shuffle=True, seed=2)) != ids(iterator(rec, shuffle=True, seed=3))


def test_chunks_are_shuffled_as_a_whole(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (420, 420, 3), np.uint8)
    png = cv2.imencode(".png", noise)[1].tobytes()
    rec = write(tmp_path / "x.rec", 12, image=lambda _: png)  # half a megabyte each
    orders = [
        ids(iterator(rec, shuffle_chunk_size=1, shuffle_chunk_seed=seed, batch_size=4, prefetch_buffer=1))
        for seed in range(3)
    ]
    assert len(set(map(tuple, orders))) > 1
    for order in orders:
        assert sorted(order) == list(range(12))
        assert sum(later == former + 1 for former, later in itertools.pairwise(order)) >= 5


def test_iter_next_and_get(rec):
    made = iterator(rec)
    with pytest.raises(ValueError, match="iter_next"):
        made.getdata()
    found = []
    while made.iter_next():
        found += made.getindex().tolist()[: 4 - made.getpad()]
        assert made.getdata().shape == (4, *SHAPE)
        assert made.getlabel().tolist() == [key % 3 for key in made.getindex().tolist()]
    assert found == list(range(10))
    assert not made.iter_next()


def test_debug_skip_load_gives_the_first_batch_for_ever(rec):
    made = iterator(rec)
    made.debug_skip_load()
    assert all(made.next().index.tolist() == [0, 1, 2, 3] for _ in range(20))


def test_random_images_do_not_depend_on_threads(rec):
    def images(threads):
        settings = {"rand_crop": 1, "rand_mirror": 1, "max_rotate_angle": 20, "brightness": 0.3, "shuffle": True}
        return np.array([batch.data[0] for batch in iterator(rec, preprocess_threads=threads, **settings)])

    assert np.array_equal(images(1), images(3))


def test_random_images_differ_by_epoch_and_seed(rec):
    settings = {"rand_crop": 1, "max_rotate_angle": 40, "batch_size": 5}
    made = iterator(rec, **settings)
    first = made.next().data[0]
    list(made)
    made.reset()
    assert not np.array_equal(first, made.next().data[0])
    assert not np.array_equal(first, iterator(rec, **settings, seed=1).next().data[0])


def test_seed_aug_repeats_by_place_as_mxnet_does(tmp_path):
    rec = write(tmp_path / "x.rec", image=lambda _: jpeg(1, (80, 90)))
    made = iterator(rec, path_imgidx=tmp_path / "x.idx", seed_aug=5, rand_crop=1, batch_size=5)
    first, second = (batch.data[0] for batch in made)
    assert np.array_equal(first, second)
    assert len(np.unique(first.reshape(5, -1), axis=0)) == 5


# Records


def test_a_folder_several_files_and_a_pattern(tmp_path):
    write(tmp_path / "a.rec", 3)
    write(tmp_path / "b.rec", 4, first=100)
    both = [0, 1, 2, 100, 101, 102, 103]
    one, other = tmp_path / "a.rec", tmp_path / "b.rec"
    for path in (tmp_path, f"{one};{other}", [one, other], rf"{tmp_path.as_posix()}/[ab]\.rec"):
        assert ids(iterator(path, batch_size=4, round_batch=False)) == both
    indexes = [tmp_path / "a.idx", tmp_path / "b.idx"]
    assert ids(iterator([one, other], path_imgidx=indexes, round_batch=False)) == both
    with pytest.raises(DatasetError, match="names 1 files, path_imgrec 2"):
        iterator(tmp_path, path_imgidx=tmp_path / "a.idx")


def test_an_index_that_is_missing_is_made(rec, tmp_path):
    (tmp_path / "x.idx").unlink()
    assert ids(iterator(rec)) == list(range(10))
    assert ids(iterator(rec, path_imgidx=tmp_path / "gone.idx")) == list(range(10))


def test_an_index_elsewhere_chooses_the_records(rec, tmp_path):
    lines = (tmp_path / "x.idx").read_text().splitlines(keepends=True)
    (tmp_path / "few.idx").write_text("".join(lines[3:8]))
    assert ids(iterator(rec, path_imgidx=tmp_path / "few.idx", round_batch=False)) == [3, 4, 5, 6, 7]


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"gone\.rec: no such file"):
        iterator(tmp_path / "gone.rec")
    with pytest.raises(DatasetNotFoundError, match=r"no \.rec files"):
        iterator(tmp_path)


def test_too_few_records(rec):
    with pytest.raises(DatasetError, match="10 records do not fill a batch of 11"):
        iterator(rec, batch_size=11)
    (batch,) = iterator(rec, batch_size=12, round_batch=False)
    assert (batch.pad, batch.index.tolist()) == (2, [*range(10), 9, 9])
    with pytest.raises(DatasetError, match="cannot be shared among 11 parts"):
        iterator(rec, num_parts=11, part_index=0, round_batch=False)


# Labels


def test_several_labels(tmp_path):
    rec = write(tmp_path / "x.rec", label=lambda key: [key, key / 2, -1.0])
    made = iterator(rec, label_width=3)
    assert made.provide_label[0].shape == (4, 3)
    assert made.next().label[0].tolist() == [[key, key / 2, -1] for key in range(4)]
    with pytest.raises(DatasetError, match="id 0 has 3 labels, label_width is 1; give label_width=3"):
        iterator(rec).next()


def test_labels_of_a_list(rec, tmp_path):
    lines = [f"{key}\t{key * 2}\t{key * 3}\tsome where/{key}.jpg\n" for key in reversed(range(10))]
    (tmp_path / "other.lst").write_text("".join(lines), encoding="utf-8-sig")  # as editors on Windows save it
    made = iterator(rec, path_imglist=tmp_path / "other.lst", label_width=2)
    assert made.next().label[0].tolist() == [[key * 2, key * 3] for key in range(4)]
    assert iterator(rec, path_imglist=tmp_path / "other.lst").next().label[0].tolist() == [0, 2, 4, 6]
    with pytest.raises(SourceError, match=r"other\.lst, line 1: .* is not an id and label_width=3 numbers"):
        iterator(rec, path_imglist=tmp_path / "other.lst", label_width=3)
    for line in ("9\t1_8\ta.jpg\n", "0_9\t18\ta.jpg\n"):
        (tmp_path / "other.lst").write_text(line)
        with pytest.raises(SourceError, match=r"line 1: .* is not an id and label_width=1 numbers"):
            iterator(rec, path_imglist=tmp_path / "other.lst")
    (tmp_path / "short.lst").write_text("".join(lines[:9]))
    with pytest.raises(DatasetError, match=r"no line for 1 of the 10 records.* id 0 among them"):
        iterator(rec, path_imglist=tmp_path / "short.lst")


def test_labels_of_a_list_go_by_the_ids_in_the_records(tmp_path):
    # MXNet's rec2idx numbers the lines of the .idx from 0, whatever the ids are.
    rec = write(tmp_path / "x.rec", first=3)
    offsets = [line.split("\t")[1] for line in (tmp_path / "x.idx").read_text().splitlines()]
    (tmp_path / "x.idx").write_text("".join(f"{line}\t{offset}\n" for line, offset in enumerate(offsets)))
    (tmp_path / "x.lst").write_text("".join(f"{key}\t{key * 2}\t{key}.jpg\n" for key in range(20)))
    batch = iterator(rec, path_imgidx=tmp_path / "x.idx", path_imglist=tmp_path / "x.lst").next()
    assert batch.label[0].tolist() == [6, 8, 10, 12]
    assert batch.index.tolist() == [3, 4, 5, 6]


def test_labels_of_a_list_go_by_the_index_where_all_records_have_one_id(tmp_path):
    with RecordWriter(tmp_path / "x.rec") as writer:
        offsets = [writer.write_image(jpeg(seed, (40, 36)), 0.0, 0) for seed in range(4)]
    (tmp_path / "x.idx").write_text("".join(f"{line}\t{offset}\n" for line, offset in enumerate(offsets)))
    (tmp_path / "x.lst").write_text("".join(f"{key}\t{key * 2}\t{key}.jpg\n" for key in range(4)))
    assert iterator(tmp_path / "x.rec", path_imglist=tmp_path / "x.lst").next().label[0].tolist() == [0, 2, 4, 6]


# Pixels


@pytest.mark.parametrize(("name", "dtype"), [("ImageRecordUInt8Iter", np.uint8), ("ImageRecordInt8Iter", np.int8)])
def test_iterators_of_bytes(rec, name, dtype):
    settings = {"path_imgrec": rec, "data_shape": SHAPE, "batch_size": 4}
    made = getattr(mx.io, name)(**settings)
    batch, same = made.next(), iterator(rec, dtype=np.dtype(dtype).name).next()
    assert batch.data[0].dtype == made.provide_data[0].dtype == dtype
    assert np.array_equal(batch.data[0], same.data[0])
    plain = iterator(rec).next().data[0]
    assert np.array_equal(batch.data[0], np.clip(plain, *((0, 255) if dtype == np.uint8 else (-128, 127))))
    assert getattr(mx.io, name)(**settings, dtype="None").provide_data[0].dtype == dtype
    with pytest.raises(ValueError, match="does not give"):
        getattr(mx.io, name)(**settings, dtype="float32")
    with pytest.raises(ValueError, match="dtype is 'float99'"):
        getattr(mx.io, name)(**settings, dtype="float99")


def test_grey_and_alpha(tmp_path):
    rgba = picture(3, (32, 24)).convert("RGBA")
    rgba.putalpha(77)
    rec = write(tmp_path / "x.rec", 4, image=lambda _: encoded(rgba, "PNG"))
    with_alpha = iterator(rec, data_shape=(4, 24, 32), mean_a=7, std_a=10).next().data[0]
    assert np.array_equal(with_alpha[0][:3], np.asarray(rgba)[:, :, :3].transpose(2, 0, 1))
    assert (with_alpha[0][3] == 7).all()
    grey = iterator(rec, data_shape=(1, 24, 32)).next().data[0]
    assert np.abs(grey[0, 0] - np.asarray(rgba.convert("L"))).max() <= 1
    opaque = write(tmp_path / "y.rec", 4)
    with pytest.raises(LoaderError, match=r"y\.rec: the record with id 0 at offset 0: data_shape has 4 channels"):
        iterator(opaque, data_shape=(4, 24, 32)).next()


def test_the_exif_orientation_is_applied(tmp_path):
    from PIL import Image

    image = picture(3, (32, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    rec = write(tmp_path / "x.rec", 4, image=lambda _: encoded(image, "JPEG", exif=exif, quality=95))
    turned = iterator(rec, data_shape=(3, 32, 24)).next().data[0][0]
    plain = write(tmp_path / "y.rec", 4, image=lambda _: encoded(image, "JPEG", quality=95))
    upright = iterator(plain, data_shape=(3, 24, 32)).next().data[0][0]
    assert np.array_equal(turned, np.rot90(upright, -1, (1, 2)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_without_its_end_is_shown_as_far_as_it_goes(tmp_path, orientation):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    whole = encoded(picture(3, (40, 40)), exif=exif, quality=95)
    rec = write(tmp_path / "x.rec", 4, image=lambda key: whole[:-2] if key == 1 else whole[: -300 * (key % 2)] or whole)
    images = iterator(rec, data_shape=(3, 40, 40)).next().data[0]
    assert np.array_equal(images[0], images[1])
    cut = np.abs(images[0] - images[3])
    assert cut.max() > 0
    assert (cut == 0).mean() > 0.3


def test_a_jpeg_without_its_end_is_turned_by_exif_alone(tmp_path):
    # As OpenCV does with whole ones.
    whole = encoded(picture(3, (40, 24)), quality=95)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation='6'/>".replace(b"'", b'"')
    turned = whole[:2] + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + whole[2:]
    rec = write(tmp_path / "x.rec", 4, image=lambda key: turned[:-2] if key else whole)
    images = iterator(rec, data_shape=(3, 24, 40)).next().data[0]
    assert np.array_equal(images[0], images[1])


@pytest.mark.parametrize("content", [b"", b"not an image", jpeg(0)[:40]])
def test_a_record_that_cannot_be_decoded_is_named(tmp_path, content):
    rec = write(tmp_path / "x.rec", image=lambda key: content if key == 5 else jpeg(key))
    made = iterator(rec)
    made.next()
    with pytest.raises(LoaderError, match=r"x\.rec: the record with id 5 at offset \d+: it cannot be decoded"):
        made.next()
    assert made.next().index.tolist() == [8, 9, 0, 1]


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax", "tensorflow"])
def test_arrays_of_every_framework(rec, framework):
    pytest.importorskip(framework)
    batch = iterator(rec, framework=framework, ctx="cpu").next()
    assert type(batch.data[0]).__module__.partition(".")[0] in (framework, "jaxlib", "dali_rec")
    assert isinstance(batch.data[0], np.ndarray) == (framework == "numpy")
    expected = iterator(rec).next()
    assert np.array_equal(np.asarray(batch.data[0]), expected.data[0])
    assert np.array_equal(np.asarray(batch.label[0]), expected.label[0])
    assert batch.index.tolist() == [0, 1, 2, 3]


def test_batches_stay_as_they_are_when_later_ones_are_made(rec):
    made = iterator(rec, prefetch_buffer=1)
    first = made.next().data[0]
    copy = first.copy()
    list(made)
    assert np.array_equal(first, copy)


def test_files_that_mxnet_wrote():
    made = mx.io.ImageRecordIter(
        path_imgrec=DATA / "multi.rec", path_imgidx=DATA / "multi.idx", data_shape=SHAPE, batch_size=4, label_width=4
    )
    assert made.next().label[0].shape == (4, 4)


@pytest.mark.parametrize("has_builds", [True, False])
def test_dali_is_taken_beside_a_gpu_where_it_has_builds(rec, monkeypatch, has_builds):
    monkeypatch.setattr(record_iter, "has_builds_here", lambda: has_builds)
    parameters = ImageRecordParameters.from_keywords({"path_imgrec": rec, "data_shape": SHAPE, "batch_size": 4})
    assert record_iter._takes_dali(parameters, Device(0, "1 found")) == has_builds
    assert not record_iter._takes_dali(parameters, Device(None, "as asked"))
