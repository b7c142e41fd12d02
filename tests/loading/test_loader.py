import gc
import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import DATA, encoded, jpeg, picture

import dali_rec
from dali_rec import Loader
from dali_rec.errors import DatasetError, LoaderError, MissingDependencyError
from dali_rec.loading import Augmentation
from dali_rec.loading.specs import IMAGENET_MEAN, IMAGENET_STD

pytest.importorskip("nvidia.dali", reason="DALI is not installed")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Pack ``records`` tiny images into ``shards`` files; returns the prefix. The label is the id."""
    made = {}

    def make(records, shards=1):
        if (records, shards) not in made:
            folder = tmp_path_factory.mktemp("tiny")
            (folder / "a.jpg").write_bytes(encoded(picture(0, (8, 8))))
            (folder / "x.lst").write_text("".join(f"{key}\t{key}\ta.jpg\n" for key in range(records)))
            dali_rec.pack(folder / "x.lst", folder / "out" / "x", shards=shards)
            made[records, shards] = folder / "out" / "x"
        return made[records, shards]

    return make


def ids_of(loader):
    """The ids of one epoch, in order; the labels must say the same."""
    ids = []
    for images, labels, batch_ids in loader:
        assert len(images) == len(labels) == len(batch_ids) <= loader.batch_size
        assert labels.tolist() == batch_ids.tolist()
        ids += batch_ids.tolist()
    return ids


def numpy_loader(data, batch_size=4, image_size=8, **options):
    options = {"framework": "numpy", "device": "cpu", "threads": 2, "with_ids": True, **options}
    return Loader(data, batch_size, image_size, **options)


# Exact epochs


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize(("records", "batch_size"), [(3, 1), (7, 3), (8, 4), (12, 5), (5, 16), (23, 7)])
def test_every_epoch_yields_every_record_once(tiny, records, batch_size, shards, shuffle):
    loader = numpy_loader(tiny(records, shards), batch_size, shuffle=shuffle, shuffle_buffer=5)
    for _ in range(3):
        batches = len(loader)
        ids = ids_of(loader)
        assert sorted(ids) == list(range(records))
        assert batches == -(-records // batch_size)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    ("records", "world_size", "batch_size"), [(7, 2, 3), (7, 3, 2), (12, 3, 4), (5, 5, 2), (9, 4, 2)]
)
def test_ranks_share_every_record_once(tiny, records, world_size, batch_size, shards, shuffle):
    loaders = [
        numpy_loader(tiny(records, shards), batch_size, shuffle=shuffle, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for _ in range(3):
        lengths = [len(loader) for loader in loaders]
        ids = [ids_of(loader) for loader in loaders]
        assert sorted(itertools.chain(*ids)) == list(range(records))
        assert lengths == [-(-len(share) // batch_size) for share in ids]


@pytest.mark.parametrize(("last_batch", "sizes"), [("partial", [4, 4, 2]), ("drop", [4, 4]), ("pad", [4, 4, 4])])
def test_last_batch_follows_its_rule(tiny, last_batch, sizes):
    loader = numpy_loader(tiny(10), last_batch=last_batch, shuffle=False)
    for _ in range(2):
        assert len(loader) == len(sizes)
        assert [len(images) for images, _, _ in loader] == sizes


def test_same_seed_gives_the_same_batches(tiny):
    def batches(seed):
        loader = numpy_loader(tiny(23, 3), shuffle_buffer=8, seed=seed)
        return [(ids.tolist(), images.copy()) for _ in range(2) for images, _, ids in loader]

    first, again, other = batches(3), batches(3), batches(4)
    assert [ids for ids, _ in first] == [ids for ids, _ in again] != [ids for ids, _ in other]
    assert all(np.array_equal(one, two) for (_, one), (_, two) in zip(first, again, strict=True))


def test_order_differs_from_epoch_to_epoch(tiny):
    loader = numpy_loader(tiny(23), shuffle=True)
    assert ids_of(loader) != ids_of(loader)


def test_order_is_that_of_the_file_without_shuffling(tiny):
    loader = numpy_loader(tiny(23, 3), shuffle=False)
    assert ids_of(loader) == ids_of(loader) == list(range(23))


@pytest.mark.parametrize("shards", [1, 3])
def test_loop_that_was_left_early_is_followed_by_a_whole_epoch(tiny, shards):
    loader = numpy_loader(tiny(23, shards), shuffle=True)
    left = next(iter(loader))[2].tolist()
    following = [ids_of(loader), ids_of(loader)]
    assert all(sorted(ids) == list(range(23)) for ids in following)
    assert following[0] != following[1]
    assert following[0][:4] != left


def test_loops_that_were_left_leave_no_threads(tiny):
    loader = numpy_loader(tiny(23), shuffle="global")
    next(iter(loader))
    gc.collect()
    gc.disable()
    try:
        # A pool begins its threads as it needs them, four at most: the one that is left may have more than the first.
        allowed = threading.active_count() + 3
        for _ in range(8):
            next(iter(loader))
        deadline = time.monotonic() + 5
        while threading.active_count() > allowed and time.monotonic() < deadline:
            time.sleep(0.01)  # they end by themselves, a moment later
        assert threading.active_count() <= allowed
    finally:
        gc.enable()


@pytest.mark.parametrize("shuffle", [True, "global"])
def test_closing_ends_the_threads_of_a_loader_that_is_held(tiny, shuffle):
    def threads():
        return len([*Path("/proc/self/task").iterdir()])

    dataset = tiny(23)
    numpy_loader(dataset, shuffle=shuffle)  # the first of a process begins threads that stay
    gc.collect()
    before = threads()
    loader = numpy_loader(dataset, shuffle=shuffle)
    batch, *_ = next(iter(loader))
    pixels = batch.copy()
    assert threads() > before + 2
    gc.disable()
    try:
        loader.close()
        loader.close()
        deadline = time.monotonic() + 5
        while threads() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threads() <= before
    finally:
        gc.enable()
    assert (batch == pixels).all()
    assert len(loader) == 6
    for use in (lambda: next(iter(loader)), loader.state_dict, lambda: loader.set_epoch(3)):
        with pytest.raises(LoaderError, match="this Loader was closed"):
            use()


def test_closing_within_a_loop_ends_it(tiny):
    loader = numpy_loader(tiny(23))
    batches = iter(loader)
    next(batches)
    loader.close()
    with pytest.raises(LoaderError, match="this Loader was closed"):
        next(batches)


def test_ranks_that_leave_early_still_share_every_record_once(tiny):
    loaders = [numpy_loader(tiny(10), shuffle=False, rank=rank, world_size=3) for rank in range(3)]
    for loader in loaders:
        next(iter(loader))
    assert sorted(itertools.chain(*map(ids_of, loaders))) == list(range(10))


@pytest.mark.parametrize("shuffle", [True, False, "global"])
def test_loop_within_a_loop_is_an_error_and_no_endless_one(tiny, shuffle):
    loader = Loader(tiny(24), 4, 8, framework="numpy", device="cpu", shuffle=shuffle)
    with pytest.raises(LoaderError, match="another loop over this Loader has begun within this one"):
        [next(iter(loader)) for _ in loader]
    with pytest.raises(LoaderError, match="make a second Loader"):
        list(zip(loader, loader, strict=True))
    assert sum(len(labels) for _, labels in loader) == 24


IN_A_FORK = """
import os, sys
import dali_rec
loader = dali_rec.Loader(sys.argv[1], 4, 8, framework="numpy", device="cpu", shuffle=sys.argv[2] == "yes")
next(iter(loader))
state = loader.state_dict()
if os.fork():
    os.wait()
else:
    try:
        eval(sys.argv[3])
    except dali_rec.errors.LoaderError as error:
        print(error, flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("shuffle", ["yes", "no"])
@pytest.mark.parametrize(
    "use", ["next(iter(loader))", "loader.set_epoch(3)", "loader.set_image_size(9)", "loader.load_state_dict(state)"]
)
def test_loader_in_a_forked_process_is_an_error_and_does_not_hang(packed, shuffle, use):
    command = [sys.executable, "-W", "ignore", "-c", IN_A_FORK, str(packed), shuffle, use]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "made in another process" in done.stdout


def test_buffer_for_shuffling_is_no_larger_than_the_data(tiny):
    loader = Loader(tiny(24), 4, 8, framework="numpy", device="cpu", with_ids=True, shuffle_buffer=(1 << 31) - 1)
    for _ in range(3):
        assert sorted(key for _, _, keys in loader for key in keys.tolist()) == list(range(24))


def test_ids_above_float32_stay_exact(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(picture(0)))
    keys = [2**24 + 1, 2**24 + 3, 2**63 + 1]
    (tmp_path / "x.lst").write_text("".join(f"{key}\t1\ta.jpg\n" for key in keys))
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "y")
    ids = next(iter(numpy_loader(tmp_path / "y", shuffle=False)))[2]
    assert (ids.dtype, ids.tolist()) == (np.uint64, keys)


# Pixels


@pytest.fixture
def one_photo(tmp_path):
    """One packed PNG of 64 × 48, and its picture."""
    original = picture(7, (64, 48))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.png").write_bytes(encoded(original, "PNG"))
    dali_rec.pack(tmp_path, tmp_path / "x")
    return tmp_path / "x", original


def first_image(prefix, size, **options):
    return next(iter(numpy_loader(prefix, 1, size, shuffle=False, with_ids=False, **options)))[0][0]


def test_pixels_are_those_of_pillow(one_photo):
    prefix, original = one_photo
    assert np.array_equal(first_image(prefix, (48, 64), augment=None, dtype="uint8"), np.asarray(original))


def test_jpeg_pixels_are_those_of_pillow(packed):
    loader = numpy_loader(packed, 12, (32, 40), augment=None, dtype="uint8", shuffle=False)
    images, _, _ = next(iter(loader))
    for image, record in zip(images, dali_rec.open(packed), strict=True):
        assert np.array_equal(image, dali_rec.decode_image(record.image))


def test_resized_pixels_are_those_of_pillow(one_photo):
    prefix, original = one_photo
    found = first_image(prefix, (24, 20), augment=None, dtype="uint8").astype(int)
    wanted = np.asarray(original.resize((20, 24), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found - wanted).max() <= 2


def test_eval_resizes_the_shorter_side_and_crops_the_centre(one_photo):
    prefix, original = one_photo
    found = first_image(prefix, 28, augment="eval", dtype="uint8").astype(int)
    # 32 = 28 × 256/224; the width follows: 64 × 32/48 = 42.67, rounded.
    resized = original.resize((43, 32), Image.Resampling.BILINEAR)
    left, top = round((43 - 28) / 2), (32 - 28) // 2
    wanted = np.asarray(resized.crop((left, top, left + 28, top + 28))).astype(int)
    assert found.shape == (28, 28, 3)
    assert np.abs(found - wanted).mean() < 2


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 2e-3)])
def test_floats_are_normalised_channels_first(one_photo, dtype, tolerance):
    prefix, original = one_photo
    found = first_image(prefix, (48, 64), augment=None, dtype=dtype)
    wanted = ((np.asarray(original) / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)
    assert (found.shape, str(found.dtype)) == ((3, 48, 64), dtype)
    assert np.abs(found - wanted).max() < tolerance


def test_mean_and_std_can_be_chosen(one_photo):
    prefix, original = one_photo
    found = first_image(prefix, (48, 64), augment=None, mean=(0, 0, 0), std=(1, 1, 1))
    assert np.abs(found - np.asarray(original).transpose(2, 0, 1) / 255).max() < 1e-5


def test_train_crops_and_flips_at_random_within_its_bounds(tmp_path):
    # The red channel says the column, the green one the row: so a crop says where it was cut.
    columns, rows = np.meshgrid(np.arange(240), np.arange(200))
    ramp = np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    (tmp_path / "a").mkdir()
    for number in range(60):
        (tmp_path / "a" / f"{number}.png").write_bytes(encoded(Image.fromarray(ramp), "PNG"))
    dali_rec.pack(tmp_path, tmp_path / "x")
    loader = numpy_loader(tmp_path / "x", 60, 32, dtype="uint8", antialias=False)
    images = np.concatenate([images for _ in range(3) for images, _, _ in loader]).astype(float)
    width = np.abs(images[:, 16, -1, 0] - images[:, 16, 0, 0]) * 32 / 31
    height = np.abs(images[:, -1, 16, 1] - images[:, 0, 16, 1]) * 32 / 31
    flipped = images[:, 16, -1, 0] < images[:, 16, 0, 0]
    area = width * height / (240 * 200)
    assert 0.06 < area.min() < 0.25 < 0.8 < area.max() < 1.05
    assert 0.7 < (width / height).min() < 0.85 < 1.2 < (width / height).max() < 1.45
    assert 0.3 < flipped.mean() < 0.7


def test_function_of_nodes_can_augment(one_photo):
    prefix, original = one_photo

    def upside_down(images):
        from nvidia.dali import fn

        return fn.flip(images, horizontal=0, vertical=1)

    found = first_image(prefix, (48, 64), augment=upside_down, dtype="uint8")
    assert np.array_equal(found, np.asarray(original)[::-1])


# Labels


def test_class_labels_are_int64(packed):
    loader = numpy_loader(packed, 12, shuffle=False)
    labels = next(iter(loader))[1]
    assert (labels.dtype, labels.tolist()) == (np.int64, [0] * 3 + [1] * 4 + [2] * 5)


def test_several_labels_are_float32():
    labels = next(iter(numpy_loader(DATA / "multi.rec", 12, shuffle=False)))[1]
    wanted = [line.split("\t")[1:-1] for line in (DATA / "list4.lst").read_text().splitlines()]
    assert labels.dtype == np.float32
    assert np.array_equal(labels, np.array(wanted, np.float32))


def test_file_of_mxnet_loads_without_a_manifest():
    images, labels, ids = next(iter(numpy_loader(DATA / "single.rec", 12, shuffle=False)))
    assert (labels.dtype, labels.tolist()) == (np.int64, [number % 3 for number in range(12)])
    assert ids.tolist() == list(range(12))
    assert images.shape == (12, 3, 8, 8)


def test_fractional_labels_of_a_list_are_float32(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(picture(0)))
    (tmp_path / "x.lst").write_text("0\t1\ta.jpg\n1\t0.5\ta.jpg\n")
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "y")
    labels = next(iter(numpy_loader(tmp_path / "y", 1, shuffle=False)))[1]
    assert (labels.dtype, labels.tolist()) == (np.float32, [[1.0]])


def test_records_with_different_numbers_of_labels_are_an_error():
    with pytest.raises(DatasetError, match=r"detection\.rec: .* different numbers of labels .* boxes='pad'"):
        next(iter(numpy_loader(DATA / "detection.rec", 4)))


def test_loader_says_what_it_is(packed):
    shown = repr(numpy_loader(packed, 5))
    assert shown == f"<Loader of 3 batches of 5 from <Dataset of 12 records in 1 shard: {packed}.rec>>"


# Frameworks


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float32", (4, 3, 8, 8)), ("float16", (4, 3, 8, 8)), ("uint8", (4, 8, 8, 3))]
)
def test_torch_tensors_come_out(packed, dtype, shape):
    images, labels = next(iter(Loader(packed, 4, 8, dtype=dtype, device="cpu")))
    assert (tuple(images.shape), images.dtype, images.device.type) == (shape, getattr(torch, dtype), "cpu")
    assert (tuple(labels.shape), labels.dtype) == ((4,), torch.int64)


def test_torch_and_numpy_agree(packed):
    options = {"device": "cpu"}
    both = [list(Loader(packed, 5, 8, framework=framework, **options)) for framework in ("torch", "numpy")]
    for (images, labels), (image_array, label_array) in zip(*both, strict=True):
        assert np.array_equal(images.numpy(), image_array)
        assert np.array_equal(labels.numpy(), label_array)


@pytest.mark.parametrize("framework", ["torch", "numpy"])
def test_tensors_stay_valid_after_later_batches(tiny, framework):
    loader = Loader(tiny(23), 2, 8, framework=framework, device="cpu")
    kept = [(images, images + 0) for images, _ in itertools.chain(loader, loader)]
    for images, copy in kept:
        assert (images == copy).all()


def test_batches_are_ordered_on_the_stream_of_the_framework(packed, monkeypatch):
    asked = []
    monkeypatch.setattr("dali_rec.loading.numpy.current_stream", asked.append)
    loader = numpy_loader(packed, 4)
    assert len(list(loader)) == len(asked) == 3
    assert set(asked) == {loader.device}


def test_missing_framework_is_one_line_that_says_what_to_install(packed, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "dali_rec.loading.torch", raising=False)
    with pytest.raises(MissingDependencyError, match="pip install torch"):
        Loader(packed, 4, 8, device="cpu")


def test_missing_dali_is_one_line_that_says_what_to_install(packed, monkeypatch):
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    monkeypatch.setitem(sys.modules, "nvidia", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dali-rec\[cuda12\]"'):
        Loader(packed, 4, 8, device="cpu")


# What goes wrong


def test_device_is_said_in_one_log_line(packed, caplog):
    with caplog.at_level(logging.INFO, "dali_rec"):
        Loader(packed, 4, 8, device="cpu")
    assert [record.message for record in caplog.records if "on the CPU (as asked)" in record.message]
    assert len(caplog.records) == 1


def test_image_that_cannot_be_decoded_ends_the_epoch_with_an_error(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(8):
            image = encoded(picture(key))
            writer.write_image(image[: len(image) // 2] if key == 5 else image, 0.0, key)
    loader = numpy_loader(tmp_path / "x.rec", 2, shuffle=False)
    seen = []
    with pytest.raises(LoaderError, match=r"x\.rec: DALI stopped at batch 2 of epoch 0; 'dali-rec verify"):
        seen.extend(ids.tolist() for _, _, ids in loader)
    assert seen == [[0, 1], [2, 3]]


def test_more_ranks_than_records_are_refused(tiny):
    with pytest.raises(DatasetError, match="3 records cannot be shared among 4 ranks"):
        numpy_loader(tiny(3), rank=0, world_size=4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"framework": "mxnet"}, "framework is 'mxnet'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"augment": "strong"}, "augment is 'strong'"),
        ({"last_batch": "fill"}, "last_batch is 'fill'"),
        ({"rank": 2, "world_size": 2}, "rank is 2 of world_size 2"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"image_size": 0}, "image_size is"),
        ({"image_size": (8, 8, 3)}, r"image_size is \(8, 8, 3\)"),
        ({"image_size": (8,)}, r"image_size is \(8,\)"),
        ({"image_size": 8.5}, "image_size is 8.5"),
        ({"image_size": "8"}, "image_size is '8'"),
        ({"std": (1, 1, float("nan"))}, "std above 0"),
        ({"mean": (1, 1, float("inf"))}, "mean"),
        ({"shuffle": "globally"}, "shuffle is 'globally': expected one of None, True, False, 'global'"),
        ({"shuffle_buffer": 1 << 31}, "shuffle_buffer is 2147483648"),
        ({"std": (1, 1, 0)}, "std above 0"),
        ({"seed": -1}, "seed is -1"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": "2"}, "threads is '2': expected a whole number"),
        ({"prefetch": True}, "prefetch is True"),
        ({"batch_size": True}, "batch_size is True"),
        ({"batch_size": 4.0}, "batch_size is 4.0"),
        ({"image_size": True}, "image_size is True"),
        ({"seed": None}, "seed is None: expected a whole number"),
        ({"shuffle_buffer": 8.0}, "shuffle_buffer is 8.0"),
        ({"rank": "0", "world_size": "2"}, "rank is '0'"),
        ({"weights": [1] * 12, "samples": 5.0}, "samples is 5.0"),
        ({"weights": "balanced"}, "weights is a str: expected one number for each of the 12 records"),
        ({"mean": 0.5}, "mean 0.5 and std"),
        ({"mean": (123.68, 116.78, 103.94)}, "divide mean and std by 255"),
    ],
)
def test_senseless_options_are_refused_with_their_value(packed, option, message):
    with pytest.raises(ValueError, match=message):
        numpy_loader(packed, **option)


def test_image_size_may_be_a_number_of_numpys(packed):
    assert numpy_loader(packed, image_size=np.int32(9)).image_size == (9, 9)
    assert numpy_loader(packed, image_size=np.array([9, 7])).image_size == (9, 7)


def test_file_that_shrank_is_refused_before_training(packed):
    whole = packed.with_name("photos.rec").read_bytes()
    packed.with_name("photos.rec").write_bytes(whole[:-64])
    with pytest.raises(DatasetError, match="the manifest says"):
        numpy_loader(packed)


# DALI's own iterators


def test_pipeline_feeds_dalis_own_iterator(packed):
    from nvidia.dali.plugin.base_iterator import LastBatchPolicy
    from nvidia.dali.plugin.pytorch import DALIGenericIterator

    pipeline = dali_rec.image_pipeline(packed, 5, 8, augment="eval", device="cpu")
    iterator = DALIGenericIterator(
        pipeline, ["images", "labels"], reader_name="reader", last_batch_policy=LastBatchPolicy.PARTIAL
    )
    labels = torch.cat([batch[0]["labels"] for batch in iterator])
    assert sorted(labels.flatten().tolist()) == [0.0] * 3 + [1.0] * 4 + [2.0] * 5


def test_pipeline_by_itself_has_no_global_order(packed):
    with pytest.raises(ValueError, match="shuffle is 'global': expected one of None, True, False"):
        dali_rec.image_pipeline(packed, 5, 8, shuffle="global", device="cpu")


def test_without_a_manifest_records_all_over_the_file_tell_what_the_labels_are(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(300):
            writer.write_image(jpeg(key % 3, (16, 16)), key if key < 200 else key + 0.5, key)
    for rank in range(2):
        loader = dali_rec.Loader(
            tmp_path / "x.rec", 8, 16, framework="numpy", device="cpu", shuffle=False, rank=rank, world_size=2
        )
        labels = next(iter(loader))[1]
        assert (labels.dtype, labels.shape) == (np.float32, (8, 1))


@pytest.mark.parametrize("augment", ["train", "randaugment", Augmentation(), "eval", None])
def test_pipeline_shuffles_by_default_where_the_loader_does(packed, augment):
    stored = [record.labels.item() for record in dali_rec.open(packed)]
    in_order = augment in ("eval", None)
    (labels,) = dali_rec.image_pipeline(packed, 12, 8, augment=augment, device="cpu").run()[1:]
    assert (labels.as_array().ravel().tolist() == stored) == in_order
    ((_, labels, _),) = numpy_loader(packed, 12, 8, augment=augment)
    assert (labels.tolist() == stored) == in_order
