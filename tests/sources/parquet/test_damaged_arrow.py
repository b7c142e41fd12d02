"""Arrow files that are cut off, damaged, gone or no such files, and rows without an image."""

import sys

import pytest

import dali_rec
from dali_rec.errors import ImageRejectedError, MissingDependencyError, SourceError

pa = pytest.importorskip("pyarrow")

from parquet_files import FILES, IMAGE, images, labelled, read, records_of, write_arrow  # noqa: E402

LABELS = [0, 2, 1, 2, 0, 1, 1, 2, 0, 0, 1, 2]
FORMATS = pytest.mark.parametrize("new", [pa.ipc.new_stream, pa.ipc.new_file])
COMPRESSIONS = pytest.mark.parametrize("compression", [None, "lz4", "zstd"])


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_rows_without_an_image_are_rejected_by_their_place(tmp_path, compression):
    (tmp_path / "4.jpg").write_bytes(FILES[4])
    rows = [FILES[0], None, {"bytes": None, "path": None}, b"no image", {"bytes": None, "path": "4.jpg"}]
    rows = [row if row is None or isinstance(row, dict) else {"bytes": row, "path": "a.jpg"} for row in rows]
    columns = {"image": pa.array(rows, IMAGE), "label": [0, 1, 2, 3, 4]}
    path = write_arrow(tmp_path / "x.arrow", columns, group=2, compression=compression)
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=3)
    assert records_of(tmp_path / "out" / "x") == [(0, [0], FILES[0]), (4, [4], FILES[4])]
    assert [(one.sample.location, one.reason) for one in report.rejections[:2]] == [
        ("x.arrow#1", f"{path}, row 1: 'image' is empty"),
        ("x.arrow#2", f"{path}, row 2: 'image' is empty"),
    ]
    assert report.rejections[2].sample.location == "a.jpg//x.arrow#3"
    assert (tmp_path / "out" / "x.lst").read_text() == "0\t0\ta.jpg\n4\t4\t4.jpg\n"


@FORMATS
@COMPRESSIONS
def test_a_file_that_was_cut_off_is_an_error_that_names_it(tmp_path, new, compression):
    path = labelled(tmp_path / "x.arrow", LABELS, group=4, new=new, compression=compression)
    data = path.read_bytes()
    for size in (0, 1, 8, len(data) // 2, len(data) - 100, len(data) - 8, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(SourceError, match=r"x\.arrow: cannot be read as Arrow \(.*\); fetch it anew"):
            read(path)


def test_a_stream_that_was_not_ended_is_an_error(tmp_path):
    table = pa.table({"image": images(), "label": LABELS})
    with (tmp_path / "x.arrow").open("wb") as file:
        writer = pa.ipc.new_stream(file, table.schema)
        writer.write_table(table, max_chunksize=4)
        size = file.tell()
        writer.close()
    (tmp_path / "x.arrow").write_bytes((tmp_path / "x.arrow").read_bytes()[:size])
    with pytest.raises(SourceError, match=r"x\.arrow: cannot be read as Arrow \(it has no end, so rows are missing\)"):
        read(tmp_path / "x.arrow")


@FORMATS
@pytest.mark.parametrize("name", [b"label", b"bytes"])
def test_names_of_columns_that_are_no_text_are_an_error_of_the_file(tmp_path, new, name):
    path = labelled(tmp_path / "x.arrow", LABELS, metadata=None, new=new)
    data = path.read_bytes()
    assert name in data
    path.write_bytes(data.replace(name, name[:-1] + b"\xe8"))
    with pytest.raises(SourceError, match=r"x\.arrow: cannot be read as Arrow \(.*utf-8.*\); fetch it anew"):
        read(path)


@FORMATS
def test_images_of_a_damaged_batch_are_rejected_and_the_others_packed(tmp_path, new):
    path = labelled(tmp_path / "x.arrow", [0] * 12, group=4, new=new)
    data = bytearray(path.read_bytes())
    ends = b"".join(sum(map(len, FILES[4 : 4 + count])).to_bytes(4, "little") for count in range(5))
    place = data.index(ends)  # the offsets of the four images
    data[place + 4 : place + 8] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=4)
    assert [key for key, _, _ in records_of(tmp_path / "out" / "x")] == [0, 1, 2, 3, 8, 9, 10, 11]
    assert [one.reason.partition(": ")[0] for one in report.rejections] == [f"{path}, row {row}" for row in range(4, 8)]


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_file_that_has_changed_or_gone_since_it_was_listed_is_told(tmp_path, compression):
    path = labelled(tmp_path / "x.arrow", [0] * 6, compression=compression)
    shorter, gone = read(path), read(path)
    labelled(path, [0] * 2)
    with pytest.raises(ImageRejectedError, match=r"x\.arrow, row 4: the file has 2 rows; has it changed"):
        shorter.pixels.read(shorter.samples[4].location)
    del shorter
    path.unlink()
    why = "(No such file|cannot find the file|File not found)"
    with pytest.raises(ImageRejectedError, match=rf"x\.arrow, row 4: .*{why}.*[^\s]$"):
        gone.pixels.read(gone.samples[4].location)


def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path):
    (tmp_path / "x.arrow").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    with pytest.raises(SourceError, match=r"a pointer of Git LFS.*git lfs pull"):
        read(tmp_path / "x.arrow")


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = labelled(tmp_path / "x.arrow", [0])
    monkeypatch.setitem(sys.modules, "pyarrow.lib", None)
    with pytest.raises(
        MissingDependencyError, match=r'Arrow files need PyArrow \(.*\); install it with: pip install "d'
    ):
        read(path)
