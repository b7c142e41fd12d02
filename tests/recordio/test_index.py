import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.errors import IndexFileError
from dali_rec.recordio import Index, index_path_of, read_index, write_index
from dali_rec.recordio.index import parse_index, unsigned


@given(pairs=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**62)), max_size=20))
def test_index_reads_back(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("index") / "x.idx"
    write_index(path, Index.from_pairs(pairs))
    index = read_index(path)
    assert [unsigned(key) for key in index.keys.tolist()] == [key for key, _ in pairs]
    assert index.offsets.tolist() == [offset for _, offset in pairs]


@pytest.mark.parametrize(
    "text",
    [
        "1\t0\n2\t40\n",
        "1\t0\n2\t40",
        "1\t0\r\n2\t40\r\n",
        "1\t0\r\n2\t40",
        "1\t0\n2\t40\r\n",
        "1 0\n2 40\n",
        "1 0\n2\t40\n",
        "1\t 0\n2 \t40\n",
        "1\t0\n\n2\t40\n\n",
    ],
)
def test_line_ends_and_blank_lines_do_not_matter(tmp_path, text):
    (tmp_path / "x.idx").write_bytes(text.encode())
    assert read_index(tmp_path / "x.idx") == Index.from_pairs([(1, 0), (2, 40)])


@pytest.mark.parametrize(
    ("rec", "idx"), [("x.rec", "x.idx"), ("a.b.rec", "a.b.idx"), ("x", "x.idx"), ("x.rec.part012", "x.rec.part012.idx")]
)
def test_index_lies_beside_its_file(tmp_path, rec, idx):
    assert index_path_of(tmp_path / rec) == tmp_path / idx


def test_empty_index_has_no_records(tmp_path):
    (tmp_path / "x.idx").write_bytes(b"")
    assert len(read_index(tmp_path / "x.idx")) == 0


@pytest.mark.parametrize(
    "line", ["cat\t40", "# a comment", "2", "2\t40\t5", "2\t-40", "2\t4.5", "2\t", "\t40", "2\r40", "2\t4_0"]
)
def test_line_that_is_not_two_whole_numbers_is_named(tmp_path, line):
    (tmp_path / "x.idx").write_text(f"1\t0\n{line}\n3\t80\n")
    with pytest.raises(IndexFileError, match=r"x\.idx, line 2: .*dali-rec index .*x\.rec"):
        read_index(tmp_path / "x.idx")


@pytest.mark.parametrize("text", ["1\t2\t3\n4\n", "1\n2\t3\t4\n", "1\t2\t3\n\t4\n", "1\t2-3\n\t4\n", "\t1\n2\t3\t4\n"])
def test_numbers_are_not_carried_over_from_one_line_to_the_next(tmp_path, text):
    (tmp_path / "x.idx").write_text(text)
    with pytest.raises(IndexFileError, match=r"x\.idx, line 1: "):
        read_index(tmp_path / "x.idx")


@pytest.mark.parametrize(
    "line",
    [
        "99999999999999999999\t40",
        "18446744073709551616\t40",
        "-9223372036854775809\t40",
        "2\t9223372036854775808",
        "2\t9999999999999999999",
        "2\t99999999999999999999",
        "999999999999999999999\t40",
    ],
)
def test_number_of_more_than_64_bits_is_named(tmp_path, line):
    (tmp_path / "x.idx").write_text(f"1\t0\n{line}\n3\t80\n")
    with pytest.raises(IndexFileError, match=r"x\.idx, line 2: "):
        read_index(tmp_path / "x.idx")


@pytest.mark.parametrize("key", [2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
def test_largest_numbers_of_64_bits_are_read(tmp_path, key):
    (tmp_path / "x.idx").write_text(f"{key}\t0\n1\t{2**63 - 1}\n")
    index = read_index(tmp_path / "x.idx")
    assert [unsigned(one) for one in index.keys.tolist()] == [key, 1]
    assert index.offsets.tolist() == [0, 2**63 - 1]


PIECES = st.sampled_from(["1", "4", "-", "\t", " ", "\n", "\r\n", "\r", "1\t40\n", "7 80\n"])


@given(text=st.lists(PIECES, max_size=12).map("".join))
def test_each_line_is_read_by_itself_or_refused(text):
    lines = [line for line in text.split("\n") if line.strip()]
    found = [re.fullmatch(r"\s*(-?\d+)[\t ]+(\d+)\s*", line) for line in lines]
    if None in found:
        with pytest.raises(IndexFileError):
            parse_index(text.encode(), "x.idx")
    else:
        pairs = [(int(one[1]), int(one[2])) for one in found]
        assert parse_index(text.encode(), "x.idx") == Index.from_pairs(pairs)
