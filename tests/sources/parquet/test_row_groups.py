"""Images of Parquet files, read a group of rows at a time, by threads, processes and machines."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kills import kill_when_written, slow_image
from support import jpeg

import dali_rec
from dali_rec import _workers
from dali_rec.errors import DatasetError
from dali_rec.packing import workers
from dali_rec.packing.reading import Origin
from dali_rec.sources.parquet import images as parquet_images
from dali_rec.sources.parquet.images import ParquetImages

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from parquet_files import FILES, contents, images_of, labelled, read, records_of  # noqa: E402


@pytest.fixture
def counted(monkeypatch):
    """How often each row group was begun."""
    begun = []
    begin = parquet_images._Rows._begin
    monkeypatch.setattr(parquet_images._Rows, "_begin", lambda rows, *place: begun.append(place) or begin(rows, *place))
    return begun


def test_each_row_group_is_read_once_whatever_the_number_of_threads(hub, tmp_path, counted):
    dali_rec.pack(hub / "data" / "train-*.parquet", tmp_path / "x", workers=6)
    names = ["train-00000-of-00002.parquet"] * 3 + ["train-00001-of-00002.parquet"]
    assert sorted(counted) == list(zip(names, [0, 1, 2, 0], strict=True))


def test_a_large_row_group_is_read_piece_by_piece(tmp_path, monkeypatch, counted):
    path = labelled(tmp_path / "x.parquet", [0] * 12, group=12)
    size = pq.ParquetFile(path).metadata.row_group(0).total_byte_size
    monkeypatch.setattr(parquet_images, "_WHOLE", size - 1)
    monkeypatch.setattr(parquet_images, "_PIECE", size // 5)
    source = read(path)
    assert source.pixels.read(source.samples[0].location) == FILES[0]
    assert len(source.pixels._rows._kept) < 4
    assert images_of(source)[1:] == FILES[1:]
    assert len(counted) == 2  # of the first image nothing was kept


@given(
    rows=st.lists(st.integers(0, 11), max_size=30),
    group=st.integers(1, 12),
    whole=st.sampled_from([0, 1 << 20]),
    piece=st.integers(1, 20000),
    most=st.sampled_from([0, 2000, 1 << 20]),
)
def test_images_come_right_in_any_order(tmp_path, rows, group, whole, piece, most):
    path = labelled(tmp_path / "x.parquet", [0] * 12, group=group)
    with pytest.MonkeyPatch.context() as patch:
        limits = {"_WHOLE": whole, "_PIECE": piece, "_MOST_BYTES": most, "_MOST_IMAGES": 2, "_MOST_OPEN": 2}
        for name, value in limits.items():
            patch.setattr(parquet_images, name, value)
        held = ParquetImages(str(path.parent), "image")
        assert [held.read(f"x.parquet#{row}") for row in rows] == [FILES[row] for row in rows]
        if most == 0:
            assert len(held._rows._kept) <= 2


def test_images_come_right_to_many_threads(tmp_path):
    path = labelled(tmp_path / "x.parquet", [0] * 12, group=5)
    held = ParquetImages(str(path.parent), "image")
    rows = [*range(12)] * 20
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(held.read, [f"x.parquet#{row}" for row in rows])] == [FILES[row] for row in rows]


def test_other_processes_share_what_one_has_read(tmp_path, counted):
    path = labelled(tmp_path / "x.parquet", [0] * 4, group=4)
    source = read(path)
    pickled = pickle.dumps(source.pixels)
    assert len(pickled) < 400
    assert [pickle.loads(pickled).read(sample.location) for sample in source.samples] == FILES[:4]
    assert len(counted) == 1


def test_processes_make_the_same_files_and_share_the_row_groups_out(tmp_path, begun, monkeypatch):
    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 4)
    files = [jpeg(number) for number in range(64)]
    path = labelled(tmp_path / "x.parquet", [number % 3 for number in range(64)], files, group=18)
    sent = []
    monkeypatch.setattr(_workers._Process, "send", _recorded(_workers._Process.send, sent))
    for count in (1, 8):
        dali_rec.pack(path, tmp_path / str(count) / "x", workers=count, shards=2)
    assert contents(tmp_path / "1") == contents(tmp_path / "8")
    assert len(begun) == 2
    of_process = {process: {row // 18 for other, row in sent if other == process} for process, _ in sent}
    assert [*of_process.values()] == [{0, 2}, {1, 3}]


@pytest.mark.parametrize(
    ("images", "most", "groups"),
    [
        (128, 1 << 30, [{0, 2, 4, 6}, {1, 3, 5, 7}]),
        (64, 1 << 30, [{0, 1, 2, 3}] * 2),  # too few groups for all processes to have some
        (128, 1, [{*range(8)}] * 2),  # groups that would take too much memory
    ],
)
def test_groups_of_many_rows_go_to_one_process_each_where_they_can(tmp_path, begun, monkeypatch, images, most, groups):
    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 4)
    monkeypatch.setattr(_workers, "_AHEAD", 1)
    monkeypatch.setattr(parquet_images, "_FEW_ROWS", 15)
    monkeypatch.setattr(parquet_images, "_MOST_TOGETHER", most)
    files = [jpeg(number) for number in range(images)]
    path = labelled(tmp_path / "x.parquet", [number % 3 for number in range(images)], files, group=16)
    sent, sent_first = [], []
    monkeypatch.setattr(_workers._Process, "send", _recorded(_workers._Process.send, sent))
    result = _workers._Process.result
    monkeypatch.setattr(_workers._Process, "result", lambda one: sent_first.append(len(sent)) or result(one))
    for count in (1, 8):
        dali_rec.pack(path, tmp_path / str(count) / "x", workers=count, shards=3)
    assert contents(tmp_path / "1") == contents(tmp_path / "8")
    assert len(begun) == 2
    of_process = {process: {row // 16 for other, row in sent if other == process} for process, _ in sent}
    assert [*of_process.values()] == groups
    assert (sent_first[0] > 32) == (len(groups[0]) < images // 16)  # both processes have one, and the first another


def _recorded(send, sent):
    def recorded(process, message):
        if isinstance(message, tuple) and isinstance(message[0], Origin):
            sent.extend((id(process), int(location.rpartition("#")[2])) for location in message[1])
        send(process, message)

    return recorded


def test_resumes_after_a_kill_with_the_same_bytes(tmp_path):
    long = tmp_path / "long"
    slow = slow_image()
    for number in range(4):
        labelled(long / f"train-{number:05d}-of-00004.parquet", [0] * 75, [slow] * 75, group=20)
    command = [sys.executable, "-m", "dali_rec", "pack", str(long), str(tmp_path / "out" / "x"), "--shards", "12"]
    kill_when_written(command, tmp_path / "out" / "x.packing", 150 * len(slow))
    report = dali_rec.pack(long, tmp_path / "out" / "x", shards=12, resume=True)
    assert 0 < report.images < 300
    dali_rec.pack(long, tmp_path / "whole" / "x", shards=12)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_resuming_notices_a_changed_file(tmp_path):
    path = labelled(tmp_path / "x.parquet", [0] * 12)

    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(path, tmp_path / "out" / "x", shards=4, progress=stop)
    labelled(path, [0] * 12, FILES[::-1])
    with pytest.raises(DatasetError, match="was packed from files of which some have changed since"):
        dali_rec.pack(path, tmp_path / "out" / "x", shards=4, resume=True)


def test_appends_and_shares_the_work_of_several_machines(hub, tmp_path):
    for rank in (1, 0):
        dali_rec.pack(hub / "data" / "train-*.parquet", tmp_path / "x", shards=4, node_rank=rank, num_nodes=2)
    assert [image for _, _, image in records_of(tmp_path / "x")] == FILES[:9]
    dali_rec.pack(hub / "data" / "validation-00000-of-00001.parquet", tmp_path / "x", append=True)
    assert [(key, image) for key, _, image in records_of(tmp_path / "x")] == [*enumerate(FILES[:11])]
    dali_rec.pack(hub / "data" / "train-*.parquet", tmp_path / "sized", shard_size="4KB")
    assert [image for _, _, image in records_of(tmp_path / "sized")] == FILES[:9]
