import json
import os
import random
import subprocess
import sys

import pytest
from kills import kill_when_written, long_list
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.errors import DatasetError, OutputExistsError, TooManyBadImagesError
from dali_rec.packing import workers


class Interrupted(Exception):  # noqa: N818
    pass


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupt_after(images):
    """A progress function that ends the run after so many images."""

    def progress(done, total):
        if done == images:
            raise Interrupted

    return progress


@pytest.fixture
def photos(tmp_path):
    return make_class_folder(tmp_path / "photos", {"ant": 12, "bee": 12})


@pytest.fixture
def interrupted(photos, tmp_path):
    """A data set of which three of four shards are finished."""
    with pytest.raises(Interrupted):
        dali_rec.pack(photos, tmp_path / "out" / "x", shards=4, progress=interrupt_after(20))
    return tmp_path / "out" / "x"


def test_resumed_run_makes_the_bytes_of_an_uninterrupted_one(photos, interrupted, tmp_path):
    assert [path.name for path in interrupted.parent.iterdir()] == ["x.packing"]
    seen = []
    report = dali_rec.pack(photos, interrupted, shards=4, resume=True, progress=lambda done, total: seen.append(done))
    assert report.images == 6
    assert seen == [6, 12, 18, *range(19, 25)]
    dali_rec.pack(photos, tmp_path / "whole" / "x", shards=4)
    assert contents(interrupted.parent) == contents(tmp_path / "whole")


def test_run_into_its_own_source_resumes_with_the_same_classes(photos, tmp_path):
    with pytest.raises(Interrupted):
        dali_rec.pack(photos, photos / "all", shards=4, progress=interrupt_after(20))
    report = dali_rec.pack(photos, photos / "all", shards=4, resume=True)
    assert (report.images, report.manifest.classes) == (6, ("ant", "bee"))


def test_rejections_outlive_the_interruption(photos, tmp_path):
    for name in ("ant/bad1.jpg", "bee/bad2.jpg", "bee/bad3.jpg"):
        (photos / name).write_bytes(b"no image")
    with pytest.raises(Interrupted):
        dali_rec.pack(photos, tmp_path / "out" / "x", shards=4, max_bad=3, progress=interrupt_after(25))
    dali_rec.pack(photos, tmp_path / "out" / "x", shards=4, max_bad=3, resume=True)
    dali_rec.pack(photos, tmp_path / "whole" / "x", shards=4, max_bad=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert len((tmp_path / "out" / "x.rejected.jsonl").read_text().splitlines()) == 3


def test_too_many_bad_images_can_be_allowed_afterwards(photos, tmp_path):
    for number in range(3):
        (photos / "ant" / f"bad{number}.jpg").write_bytes(b"no image")
    with pytest.raises(TooManyBadImagesError):
        dali_rec.pack(photos, tmp_path / "out" / "x", shards=4, max_bad=2)
    report = dali_rec.pack(photos, tmp_path / "out" / "x", shards=4, max_bad=3, resume=True)
    assert (report.records, len(report.rejections)) == (24, 3)


def test_resuming_what_was_never_begun_begins_it(photos, tmp_path):
    dali_rec.pack(photos, tmp_path / "out" / "x", resume=True)
    assert len(dali_rec.open(tmp_path / "out" / "x")) == 24


@pytest.mark.parametrize("split", [None, {"train": 0.5, "val": 0.5}])
def test_resuming_what_is_done_ends_well_and_does_nothing(photos, tmp_path, split, caplog):
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    options = {"shards": 2, "max_bad": 1, "split": split}
    first = dali_rec.pack(photos, tmp_path / "out" / "x", **options)
    before = contents(tmp_path / "out")
    again = dali_rec.pack(photos, tmp_path / "out" / "x", resume=True, **options)
    assert (again.images, again.sets) == (0, first.sets)
    assert f"{tmp_path / 'out' / 'x'}: all of this is done already, nothing is left to resume" in caplog.text
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    "change", ["options", "images", "classes", "list", "rejections", "length", "index", "manifest"]
)
def test_resuming_does_not_take_other_data_for_what_is_done(photos, tmp_path, change):
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    out = tmp_path / "x"
    dali_rec.pack(photos, out, max_bad=1, shuffle=False)
    options = {"max_bad": 1, "shuffle": False}
    if change == "options":
        options["quality"] = 80
    elif change == "images":
        (photos / "ant" / "ant_003.jpg").rename(photos / "ant" / "ant_0031.jpg")
    elif change == "classes":
        manifest = out.with_suffix(".json")
        manifest.write_text(manifest.read_text().replace('"bee"', '"wasp"'))
    elif change == "manifest":
        out.with_suffix(".json").write_text("{")
    else:
        suffix = {"list": ".lst", "rejections": ".rejected.jsonl", "length": ".rec", "index": ".idx"}[change]
        out.with_suffix(suffix).unlink()
    reason = "is finished, and was packed with other options: quality was 95 and is 80. Choose another name"
    reason = reason if change == "options" else "exists already"
    with pytest.raises(OutputExistsError, match=rf"x\.json {reason}"):
        dali_rec.pack(photos, out, resume=True, **options)


def test_finished_shards_are_not_thrown_away_unasked(photos, interrupted):
    with pytest.raises(OutputExistsError, match=r"3 finished shards .* --resume, or begin anew with --overwrite"):
        dali_rec.pack(photos, interrupted, shards=4)
    assert dali_rec.pack(photos, interrupted, shards=4, overwrite=True).images == 24


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quality": 80}, "quality was 95 and is 80"),
        ({"resize": 16}, "resize was None and is 16"),
        ({"seed": 1}, "seed was 100 and is 1; .*other names, labels, ids or another order"),
        ({"shards": 3}, "shards was 4 and is 3"),
        ({"labels": "top", "classes": ["ant", "bee", "cat"]}, "the names of the classes are others"),
    ],
)
def test_other_options_are_refused_with_the_reason(photos, interrupted, change, reason):
    before = contents(interrupted.with_name("x.packing"))
    before.pop("lock")  # in which each run leaves its mark
    with pytest.raises(DatasetError, match=f"not the job that was begun: {reason}"):
        dali_rec.pack(photos, interrupted, resume=True, **{"shards": 4, **change})
    after = contents(interrupted.with_name("x.packing"))
    after.pop("lock")
    assert after == before


def test_other_images_are_refused_with_the_reason(photos, interrupted):
    (photos / "ant" / "new.jpg").write_bytes(jpeg(99))
    with pytest.raises(DatasetError, match="x was to have 24 images and now has 25"):
        dali_rec.pack(photos, interrupted, shards=4, resume=True)
    (photos / "ant" / "ant_003.jpg").unlink()
    with pytest.raises(DatasetError, match="as many images as before, but other names"):
        dali_rec.pack(photos, interrupted, shards=4, resume=True)


def test_image_that_changed_since_it_was_packed_is_noticed(photos, interrupted):
    for path in photos.rglob("*.jpg"):
        os.utime(path, ns=(0, 123))
    with pytest.raises(DatasetError, match="packed from files of which some have changed"):
        dali_rec.pack(photos, interrupted, shards=4, resume=True)


def test_other_version_of_a_codec_is_noticed_where_images_are_encoded_anew(photos, tmp_path):
    out = tmp_path / "out" / "x"
    with pytest.raises(Interrupted):
        dali_rec.pack(photos, out, shards=4, resize=16, progress=interrupt_after(20))
    job = out.with_name("x.packing") / "job.json"
    content = json.loads(job.read_text())
    content["made by"]["simplejpeg"] = "0.1"
    job.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"simplejpeg was 0\.1 and is"):
        dali_rec.pack(photos, out, shards=4, resize=16, resume=True)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "index", "report"])
def test_damaged_finished_shard_is_packed_again(photos, interrupted, tmp_path, damage, caplog):
    work = interrupted.with_name("x.packing")
    rec = work / "x-00001-of-00004.rec"
    data = bytearray(rec.read_bytes())
    if damage == "flip":
        data[100] ^= 1
        rec.write_bytes(data)
    elif damage == "cut":
        rec.write_bytes(data[:-8])
    elif damage == "remove":
        rec.unlink()
    elif damage == "index":
        rec.with_suffix(".idx").write_text("0\t0\n")
    else:
        (work / "x-00001-of-00004.report.json").write_text("{")
    report = dali_rec.pack(photos, interrupted, shards=4, resume=True)
    assert report.images == 12
    assert damage == "report" or "x-00001-of-00004 is not what it was" in caplog.text
    dali_rec.pack(photos, tmp_path / "whole" / "x", shards=4)
    assert contents(interrupted.parent) == contents(tmp_path / "whole")


@pytest.mark.parametrize("moved", range(6))
def test_publishing_that_was_interrupted_is_finished(photos, tmp_path, monkeypatch, moved):
    out = tmp_path / "out" / "x"
    dali_rec.pack(photos, out, shards=2)  # an old data set of other shards, to be replaced
    from dali_rec.packing.store import LocalStore

    calls = []
    move, write = LocalStore.move, LocalStore.write

    def count(name):
        if ".packing/" not in name:
            calls.append(name)
            if len(calls) > moved:
                raise Interrupted

    def counted_move(self, name, to):
        count(to)
        move(self, name, to)

    def counted_write(self, name, data):
        count(name)
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "move", counted_move)
        patch.setattr(LocalStore, "write", counted_write)
        with pytest.raises(Interrupted):
            dali_rec.pack(photos, out, shards=3, overwrite=True)
    assert not out.with_name("x.json").exists()
    report = dali_rec.pack(photos, out, shards=3, resume=True)
    assert report.images == 0
    dali_rec.pack(photos, tmp_path / "whole" / "x", shards=3)
    assert contents(out.parent) == contents(tmp_path / "whole")


def test_resume_packs_nothing_that_is_finished(photos, interrupted, monkeypatch):
    packed = []
    read = workers.read_image
    monkeypatch.setattr(workers, "read_image", lambda *rest: packed.append(rest[1]) or read(*rest))
    dali_rec.pack(photos, interrupted, shards=4, resume=True)
    assert len(packed) == 6


def test_run_killed_at_random_moments_ends_in_the_same_bytes(tmp_path):
    listed, size = long_list(tmp_path, 640)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dali_rec", "pack", str(listed), str(out / "x"), "--workers", "1"]
    command += ["--shards", "8", "--resume"]
    generator = random.Random(7)
    finished = []
    for moment in sorted(generator.uniform(0, 0.9) for _ in range(7)):
        kill_when_written(command, out / "x.packing", moment * size)
        assert [path.name for path in out.iterdir()] == ["x.packing"]
        finished.append(len(list(out.glob("x.packing/*.report.json"))))
    assert finished == sorted(finished)
    assert len(set(finished)) > 3
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    dali_rec.pack(listed, tmp_path / "whole" / "x", shards=8)
    assert contents(out) == contents(tmp_path / "whole")


# Several machines


def test_machines_share_the_shards_and_the_last_publishes(photos, tmp_path):
    out = tmp_path / "out" / "x"
    reports = [dali_rec.pack(photos, out, shards=5, node_rank=rank, num_nodes=3) for rank in (2, 0, 1)]
    assert [len(report.sets) for report in reports] == [0, 0, 1]
    assert [report.images for report in reports] == [5, 9, 10]
    dali_rec.pack(photos, tmp_path / "whole" / "x", shards=5)
    assert contents(out.parent) == contents(tmp_path / "whole")


def test_machine_that_comes_back_goes_on_where_it_was(photos, tmp_path):
    out = tmp_path / "out" / "x"
    dali_rec.pack(photos, out, shards=4, node_rank=1, num_nodes=2)
    with pytest.raises(Interrupted):
        dali_rec.pack(photos, out, shards=4, node_rank=0, num_nodes=2, progress=interrupt_after(8))
    report = dali_rec.pack(photos, out, shards=4, node_rank=0, num_nodes=2)
    assert (report.images, len(report.sets)) == (6, 1)
    assert dali_rec.verify(out).records == 24


def test_one_machine_can_finish_what_many_began(photos, tmp_path):
    out = tmp_path / "out" / "x"
    dali_rec.pack(photos, out, shards=4, node_rank=1, num_nodes=2)
    report = dali_rec.pack(photos, out, shards=4, resume=True)
    assert (report.images, report.records) == (12, 24)


def test_bad_images_are_counted_over_all_machines(photos, tmp_path):
    for number in range(8):
        (photos / "ant" / f"bad{number}.jpg").write_bytes(b"no image")
    out = tmp_path / "out" / "x"
    options = {"shards": 4, "num_nodes": 2, "max_bad": 7}
    dali_rec.pack(photos, out, node_rank=0, **options)
    images = len(list(photos.rglob("*.jpg")))
    with pytest.raises(TooManyBadImagesError, match=f"8 bad images among the first {images}, more than the 7"):
        dali_rec.pack(photos, out, node_rank=1, **options)
    assert len(out.with_name("x.rejected.jsonl").read_text().splitlines()) == 8
    report = dali_rec.pack(photos, out, shards=4, max_bad=8, resume=True)
    assert len(report.rejections) == 8


def test_machines_at_the_same_time_make_one_data_set(photos, tmp_path):
    command = [sys.executable, "-m", "dali_rec", "pack", str(photos), str(tmp_path / "out" / "x"), "--shards", "6"]
    variables = [{"SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": "3"} for rank in range(3)]
    processes = [
        subprocess.Popen(command, env=os.environ | one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for one in variables
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert sum("24 records" in out for out, _ in outputs) == 1
    assert all(f"node {rank} of 3, by SLURM_PROCID" in error for rank, (_, error) in enumerate(outputs))
    dali_rec.pack(photos, tmp_path / "whole" / "x", shards=6)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_two_runs_of_the_same_machine_do_not_meet(photos, tmp_path):
    def second_run(done, total):
        if done == 1:
            with pytest.raises(OutputExistsError, match="another process is packing"):
                dali_rec.pack(photos, tmp_path / "x", shards=4, node_rank=0, num_nodes=2)
            with pytest.raises(OutputExistsError, match="another process is packing"):
                dali_rec.pack(photos, tmp_path / "x", shards=4)

    dali_rec.pack(photos, tmp_path / "x", shards=4, node_rank=0, num_nodes=2, progress=second_run)


def test_more_machines_than_shards_are_refused(photos, tmp_path):
    with pytest.raises(ValueError, match="5 machines cannot share 4 shards"):
        dali_rec.pack(photos, tmp_path / "x", shards=4, num_nodes=5)
    with pytest.raises(ValueError, match="node_rank is 2: of 2 nodes it is 0…1"):
        dali_rec.pack(photos, tmp_path / "x", shards=4, node_rank=2, num_nodes=2)
