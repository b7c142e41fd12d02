"""What is no file is rejected, and not waited for."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.im2rec.database import DatabaseOptions, Row, write_database
from dali_rec.images import stored_size
from dali_rec.packing.reading import Origin, read_image
from dali_rec.sources import FetchOptions

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def no_file(request, tmp_path, monkeypatch):
    """Something that is no regular file, called x.jpg."""
    path = tmp_path / "x.jpg"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x.jpg")
    return path


def test_what_is_no_file_is_rejected(no_file):
    found = read_image(Origin(str(no_file.parent)), no_file.name, FetchOptions())
    assert str(found.data) == f"cannot be read: not a regular file: {no_file}"


def test_what_is_no_file_has_no_size(no_file):
    assert stored_size(no_file) is None


def test_im2rec_leaves_out_what_is_no_file(no_file, tmp_path):
    (tmp_path / "good.jpg").write_bytes(jpeg())
    rows = [Row(key, (0.0,), str(path)) for key, path in enumerate((no_file, tmp_path / "good.jpg"))]
    said = []
    packed = write_database(rows, tmp_path / "x.rec", tmp_path / "x.idx", DatabaseOptions(), said.append)
    assert packed == (1, 1)
    assert "not a regular file" in said[0]


def test_pipe_among_the_images_does_not_stop_packing(tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"a": 3})
    os.mkfifo(folder / "a" / "x.jpg")
    code = "import sys, dali_rec; dali_rec.pack(sys.argv[1], sys.argv[2], max_bad=1)"
    environment = {**os.environ, "PYTHONPATH": str(Path(dali_rec.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "x")]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert len(dali_rec.open(tmp_path / "x")) == 3
    assert "not a regular file" in (tmp_path / "x.rejected.jsonl").read_text()


def test_a_file_is_read_whole_whatever_size_it_says(tmp_path):
    path = tmp_path / "x.jpg"
    path.symlink_to("/proc/self/cmdline")  # a file that says it has no bytes
    found = read_image(Origin(str(tmp_path)), "x.jpg", FetchOptions())
    assert found.data == Path("/proc/self/cmdline").read_bytes()
