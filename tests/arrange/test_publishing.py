"""Runs that are killed, stopped or fail while files get their names: what stands then, and what the next run does."""

import errno
import itertools
import re
import shutil
from functools import partial

import pytest
from kills import Killed, kill_at
from record_sets import assert_indices_fit
from support import make_class_folder

import dali_rec
from dali_rec.arrange import merge, shuffle, split
from dali_rec.errors import DatasetError, DatasetNotFoundError, OutputExistsError
from dali_rec.faces import read_property
from dali_rec.packing import pack_insightface
from dali_rec.packing.store import LocalStore

HALVES = {"train": 0.5, "val": 0.5}


def make_merged(inputs, out, **options):
    merge(inputs, out, **options)


def make_shuffled(inputs, out, **options):
    shuffle(inputs[1], out, **options)


def make_halves(inputs, out, **options):
    split(inputs[1], out, shares=HALVES, **options)


def make_faces(inputs, out, **options):
    photos = inputs[1].parent.with_name("photos-b")
    (photos / "bee" / "bad.jpg").write_bytes(b"no image")
    pack_insightface(photos, out, max_bad=9, resize=24, resize_mode="fill", **options)


@pytest.fixture
def inputs(tmp_path):
    """The prefixes of two packed data sets."""
    for name, classes in (("a", {"ant": 3, "bee": 4}), ("b", {"bee": 5, "cow": 4})):
        dali_rec.pack(make_class_folder(tmp_path / f"photos-{name}", classes), tmp_path / "in" / name)
    return tmp_path / "in" / "a", tmp_path / "in" / "b"


@pytest.fixture
def stop_before(monkeypatch):
    """Lets a call end by an exception, once, before a file of this name moves to its place."""

    def stop_before(name, error, call):
        move = LocalStore.move

        def stopped(self, source, to):
            if to == name:
                raise error
            move(self, source, to)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "move", stopped)
            with pytest.raises(type(error)):
                call()

    return stop_before


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def standing(prefix):
    """The data set of this name with its list, None where there is none, "told" where opening it says what to do."""
    try:
        with dali_rec.open(prefix) as dataset:
            records = [(record.key, bytes(record.image)) for record in dataset]
            size = read_property(prefix.with_suffix(".rec"))
            return dataset.manifest, records, prefix.with_suffix(".lst").read_bytes(), size
    except FileNotFoundError:
        return None
    except DatasetError as error:
        remedy = "to finish it run the merge, split, shuffle or pack --format insightface to .*x again$"
        return "told" if re.search(f"a run was interrupted.*; {remedy}", str(error)) else str(error)


@pytest.mark.parametrize(
    ("before", "make", "options"),
    [
        (None, make_merged, {}),
        (dali_rec.pack, make_merged, {"shards": 2}),
        (partial(dali_rec.pack, shards=2), make_shuffled, {}),
        (partial(dali_rec.pack, shards=2), make_shuffled, {"shards": 2}),
        (partial(dali_rec.pack, split=HALVES), make_halves, {}),
        (None, make_faces, {}),
        (partial(dali_rec.pack, shards=2), make_faces, {}),
        (pack_insightface, make_faces, {}),
    ],
)
def test_killed_at_any_change_leaves_old_or_new_or_says_so_and_ends_in_the_same_bytes(
    inputs, tmp_path, before, make, options
):
    (tmp_path / "before").mkdir()
    if before is not None:
        before(tmp_path / "photos-a", tmp_path / "before" / "x")
        options = {**options, "overwrite": True}
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    make(inputs, tmp_path / "whole" / "x", **options)
    whole = contents(tmp_path / "whole")
    names = ["x-train", "x-val"] if make is make_halves else ["x"]
    old, new = ([standing(tmp_path / place / name) for name in names] for place in ("before", "whole"))
    seen = set()
    for number in itertools.count():
        out = tmp_path / str(number) / "x"
        shutil.copytree(tmp_path / "before", out.parent)
        if not kill_at(number, lambda out=out: make(inputs, out, **options)):
            break
        assert_indices_fit(out.parent)
        found = [standing(out.with_name(name)) for name in names]
        kinds = {
            "told" if one == "told" else "old" if one == theirs else "new" if one == ours else "mixed"
            for one, theirs, ours in zip(found, old, new, strict=True)
        }
        assert "mixed" not in kinds
        assert not {"old", "new"} <= kinds
        seen |= kinds
        try:
            make(inputs, out, **options)
        except OutputExistsError:
            assert before is None
        assert contents(out.parent) == whole
        assert not any(path.is_dir() for path in out.parent.iterdir())
    assert seen == {"old", "told", "new"}


def test_run_that_is_killed_while_it_finishes_another_is_finished_by_the_next(inputs, tmp_path):
    (tmp_path / "whole").mkdir()
    make_halves(inputs, tmp_path / "whole" / "x")
    for first, second in itertools.product((16, 20, 24), (0, 6, 9, 12)):
        out = tmp_path / f"{first}-{second}" / "x"
        for number in (first, second):
            kill_at(number, lambda out=out: split(inputs[1], out, shares=HALVES, overwrite=True))
        make_halves(inputs, out, overwrite=True)
        assert contents(out.parent) == contents(tmp_path / "whole")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_is_not_moved_yet_when_a_run_is_stopped_is_kept_and_moved_by_the_next(
    inputs, tmp_path, stop_before, caplog, error
):
    out = tmp_path / "out" / "x"
    dali_rec.pack(tmp_path / "photos-a", out, shards=2)
    make_merged(inputs, tmp_path / "whole" / "x")
    stop_before("x.rec", error, lambda: make_merged(inputs, out, overwrite=True))
    assert f"some files are still to be moved from {out}.arranging; say the command again" in caplog.text
    with pytest.raises(DatasetError, match=r"x: a run was interrupted, .* insightface to .*x again$"):
        dali_rec.verify(out)
    for prefix in inputs:  # no longer needed
        prefix.with_suffix(".rec").unlink()
    with pytest.raises(DatasetNotFoundError):
        make_merged(inputs, out)
    assert f"{out}: it was made by a run that was interrupted; its files are all there now" in caplog.text
    assert contents(out.parent) == contents(tmp_path / "whole")
    assert not out.with_name("x.arranging").exists()


def test_another_command_does_not_come_between(inputs, tmp_path, stop_before):
    out, train = tmp_path / "out" / "x", tmp_path / "out" / "x-train"
    stop_before("x-train.lst", Killed(), lambda: make_halves(inputs, out))
    with pytest.raises(DatasetError, match=r"x-train: a run was interrupted.* from .*x\.arranging; .* to .*x again$"):
        dali_rec.pack(tmp_path / "photos-a", train, overwrite=True)
    with pytest.raises(DatasetError, match=r"x-train: a run was interrupted"):
        make_merged(inputs, train, overwrite=True)
    make_merged(inputs, tmp_path / "out" / "x-other")
    with pytest.raises(OutputExistsError, match="exists already"):
        make_halves(inputs, out)
    make_merged(inputs, train, overwrite=True)
    stop_before("y.lst", Killed(), lambda: dali_rec.pack(tmp_path / "photos-a", tmp_path / "out" / "y"))
    with pytest.raises(DatasetError, match=r"y: a run was .* from .*y\.packing; .* --resume' to .*y again$"):
        make_merged(inputs, tmp_path / "out" / "y", overwrite=True)
    dali_rec.pack(tmp_path / "photos-a", tmp_path / "out" / "y", resume=True)
    make_merged(inputs, tmp_path / "out" / "y", overwrite=True)


def test_room_that_a_killed_run_takes_is_given_back_before_room_is_asked_for(inputs, tmp_path, monkeypatch):
    work = tmp_path / "x.arranging"
    work.mkdir()
    (work / "lock").touch()
    (work / "x.rec.0").write_bytes(bytes(1000))

    def disk_usage(_place):
        return shutil._ntuple_diskusage(10**9, 10**9, 0 if work.exists() else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    make_merged(inputs, tmp_path / "x")
    assert len(dali_rec.open(tmp_path / "x")) == 16


@pytest.mark.parametrize("file", ["../precious", "precious/thesis", "..\\precious"])
def test_journal_from_elsewhere_moves_and_removes_nothing_elsewhere(inputs, tmp_path, stop_before, file):
    out = tmp_path / "out" / "x"
    stop_before("x.rec", Killed(), lambda: make_merged(inputs, out))
    journal = out.with_name("x.arranging") / "publishing.json"
    journal.write_text(journal.read_text().replace('"obsolete": [', f'"obsolete": ["{file}", '.replace("\\", "\\\\")))
    with pytest.raises(DatasetError, match=r"publishing\.json: damaged.* no name of a file\); remove its folder"):
        make_merged(inputs, out)


def test_folder_that_has_the_name_of_a_shard_is_left_alone(inputs, tmp_path):
    out = tmp_path / "x"
    (tmp_path / "x.idx").mkdir()
    with pytest.raises(OutputExistsError, match=r"x\.idx is a folder, and is not replaced; choose another name"):
        make_merged(inputs, out, overwrite=True)
