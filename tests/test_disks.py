"""File systems that cannot do what others can, or say late that they could not: network disks, and those of FUSE."""

import errno
import mmap
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import dali_rec
from dali_rec import _disks, cli
from dali_rec._files import atomic_write, check_space, publish
from dali_rec.recordio import RecordReader, RecordWriter


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refusing(number):
    """What the system says of a file without its name."""

    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    return refuse


def write(path, payload=b"payload"):
    with RecordWriter(path) as writer:
        writer.write(payload)


@pytest.mark.posix
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_that_cannot_sync_gets_the_same_files(class_folder, tmp_path, monkeypatch, number):
    dali_rec.pack(class_folder, tmp_path / "a" / "x")
    monkeypatch.setattr(os, "fsync", refusing(number))
    monkeypatch.setattr(os, "fdatasync", refusing(number))
    dali_rec.pack(class_folder, tmp_path / "b" / "x")
    assert names(tmp_path / "a") == names(tmp_path / "b")
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in (tmp_path / "a").iterdir())


@pytest.mark.posix
def test_folder_that_may_not_be_listed_is_written_to(tmp_path, monkeypatch):
    open_it = os.open

    def refuse_folders(path, *arguments, **options):
        if os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_it(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_folders)
    write(tmp_path / "x.rec")
    assert names(tmp_path) == ["x.idx", "x.rec"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_failure_to_sync_is_said_with_the_name_and_leaves_nothing(tmp_path, monkeypatch, number):
    writer = RecordWriter(tmp_path / "x.rec")
    writer.write(b"payload")
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        writer.close()
    with pytest.raises(OSError, match=os.strerror(number)) as also, atomic_write(tmp_path / "y"):
        pass
    assert (caught.value.filename, also.value.filename) == (str(tmp_path / "x.rec"), str(tmp_path / "y"))
    assert names(tmp_path) == []


@pytest.mark.posix
def test_what_is_said_only_at_closing_comes_before_the_file_has_its_name(tmp_path, monkeypatch):
    close, duplicates = os.close, []

    def duplicate(descriptor):
        duplicates.append(duplicated := os.open(os.devnull, os.O_RDONLY))
        assert os.fstat(descriptor).st_size
        return duplicated

    def fail(descriptor):
        close(descriptor)
        if descriptor in duplicates:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    writer = RecordWriter(tmp_path / "x.rec")
    writer.write(b"payload")
    monkeypatch.setattr(os, "dup", duplicate)
    monkeypatch.setattr(os, "close", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EDQUOT)) as caught:
        writer.close()
    assert caught.value.filename == str(tmp_path / "x.rec")
    assert names(tmp_path) == []


def test_error_with_a_name_keeps_it():
    with pytest.raises(OSError, match="bad") as caught, _disks.naming(Path("x")):
        raise OSError(errno.EIO, "bad", "y")
    assert caught.value.filename == "y"


def test_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.idx").write_bytes(b"0\t0\n")
    monkeypatch.setattr(Path, "read_bytes", refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        _disks.read_named(tmp_path / "x.idx")
    assert caught.value.filename == str(tmp_path / "x.idx")


def mapping(is_refused):
    """mmap.mmap of a file system that does not map in some way, by the arguments."""

    def map_it(*arguments, **options):
        if is_refused(options):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return mmap.mmap(*arguments, **options)

    return SimpleNamespace(**{**vars(mmap), "mmap": map_it})


@pytest.mark.posix
def test_file_that_cannot_be_mapped_to_be_shared_is_mapped_alone(tmp_path, monkeypatch):
    write(tmp_path / "x.rec")
    monkeypatch.setattr(_disks, "mmap", mapping(lambda options: options.get("flags") != mmap.MAP_PRIVATE))
    with RecordReader(tmp_path / "x.rec") as reader:
        assert [bytes(payload) for payload in reader] == [b"payload"]


@pytest.mark.posix
def test_file_that_cannot_be_mapped_at_all_is_said_with_the_remedy(tmp_path, monkeypatch):
    write(tmp_path / "x.rec")
    monkeypatch.setattr(_disks, "mmap", mapping(lambda _options: True))
    with pytest.raises(OSError, match=r"maps no files into memory.*dali-rec fetch") as caught:
        RecordReader(tmp_path / "x.rec")
    assert caught.value.filename == str(tmp_path / "x.rec")


def test_file_system_that_does_not_tell_its_room_is_taken_to_have_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=0, free=0))
    check_space(tmp_path / "x", 1 << 40)
    monkeypatch.setattr(shutil, "disk_usage", refusing(errno.ENOSYS))
    check_space(tmp_path / "x", 1 << 40)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=2, free=1))
    with pytest.raises(OSError, match="it needs 2 bytes"):
        check_space(tmp_path / "x", 2)


@pytest.fixture
def renames_over_nothing(monkeypatch):
    """A file system that renames, but not over a file."""
    replace = Path.replace

    def rename(path, target):
        if Path(target).exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path), None, str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", rename)


@pytest.mark.posix
@pytest.mark.usefixtures("renames_over_nothing")
def test_file_is_replaced_where_none_is_renamed_over_another(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "out" / "x")
    dali_rec.pack(class_folder, tmp_path / "out" / "x", resize=16, overwrite=True)
    assert dali_rec.verify(tmp_path / "out" / "x").ok
    assert dali_rec.open(tmp_path / "out" / "x").manifest.max_height == 16
    assert names(tmp_path / "out") == ["x.idx", "x.json", "x.lst", "x.rec"]


def test_finished_file_that_has_gone_is_said_by_its_final_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="has gone, perhaps by another process") as caught:
        publish(tmp_path / "x.partial", tmp_path / "x")
    assert caught.value.filename == str(tmp_path / "x")


def test_file_system_without_renames_is_said_in_one_line_with_what_to_do():
    line = cli._one_line(OSError(errno.EXDEV, "Invalid cross-device link", "x.partial", None, "x"))
    assert line.startswith("x: Invalid cross-device link: its file system does not let x.partial be renamed to it; ")
    assert line.endswith("and copy what comes out")
