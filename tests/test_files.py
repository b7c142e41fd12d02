import errno
import os
import sys
import threading
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest

from dali_rec import _files
from dali_rec._files import as_url, atomic_write, is_plain, wrong_output
from dali_rec._locks import is_at, locked
from dali_rec.packing.store import clear_partials


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_is_complete_under_its_name_or_not_there(tmp_path):
    with atomic_write(tmp_path / "x") as file:
        file.write(b"all")
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_bytes() == b"all"


def test_two_may_write_one_file_and_the_last_has_written_it(tmp_path):
    with atomic_write(tmp_path / "x") as slow:
        slow.write(b"slow")
        with atomic_write(tmp_path / "x") as quick:
            quick.write(b"quick, and longer")
        assert (tmp_path / "x").read_bytes() == b"quick, and longer"
    assert (tmp_path / "x").read_bytes() == b"slow"
    assert names(tmp_path) == ["x"]


def test_failure_leaves_what_was_there_and_no_temporary_file(tmp_path):
    (tmp_path / "x").write_bytes(b"old")

    def fail():
        with atomic_write(tmp_path / "x") as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


@pytest.mark.posix
def test_folder_of_that_name_is_said_and_no_temporary_file_left(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError) as caught, atomic_write(tmp_path / "x"):
        pass
    assert str(caught.value).endswith(f"Is a directory: {str(tmp_path / 'x')!r}")
    assert names(tmp_path) == ["x"]


def test_file_system_that_cannot_be_written_is_said_with_the_name_of_the_file(tmp_path, monkeypatch):
    def refuse(path, *_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # also of what is not there
    with pytest.raises(OSError, match="Read-only") as caught, atomic_write(tmp_path / "x"):
        pass
    assert caught.value.filename == str(tmp_path / "x")


@pytest.mark.posix
def test_half_written_files_of_a_dead_process_are_cleared(tmp_path):
    (tmp_path / "finished").touch()

    def die():
        with atomic_write(tmp_path / "x"):
            assert len(names(tmp_path)) == 2
            clear_partials(tmp_path)
            assert names(tmp_path) == ["finished"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()


def test_one_at_a_time_changes_a_file(tmp_path):
    (tmp_path / "x").write_text("0")

    def count():
        for _ in range(25):
            with locked(tmp_path / "x") as alone:
                assert alone
                value = int((tmp_path / "x").read_text())
                with atomic_write(tmp_path / "x") as file:
                    file.write(str(value + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x").read_text() == "100"
    assert names(tmp_path) == ["x"]


def test_who_cannot_wait_goes_on_without_the_lock(tmp_path):
    with locked(tmp_path / "x") as first:
        with locked(tmp_path / "x", seconds=0) as second:
            assert first
            assert not second
        assert names(tmp_path) == ["x.lock"]
    assert names(tmp_path) == []


def test_lock_of_a_dead_process_holds_nobody_up(tmp_path):
    (tmp_path / "x.lock").touch()
    with locked(tmp_path / "x", seconds=0) as alone:
        assert alone
    assert names(tmp_path) == []


def test_where_no_lock_can_be_made_there_is_none(tmp_path):
    with locked(tmp_path / "nothing" / "x") as alone:
        assert not alone


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_holds_nobody_up(tmp_path, monkeypatch, number):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with locked(tmp_path / "x") as first, locked(tmp_path / "x") as second:
        assert first
        assert second
    assert names(tmp_path) == []


@pytest.mark.posix
def test_lock_file_that_is_gone_or_made_anew_is_another_one(tmp_path):
    path = tmp_path / "x.lock"
    with path.open("ab") as file:
        assert is_at(file, path)
        path.unlink()
        assert not is_at(file, path)
        path.touch()
        assert not is_at(file, path)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OSError(errno.ENOSPC, "full"), "x"),
        (OSError(errno.ENOSPC, "full", "y"), "y"),
        (OSError(errno.EIO, "bad"), None),
    ],
)
def test_full_disk_is_said_with_the_file_that_did_not_fit(tmp_path, monkeypatch, error, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=error.strerror) as caught, atomic_write(Path("x")):
        raise error
    assert caught.value.filename == name


def test_file_that_cannot_be_written_is_named_and_not_its_temporary_one(tmp_path):
    path = tmp_path / "nothing" / "x"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path):
        pass
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("kind", [Path, PureWindowsPath])
def test_url_is_known_by_its_path_and_a_drive_is_none(kind):
    assert as_url(kind("s3://bucket/sets/x")) == "s3://bucket/sets/x"
    assert as_url(kind("https://host/x.rec")) == "https://host/x.rec"
    assert as_url(kind("C:/photos/x")) is None
    assert as_url(kind("photos/x")) is None


@pytest.mark.parametrize("name", ["ab:c", "con", "COM1.x", "what?", "all*"])
def test_name_that_windows_takes_for_something_else_is_refused_there(tmp_path, monkeypatch, name):
    monkeypatch.setattr(_files, "sys", SimpleNamespace(platform="win32"))
    with (
        pytest.raises(OSError, match="Windows has no files of such a name") as raised,
        atomic_write(tmp_path / f"{name}.png"),
    ):
        pass
    assert raised.value.filename == str(tmp_path / f"{name}.png")
    assert wrong_output(tmp_path / name) == f"{tmp_path / name}: Windows has no files of such a name"
    assert wrong_output(tmp_path / "plain.") is None
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "is_one", "is_one_on_windows"),
    [("x.rec", True, True), ("a/x", False, False), ("..\\x", False, False), ("C:x.rec", True, False)],
)
def test_name_that_leads_elsewhere_is_none(name, is_one, is_one_on_windows, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert is_plain(name) == is_one
    monkeypatch.setattr(sys, "platform", "win32")
    assert is_plain(name) == is_one_on_windows
