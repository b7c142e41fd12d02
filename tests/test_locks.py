"""Locks where there are none, and where they are had under other conditions than on a disk of the machine."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from support import make_class_folder

import dali_rec
from dali_rec import _locks
from dali_rec._locks import Claim, Lock, is_at, locked
from dali_rec.arrange import merge
from dali_rec.errors import DatasetError, OutputExistsError
from dali_rec.packing.arranged import ArrangeTarget
from dali_rec.recordio import RecordReader, RecordWriter

try_lock = _locks.try_lock


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def own_temporary(tmp_path, monkeypatch):
    """A folder of this machine for temporary files, beside the ``shared`` one."""
    (tmp_path / "own").mkdir()
    (tmp_path / "shared").mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def shared(tmp_path, own_temporary, monkeypatch):
    """A folder on a file system that has no locks; the machine has."""
    folder = tmp_path / "shared"

    def lock(file, *, shared=False):
        is_there = Path(file.name).is_relative_to(folder) if isinstance(file.name, str) else True
        return Lock.ABSENT if is_there else try_lock(file, shared=shared)

    for module in ("_locks", "recordio.writer"):
        monkeypatch.setattr(f"dali_rec.{module}.try_lock", lock)
    yield folder
    assert names(own_temporary) == []


@pytest.fixture
def several(tmp_path, own_temporary, monkeypatch):
    """The same for processes of several machines, which have nothing else in common."""
    for module in ("_locks", "recordio.writer"):
        monkeypatch.setattr(f"dali_rec.{module}.try_lock", lambda _file, **_options: Lock.ABSENT)
    yield tmp_path / "shared"
    for path in own_temporary.iterdir():
        path.unlink()


def test_processes_of_one_machine_keep_each_other_away(shared):
    with locked(shared / "x") as first, locked(shared / "x", seconds=0) as second:
        assert first
        assert not second
        assert not first.is_lost
    with locked(shared / "x") as third:
        assert third
    assert names(shared) == []


@pytest.mark.usefixtures("open_files_stay")
def test_lock_that_the_machine_has_instead_is_removed_where_open_files_stay(shared):
    with locked(shared / "x") as first:
        assert first
        assert len(names(shared.with_name("own"))) == 1
    assert names(shared) == names(shared.with_name("own")) == []


def test_those_that_share_keep_those_away_that_do_not(shared):
    sharing = [Claim.ask(shared / "x", shared=True) for _ in range(2)]
    alone = Claim.ask(shared / "x")
    assert all(sharing)
    assert not alone
    for claim in (*sharing, alone):
        claim.close()
    assert Claim.ask(shared / "x").close() is None


@pytest.mark.posix  # on Windows the other one is kept away by files that are open
def test_process_of_another_machine_is_let_in_and_the_first_knows(several):
    with locked(several / "x") as first:
        assert first
        assert not first.is_lost
        with locked(several / "x") as second:
            assert second
            assert first.is_lost
            assert not second.is_lost
    assert names(several) == []


def test_locks_that_each_machine_has_of_its_own_are_seen_through(tmp_path):
    first = Claim.ask(tmp_path / "x")
    assert not first.is_absent
    (tmp_path / "x").write_bytes(b"another's")
    assert first.is_lost
    first.close(remove=True)
    assert names(tmp_path) == ["x"]


def test_first_of_them_does_not_remove_the_lock_of_the_second(several):
    first, second = (Claim.ask(several / "x.lock") for _ in range(2))
    first.close(remove=True)
    assert names(several) == ["x.lock"]
    assert not second.is_lost
    second.close(remove=True)
    assert names(several) == []


@pytest.mark.posix
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EIO, errno.ENOTTY])
def test_any_other_refusal_of_a_lock_is_none_that_another_process_has(tmp_path, monkeypatch, number):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "x").open("w+b") as file:
        assert try_lock(file) is Lock.ABSENT


@pytest.mark.posix
def test_file_that_another_machine_has_removed_is_not_there(tmp_path, monkeypatch):
    def stale(*_arguments):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with (tmp_path / "x").open("w+b") as file:
        assert is_at(file, tmp_path / "x")
        monkeypatch.setattr("fcntl.flock", stale)
        assert try_lock(file) is Lock.HELD
        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", stale)
            assert not is_at(file, tmp_path / "x")


@pytest.fixture
def nfs(monkeypatch):
    """Locks as NFS has them: to share a file it must be open for reading, to have it alone for writing (flock(2))."""
    fcntl = pytest.importorskip("fcntl")
    flock = fcntl.flock

    def lock(descriptor, operation):
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if mode == (os.O_WRONLY if operation & fcntl.LOCK_SH else os.O_RDONLY):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)


@pytest.mark.usefixtures("nfs")
def test_locks_of_nfs_are_had_to_share_and_alone(tmp_path):
    sharing = [Claim.ask(tmp_path / "x", shared=True) for _ in range(2)]
    alone = Claim.ask(tmp_path / "x")
    assert all(sharing)
    assert not any(claim.is_absent for claim in sharing)
    assert not alone
    for claim in (*sharing, alone):
        claim.close()


@pytest.mark.usefixtures("nfs")
def test_machines_share_the_work_on_nfs(class_folder, tmp_path):
    for rank in range(2):
        report = dali_rec.pack(class_folder, tmp_path / "x", shards=4, node_rank=rank, num_nodes=2)
    assert report.records == 12
    assert dali_rec.verify(tmp_path / "x").ok
    assert not (tmp_path / "x.packing").exists()


def test_of_two_writers_the_last_to_finish_has_written_the_file(several):
    with RecordWriter(several / "x.rec") as slow:
        slow.write(b"slow")
        with RecordWriter(several / "x.rec") as quick:
            quick.write(b"quick, and longer")
        with RecordReader(several / "x.rec") as reader:
            assert [bytes(payload) for payload in reader] == [b"quick, and longer"]
    with RecordReader(several / "x.rec") as reader:
        assert [bytes(payload) for payload in reader] == [b"slow"]
    assert names(several) == ["x.idx", "x.rec"]


# The same, a whole way


def at_the_end(call):
    """A progress that calls ``call`` when all images are done."""
    return lambda done, total: call() if done == total else None


def test_pack_and_merge_leave_nothing_behind_without_locks(shared, class_folder):
    dali_rec.pack(class_folder, shared / "x", shards=2)
    merge([shared / "x"], shared / "y")
    assert dali_rec.verify(shared / "x").ok
    assert dali_rec.verify(shared / "y").ok
    assert not [name for name in names(shared) if name.endswith(("ing", "lock", "partial"))]


def test_second_run_of_this_machine_is_refused_without_locks(shared, class_folder):
    def again():
        with pytest.raises(OutputExistsError, match="another process is packing to it"):
            dali_rec.pack(class_folder, shared / "x")

    assert dali_rec.pack(class_folder, shared / "x", progress=at_the_end(again)).records == 12


@pytest.mark.posix  # on Windows the other one is kept away by files that are open
def test_run_gives_way_to_one_that_came_later_from_another_machine(several, class_folder, tmp_path):
    more = make_class_folder(tmp_path / "more", {"ant": 2, "bee": 2})
    other = at_the_end(lambda: dali_rec.pack(more, several / "x", overwrite=True))
    with pytest.raises(FileNotFoundError, match="has gone, perhaps by another process"):
        dali_rec.pack(class_folder, several / "x", progress=other)
    assert len(dali_rec.open(several / "x")) == 4
    assert dali_rec.verify(several / "x").ok
    assert names(several) == ["x.idx", "x.json", "x.lst", "x.rec"]


def test_run_moves_nothing_when_another_machine_has_begun(several, class_folder):
    mark = several / "x.packing" / "lock"
    with pytest.raises(
        OutputExistsError, match=r"x: another process has begun to write it, too, and its file system has no locks"
    ):
        dali_rec.pack(class_folder, several / "x", progress=at_the_end(lambda: mark.write_bytes(b"another's")))
    assert names(several) == ["x.packing"]
    assert mark.read_bytes() == b"another's"


def test_merge_moves_nothing_when_another_machine_has_begun(several, class_folder, monkeypatch):
    dali_rec.pack(class_folder, several / "x")
    publish = ArrangeTarget.publish

    def come(self, manifests):
        (several / "y.arranging" / "lock").write_bytes(b"another's")
        return publish(self, manifests)

    monkeypatch.setattr(ArrangeTarget, "publish", come)
    with pytest.raises(OutputExistsError, match=r"y: another process has begun to write it, too"):
        merge([several / "x"], several / "y")
    assert not (several / "y.rec").exists()
    assert (several / "y.arranging" / "lock").read_bytes() == b"another's"


def test_of_machines_that_share_the_work_one_publishes_without_locks(several, class_folder):
    options = {"shards": 4, "num_nodes": 2}
    dali_rec.pack(class_folder, several / "x", node_rank=0, **options)
    first = at_the_end((several / "x.packing" / "lock-publish").touch)
    assert dali_rec.pack(class_folder, several / "x", node_rank=1, progress=first, **options).sets == ()
    assert dali_rec.pack(class_folder, several / "x", shards=4, resume=True).records == 12
    assert dali_rec.verify(several / "x").ok


def test_shards_of_another_job_are_not_published(several, class_folder):
    begun = several / "x.packing" / "job.json"
    changed = at_the_end(lambda: begun.write_text(begun.read_text().replace('"seed": 100', '"seed": 7')))
    dali_rec.pack(class_folder, several / "x", shards=4, num_nodes=2, node_rank=0)
    with pytest.raises(DatasetError, match="this is not the job that was begun"):
        dali_rec.pack(class_folder, several / "x", shards=4, num_nodes=2, node_rank=1, progress=changed)
    assert names(several) == ["x.packing"]


def test_fetch_moves_nothing_when_another_machine_has_begun(several, class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "there" / "x")
    mark = several / "x.fetching.lock"
    with pytest.raises(OutputExistsError, match=r"x: another machine has begun to fetch it, too"):
        dali_rec.fetch(tmp_path / "there" / "x", several, progress=lambda *_done: mark.write_bytes(b"another's"))
    assert names(several) == ["x.fetching", "x.fetching.lock"]


def test_part_to_which_another_process_has_written_is_not_taken(several, class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "there" / "x")

    def write(*_done):
        with (several / "x.fetching" / "x.idx").open("ab") as file:
            file.write(b"0\t0\n")

    with pytest.raises(DatasetError, match=r"x\.(idx|rec).*(another process has written to it|another checksum)"):
        dali_rec.fetch(tmp_path / "there" / "x", several, progress=write)
    assert not (several / "x.idx").exists()
