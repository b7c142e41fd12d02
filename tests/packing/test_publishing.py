"""A run that is killed at any moment, and resumed, ends in the files of one that was not."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from kills import Killed, dying, kill_at
from record_sets import assert_indices_fit
from support import make_class_folder

import dali_rec
from dali_rec.arrange import merge
from dali_rec.errors import DatasetError, OutputExistsError, TooManyBadImagesError
from dali_rec.packing.store import LocalStore

JOURNAL = "x.packing/publishing.json"


@pytest.fixture
def kill_when(monkeypatch):
    """Lets a call end before the first change to a folder for which a condition holds."""

    def kill_when(condition, call):
        is_dead = []

        def dying(change):
            def changed(path, *arguments, **options):
                if is_dead or condition(path, *arguments):
                    is_dead.append(True)
                    raise Killed
                return change(path, *arguments, **options)

            return changed

        with monkeypatch.context() as patch:
            for name in ("replace", "unlink", "rmdir"):
                patch.setattr(Path, name, dying(getattr(Path, name)))
            with pytest.raises(Killed):
                call()

    return kill_when


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def work_files(out):
    folder = out.with_name("x.packing")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture
def photos(tmp_path):
    """Images to pack first, and others, one of each bad."""
    first = make_class_folder(tmp_path / "first", {"ant": 3, "bee": 3})
    more = make_class_folder(tmp_path / "more", {"bee": 2, "cow": 3})
    for folder in (first, more):
        (folder / "bee" / "bad.jpg").write_bytes(b"no image")
    return {"first": first, "more": more}


SPLIT = {"train": 0.5, "val": 0.5}


@pytest.mark.parametrize(
    ("before", "options"),
    [
        (None, {"shards": 2}),
        ({"shards": 3}, {"shards": 2, "overwrite": True}),
        ({"shards": 2}, {"shards": 2, "overwrite": True}),
        (None, {"split": SPLIT}),
        ({"split": SPLIT}, {"split": SPLIT, "overwrite": True}),
        ({"shards": 2}, {"append": True}),
        ({"split": SPLIT}, {"append": True, "split": SPLIT}),
    ],
    ids=[
        "new",
        "replaced",
        "replaced under the same names",
        "splits",
        "splits replaced",
        "appended",
        "splits appended",
    ],
)
def test_killed_at_any_change_and_resumed_ends_in_the_same_bytes(photos, tmp_path, before, options):
    source = photos["more"]
    if before is not None:
        dali_rec.pack(photos["first"], tmp_path / "before" / "x", max_bad=9, **before)
    else:
        (tmp_path / "before").mkdir()
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    dali_rec.pack(source, tmp_path / "whole" / "x", max_bad=9, **options)
    old, whole = contents(tmp_path / "before"), contents(tmp_path / "whole")
    after_kill = {name: value for name, value in options.items() if name != "overwrite"}
    resumed = 0
    for number in itertools.count():
        out = tmp_path / str(number) / "x"
        shutil.copytree(tmp_path / "before", out.parent)
        if not kill_at(number, lambda out=out: dali_rec.pack(source, out, max_bad=9, **options)):
            break
        assert_indices_fit(out.parent)
        manifests = [name for name in contents(out.parent) if name.endswith(".json")]
        generations = {contents(out.parent)[name] == old.get(name) for name in manifests}
        assert options.get("append") or len(generations) < 2
        if not {"job.json", "publishing.json"} & work_files(out) and contents(out.parent) != whole:
            assert contents(out.parent) == old  # nothing was begun
            continue
        dali_rec.pack(source, out, max_bad=9, resume=True, **after_kill)
        assert not out.with_name("x.packing").exists()
        assert contents(out.parent) == whole
        resumed += 1
    assert resumed > 14


@pytest.mark.parametrize("split", [None, SPLIT], ids=["one set", "splits"])
def test_appending_in_an_object_store_is_killed_at_any_change_and_resumed(photos, monkeypatch, split):
    filesystem = MemoryFileSystem()

    def pack(source, prefix, **options):
        dali_rec.pack(photos[source], f"memory://{prefix}/x", max_bad=9, split=split, **options)

    def files(prefix):
        return {path.rpartition("/")[2]: filesystem.cat_file(path) for path in filesystem.find(f"/{prefix}")}

    pack("first", "before")
    filesystem.copy("/before", "/whole", recursive=True)
    pack("more", "whole", append=True)
    for number in itertools.count():
        filesystem.copy("/before", f"/{number}", recursive=True)
        count = itertools.count()
        with monkeypatch.context() as patch:
            for name in ("cp_file", "rm", "rm_file", "pipe_file", "put_file"):  # moving is copying and removing
                patch.setattr(MemoryFileSystem, name, dying(getattr(MemoryFileSystem, name), number, count))
            try:
                pack("more", number, append=True)
                break
            except Killed:
                pass
        if files(number) != files("whole"):
            pack("more", number, append=True, resume=True)
        assert files(number) == files("whole")
    filesystem.rm("/", recursive=True)
    assert number > 20


def test_no_file_gets_its_name_before_the_disk_has_it(photos, tmp_path, monkeypatch):
    synced, moved, fsync, replace = set(), [], os.fsync, Path.replace

    def noted_fsync(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        return fsync(descriptor)

    def noted_replace(path, to):
        moved.append((Path(to).name, path.stat().st_ino in synced))
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    dali_rec.pack(photos["first"], tmp_path / "x", max_bad=9)
    names = {"x.rec", "x.idx", "x.lst", "x.json", "x.rejected.jsonl"}
    assert names <= {name for name, _ in moved}
    assert [name for name, is_on_disk in moved if not is_on_disk] == []
    assert tmp_path.stat().st_ino in synced or sys.platform == "win32"  # which syncs no folders


def test_resumed_publishing_reports_what_the_whole_run_did(photos, tmp_path, kill_when):
    out = tmp_path / "out" / "x"
    options = {"max_bad": 9, "append": True}
    dali_rec.pack(photos["first"], out, max_bad=9)
    kill_when(lambda path, *_: path.name == "publishing.json", lambda: dali_rec.pack(photos["more"], out, **options))
    (photos["more"] / "bee" / "bee_000.jpg").write_bytes(b"no longer needed")
    seen = []
    report = dali_rec.pack(photos["more"], out, resume=True, progress=lambda *done: seen.append(done), **options)
    assert (report.records, report.images, report.manifest.records) == (5, 0, 11)
    assert [rejection.sample.location for rejection in report.rejections] == ["bee/bad.jpg"]
    assert seen == [(6, 6)]


def killed_while_appending(photos, out, kill_when):
    """A data set to which images have been added, and the work folder is not gone yet."""
    dali_rec.pack(photos["first"], out, max_bad=9)
    kill_when(
        lambda path, *_: path.name == "publishing.json",
        lambda: dali_rec.pack(photos["more"], out, max_bad=9, append=True),
    )
    assert len(dali_rec.open(out)) == 11


def test_images_that_have_been_added_are_not_added_again_by_beginning_anew(photos, tmp_path, kill_when):
    out = tmp_path / "x"
    killed_while_appending(photos, out, kill_when)
    with pytest.raises(OutputExistsError, match=r"1 finished shards .* finish it with --resume$"):
        dali_rec.pack(photos["more"], out, max_bad=9, append=True)
    report = dali_rec.pack(photos["more"], out, max_bad=9, append=True, overwrite=True)
    assert (report.records, len(dali_rec.open(out))) == (5, 11)
    assert not out.with_name("x.packing").exists()


def test_other_images_are_not_added_before_an_appending_is_finished(photos, tmp_path, kill_when):
    out = tmp_path / "x"
    killed_while_appending(photos, out, kill_when)
    other = make_class_folder(tmp_path / "other", {"dog": 2})
    with pytest.raises(OutputExistsError, match=r"finish it with --resume$"):
        dali_rec.pack(other, out, append=True, overwrite=True)
    with pytest.raises(DatasetError, match=r"x was to have 6 images and now has 2\. Run it as it was begun: its"):
        dali_rec.pack(other, out, append=True, resume=True)
    with pytest.raises(DatasetError, match="not the job that was begun: it was begun with --append"):
        dali_rec.pack(photos["more"], out, resume=True)
    dali_rec.pack(photos["more"], out, max_bad=9, append=True, resume=True)
    dali_rec.pack(other, out, append=True)
    assert len(dali_rec.open(out)) == 13


@pytest.mark.parametrize("name", ["publishing.json", "x.lst"])
def test_leftover_of_publishing_lets_no_other_job_replace_data_unasked(photos, tmp_path, kill_when, name):
    out = tmp_path / "out" / "x"

    def is_due(path, *to):
        # Before the list moves to its name, or when all but the journal has been removed.
        return path.name == name and (name != "x.lst" or to == (out.with_name(name),))

    kill_when(is_due, lambda: dali_rec.pack(photos["first"], out, max_bad=9))
    assert (name == "x.lst") != out.with_name("x.json").exists()
    before = contents(out.parent)
    with pytest.raises(OutputExistsError, match=r"finish it with --resume, or begin anew with --overwrite"):
        dali_rec.pack(photos["more"], out, max_bad=9)
    with pytest.raises(DatasetError, match="not the job that was begun"):
        dali_rec.pack(photos["more"], out, max_bad=9, resume=True)
    assert contents(out.parent) == before
    dali_rec.pack(photos["more"], out, max_bad=9, shards=2, overwrite=True)
    dali_rec.pack(photos["more"], tmp_path / "whole" / "x", max_bad=9, shards=2)
    assert contents(out.parent) == contents(tmp_path / "whole")


def test_replacing_that_was_interrupted_while_packing_resumes(photos, tmp_path):
    out = tmp_path / "out" / "x"
    dali_rec.pack(photos["first"], out, max_bad=9)

    def stop(done, total):
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        dali_rec.pack(photos["more"], out, max_bad=9, shards=2, overwrite=True, progress=stop)
    dali_rec.pack(photos["more"], out, max_bad=9, shards=2, resume=True)
    dali_rec.pack(photos["more"], tmp_path / "whole" / "x", max_bad=9, shards=2)
    assert contents(out.parent) == contents(tmp_path / "whole")


def test_finished_file_that_is_gone_is_noticed_when_publishing_is_resumed(photos, tmp_path, kill_when):
    out = tmp_path / "x"
    kill_when(lambda path, *_: path.name == "publishing.json", lambda: dali_rec.pack(photos["first"], out, max_bad=9))
    out.with_suffix(".rec").unlink()
    with pytest.raises(
        DatasetError, match=r"x\.rec was finished, and is neither there nor in .*x\.packing: put it back"
    ):
        dali_rec.pack(photos["first"], out, max_bad=9, resume=True)


def test_damaged_journal_is_an_error(photos, tmp_path):
    (tmp_path / "x.packing").mkdir()
    (tmp_path / JOURNAL).write_text("{}")
    with pytest.raises(DatasetError, match=r"publishing\.json: damaged, or of another version of dali-rec"):
        dali_rec.pack(photos["first"], tmp_path / "x")


def test_machine_that_comes_back_finishes_what_another_was_publishing(photos, tmp_path, kill_when):
    out = tmp_path / "out" / "x"
    options = {"max_bad": 9, "shards": 2}
    dali_rec.pack(photos["first"], out, **options, num_nodes=2)
    kill_when(
        lambda path, *to: to == (out.with_suffix(".lst"),),
        lambda: dali_rec.pack(photos["first"], out, **options, num_nodes=2, node_rank=1),
    )
    report = dali_rec.pack(photos["first"], out, **options, num_nodes=2)
    assert (report.images, report.records) == (0, 6)
    dali_rec.pack(photos["first"], tmp_path / "whole" / "x", **options)
    assert contents(out.parent) == contents(tmp_path / "whole")


def test_folder_that_a_manifest_calls_a_shard_is_not_removed_with_the_data_set(photos, tmp_path):
    manifest = tmp_path / "x.json"
    dali_rec.pack(photos["first"], tmp_path / "x", max_bad=9)
    manifest.write_text(manifest.read_text().replace('"rec": "x.rec"', '"rec": "first"'))
    before = contents(photos["first"] / "ant")
    dali_rec.pack(photos["more"], tmp_path / "x", max_bad=9, overwrite=True)
    assert contents(photos["first"] / "ant") == before


@pytest.mark.parametrize("name", ["x.json", "x.lst", "x.rec", "x.idx", "x.rejected.jsonl"])
def test_folder_of_the_users_is_refused_before_anything_is_packed(photos, tmp_path, name):
    (tmp_path / name).mkdir()
    for options in ({}, {"overwrite": True}):
        with pytest.raises(OutputExistsError, match=rf"{name} is a folder, and is not replaced; choose another name"):
            dali_rec.pack(photos["first"], tmp_path / "x", max_bad=9, progress=pytest.fail, **options)
    assert not (tmp_path / "x.packing").exists()


# Two runs at a time


def between(monkeypatch, call):
    """Let ``call`` run to its end when the next run has looked at what is there and not taken its lock yet."""
    make_folder, calls = LocalStore.make_folder, [call]

    def make(self, folder):
        if calls:
            calls.pop()()
        make_folder(self, folder)

    monkeypatch.setattr(LocalStore, "make_folder", make)


def test_of_two_runs_at_a_time_the_second_does_not_replace_what_the_first_made(photos, tmp_path, monkeypatch):
    out = tmp_path / "out" / "x"
    between(monkeypatch, lambda: dali_rec.pack(photos["first"], out, max_bad=9))
    with pytest.raises(OutputExistsError, match=r"x\.json exists already"):
        dali_rec.pack(photos["more"], out, max_bad=9)
    assert len(dali_rec.open(out)) == 6
    assert not out.with_name("x.packing").exists()


def test_of_two_appendings_at_a_time_the_second_is_refused(photos, tmp_path, monkeypatch):
    out = tmp_path / "out" / "x"
    dali_rec.pack(photos["first"], out, max_bad=9)
    between(monkeypatch, lambda: dali_rec.pack(photos["more"], out, max_bad=9, append=True, shards=2))
    with pytest.raises(DatasetError, match=r"x\.json has changed since this run read it"):
        dali_rec.pack(photos["more"], out, max_bad=9, append=True)
    assert len(dali_rec.open(out)) == len(out.with_suffix(".lst").read_text().splitlines()) == 11
    assert not out.with_name("x.packing").exists()


def test_data_set_that_changes_while_images_are_packed_for_it_is_not_written_over(photos, tmp_path):
    out = tmp_path / "x"
    dali_rec.pack(photos["first"], out, max_bad=9)
    dali_rec.pack(photos["more"], tmp_path / "y", max_bad=9)

    def replace(done, total):
        if done == total:
            merge([tmp_path / "y"], out, overwrite=True)

    with pytest.raises(DatasetError, match=r"x\.json has changed since this run read it"):
        dali_rec.pack(photos["more"], out, max_bad=9, append=True, progress=replace)
    assert len(dali_rec.open(out)) == 5


@pytest.mark.posix  # elsewhere the folder is there until its lock is let go of
def test_run_that_ends_does_not_remove_the_work_folder_of_the_next(photos, tmp_path, monkeypatch):
    out = tmp_path / "out" / "x"
    remove_folder = LocalStore.remove_folder

    def next_begins(self, folder, last=()):
        remove_folder(self, folder, last)
        monkeypatch.undo()
        (self.directory / folder).mkdir()
        (self.directory / folder / "lock").touch()

    monkeypatch.setattr(LocalStore, "remove_folder", next_begins)
    dali_rec.pack(photos["first"], out, max_bad=9)
    assert work_files(out) == {"lock"}


def test_folder_of_which_a_kill_left_but_the_lock_of_one_machine_is_taken_over(photos, tmp_path):
    (tmp_path / "x.packing").mkdir()
    (tmp_path / "x.packing" / "lock-1").touch()
    dali_rec.pack(photos["first"], tmp_path / "x", max_bad=9)
    assert not (tmp_path / "x.packing").exists()


# Rejections


def test_appending_that_is_given_up_leaves_the_rejections_of_the_data_set(photos, tmp_path):
    out = tmp_path / "out" / "x"
    dali_rec.pack(photos["first"], out, max_bad=9)
    before = contents(out.parent)
    with pytest.raises(TooManyBadImagesError, match=r"the list is in .*x-append1\.rejected\.jsonl"):
        dali_rec.pack(photos["more"], out, append=True)
    after = contents(out.parent)
    assert len(after.pop("x-append1.rejected.jsonl").splitlines()) == 1
    assert after == before
    dali_rec.pack(photos["more"], out, append=True, max_bad=9)
    assert len(out.with_name("x.rejected.jsonl").read_text().splitlines()) == 2
    assert not out.with_name("x-append1.rejected.jsonl").exists()
