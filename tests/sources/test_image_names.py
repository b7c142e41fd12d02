"""Locations with the slashes of Windows."""

import sys

import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.sources import TableOptions
from dali_rec.sources.image_names import with_slashes

ROWS = ["cat\\cat_000.jpg", "dog/dog_000.jpg", ".\\dog\\dog_001.jpg"]
TABLES = {
    "x.lst": "\r\n".join(f"{key}\t{key}\t{row}" for key, row in enumerate(ROWS)),
    "x.csv": "\r\n".join(["location,label", *(f"{row},{key}" for key, row in enumerate(ROWS))]),
    "x.txt": "\r\n".join(f"{row} {key}" for key, row in enumerate(ROWS)),
    "x.json": str([{"location": row, "label": key} for key, row in enumerate(ROWS)]),
}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("cat\\1.jpg", "cat/1.jpg"),
        ("C:\\photos\\cat\\1.jpg", "C:/photos/cat/1.jpg"),
        ("\\\\server\\photos\\1.jpg", "//server/photos/1.jpg"),
        ("s3://bucket/a\\b.jpg", "s3://bucket/a\\b.jpg"),
    ],
)
def test_a_backslash_is_a_slash_on_windows_alone(monkeypatch, location, expected):
    monkeypatch.setattr("os.sep", "/")
    assert with_slashes(location) == location
    monkeypatch.setattr("os.sep", "\\")
    assert with_slashes(location) == expected


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere a name may hold a backslash")
@pytest.mark.parametrize("name", TABLES)
def test_lists_have_slashes_whatever_the_table_has(tmp_path, name):
    make_class_folder(tmp_path, {"cat": 1, "dog": 2})
    (tmp_path / name).write_bytes(TABLES[name].encode())
    report = dali_rec.pack(tmp_path / name, tmp_path / "out")
    assert not [note for note in report.notes if "found elsewhere" in note]
    locations = ["cat/cat_000.jpg", "dog/dog_000.jpg", "./dog/dog_001.jpg"]
    listed = "".join(f"{key}\t{key}\t{location}\n" for key, location in enumerate(locations))
    assert (tmp_path / "out.lst").read_bytes() == listed.encode()


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere a name may hold a backslash")
def test_folders_are_labels_whatever_slashes_the_paths_have(tmp_path):
    make_class_folder(tmp_path, {"cat": 1, "dog": 1})
    (tmp_path / "x.txt").write_bytes(b"cat\\cat_000.jpg\r\ndog/dog_000.jpg\r\n")
    assert dali_rec.pack(tmp_path / "x.txt", tmp_path / "out").manifest.classes == ("cat", "dog")


@pytest.mark.skipif(sys.platform != "win32", reason="of drives")
def test_images_may_be_named_from_the_drive_on(tmp_path):
    (tmp_path / "1.jpg").write_bytes(jpeg())
    (tmp_path / "x.csv").write_text(f"{tmp_path / '1.jpg'},cat\n", "utf-8")
    assert dali_rec.pack(tmp_path / "x.csv", tmp_path / "out", table=TableOptions()).notes == ()
    assert (tmp_path / "out.lst").read_text("utf-8") == f"0\t0\t{(tmp_path / '1.jpg').as_posix()}\n"
