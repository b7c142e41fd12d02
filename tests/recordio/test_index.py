import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.errors import IndexFileError
from dali_rec.recordio import Index, read_index, write_index
from dali_rec.recordio.index import unsigned


@given(pairs=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**62)), max_size=20))
def test_index_reads_back(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("index") / "x.idx"
    write_index(path, Index.from_pairs(pairs))
    index = read_index(path)
    assert [unsigned(key) for key in index.keys.tolist()] == [key for key, _ in pairs]
    assert index.offsets.tolist() == [offset for _, offset in pairs]


@pytest.mark.parametrize(
    "text", ["1\t0\n2\t40\n", "1\t0\n2\t40", "1\t0\r\n2\t40\r\n", "1 0\n2 40\n", "1\t0\n\n2\t40\n\n"]
)
def test_line_ends_and_blank_lines_do_not_matter(tmp_path, text):
    (tmp_path / "x.idx").write_bytes(text.encode())
    assert read_index(tmp_path / "x.idx") == Index.from_pairs([(1, 0), (2, 40)])


def test_empty_index_has_no_records(tmp_path):
    (tmp_path / "x.idx").write_bytes(b"")
    assert len(read_index(tmp_path / "x.idx")) == 0


@pytest.mark.parametrize("line", ["cat\t40", "# a comment", "2", "2\t40\t5", "2\t-40", "2\t4.5"])
def test_line_that_is_not_two_whole_numbers_is_named(tmp_path, line):
    (tmp_path / "x.idx").write_text(f"1\t0\n{line}\n3\t80\n")
    with pytest.raises(IndexFileError, match=r"x\.idx, line 2: .*dali-rec index .*x\.rec"):
        read_index(tmp_path / "x.idx")
