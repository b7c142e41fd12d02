"""Work folders and names on file systems that keep files that were removed, or for which x.rec is X.rec."""

import os
from pathlib import Path

import pytest

import dali_rec
from dali_rec._files import not_among
from dali_rec.arrange import merge
from dali_rec.errors import OutputExistsError
from dali_rec.packing.store import LocalStore


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def keeps_what_is_open(monkeypatch):
    """A file system that gives a lock another name when it is removed, until it is closed, as NFS and FUSE do."""
    unlink, rmdir = Path.unlink, Path.rmdir
    kept = []

    def remove(path, *arguments, **options):
        if path.name.startswith("lock") and path.exists():
            kept.append(path.rename(path.with_name(f".nfs{len(kept):024x}")))
        else:
            unlink(path, *arguments, **options)

    def remove_folder(path):
        try:
            rmdir(path)
        finally:  # by the next time all are closed
            while kept:
                unlink(kept.pop())

    monkeypatch.setattr(Path, "unlink", remove)
    monkeypatch.setattr(Path, "rmdir", remove_folder)


@pytest.mark.posix
@pytest.mark.usefixtures("keeps_what_is_open")
def test_work_folder_is_gone_when_its_lock_was_the_last_in_it(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "out" / "x")
    merge([tmp_path / "out" / "x"], tmp_path / "out" / "y")
    assert names(tmp_path / "out") == [
        f"{name}{suffix}" for name in "xy" for suffix in (".idx", ".json", ".lst", ".rec")
    ]


@pytest.mark.parametrize("name", [".nfs000000000123456700000001", ".fuse_hidden0000000100000001"])
def test_file_that_was_removed_while_it_was_open_is_none_of_somebody_else(class_folder, tmp_path, name):
    (tmp_path / "x.packing").mkdir()
    (tmp_path / "x.packing" / name).touch()
    assert LocalStore(tmp_path).names("x.packing") == []
    assert dali_rec.pack(class_folder, tmp_path / "x").records == 12


def test_names_of_one_file_are_told():
    others = ["x.rec", "x.idx", "cafe\u0301.rec", "y.rec"]
    assert not_among(others, ["X.rec", "x.idx", "Caf\u00e9.rec"]) == {"y.rec"}


def test_old_file_is_not_removed_that_may_be_the_new_one_by_another_name(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "out" / "x", shards=2)
    if (tmp_path / "out" / "X.lst").exists():
        pytest.skip("capitals make no other name here")
    # Where capitals make no difference, this is the manifest that is found under the new name.
    (tmp_path / "out" / "x.json").rename(tmp_path / "out" / "X.json")
    old = names(tmp_path / "out")
    dali_rec.pack(class_folder, tmp_path / "out" / "X", shards=2, overwrite=True)
    assert set(old) <= set(names(tmp_path / "out"))
    assert dali_rec.verify(tmp_path / "out" / "X").ok


def test_old_file_of_another_name_is_removed(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "out" / "x", shards=2)
    dali_rec.pack(class_folder, tmp_path / "out" / "x", overwrite=True)
    assert names(tmp_path / "out") == ["x.idx", "x.json", "x.lst", "x.rec"]


@pytest.fixture
def capitals_make_no_difference(monkeypatch):
    """A file system that finds x.json by X.json, for those who ask it for one file."""
    stat = Path.stat

    def found(path):
        beside = os.listdir(path.parent) if os.path.isdir(path.parent) else []  # noqa: PTH112, PTH208
        return next((path.with_name(name) for name in beside if name.lower() == path.name.lower()), path)

    monkeypatch.setattr(Path, "stat", lambda path, **options: stat(found(path), **options))
    monkeypatch.setattr(Path, "exists", lambda path: os.path.exists(found(path)))  # noqa: PTH110


@pytest.mark.usefixtures("capitals_make_no_difference")
def test_data_set_that_is_found_by_other_capitals_is_not_replaced_unasked(packed, class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x")
    other = packed.with_name(packed.name.upper())
    with pytest.raises(OutputExistsError, match="exists already; choose another name or say --overwrite"):
        merge([tmp_path / "x"], other)
    with pytest.raises(OutputExistsError, match="is what is being read, and would be replaced"):
        merge([packed], other, overwrite=True)
