"""Pipelines that make the runs in turn: what they make depends on no thread, and nothing of them is left behind."""

import base64
import gc
import json
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from runs_of import runs_of
from support import jpeg

import dali_rec
from dali_rec import Loader
from dali_rec.errors import LoaderError
from dali_rec.loading import graph, specs
from dali_rec.loading.device import Device
from dali_rec.loading.feed import RecordFeed
from dali_rec.loading.specs import Execution

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

CPU = Device(None, "asked for")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """40 records, of which number 9 cannot be decoded."""
    path = tmp_path_factory.mktemp("pipelines") / "x.rec"
    with dali_rec.RecordWriter(path) as writer:
        for key in range(40):
            writer.write_image(b"no image" if key == 9 else jpeg(key, (40, 30)), float(key), key)
    return path


def loader_of(data, pipelines=3, **options):
    options = {"on_error": "skip", "threads": 1, "with_ids": True, **options}
    with runs_of(2, pipelines):
        return Loader(data, 3, 16, framework="numpy", device="cpu", seed=4, **options)


def batches_of(loader, epochs=2):
    return [(ids.tolist(), np.array(images)) for _ in range(epochs) for images, _, ids in loader]


def assert_same(found, wanted):
    assert [ids for ids, _ in found] == [ids for ids, _ in wanted]
    assert all(np.array_equal(one, two) for (_, one), (_, two) in zip(found, wanted, strict=True))


@pytest.mark.parametrize("shuffle", [True, "global"])
@pytest.mark.parametrize("options", [{"threads": 2}, {"threads": 5}, {"prefetch": 40}])
def test_threads_and_prefetch_change_no_crop_also_after_a_failure(damaged, shuffle, options):
    wanted = batches_of(loader_of(damaged, shuffle=shuffle))
    assert_same(batches_of(loader_of(damaged, shuffle=shuffle, **options)), wanted)


def test_failure_changes_no_crop_of_the_other_pipelines(damaged, tmp_path):
    with dali_rec.RecordWriter(tmp_path / "whole.rec") as writer:
        for key in range(40):
            writer.write_image(jpeg(key, (40, 30)), float(key), key)
    found, whole = (
        batches_of(loader_of(path, shuffle=False, augment="train"), 1) for path in (damaged, tmp_path / "whole.rec")
    )
    # Runs of 6 images; that of 9 is the second, and so are the fifth and the eighth of its pipeline.
    others = [number for number in range(14) if number // 2 % 3 != 1]
    assert_same([found[number] for number in others], [whole[number] for number in others])
    assert not np.array_equal(found[8][1], whole[8][1])


def test_crops_of_the_pipelines_differ(damaged, tmp_path):
    with dali_rec.RecordWriter(tmp_path / "same.rec") as writer:
        for key in range(24):
            writer.write_image(jpeg(1, (60, 60)), 0.0, key)
    images = np.concatenate([one for _, one in batches_of(loader_of(tmp_path / "same.rec"), 1)])
    assert len({image.tobytes() for image in images}) == 24


def test_damaged_state_is_refused(damaged):
    loader = loader_of(damaged)
    state = loader.state_dict()
    made = json.loads(base64.b64decode(state["pipeline"]))
    for wrong in ({**made, "pipelines": made["pipelines"][:2]}, {**made, "run": "x"}, {"run": 0}, [], "no"):
        pipeline = base64.b64encode(json.dumps(wrong).encode()).decode()
        with pytest.raises(LoaderError, match=r"^the state is damaged .* start the epoch anew$"):
            loader.load_state_dict({**state, "pipeline": pipeline})


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc to count threads in")
@pytest.mark.parametrize("shuffle", [True, "global"])
def test_threads_end_with_their_loader(damaged, shuffle):
    def load():
        loader = loader_of(damaged, shuffle=shuffle, threads=2)
        next(iter(loader))
        loader.set_image_size(8)
        batches_of(loader)

    def threads(most=None):
        until = time.monotonic() + 10  # those that read end when they have read
        while True:
            count = len([*Path("/proc/self/task").iterdir()])
            if most is None or count <= most or time.monotonic() > until:
                return count
            time.sleep(0.01)

    load()
    time.sleep(0.5)
    before = threads()
    gc.disable()  # they do not wait for it
    try:
        load()
        assert threads(before) <= before
    finally:
        gc.enable()


def test_pipelines_end_before_what_they_read(damaged, monkeypatch):
    ended = []
    build, call = graph._build, RecordFeed.__call__

    def watched(made, name):
        weakref.finalize(made, ended.append, name)
        return made

    monkeypatch.setattr(graph, "_build", lambda *rest: watched(build(*rest), "pipeline"))
    monkeypatch.setattr(RecordFeed, "__call__", lambda *rest: tuple(watched(one, "read") for one in call(*rest)))
    loader = loader_of(damaged, shuffle="global")
    loop = iter(loader)
    next(loop)
    loop.close()
    ended.clear()
    del loader, loop
    assert ended[:3] == ["pipeline"] * 3
    assert "read" in ended


@pytest.mark.parametrize(
    ("threads", "cores", "working", "each"),
    [(1, 1, 1, 1), (1, 8, 1, 1), (2, 8, 2, 1), (6, 8, 4, 2), (2, 2, 4, 2), (8, 8, 4, 2), (16, 16, 4, 4), (16, 2, 4, 4)],
)
def test_pipelines_share_the_threads(monkeypatch, threads, cores, working, each):
    monkeypatch.setattr(specs, "available_cores", lambda: cores)
    execution = Execution(CPU, 64, threads=threads, pipelines=4)
    assert (execution.working_pipelines, execution.of_one_pipeline.num_threads) == (working, each)
    assert (execution.queue_depth, execution.of_one_pipeline.queue_depth) == (working, 1)
