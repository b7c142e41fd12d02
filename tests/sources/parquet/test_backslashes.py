"""Paths of images beside Parquet and Arrow files as Windows writes them."""

import pickle

import pytest

import dali_rec
from dali_rec.errors import ImageRejectedError

pa = pytest.importorskip("pyarrow")

from parquet_files import FILES, HUGGING_FACE, images, images_of, read, records_of, write, write_arrow  # noqa: E402


@pytest.mark.posix  # on Windows they are slashes
@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_paths_with_backslashes_are_found_where_all_are_there_and_that_is_told(tmp_path, suffix):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "set" / "cat" / f"{number}.jpg").write_bytes(FILES[number])
    paths = [f"cat\\{number}.jpg" for number in range(3)]
    columns = {"image": images([None, None, None, FILES[3]], [*paths, "n3.jpg"]), "label": [0, 1, 2, 0]}
    path = (write if suffix == ".parquet" else write_arrow)(tmp_path / "set" / f"x{suffix}", columns, HUGGING_FACE)
    report = dali_rec.pack(path, tmp_path / "out" / "x")
    assert [image for _, _, image in records_of(tmp_path / "out" / "x")] == FILES[:4]
    found = f"'cat\\\\0.jpg' is {tmp_path / 'set' / 'cat' / '0.jpg'}"
    assert report.notes == (f"{path}: its images are found with / for the backslashes of Windows: {found}",)
    assert (tmp_path / "out" / "x.lst").read_text().splitlines()[1] == "1\t1\tcat/1.jpg"
    source = read(path)
    for held in (pickle.loads(pickle.dumps(source.pixels)), source.pixels.absolute()):
        assert held.read(source.samples[1].location) == FILES[1]
    (tmp_path / "set" / "cat" / "2.jpg").unlink()
    source = read(path)
    assert source.notes == ()
    with pytest.raises(ImageRejectedError, match="No such file"):
        source.pixels.read(source.samples[0].location)


@pytest.mark.posix
def test_backslashes_in_names_that_are_there_stay(tmp_path):
    (tmp_path / "a\\1.jpg").write_bytes(FILES[0])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(FILES[1])
    source = read(write_arrow(tmp_path / "x.arrow", {"image": images([None], ["a\\1.jpg"]), "label": [0]}))
    assert (images_of(source), source.notes) == (FILES[:1], ())
