import contextlib
import os
from pathlib import Path

import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import read_folder


def test_classes_are_numbered_by_sorted_name(tmp_path):
    # Plain code point order, as ImageFolder has it: capitals before small letters, "10" before "9".
    source = read_folder(make_class_folder(tmp_path, {"b": 1, "9": 1, "A": 1, "10": 1, "ä": 1}))
    assert source.classes == ("10", "9", "A", "b", "ä")
    assert {(sample.location.split("/")[0], sample.labels) for sample in source.samples} == {
        ("10", (0.0,)),
        ("9", (1.0,)),
        ("A", (2.0,)),
        ("b", (3.0,)),
        ("ä", (4.0,)),
    }


def test_class_numbers_are_those_of_a_plain_listing(tmp_path):
    # The rule of torchvision.datasets.folder.find_classes, written out.
    folder = make_class_folder(tmp_path, {f"class {number}": 1 for number in range(12)})
    wanted = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    assert list(read_folder(folder).classes) == wanted


def test_flat_folder_gets_label_zero_and_says_so(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    source = read_folder(tmp_path)
    assert [sample.labels for sample in source.samples] == [(0.0,)] * 3
    assert "label 0" in source.notes[0]


def test_files_with_other_extensions_are_counted(tmp_path):
    make_class_folder(tmp_path, {"a": 2})
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "README").write_text("x")
    notes = " ".join(read_folder(tmp_path).notes)
    assert "1 file directly in" in notes
    assert "README" in notes
    assert "a/notes.txt" in notes


def test_files_beside_the_splits_are_counted(tmp_path):
    for split in ("train", "val"):
        make_class_folder(tmp_path / split, {"cat": 1, "dog": 1})
    (tmp_path / "stray.jpg").write_bytes(jpeg(0))
    source = read_folder(tmp_path)
    assert (len(source.samples), source.notes) == (4, (f"1 file directly in {tmp_path} left out: stray.jpg",))


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    make_class_folder(tmp_path, {"a": 1, "b": 1, ".cache": 1})
    (tmp_path / "a" / "._a.jpg").write_bytes(b"x")
    source = read_folder(tmp_path)
    assert (source.classes, len(source.samples), source.notes) == (("a", "b"), 2, ())


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"])
def test_folders_that_archives_and_disks_add_are_no_classes(tmp_path, name):
    # They sort before small letters, and would give every class below them another number.
    make_class_folder(tmp_path / name, {"cat": 1})
    make_class_folder(tmp_path, {"cat": 1, "dog": 1})
    source = read_folder(tmp_path)
    assert (source.classes, len(source.samples), source.notes) == (("cat", "dog"), 2, ())


def test_folder_that_an_archive_adds_is_no_split(tmp_path):
    for part in ("train", "val", "__MACOSX"):
        make_class_folder(tmp_path / part, {"cat": 1, "zebra": 1})
    assert [split.name for split in read_folder(tmp_path).splits] == ["train", "val"]


@pytest.mark.parametrize(("suffix", "file"), [("packing", "lock"), ("packing", "job.json"), ("arranging", "lock")])
def test_folder_in_which_a_data_set_is_being_made_is_no_class(tmp_path, suffix, file):
    make_class_folder(tmp_path, {"cat": 1, f"train.{suffix}": 0, "zebra": 1})
    (tmp_path / f"train.{suffix}" / file).touch()
    source = read_folder(tmp_path)
    assert (source.classes, source.notes) == (("cat", "zebra"), ())


def test_folder_in_which_a_data_set_is_being_made_is_no_split(tmp_path):
    for split in ("train", "val"):
        make_class_folder(tmp_path / split, {"cat": 1, "zebra": 1})
    (tmp_path / "x.packing").mkdir()
    (tmp_path / "x.packing" / "lock").touch()
    assert [split.name for split in read_folder(tmp_path).splits] == ["train", "val"]


def test_folder_of_images_that_is_called_like_a_work_folder_is_a_class(tmp_path):
    assert read_folder(make_class_folder(tmp_path, {"meat.packing": 1, "shoes": 1})).classes == (
        "meat.packing",
        "shoes",
    )


def test_class_without_images_keeps_its_number_and_is_said(tmp_path):
    make_class_folder(tmp_path, {"a": 1, "c": 1})
    (tmp_path / "b").mkdir()
    source = read_folder(tmp_path)
    assert source.classes == ("a", "b", "c")
    assert "1 class has no images: b" in source.notes


@pytest.mark.posix
def test_links_are_followed_without_loops(tmp_path):
    make_class_folder(tmp_path / "data", {"a": 2})
    make_class_folder(tmp_path / "elsewhere", {"b": 3})
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    locations = [sample.location for sample in read_folder(tmp_path / "data").samples]
    assert sum(location.startswith("b/") for location in locations) == 3
    assert len(locations) == len(set(locations)) < 20


def test_folder_without_images_is_an_error_that_says_what_is_expected(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(SourceError, match=r"no images in it; expected .*CLASS/IMAGE\.jpg"):
        read_folder(tmp_path)


def test_folders_are_no_loops_where_none_has_a_number_of_its_own(tmp_path, monkeypatch):
    make_class_folder(tmp_path, {"a": 2, "b": 1})
    found = tmp_path.stat()
    status = os.stat_result((found[0], 0, *found[2:]))
    monkeypatch.setattr(Path, "stat", lambda _path: status)
    assert len(read_folder(tmp_path).samples) == 3


@pytest.mark.posix
def test_links_that_lead_nowhere_are_files_and_rejected_with_the_reason(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"a": 2})
    (folder / "a" / "itself.jpg").symlink_to("itself.jpg")
    (folder / "a" / "broken.jpg").symlink_to("nothing.jpg")
    (folder / "itself").symlink_to("itself")
    report = dali_rec.pack(folder, tmp_path / "x", max_bad=2, shuffle=False)
    reasons = {bad.sample.location: bad.reason for bad in report.rejections}
    assert len(dali_rec.open(tmp_path / "x")) == 2
    assert "Too many levels of symbolic links" in reasons["a/itself.jpg"]
    assert "no such file" in reasons["a/broken.jpg"]


def test_link_into_a_folder_that_may_not_be_entered_is_a_file(tmp_path, monkeypatch):
    folder = make_class_folder(tmp_path, {"a": 2, "b": 1})
    monkeypatch.setattr(os, "scandir", scan_with(lambda entry: entry.name == "a_000.jpg"))
    assert len(read_folder(folder).samples) == 3


@pytest.mark.parametrize("name", ["", "b", "b/c"])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), r"cannot be read \(Permission denied\); get the right to read"),
        (OSError(5, "Input/output error"), r"cannot be read \(Input/output error\); try again when it can be, or move"),
    ],
)
def test_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch, name, error, message):
    folder = make_class_folder(tmp_path, {"a": 1, "b": 1})
    (folder / "b" / "c").mkdir()
    scan = os.scandir

    def refuse(path):
        if Path(path) == folder / name:
            raise error
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match=message) as raised:
        read_folder(folder)
    assert str(raised.value).startswith(f"{folder / name}: ")


def scan_with(is_refused):
    """os.scandir with entries that cannot be asked whether they are folders."""
    scan = os.scandir

    class Entry:
        def __init__(self, entry):
            self.name, self._entry = entry.name, entry

        def __fspath__(self):
            return self._entry.path

        def is_dir(self):
            if is_refused(self._entry):
                raise PermissionError(13, "Permission denied")
            return self._entry.is_dir()

    @contextlib.contextmanager
    def scandir(path):
        with scan(path) as entries:
            yield (Entry(entry) for entry in entries)

    return scandir
