"""The whole way where files that are open cannot be removed, renamed or replaced: on Windows, and as if there.

So every file is closed before its name changes, and what others have open is said before anything is changed.
"""

import itertools
import mmap
import os
import shutil
import threading

import pytest
from damage import wiped_image
from kills import kill_at
from support import jpeg, make_class_folder

import dali_rec
from dali_rec import _open_files
from dali_rec._files import publish
from dali_rec.arrange import merge, shuffle, split
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.packing import pack_insightface, workers

pytestmark = pytest.mark.usefixtures("open_files_stay")

OPEN = r"cannot be while it is open, here or in another program: close it first"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def more(tmp_path):
    """Other images, in the classes bee and cow."""
    return make_class_folder(tmp_path / "more", {"bee": 2, "cow": 3}, (44, 30))


@pytest.mark.parametrize(
    "changed",
    [
        lambda path: os.unlink(path),  # noqa: PLW0108, PTH108  # not what it is now
        lambda path: os.remove(path),  # noqa: PLW0108, PTH107
        lambda path: os.rename(path, path.with_name("c")),  # noqa: PTH104
        lambda path: path.rename(path.with_name("c")),
        lambda path: path.replace(path.with_name("c")),
        lambda path: path.unlink(),
        lambda path: shutil.rmtree(path.parent),
    ],
)
def test_what_is_open_or_mapped_stays(tmp_path, changed):
    path = tmp_path / "folder" / "a"
    path.parent.mkdir()
    path.write_bytes(b"a")
    with path.open("rb") as file:
        with pytest.raises(PermissionError):
            changed(path)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped:
        with pytest.raises(PermissionError):
            changed(path)
        (tmp_path / "b").write_bytes(b"b")
        with pytest.raises(PermissionError):
            (tmp_path / "b").replace(path)
    assert path.read_bytes() == b"a"
    changed(path)
    assert not path.exists()


@pytest.mark.parametrize("options", [{}, {"shards": 3}, {"shards": 3, "workers": 5, "resize": 20}])
def test_packing(class_folder, tmp_path, monkeypatch, begun, options):
    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 4)
    for _ in range(2):
        dali_rec.pack(class_folder, tmp_path / "made" / "x", overwrite=True, **options)
    assert len(begun) == (4 if "workers" in options else 0)
    recs = [f"x-{number:05d}-of-00003" for number in range(3)] if "shards" in options else ["x"]
    files = [f"{rec}{suffix}" for rec in recs for suffix in (".rec", ".idx")]
    assert names(tmp_path / "made") == sorted([*files, "x.json", "x.lst"])
    assert dali_rec.verify(tmp_path / "made" / "x").faults == ()


def test_packing_that_is_interrupted_and_resumed(class_folder, tmp_path):
    whole, part = tmp_path / "whole" / "x", tmp_path / "part" / "x"

    def interrupt(done, _total):
        if done == 6:
            raise KeyboardInterrupt

    dali_rec.pack(class_folder, whole, shards=3)
    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(class_folder, part, shards=3, progress=interrupt)
    assert names(part.parent) == ["x.packing"]
    assert dali_rec.pack(class_folder, part, shards=3, resume=True).images == 8
    assert contents(part.parent) == contents(whole.parent)
    assert names(part.parent) == names(whole.parent)


def test_packing_that_machines_share(class_folder, tmp_path):
    for rank in (1, 0):
        dali_rec.pack(class_folder, tmp_path / "made" / "x", shards=2, node_rank=rank, num_nodes=2)
    assert len(names(tmp_path / "made")) == 6
    assert dali_rec.verify(tmp_path / "made" / "x").faults == ()


@pytest.mark.parametrize("options", [{}, {"shards": 2}])
def test_packing_that_is_killed_while_it_publishes(packed, more, tmp_path, options):
    dali_rec.pack(more, tmp_path / "whole" / packed.name, **options)
    before = contents(packed.parent)
    for number in range(1, 100, 5):
        for name, data in before.items():
            (packed.parent / name).write_bytes(data)
        if not kill_at(number, lambda: dali_rec.pack(more, packed, overwrite=True, **options)):
            break
        dali_rec.pack(more, packed, overwrite=True, **options)
        assert contents(packed.parent) == contents(tmp_path / "whole")
        assert names(packed.parent) == names(tmp_path / "whole")
    assert 8 < number < 95


def test_adding_to_a_data_set_that_is_being_read(packed, more):
    with dali_rec.open(packed) as reading:
        dali_rec.pack(more, packed, append=True)
        assert len(list(reading)) == 12
    assert len(dali_rec.open(packed)) == 17
    assert not [name for name in names(packed.parent) if name.endswith(("ing", "lock", "partial"))]


def test_packing_faces(class_folder, tmp_path):
    for _ in range(2):
        pack_insightface(class_folder, tmp_path / "made" / "train", overwrite=True)
    assert "train.rec" in names(tmp_path / "made")
    assert not [name for name in names(tmp_path / "made") if name.endswith("ing")]


def test_faces_that_are_refused_leave_nothing(class_folder, tmp_path):
    (class_folder / "bee" / "large.jpg").write_bytes(jpeg(9, (80, 60)))
    with pytest.raises(SourceError, match="80 × 60 pixels"):
        pack_insightface(class_folder, tmp_path / "made" / "train")
    assert names(tmp_path / "made") == []


def test_merge_split_and_shuffle(packed, tmp_path):
    made = tmp_path / "made"
    for _ in range(2):
        merge([packed, packed], made / "a", shards=2, overwrite=True)
        split(made / "a", made / "b", shares={"train": 0.5, "val": 0.5}, overwrite=True)
        shuffle(made / "a", made / "c", overwrite=True)
    assert [len(dali_rec.open(made / name)) for name in ("a", "b-train", "c")] == [24, 12, 24]
    assert not [name for name in names(made) if name.endswith("ing")]


def test_index_repair_and_unpack(packed, tmp_path, capsys):
    rec = packed.with_suffix(".rec")
    index = rec.with_suffix(".idx").read_bytes()
    assert main(["index", str(rec)]) == 0
    assert rec.with_suffix(".idx").read_bytes() == index
    gone = wiped_image(rec)
    assert main(["verify", str(packed), "--repair"]) == 0
    assert dali_rec.verify(packed).faults == ()
    with dali_rec.open(packed) as dataset:
        assert gone.key not in dataset.keys
    for force in ([], ["--force"]):
        assert main(["unpack", str(packed), str(tmp_path / "files"), *force]) == 0
    assert len(list((tmp_path / "files").rglob("*.jpg"))) == 11
    capsys.readouterr()


def test_fetch(packed, more, tmp_path):
    here = tmp_path / "here"
    dali_rec.fetch(packed, f"{here}/").close()
    dali_rec.pack(more, packed, overwrite=True)
    dali_rec.fetch(packed, f"{here}/").close()
    assert {name: data for name, data in contents(here).items() if not name.endswith("fetched")} == contents(
        packed.parent
    )
    assert not [name for name in names(here) if name.endswith(("ing", "lock"))]


def test_writer_that_is_closed_aborted_or_forgotten(tmp_path):
    rec = tmp_path / "x.rec"
    for _ in range(2):
        with dali_rec.RecordWriter(rec) as writer:
            writer.write_image(jpeg(), 1.0)
    for end in (dali_rec.RecordWriter.abort, lambda _: None):
        writer = dali_rec.RecordWriter(rec)
        writer.write_image(jpeg(), 2.0)
        end(writer)
        del writer
    assert names(tmp_path) == ["x.idx", "x.rec"]
    with dali_rec.RecordReader(rec) as reader:
        assert reader.record_at(0).labels.tolist() == [1.0]


def begin_anew(more, packed):
    dali_rec.pack(more, packed, overwrite=True)


def begin_in_shards(more, packed):
    dali_rec.pack(more, packed, overwrite=True, shards=2)


def merge_over(more, packed):
    other = packed.with_name("other")
    if not other.with_suffix(".json").exists():
        dali_rec.pack(more, other, overwrite=True)
    merge([other], packed, overwrite=True)


def fetch_over(more, packed):
    there = packed.parent.parent / "there" / packed.name
    dali_rec.pack(more, there, overwrite=True)
    dali_rec.fetch(there, packed, overwrite=True).close()


def write_over(more, packed):
    with dali_rec.RecordWriter(packed.with_suffix(".rec")) as writer:
        for image in sorted(more.rglob("*.jpg")):
            writer.write_image(image.read_bytes(), 0.0)


@pytest.mark.parametrize("replace", [begin_anew, begin_in_shards, merge_over, fetch_over, write_over])
def test_data_set_that_is_being_read_is_not_replaced_and_stays_whole(packed, more, replace):
    before = contents(packed.parent)
    with dali_rec.open(packed) as reading:
        with pytest.raises(PermissionError, match=OPEN) as caught:
            replace(more, packed)
        assert caught.value.filename == str(packed.with_suffix(".rec"))
        assert len(list(reading)) == 12
    after = contents(packed.parent)
    assert {name: after[name] for name in before} == before
    assert not [name for name in names(packed.parent) if name.endswith(("packing", "arranging", "partial"))]
    replace(more, packed)
    with dali_rec.RecordReader(packed.with_name(names(packed.parent)[0]).with_suffix(".rec")) as reader:
        assert len(reader) in (2, 3, 5)


def test_shards_are_kept_where_the_data_set_that_they_replace_was_opened_meanwhile(packed, more, caplog):
    opened = []

    def open_late(done, total):
        if done == total:
            opened.append(dali_rec.open(packed))

    with pytest.raises(PermissionError, match=OPEN):
        dali_rec.pack(more, packed, overwrite=True, progress=open_late)
    assert "1 of 1 shards are finished and kept" in caplog.text
    with opened.pop() as reading:
        assert len(list(reading)) == 12
    assert dali_rec.pack(more, packed, resume=True).records == 5
    assert not packed.with_name(f"{packed.name}.packing").exists()


@pytest.mark.parametrize("make", [begin_anew, merge_over])
def test_what_was_moved_in_part_is_moved_on_when_the_file_is_closed(packed, more, make):
    dali_rec.pack(more, packed.with_name("other"))
    for number in itertools.count():
        assert kill_at(number, lambda: make(more, packed))
        if not packed.with_suffix(".json").exists():
            break
    with packed.with_suffix(".rec").open("rb"), pytest.raises(PermissionError, match=OPEN):
        make(more, packed)
    make(more, packed)
    assert len(dali_rec.open(packed)) == 5
    assert dali_rec.verify(packed).faults == ()


def test_command_says_what_is_open(packed, more, capsys):
    with dali_rec.open(packed):
        assert main(["pack", str(more), str(packed), "--overwrite"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"dali-rec: {packed.with_suffix('.rec')}: it is to be replaced, and cannot be while it is open, here or in "
        "another program: close it first"
    )


def test_file_that_somebody_looks_at_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(_open_files, "_SECONDS_TO_LET_GO", 60)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    file = (tmp_path / "old").open("rb")
    threading.Timer(0.2, file.close).start()
    publish(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"new"
