from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DATA, traced_peak

from dali_rec.errors import SourceError
from dali_rec.sources import Sample, SampleTable, SourceOptions, format_list, open_source, read_list
from dali_rec.sources.image_names import with_slashes


def written(tmp_path, text):
    (tmp_path / "x.lst").write_bytes(text.encode() if isinstance(text, str) else text)
    return tmp_path / "x.lst"


def test_list_of_mxnet_reads_in_order_under_its_ids():
    source = read_list(DATA / "list4.lst")
    assert [sample.key for sample in source.samples] == list(range(100, 112))
    assert source.samples[1] == Sample(101, (1.0, 0.5, -1.0, 1.0), "c1/im_01.jpg")
    assert source.root == str(DATA)


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ("5\t3.000000\ta.jpg\n", Sample(5, (3.0,), "a.jpg")),
        ("5\t-1.5\ta b/c d.jpg", Sample(5, (-1.5,), "a b/c d.jpg")),
        ("5\t1\t2\ta.jpg\r\n", Sample(5, (1.0, 2.0), "a.jpg")),
        ("5.0\t1\t/abs/a.jpg\n", Sample(5, (1.0,), "/abs/a.jpg")),
        ("18446744073709551615\t1\ta.jpg\n", Sample(2**64 - 1, (1.0,), "a.jpg")),
        ("\ufeff5\t1\tä.jpg\n", Sample(5, (1.0,), "ä.jpg")),
    ],
)
def test_forms_of_a_line(tmp_path, line, sample):
    assert list(read_list(written(tmp_path, line)).samples) == [sample]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0 a.jpg", "is not 'id<TAB>label<TAB>path': it has 1 column;"),
        ("x\t0\ta.jpg", "id 'x' is not a whole number"),
        ("-3\t0\ta.jpg", "id '-3' is not a whole number"),
        ("1.5\t0\ta.jpg", "id '1.5' is not a whole number"),
        ("1\tcat\ta.jpg", "not all numbers"),
        ("1_0\t0\ta.jpg", "id '1_0' is not a whole number"),
        ("1_0.0\t0\ta.jpg", "id '1_0.0' is not a whole number"),
        ("1\t1_5\ta.jpg", "not all numbers"),
        ("1\tnan\ta.jpg", "not all finite"),
        ("1\t0\t ", "the path is empty"),
        ("0\t0\tb.jpg", "id 0 stands on line 1 already"),
    ],
)
def test_bad_line_is_named(tmp_path, line, message):
    with pytest.raises(SourceError, match=r"x\.lst, line 3: ") as error:
        read_list(written(tmp_path, f"0\t0\ta.jpg\n\n{line}\n"))
    assert message in str(error.value)


WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"]), min_size=1)
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.tuples(st.lists(st.integers(-9, 9), min_size=width, max_size=width), st.lists(WORDS, min_size=1)),
        min_size=1,
    )
)


@given(ROWS, st.sampled_from([" ", "\t", "  \t "]))
def test_columns_parted_by_blanks_are_read_by_their_number(tmp_path, rows, blank):
    # As im2rec.cc reads them; but a path may hold blanks.
    path = tmp_path / "x.lst"
    lines = (blank.join(map(str, (key, *labels, " ".join(words)))) for key, (labels, words) in enumerate(rows))
    path.write_text("\n".join(lines), "utf-8")
    samples = read_list(path, label_width=len(rows[0][0])).samples
    wanted = [
        (key, tuple(map(float, labels)), with_slashes(" ".join(words))) for key, (labels, words) in enumerate(rows)
    ]
    assert [(one.key, one.labels, one.location) for one in samples] == wanted


def test_list_reads_back_what_was_written(tmp_path):
    samples = [
        Sample(3, (1.0,), "a b.jpg"),
        Sample(1, (0.1, -2.5, 7.0), "ü/b.jpg"),
        Sample(2**63, (16777216.0,), b"\xff.jpg".decode("utf-8", "surrogateescape")),
    ]
    path = written(tmp_path, b"".join(format_list(samples)))
    found = list(read_list(path).samples)
    assert [(sample.key, sample.location) for sample in found] == [(sample.key, sample.location) for sample in samples]
    for one, other in zip(found, samples, strict=True):
        assert one.labels == pytest.approx(other.labels, rel=1e-7)


def test_classes_of_a_list_may_be_named(tmp_path):
    (tmp_path / "x.lst").write_text("5\t1\ta.jpg\n6\t0\tb.jpg\n")
    source = open_source(tmp_path / "x.lst", SourceOptions(classes=("hen", "shark")))
    assert (source.classes, [sample.labels for sample in source.samples]) == (("hen", "shark"), [(1.0,), (0.0,)])
    for line, key in (("7\t2\tc.jpg", 7), ("7\t0.5\tc.jpg", 7), ("7\t0\t1\tc.jpg", 5)):
        (tmp_path / "x.lst").write_text(f"5\t1\ta.jpg\n{line}\n")
        with pytest.raises(SourceError, match=f"--classes names 2 classes, and id {key} has no label from 0 to 1"):
            open_source(tmp_path / "x.lst", SourceOptions(classes=("hen", "shark")))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_list_in_utf_16_is_an_error(tmp_path, encoding):
    with pytest.raises(SourceError, match=r"x\.lst: the text is UTF-16; save it as UTF-8"):
        read_list(written(tmp_path, "\ufeff0\t0\ta.jpg\r\n".encode(encoding)))


def test_empty_list_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="the list is empty"):
        read_list(written(tmp_path, "\n"))


def test_unknown_kind_of_source_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(tmp_path / "nothing")
    (tmp_path / "x.7z").write_bytes(b"")
    with pytest.raises(SourceError, match=r"x\.7z: not a folder"):
        open_source(tmp_path / "x.7z")
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"x\.jpg: not a folder, .*\. Give the folder of the image"):
        open_source(tmp_path / "x.jpg")


def test_table_gives_back_its_samples():
    samples = [Sample(2**64 - 1, (1.0, 2.0), "a"), Sample(0, (), ""), Sample(7, (3.5,), "ü/b c")]
    table = SampleTable.of(samples)
    assert list(table) == samples
    assert list(table.take([2, 0])) == [samples[2], samples[0]]
    assert [sample.key for sample in table.renumbered()] == [0, 1, 2]
    assert table.label_widths == {0, 1, 2}


def test_lists_are_written_in_pieces():
    samples = (Sample(key, (1.0,), f"{key}.jpg") for key in range(50_000))
    assert traced_peak(lambda: deque(format_list(samples), maxlen=0)) < 3_000_000
