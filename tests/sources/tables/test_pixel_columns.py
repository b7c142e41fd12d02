import io

import numpy as np
import pytest
from PIL import Image
from support import peak_memory

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source

SIDE = 28
GREY = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE))
RGB = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3))
MNIST = ["label", *(f"pixel{number}" for number in range(SIDE * SIDE))]
GRID = ["label", *(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1))]
HAM10000 = [*(f"pixel{number:04}" for number in range(SIDE * SIDE * 3)), "label"]
HANDWRITTEN = ["0", *(f"0.{number}" for number in range(1, SIDE * SIDE + 1))]
PANDAS = ["", *map(str, range(SIDE * SIDE + 1))]
OPENML = [*(f"pixel{number}" for number in range(1, SIDE * SIDE + 1)), "class"]


@pytest.fixture
def table(tmp_path):
    """Writes a CSV of rows, and its header if there is one; returns its path."""

    def write(*rows, name="x.csv", mark=","):
        (tmp_path / name).write_text("".join(mark.join(map(str, row)) + "\n" for row in rows))
        return tmp_path / name

    return write


def rows_of(images, labels=(7, 0, 9), *, last=False):
    rows = [list(map(int, image.ravel())) for image in images]
    labelled = zip(rows, labels, strict=True)
    return [[*row, label] if last else [label, *row] for row, label in labelled]


def read(path, **options):
    return open_source(path, SourceOptions(table=TableOptions(**options)))


def images(source):
    found = [np.array(Image.open(io.BytesIO(source.pixels.read(sample.location)))) for sample in source.samples]
    return np.array(found).tolist()


def labels(source):
    return [sample.labels for sample in source.samples]


@pytest.mark.parametrize(
    "rows",
    [
        [MNIST, *rows_of(GREY)],
        [GRID, *rows_of(GREY)],
        rows_of(GREY),
        [HANDWRITTEN, *rows_of(GREY)],
        [OPENML, *rows_of(GREY, last=True)],
        [PANDAS, *([number, *row] for number, row in enumerate(rows_of(GREY)))],
        [["label", *range(SIDE * SIDE)], *rows_of(GREY)],
        [MNIST, *([f'"{value}"' for value in row] for row in rows_of(GREY))],
        [MNIST, *([f" {float(value)}" for value in row] for row in rows_of(GREY))],
    ],
    ids=["mnist", "grid", "headerless", "handwritten", "openml", "pandas", "numbered", "quoted", "floats"],
)
def test_columns_of_grey_pixels_are_an_image(table, rows):
    source = read(table(*rows))
    assert labels(source) == [(7.0,), (0.0,), (9.0,)]
    assert images(source) == GREY.tolist()
    assert any("784 columns are taken for images of 28 × 28 grey pixels" in note for note in source.notes)


def test_columns_of_rgb_have_the_label_last(table):
    source = read(table(HAM10000, *rows_of(RGB, last=True)))
    assert (labels(source), images(source)) == ([(7.0,), (0.0,), (9.0,)], RGB.tolist())


def test_small_square_with_a_numbered_header(table):
    small = GREY[:, :8, :8]
    for header in (range(65), [*range(64), "target"]):
        rows = rows_of(small, ("cat", "dog", "cat"), last="target" in header)
        source = read(table(header, *rows))
        assert (labels(source), source.classes) == ([(0.0,), (1.0,), (0.0,)], ("cat", "dog"))
        assert images(source) == small.tolist()


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_delimiters(table, mark):
    source = read(table(MNIST, *rows_of(GREY), mark=mark, name="x.csv" if mark == ";" else "x.tsv"))
    assert (labels(source), images(source)) == ([(7.0,), (0.0,), (9.0,)], GREY.tolist())


def test_label_of_text_may_be_last_without_a_header(table):
    source = read(table(*rows_of(GREY, ("b", "a", "b"), last=True)))
    assert (labels(source), images(source)) == ([(1.0,), (0.0,), (1.0,)], GREY.tolist())


def test_columns_say_that_the_label_is_last(table):
    path = table(*rows_of(GREY, last=True))
    assert any("the first column is taken for the label; --columns location,label" in note for note in read(path).notes)
    source = read(path, columns=("location", "label"))
    assert (labels(source), images(source)) == ([(7.0,), (0.0,), (9.0,)], GREY.tolist())
    path = table(*([number + 5, *row] for number, row in enumerate(rows_of(GREY))))
    source = read(path, columns=("id", "label", "location"))
    assert [sample.key for sample in source.samples] == [5, 6, 7]
    assert images(source) == GREY.tolist()


@pytest.mark.parametrize("header", [[], [MNIST[1:]]])
def test_pixels_without_a_label_all_get_0(table, header):
    source = read(table(*header, *(row[1:] for row in rows_of(GREY))))
    assert (labels(source), images(source)) == ([(0.0,)] * 3, GREY.tolist())
    assert any("all rows get label 0" in note for note in source.notes)


def test_other_columns_are_what_they_are_called(table):
    header = ["id", "split", *MNIST[1:], "Category", "note"]
    rows = [
        [number + 4, split, *row[1:], row[0], "x"]
        for number, (split, row) in enumerate(zip(("test", "train", "train"), rows_of(GREY), strict=True))
    ]
    source = read(table(header, *rows))
    assert [(split.name, split.start, split.stop) for split in source.splits] == [("train", 0, 2), ("test", 2, 3)]
    assert [(sample.key, sample.labels) for sample in source.samples] == [(5, (0.0,)), (6, (9.0,)), (4, (7.0,))]
    assert images(source) == GREY[[1, 2, 0]].tolist()
    ids = read(table(["id", *MNIST[1:]], *rows_of(GREY)))  # as the test.csv of Kannada-MNIST
    assert [(sample.key, sample.labels) for sample in ids.samples] == [(7, (0.0,)), (0, (0.0,)), (9, (0.0,))]
    assert labels(read(table(["image_id", *MNIST[1:]], *rows_of(GREY)))) == [(0.0,)] * 3


def test_it_packs(table, tmp_path):
    assert main(["pack", str(table(MNIST, *rows_of(GREY))), str(tmp_path / "out" / "x")]) == 0
    dataset = dali_rec.open(tmp_path / "out" / "x")
    stored = [Image.open(io.BytesIO(record.image)) for record in dataset]
    assert [(image.format, image.mode) for image in stored] == [("PNG", "L")] * 3
    assert [np.array(image).tolist() for image in stored] == GREY.tolist()
    assert [record.labels.tolist() for record in dataset] == [[7], [0], [9]]


@pytest.mark.parametrize("value", ["256", "-1", "0.5", "", "x", "1_0", "1e99"])
def test_value_that_is_no_pixel_is_rejected_with_line_and_column(table, tmp_path, value):
    rows = rows_of(GREY)
    rows[1][9] = value
    report = dali_rec.pack(table(MNIST, *rows), tmp_path / "out" / "x", max_bad=1)
    reason = f"image on line 3 of {tmp_path / 'x.csv'}: {value!r} in column 10 is no pixel"
    assert [one.reason[: len(reason)] for one in report.rejections] == [reason]
    assert report.records == 2


def test_first_row_without_pixels_is_an_error(table):
    fractions = [[row[0], *(value / 255 for value in row[1:])] for row in rows_of(GREY)]
    with pytest.raises(SourceError, match=r"x\.csv, line 2: '0\.\d+' in column 2 is no pixel; expected whole numbers"):
        read(table(MNIST, *fractions))


def test_columns_that_make_no_square_are_an_error(table):
    with pytest.raises(SourceError, match=r"line 1: 783 columns of pixels, 'pixel1' to 'pixel783', make no square"):
        read(table([MNIST[0], *MNIST[2:]], *([row[0], *row[2:]] for row in rows_of(GREY))))


def test_row_of_another_length_is_an_error(table):
    rows = rows_of(GREY)
    rows[2].pop()
    with pytest.raises(SourceError, match=r"x\.csv, line 4: 784 fields, expected 785"):
        read(table(MNIST, *rows))


def test_numbers_that_may_be_two_images_are_an_error_until_columns_tell(table):
    path = table([3, *range(225), *range(225), *range(225)])
    with pytest.raises(SourceError, match=r"676 numbers .* --columns location or --columns label,location"):
        read(path)
    assert np.shape(images(read(path, columns=("label", "location")))) == (1, 15, 15, 3)


def test_tables_of_paths_or_few_numbers_are_no_pixels(table):
    source = read(table(["filename", *MNIST], ["1.jpg", *rows_of(GREY)[0]]))
    assert [sample.location for sample in source.samples] == ["1.jpg"]
    with pytest.raises(SourceError, match="no column 'location'"):
        read(table(range(63), range(1, 64)))


def test_numbered_attributes_of_images_are_no_pixels(table, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    path = table(["image_id", *(f"attr_{number}" for number in range(64))], ["a", *([0, 1] * 32)])
    assert labels(read(path, labels=("*",))) == [(0.0, 1.0) * 32]
    assert labels(read(path, labels=("attr_3",))) == [(1.0,)]


def test_first_row_with_a_value_that_is_none_is_no_header(table):
    rows = rows_of(GREY)
    rows[0][5] = 300
    with pytest.raises(SourceError, match=r"line 1: '300' in column 6 is no pixel"):
        read(table(*rows))


def test_table_of_pixel_columns_is_packed_in_bounded_memory(tmp_path):
    # 78 MB; its values as Python objects would take more than 500 MB.
    row = ",".join(["1", *["200"] * (128 * 128 * 3)])
    (tmp_path / "x.csv").write_text(f"{row}\n" * 400)
    code = f"""
import dali_rec
before = peak()
report = dali_rec.pack({str(tmp_path / "x.csv")!r}, {str(tmp_path / "y")!r}, workers=1)
print(report.records, peak() - before)
"""
    printed, _ = peak_memory(code)
    count, kilobytes = printed.split()
    assert int(count) == 400
    assert int(kilobytes) < 150_000
