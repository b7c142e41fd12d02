"""What Windows does not open is rejected with what it may be."""

import sys

import pytest

from dali_rec._files import too_long
from dali_rec.packing.reading import Origin, read_image
from dali_rec.sources import FetchOptions

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="of Windows")


def reason(folder, location):
    return str(read_image(Origin(str(folder)), location, FetchOptions()).data)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("cat", "cannot be read: not a regular file: "),
        ("cat/nul.jpg", "cannot be read: not a regular file: "),
        ("cat/a<b>.jpg", "cannot be read: Windows has no files of such a name: "),
        ("cat/1.jpg", "no such file: "),
    ],
)
def test_reason_is_said_with_the_slashes_of_windows(tmp_path, location, expected):
    (tmp_path / "cat").mkdir()
    assert reason(tmp_path, location) == f"{expected}{tmp_path / location}"


def test_another_program_may_have_it_open(tmp_path):
    import ctypes

    (tmp_path / "x.jpg").write_bytes(b"x")
    read_and_write, to_nobody, existing = 0xC0000000, 0, 3
    kernel = ctypes.windll.kernel32
    handle = kernel.CreateFileW(str(tmp_path / "x.jpg"), read_and_write, to_nobody, None, existing, 0, None)
    try:
        assert "another program has it open" in reason(tmp_path, "x.jpg")
    finally:
        kernel.CloseHandle(handle)
    assert read_image(Origin(str(tmp_path)), "x.jpg", FetchOptions()).data == b"x"


def test_paths_that_windows_takes_as_they_stand_are_read(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(b"x")
    assert read_image(Origin(f"\\\\?\\{tmp_path}"), "cat/1.jpg", FetchOptions()).data == b"x"


def test_longer_paths_than_windows_finds_are_said(tmp_path):
    assert too_long("C:\\" + "a" * 256) == ""
    assert "more than 259 letters" in reason(tmp_path, "a" * 240 + ".jpg")
