"""The headers of .tar files, beside those that tarfile and GNU tar read and write."""

import contextlib
import io
import os
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.sources.archives.tar_headers import DamagedTarError, TarHeaders

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
GNU_FORMATS = ("v7", "oldgnu", "gnu", "ustar", "posix")


def write(path, members, form=tarfile.GNU_FORMAT):
    with tarfile.open(path, "w", format=form, errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1e9 + 0.5  # for which pax has a header of its own
            tar.addfile(info, io.BytesIO(data))
    return path


def members_of(path, start=0, end=None):
    with path.open("rb") as file:
        return list(TarHeaders(file.fileno(), start, path.stat().st_size if end is None else end))


def contents(path):
    data = path.read_bytes()
    return [(one.name, data[one.start : one.start + one.size]) for one in members_of(path) if one.link is None]


def contents_by_tarfile(path):
    with tarfile.open(path, errors="surrogateescape") as tar:
        return [(one.name, tar.extractfile(one).read()) for one in tar if one.isreg()]


characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
names = st.text(characters, min_size=1, max_size=150).filter(lambda name: not name.endswith("/"))  # those are folders


@given(st.lists(st.tuples(names, st.binary(max_size=1100)), max_size=5), st.sampled_from(FORMATS[1:]))
def test_names_and_contents_are_those_of_tarfile(tmp_path, members, form):
    path = write(tmp_path / "x.tar", members, form)
    assert contents(path) == contents_by_tarfile(path)


@pytest.mark.posix
@pytest.mark.parametrize("form", GNU_FORMATS)
def test_what_gnu_tar_writes(tmp_path, form):
    long = "d" * 60 + "/" + "n" * (30 if form == "v7" else 90)
    for name in ("a", "b c.jpg", "é", long):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
    (tmp_path / "in" / "empty").touch()
    os.link(tmp_path / "in" / "a", tmp_path / "in" / "hard")
    (tmp_path / "in" / "soft").symlink_to(long if form in ("gnu", "posix") else "a")
    if form != "v7":  # which has none
        os.mkfifo(tmp_path / "in" / "pipe")
    tar = shutil.which("tar") or pytest.skip("no tar here")
    subprocess.run([tar, "-cf", "x.tar", f"--format={form}", "-C", "in", "."], cwd=tmp_path, check=True)
    assert contents(tmp_path / "x.tar") == contents_by_tarfile(tmp_path / "x.tar")
    with tarfile.open(tmp_path / "x.tar") as file:
        wanted = {(one.name, one.linkname, one.issym()) for one in file if one.issym() or one.islnk()}
    found = members_of(tmp_path / "x.tar")
    assert {(one.name, one.link, one.is_symbolic) for one in found if one.link is not None} == wanted


@pytest.mark.posix
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_files_with_holes_are_known_and_passed_over(tmp_path, form):
    tar = shutil.which("tar") or pytest.skip("no tar here")
    with (tmp_path / "holes").open("wb") as file:
        for number in range(30):  # more pieces than have room in the header
            file.seek(number << 20)
            file.write(b"x" * 4096)
    (tmp_path / "z").write_bytes(b"behind")
    command = [tar, "-cf", "x.tar", "--sparse", f"--format={form}", "holes", "z"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "x.tar").stat().st_size < 1 << 20
    holes, behind = members_of(tmp_path / "x.tar")
    assert (holes.name, holes.is_sparse) == ("holes", True)
    assert (behind.name, behind.is_sparse) == ("z", False)
    assert contents(tmp_path / "x.tar")[1] == ("z", b"behind")


@pytest.mark.parametrize("form", FORMATS[1:])
def test_members_of_more_than_8_gigabytes(tmp_path, form):
    large, size = tarfile.TarInfo("large"), 9 << 30
    large.size = size
    small = tarfile.TarInfo("small")
    small.size = 1
    head = large.tobuf(form)
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(head)
        file.seek(size, os.SEEK_CUR)
        file.write(small.tobuf(form) + b"s".ljust(512, b"\0") + bytes(1024))
    found = members_of(tmp_path / "x.tar")
    assert [(one.name, one.start, one.size) for one in found] == [
        ("large", len(head), size),
        ("small", len(head) + size + 512, 1),
    ]


def test_prefix_of_ustar_and_headers_for_all_members(tmp_path):
    name = "p" * 100 + "/" + "n" * 90
    assert contents(write(tmp_path / "x.tar", [(name, b"1")], tarfile.USTAR_FORMAT)) == [(name, b"1")]
    with tarfile.open(tmp_path / "y.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "of all"}) as tar:
        tar.addfile(tarfile.TarInfo("é" * 100))
    assert contents(tmp_path / "y.tar") == [("é" * 100, b"")]


def test_a_tar_cut_off_anywhere_is_an_error_or_says_that_its_end_is_missing(tmp_path):
    path = write(tmp_path / "x.tar", [("a", b"1" * 700), ("b" * 120, b"2" * 20), ("c", b"3" * 512)], tarfile.PAX_FORMAT)
    data, whole = path.read_bytes(), members_of(path)
    end = whole[-1].start + 512
    cut = tmp_path / "cut.tar"
    for length in range(1, end + 1):
        cut.write_bytes(data[:length])
        with cut.open("rb") as file:
            headers = TarHeaders(file.fileno(), 0, length)
            error = None
            try:
                found = list(headers)
            except DamagedTarError as raised:
                error = raised
        # Without an error it is cut off between two members, or in what fills up the last block.
        assert (found == whole[: len(found)] and not headers.has_end) if error is None else "cut off" in str(error)


def test_damaged_header_is_an_error_and_not_the_end(tmp_path):
    path = write(tmp_path / "x.tar", [("a", b"1" * 700), ("b", b"2"), ("c", b"3")])
    data = bytearray(path.read_bytes())
    at = members_of(path)[1].start - 512
    data[at] ^= 1
    path.write_bytes(data)
    assert len(contents_by_tarfile(path)) == 1
    with pytest.raises(DamagedTarError, match=rf"damaged at byte {at}, behind a: no header of a member"):
        members_of(path)


@pytest.mark.parametrize(("field", "reason"), [(slice(124, 136), "the size in the header is no number")])
def test_fields_that_make_no_sense(tmp_path, field, reason):
    info = tarfile.TarInfo("a")
    header = bytearray(info.tobuf())
    header[field] = b"x" * (field.stop - field.start)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(DamagedTarError, match=reason):
        members_of(tmp_path / "x.tar")


def test_what_stands_behind_the_end_is_told(tmp_path):
    path = write(tmp_path / "x.tar", [("a", b"1")])
    length = path.stat().st_size
    path.write_bytes(path.read_bytes() * 2)
    with path.open("rb") as file:
        headers = TarHeaders(file.fileno(), 0, 2 * length)
        assert [one.name for one in headers] == ["a"]
    assert (headers.has_end, headers.is_more) == (True, length)


@given(st.binary(min_size=512, max_size=2048))
def test_any_bytes_are_members_or_a_known_error(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    with contextlib.suppress(DamagedTarError):
        members_of(tmp_path / "x.tar")
