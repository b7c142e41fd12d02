"""Sizes, lists and the work folder."""

import errno
import itertools
import multiprocessing
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_sets import contents, files, payload, write_set

import dali_rec
from dali_rec.arrange import merge, shuffle, split
from dali_rec.arrange.frames import read_frames
from dali_rec.arrange.locations import Locations
from dali_rec.arrange.sharding import Sharding, ShardState
from dali_rec.errors import OutputExistsError
from dali_rec.manifest import Manifest
from dali_rec.packing.arranged import ArrangeTarget
from dali_rec.packing.plan import plan_shards
from dali_rec.packing.sizing import bounds_by_bytes, bounds_by_count


def shard_lengths(sharding, lengths):
    """Records a shard, as the writer cuts them when it gets a few at a time."""
    shards, position = [0], 0
    while position < len(lengths):
        here = lengths[position - shards[-1] : position]
        state = ShardState(len(lengths), position, len(shards) - 1, len(here), int(sum(here)))
        room = sharding.room(state, lengths[position : position + 3])
        if room:
            shards[-1] += room
            position += room
        else:
            shards.append(0)
    return shards


LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=40).map(lambda values: np.array(values, np.int64) * 4)


@given(LENGTHS, st.integers(1, 9))
def test_number_of_shards_is_cut_as_packing_cuts_it(lengths, shards):
    if shards > len(lengths):
        with pytest.raises(ValueError, match="cannot fill"):
            Sharding(shards=shards).check(len(lengths), "x")
        return
    plan = plan_shards("x", bounds_by_count(len(lengths), shards))
    assert shard_lengths(Sharding(shards=shards), lengths) == [shard.stop - shard.start for shard in plan]


@given(LENGTHS, st.integers(1, 500))
def test_shards_are_as_full_as_their_size_allows(lengths, size):
    cut = shard_lengths(Sharding(size=size), lengths)
    assert sum(cut) == len(lengths)
    ends = np.cumsum(cut).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        assert end - start == 1 or lengths[start:end].sum() <= size
        assert end == len(lengths) or lengths[start : end + 1].sum() > size


@given(LENGTHS, st.integers(0, 500))
def test_buckets_are_as_full_as_memory_allows(lengths, size):
    edges = bounds_by_bytes(lengths, size)
    assert (edges[0], edges[-1]) == (0, len(lengths))
    for start, end in itertools.pairwise(edges):
        assert end - start == 1 or (end > start and lengths[start:end].sum() <= size)
        assert end == len(lengths) or lengths[start : end + 1].sum() > size


def test_location_is_found_by_id_in_a_list_of_any_order(tmp_path):
    keys = [5, 3, (1 << 64) - 1, 9, 11, 12, 13]
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in keys], keys)
    lines = [
        b"%d\t0\t1\tlast.jpg\r" % keys[2],
        b"9\t0\t\xff\xfe name, with blanks .jpg",
        b"4\t0\tof no record.jpg",
        b"3 0 columns parted by blanks.jpg",
        b"what is this",
        b"12\tno labels",
        b"13\t0\t  ",
        b"5\t0\tfive.jpg",
    ]
    (tmp_path / "a.lst").write_bytes(b"\n".join(lines))
    with dali_rec.open(tmp_path / "a") as dataset:
        locations = Locations(dataset, tmp_path / "a.lst")
        (frames,) = read_frames(dataset)
        found = locations.of(frames.take(np.array([6, 5, 4, 3, 2, 1, 0])))
        locations.close()
    unknown = [b"a.rec#13", b"a.rec#12", b"a.rec#11"]
    assert found == [*unknown, b"\xff\xfe name, with blanks .jpg", b"last.jpg", b"a.rec#3", b"five.jpg"]


@pytest.mark.parametrize("how", [merge, None])
def test_list_is_not_believed_of_an_index_that_numbers_anew(tmp_path, how):
    """As MXNet's rec2idx does: the list has the ids of the headers."""
    write_set(tmp_path / "a", [payload(2 - key, [0.0], b"") for key in range(3)], [0, 1, 2])
    (tmp_path / "a.lst").write_text("2\t0\ttwo.jpg\n1\t0\tone.jpg\n0\t0\tzero.jpg\n")
    if how is merge:
        merge([tmp_path / "a"], tmp_path / "b", renumber=True)
    else:
        shuffle(tmp_path / "a", tmp_path / "b")
    lines = sorted((tmp_path / "b.lst").read_text().splitlines())
    assert lines == ["0\t0\ta.rec#0", "1\t0\tone.jpg", "2\t0\ta.rec#2"]


def test_list_goes_with_the_records(tmp_path):
    write_set(tmp_path / "a", [payload(key, [key / 4], b"") for key in range(3)], [0, 1, 2])
    (tmp_path / "a.lst").write_text("2\t0.5\tc.jpg\n0\t0\ta b.jpg\n")
    merge([tmp_path / "a"], tmp_path / "b")
    assert (tmp_path / "b.lst").read_text() == "0\t0\ta b.jpg\n1\t0.25\ta.rec#1\n2\t0.5\tc.jpg\n"
    merge([tmp_path / "b"], tmp_path / "c", renumber=True)
    assert files(tmp_path / "c")[".lst"] == files(tmp_path / "b")[".lst"]


ARRANGING = {
    "merge": lambda data, out: merge([data], out),
    "split": lambda data, out: split(data, out, shares={"train": 0.5, "val": 0.5}),
    "shuffle": shuffle,
}


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("how", list(ARRANGING))
@pytest.mark.parametrize("is_own", [True, False])
def test_list_of_another_packing_gives_no_paths(tmp_path, how, shards, is_own):
    """Packed anew in another order, say: the ids are the same, and the labels show that the images are others."""
    write_set(tmp_path / "a", [payload(key, [float(key)], b"") for key in range(9)], list(range(9)), shards=shards)
    (tmp_path / "a.lst").write_text("".join(f"{key}\t{key if is_own else 8 - key}\t{key}.jpg\n" for key in range(9)))
    ARRANGING[how](tmp_path / "a", tmp_path / "b")
    lines = [line.split("\t") for file in tmp_path.glob("b*.lst") for line in file.read_text().splitlines()]
    assert sorted(label for _, label, _ in lines) == [str(key) for key in range(9)]
    assert all((path == f"{label}.jpg") if is_own else path.endswith(f".rec#{label}") for _, label, path in lines)


def test_list_is_held_only_to_records_that_the_index_calls_by_their_ids(tmp_path):
    """MXNet's rec2idx numbered anew a file of which the second half had lost its first record."""
    ids = [0, 1, 2, 4, 5]
    write_set(tmp_path / "a", [payload(key, [float(key)], b"") for key in ids], [0, 1, 2, 3, 4])
    (tmp_path / "a.lst").write_text("".join(f"{key}\t{key}\t{key}.jpg\n" for key in range(6)))
    merge([tmp_path / "a"], tmp_path / "b", renumber=True)
    paths = [line.split("\t")[2] for line in (tmp_path / "b.lst").read_text().splitlines()]
    assert paths == ["0.jpg", "1.jpg", "2.jpg", "a.rec#3", "a.rec#4"]


def test_line_of_an_id_that_several_records_have_is_of_none(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in (0, 0, 1)], [0, 0, 1])
    (tmp_path / "a.lst").write_text("0\t0\tzero.jpg\n1\t0\tone.jpg\n")
    with dali_rec.open(tmp_path / "a") as dataset:
        locations = Locations(dataset, tmp_path / "a.lst")
        (frames,) = read_frames(dataset)
        assert locations.of(frames) == [b"a.rec#0", b"a.rec#0", b"one.jpg"]
        locations.close()


def _hold(prefix, ready, done):
    with ArrangeTarget(prefix).working():
        ready.set()
        done.wait(30)


def test_two_processes_do_not_write_the_same_set(tmp_path):
    write_set(tmp_path / "a", [payload(0, [0.0], b"")], [0])
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "b", ready, done))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(OutputExistsError, match="another process is writing"):
            merge([tmp_path / "a"], tmp_path / "b")
    finally:
        done.set()
        other.join()
    merge([tmp_path / "a"], tmp_path / "b")
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


def test_of_two_runs_at_a_time_the_second_does_not_replace_what_the_first_made(tmp_path, monkeypatch):
    for name, keys in (("a", [0]), ("b", [0, 1])):
        write_set(tmp_path / name, [payload(key, [0.0], b"") for key in keys], keys)
    check_space, first = ArrangeTarget.check_space, [lambda: merge([tmp_path / "a"], tmp_path / "out")]

    def run_first(target, size):
        if first:
            first.pop()()
        check_space(target, size)

    monkeypatch.setattr(ArrangeTarget, "check_space", run_first)  # after the check, and before the lock
    with pytest.raises(OutputExistsError, match="exists already"):
        merge([tmp_path / "b"], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "a")
    assert not (tmp_path / "out.arranging").exists()


@pytest.mark.parametrize("shares", [None, {"x": 0.5, "y": 0.5}])
def test_what_came_under_the_name_while_records_were_copied_is_not_replaced(tmp_path, shares):
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in range(4)], [0, 1, 2, 3])
    other = tmp_path / ("out.rec" if shares is None else "out-y.rec")
    with pytest.raises(OutputExistsError, match=f"{re.escape(str(other))} exists already"):
        split(tmp_path / "a", tmp_path / "out", shares=shares, shards=1, progress=lambda *_: other.write_bytes(b"mine"))
    assert list(tmp_path.glob("out*")) == [other]
    assert other.read_bytes() == b"mine"


def test_folder_of_the_users_is_not_taken_for_a_work_folder(tmp_path):
    write_set(tmp_path / "a", [payload(0, [0.0], b"")], [0])
    (tmp_path / "b.arranging").mkdir()
    (tmp_path / "b.arranging" / "precious").touch()
    with pytest.raises(OutputExistsError, match="holds other files"):
        merge([tmp_path / "a"], tmp_path / "b")
    assert (tmp_path / "b.arranging" / "precious").exists()


def test_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    write_set(tmp_path / "a", [payload(0, [0.0], bytes(2_100_000))], [0])
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(OSError, match=r"it needs 2\.1 MB, and 1 MB are free there.*deep[/\\]+b") as caught:
        merge([tmp_path / "a"], tmp_path / "deep" / "b")
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("parts", [1, 2])
def test_disk_that_is_full_at_the_last_file_leaves_all_as_it_was(tmp_path, monkeypatch, parts):
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in range(4)], [0, 1, 2, 3])
    write_set(tmp_path / "b", [payload(9, [0.0], b"")], [9], ("cat",))
    shares = {"x": 0.5, "y": 0.5} if parts == 2 else None
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write, left = Manifest.write, list(range(parts))

    def fill(manifest, path):
        left.pop()
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(manifest, path)

    monkeypatch.setattr(Manifest, "write", fill)
    with pytest.raises(OSError, match="No space left"):
        split(tmp_path / "a", tmp_path / "b", shares=shares, shards=1, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("manifest", ["{", None])
def test_all_files_of_a_set_that_is_replaced_go_whatever_became_of_its_manifest(tmp_path, manifest):
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in range(4)], [0, 1, 2, 3])
    write_set(tmp_path / "b", [payload(key, [0.0], b"") for key in range(4)], [0, 1, 2, 3], ("cat",), shards=3)
    write_set(tmp_path / "b-c", [payload(9, [0.0], b"")], [9], ("cat",), shards=1)
    (tmp_path / "b.rejected.jsonl").touch()
    (tmp_path / "b.json").unlink()
    if manifest is not None:
        (tmp_path / "b.json").write_text(manifest)
    with pytest.raises(OutputExistsError):
        merge([tmp_path / "a"], tmp_path / "b")
    others = {".rec", ".idx", ".json"}
    merge([tmp_path / "a"], tmp_path / "b", overwrite=True)
    assert set(files(tmp_path / "b")) == {".rec", ".idx", ".lst", ".json", *(f"-c{suffix}" for suffix in others)}
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.posix  # a link
def test_link_to_nothing_is_not_written_over(tmp_path):
    write_set(tmp_path / "a", [payload(0, [0.0], b"")], [0])
    (tmp_path / "b.rec").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError, match=r"b\.rec exists already"):
        merge([tmp_path / "a"], tmp_path / "b")
