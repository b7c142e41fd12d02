"""Several batches made in one run of the pipeline and cut apart: which, and that nobody can tell but by the speed."""

import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_of import runs_of
from support import jpeg

import dali_rec
from dali_rec import Loader
from dali_rec.errors import LoaderError
from dali_rec.loading import failures
from dali_rec.loading.at_once import with_several_at_once
from dali_rec.loading.device import Device
from dali_rec.loading.specs import Execution, ImageSpec

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

CPU, GPU = Device(None, "asked for"), Device(0, "pretended")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """31 different images in two files, labelled by their id."""
    folder = tmp_path_factory.mktemp("at-once")
    for key in range(31):
        (folder / f"{key}.jpg").write_bytes(jpeg(key, (24, 20)))
    (folder / "x.lst").write_text("".join(f"{key}\t{key}\t{key}.jpg\n" for key in range(31)))
    dali_rec.pack(folder / "x.lst", folder / "out" / "x", shards=2)
    return folder / "out" / "x"


def loader_of(data, at_once, pipelines=1, **options):
    options = {"batch_size": 4, "image_size": 8, "framework": "numpy", "augment": "eval", "threads": 1, **options}
    with runs_of(at_once, pipelines):
        return Loader(data, device="cpu", shuffle_buffer=9, **options)


def plain(batches):
    return [[np.asarray(part).tolist() for part in batch] for batch in batches]


@settings(max_examples=30)
@given(
    at_once=st.integers(1, 9),
    pipelines=st.integers(1, 4),
    batch_size=st.integers(1, 9),
    ranks=st.sampled_from([(0, 1), (0, 2), (1, 2), (2, 3)]),
    options=st.fixed_dictionaries(
        {
            "shuffle": st.sampled_from([False, True, "global"]),
            "last_batch": st.sampled_from(["partial", "drop", "pad"]),
            "even": st.booleans(),
            "with_ids": st.booleans(),
            "subset": st.sampled_from([None, 0.7]),
            "threads": st.integers(1, 3),
            "prefetch": st.sampled_from([None, 1, 11]),
        }
    ),
)
def test_batches_are_those_that_are_made_one_by_one(data, at_once, pipelines, batch_size, ranks, options):
    options = {"batch_size": batch_size, "rank": ranks[0], "world_size": ranks[1], **options}
    several, single = loader_of(data, at_once, pipelines, **options), loader_of(data, 1, **options)
    for _ in range(2):
        assert len(several) == len(single)
        assert plain(several) == plain(single)


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow", "numpy"])
@pytest.mark.parametrize("options", [{"dtype": "uint8", "image_size": 7}, {"dtype": "float16"}])
def test_batches_of_each_framework_stay_as_they_are(data, framework, options):
    pytest.importorskip(framework)
    wanted = plain(loader_of(data, 1, framework="numpy", **options))
    batches = list(loader_of(data, 3, framework=framework, **options))
    assert plain(batches) == wanted


def test_views_and_boxes_are_cut_too(data, boxed):
    views = loader_of(data, 3, augment="ssl", image_size=16)
    assert [(len(one), one.shape == two.shape) for (one, two), _ in views] == [(4, True)] * 7 + [(3, True)]
    for options in ({"boxes": "list"}, {"boxes": "pad"}):
        found = [[np.array(table).tolist() for table in batch[1]] for batch in loader_of(boxed, 2, **options)]
        assert found == [[np.array(table).tolist() for table in batch[1]] for batch in loader_of(boxed, 1, **options)]


@pytest.fixture(scope="module")
def boxed(tmp_path_factory):
    """13 images with 1 to 3 boxes each."""
    path = tmp_path_factory.mktemp("boxed") / "x.rec"
    with dali_rec.RecordWriter(path) as writer:
        for key in range(13):
            boxes = [[key, 0.1 * at, 0.2, 0.1 * at + 0.3, 0.9] for at in range(key % 3 + 1)]
            writer.write_image(jpeg(key), [2, 5, *itertools.chain(*boxes)], key)
    return path


def test_saved_batch_is_no_larger_than_its_images(data):
    images, _ = next(iter(loader_of(data, 7, framework="torch")))
    saved = io.BytesIO()
    torch.save(images, saved)
    assert len(saved.getvalue()) < images.nbytes + 2000


def test_batches_that_are_written_to_leave_the_others_alone(data):
    wanted = plain(loader_of(data, 1))
    loop = iter(loader_of(data, 8, framework="torch"))
    for batch in wanted:
        images, labels = next(loop)
        assert [images.tolist(), labels.tolist()] == batch
        images.fill_(7)


def test_state_of_a_run_of_one_batch_goes_on_with_runs_of_one(data):
    options = {"augment": "train", "with_ids": True}
    single = loader_of(data, 1, **options)
    running = iter(single)
    for _ in range(3):
        next(running)
    state = single.state_dict()
    del state["made_by"]["at_once"]  # as it was saved before there were longer ones
    several = loader_of(data, 4, **options)
    several.load_state_dict(state)
    assert plain(several) == plain(running)


def test_image_size_changes_between_the_batches_of_a_run(data):
    still, grown = loader_of(data, 5, with_ids=True), loader_of(data, 5, with_ids=True)
    wanted, found = [], []
    for number, (batch, other) in enumerate(zip(still, grown, strict=True)):
        wanted.append(batch[2].tolist())
        found.append((other[0].shape[2], other[2].tolist()))
        if number == 1:
            grown.set_image_size(12)
    assert found == [(8 if number < 2 else 12, ids) for number, ids in enumerate(wanted)]


def test_error_without_a_name_ends_each_batch_of_its_run_and_no_other(tmp_path, monkeypatch):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(24):
            writer.write_image(b"no image" if key == 5 else jpeg(key), 0.0, key)
    loader = loader_of(tmp_path / "x.rec", 3, with_ids=True)
    monkeypatch.setattr(failures, "bad_records", lambda *_: [])
    monkeypatch.setattr(failures, "stopped_at", lambda *_: [])
    for batch in (1, 2, 3):
        with pytest.raises(LoaderError, match=r"stopped at batch 0 of epoch 0; .* they have the ids \[0, 1, 2"):
            next(iter(loader)) if batch == 1 else loader._take()
        assert loader.state_dict()["batch"] == batch
    assert loader._take()[2].tolist() == [12, 13, 14, 15]


def records(path, size, count=20):
    with dali_rec.RecordWriter(path) as writer:
        for key in range(count):
            writer.write_image(jpeg(key % 3) + bytes(size), 0.0, key)
    return dali_rec.open(path)


@pytest.mark.parametrize(
    ("size", "batch_size", "image", "at_once", "pipelines"),
    [
        (0, 64, ImageSpec((224, 224)), 1, 3),
        (0, 8, ImageSpec((224, 224)), 10, 3),
        (0, 128, ImageSpec((224, 224)), 1, 2),
        (0, 256, ImageSpec((224, 224)), 1, 2),
        (0, 300, ImageSpec((224, 224)), 1, 1),
        (0, 4, ImageSpec((448, 448)), 5, 3),  # of 2.4 MB each
        (0, 16, ImageSpec((448, 448), dtype="uint8", resizer="dali"), 5, 3),
        (0, 16, ImageSpec((448, 448), augment="ssl"), 1, 2),  # two views
        (1_000_000, 4, ImageSpec((224, 224)), 1, 3),  # photographs of a megabyte
        (1_000_000, 64, ImageSpec((224, 224)), 1, 1),
    ],
)
def test_runs_are_as_long_and_as_many_as_memory_allows(tmp_path, size, batch_size, image, at_once, pipelines):
    execution = with_several_at_once(Execution(CPU, batch_size), records(tmp_path / "x.rec", size), image)
    assert (execution.at_once, execution.pipelines) == (at_once, pipelines)


def test_a_gpu_makes_one_batch_at_a_time(tmp_path):
    execution = Execution(GPU, 8)
    assert with_several_at_once(execution, records(tmp_path / "x.rec", 0), ImageSpec((224, 224))) is execution


@pytest.mark.parametrize(("prefetch", "at_once", "runs"), [(2, 1, 2), (5, 1, 5), (2, 4, 2), (9, 4, 3), (1, 4, 1)])
def test_as_many_batches_are_made_ahead_as_are_asked_for(prefetch, at_once, runs):
    assert Execution(CPU, 8, prefetch=prefetch, at_once=at_once).queue_depth == runs


def test_threads_do_not_change_how_many_batches_are_made_at_once(data):
    lengths = {Loader(data, 2, 8, device="cpu", threads=n).batches_at_once for n in (1, 2, 5)}
    assert len(lengths) == 1
    assert lengths.pop() > 1
