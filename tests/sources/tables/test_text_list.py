import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source


@pytest.fixture
def write(tmp_path):
    """Writes a list, and JPEGs at these paths; returns the list's path."""

    def write(text, *names):
        for seed, name in enumerate(names):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(jpeg(seed))
        (tmp_path / "list.txt").write_text(text)
        return tmp_path / "list.txt"

    return write


def read(path, classes=None, **options):
    return open_source(path, SourceOptions(table=TableOptions(**options), classes=classes))


def rows(source):
    names = source.classes
    return [(sample.location, names[int(sample.labels[0])] if names else sample.labels) for sample in source.samples]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat/1.jpg\ndog/a b.jpg\n", [("cat/1.jpg", "cat"), ("dog/a b.jpg", "dog")]),
        ("cat/a 1.jpg\ndog/2.jpg\n", [("cat/a 1.jpg", "cat"), ("dog/2.jpg", "dog")]),
        (
            "set/train/cat/1.jpg\nset/train/dog/2.jpg\n",
            [("set/train/cat/1.jpg", "cat"), ("set/train/dog/2.jpg", "dog")],
        ),
        ("a/church/in/1.jpg\na/abbey/2.jpg\n", [("a/church/in/1.jpg", "church/in"), ("a/abbey/2.jpg", "abbey")]),
        ("a/1.jpg\na/b/2.jpg\nc/3.jpg\n", [("a/1.jpg", "a"), ("a/b/2.jpg", "a/b"), ("c/3.jpg", "c")]),
    ],
)
def test_folders_are_the_classes_of_paths_without_labels(write, text, expected):
    source = read(write(text, *(name for name, _ in expected)))
    assert rows(source) == expected
    assert "the folders of the images are the classes" in source.notes[0]


def test_paths_without_extension_are_found_and_packed(write, tmp_path):
    # Food-101's meta/train.txt.
    path = write("pie/100\nrib/100\n", "images/pie/100.jpg", "images/rib/100.jpg")
    report = dali_rec.pack(path, tmp_path / "out")
    assert (report.records, report.manifest.classes) == (2, ("pie", "rib"))


def test_classes_can_be_fixed_for_several_lists(write):
    source = read(write("a/dog/1.jpg\na/cat/2.jpg\n"), classes=("dog", "hen", "cat"))
    assert [sample.labels for sample in source.samples] == [(0.0,), (2.0,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/1.jpg\na/2.jpg\n", "no labels behind the paths, and their folders, a, are no classes.*--label-column ''"),
        (
            "images/train2014/1.jpg\nimages/val2014/2.jpg\n",
            "their folders, train2014, val2014, are no classes; .*data.yaml",
        ),
        ("1.jpg\n2.jpg\n", r"line 1: '1.jpg' has no label behind it, nor a folder.*; --label-column '' does"),
        ("a/1.jpg\n1\n", r"line 2: '1' has no label behind it"),
        ("a_1 1 1 1\n", r"line 1: 4 fields, 'a_1 1 1 1'; .*--columns location,label,other0,other1"),
        ("1.jpg\tn01\t0\t32\n", r"line 1: 4 fields, .*--columns location,label,other0,other1"),
        ("2\nsmiling young\n1.jpg 1 -1\n2.jpg 1 1\n", r"line 2: no column 'label' in 'location, smiling, young'"),
    ],
)
def test_lines_that_are_no_path_and_label_are_refused(write, text, message):
    with pytest.raises(SourceError, match=rf"list\.txt.*{message}"):
        read(write(text))


def test_label_that_is_to_be_left_out_is_a_column_to_be_named(write):
    path = write("1.jpg 3\n2.jpg 4\n")
    with pytest.raises(SourceError, match=r"2 fields, '1.jpg 3'; expected a path alone. .*--columns location,other0$"):
        read(path, labels=("",))
    assert rows(read(path, labels=("",), columns=("location", "other0"))) == [("1.jpg", (0.0,)), ("2.jpg", (0.0,))]


def test_columns_of_more_fields_can_be_named_as_the_error_says(write):
    # Oxford's Pets, whose names have no extension, and comments before them.
    path = write("#Image CLASS SPECIES\na_1 1 1 5\nb_1 2 2 6\n", "images/a_1.jpg", "images/b_1.jpg")
    with pytest.raises(SourceError, match="4 fields, 'a_1 1 1 5'"):
        read(path)
    source = read(path, columns=("location", "label", "other0", "other1"))
    assert rows(source) == [("images/a_1.jpg", (1.0,)), ("images/b_1.jpg", (2.0,))]


ATTRIBUTES = "2\nsmiling young \n1.jpg  1 -1\n2.jpg -1  1\n"


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        (ATTRIBUTES, ("young",), [(-1.0,), (1.0,)]),
        (ATTRIBUTES, ("*",), [(1.0, -1.0), (-1.0, 1.0)]),
        ("2\nimage_name  category_label\n1.jpg 3\n2.jpg 5\n", ("label",), [(3.0,), (5.0,)]),
        ("image_id class_id path\n7 3 1.jpg\n8 5 2.jpg\n", ("class_id",), [(3.0,), (5.0,)]),
    ],
)
def test_columns_may_have_names(write, text, labels, expected):
    # CelebA; DeepFashion; Stanford Online Products.
    source = read(write(text, "1.jpg", "2.jpg"), labels=labels)
    assert [sample.labels for sample in source.samples] == expected
    assert [sample.location for sample in source.samples] == ["1.jpg", "2.jpg"]


def test_number_of_rows_is_no_header_where_nothing_else_stands_behind(write):
    assert [labels for _, labels in rows(read(write("1.jpg 0\n2.jpg 1\n")))] == [(0.0,), (1.0,)]


def test_lists_of_one_data_set_get_the_numbers_of_its_classes(write):
    # The folders that all paths share are others in each list.
    names = ("animals/cat/1.jpg", "animals/dog/2.jpg", "cars/van/3.jpg")
    classes = read(write("\n".join(names), *names)).classes
    assert classes == ("animals/cat", "animals/dog", "cars/van")
    assert rows(read(write("\n".join(names[:2])), classes)) == [(name, name.rpartition("/")[0]) for name in names[:2]]
    assert rows(read(write(names[1]), classes)) == [(names[1], "animals/dog")]
    assert rows(read(write("val/dog/1.jpg\n"), ("cat", "dog"))) == [("val/dog/1.jpg", "dog")]


def test_pairs_of_images_are_no_image_and_label(write):
    path = write("a/1.jpg b/1.png\na/2.jpg b/2.png\n", "a/1.jpg", "a/2.jpg")
    with pytest.raises(SourceError, match=r"line 1: 'b/1.png' stands where a label .*--columns location,label"):
        read(path)
    path.with_suffix(".csv").write_text("a/1.jpg,a/2.jpg\n")
    with pytest.raises(SourceError, match=r"line 1: 'a/1.jpg' stands where a label .*--columns label,location"):
        read(path.with_suffix(".csv"))


def test_columns_that_an_error_proposes_are_names(write):
    path = write("1.jpg 1 0\n2.jpg 0 1\n")
    with pytest.raises(SourceError, match="--columns location,label,other0"):
        read(path, labels=("*",))
    source = read(path, labels=("*",), columns=("location", "label", "other0"))
    assert [sample.labels for sample in source.samples] == [(1.0, 0.0), (0.0, 1.0)]


def test_labels_of_several_numbers_are_said(write):
    # YOLO's lists for Keras have the boxes there.
    source = read(write("1.jpg 10,20,30,40,0\n2.jpg 1,2,3,4,1\n", "1.jpg", "2.jpg"))
    assert "2 of the labels in 'label' look like several numbers, '10,20,30,40,0' for one" in source.notes[-1]


def test_labels_before_paths_are_read_as_the_error_says(write):
    path = write("0 a/1.jpg\n1 a/2.jpg\n", "a/1.jpg", "a/2.jpg")
    with pytest.raises(SourceError, match=r"line 1: the image stands behind '0'.*--columns label,location"):
        read(path)
    assert rows(read(path, columns=("label", "location"))) == [("a/1.jpg", (0.0,)), ("a/2.jpg", (1.0,))]


def test_lines_behind_a_hash_that_name_images_are_counted(write):
    source = read(write("# all of them: a b\n1.jpg 0\n#2.jpg 1\n#cat/3.jpg 1\n"))
    assert rows(source) == [("1.jpg", (0.0,))]
    assert "2 lines that begin with # were passed over: #2.jpg 1, …" in "".join(source.notes)
    assert "passed over" not in "".join(read(write("# comment\n1.jpg 0\n")).notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # FGVC-Aircraft, whose first line may have one word for its label and others several.
        ("01 Boeing 707-320\n02 DHC-6\n", [("images/01.jpg", "Boeing 707-320"), ("images/02.jpg", "DHC-6")]),
        ("01 Boeing\n02 de Havilland\n", [("images/01.jpg", "Boeing"), ("images/02.jpg", "de Havilland")]),
        ("01.jpg cat\n02.jpg hot dog 2\n", [("images/01.jpg", "cat"), ("images/02.jpg", "hot dog 2")]),
        ("a b.jpg cat\nb c.jpg\thot dog\n", [("images/a b.jpg", "cat"), ("images/b c.jpg", "hot dog")]),
    ],
)
def test_labels_may_hold_blanks(write, text, expected):
    path = write(text, *(name for name, _ in expected))
    assert rows(read(path)) == expected
    assert rows(read(path, columns=("location", "label"))) == expected


def test_path_without_extension_that_is_there_may_hold_blanks(write):
    source = read(write("a b 1\nc 2\n", "a b", "c"))
    assert rows(source) == [("a b", (1.0,)), ("c", (2.0,))]


def test_numbers_behind_a_label_are_columns(write):
    with pytest.raises(SourceError, match="line 1: 3 fields"):  # boxes of keras-yolo3
        read(write("a.jpg 50,100,150,200,0 30,50,200,120,3\n"))
    with pytest.raises(SourceError, match=r"line 2: 'b.jpg 3 4 5' ends with several numbers.*--columns"):
        read(write("a.jpg 0\nb.jpg 3 4 5\n"))


def test_names_in_a_text_that_no_image_has_are_refused(write):
    with pytest.raises(SourceError, match=r"no file in .* is called as '01'.*--root"):
        read(write("01 Boeing 707\n", "images/7.jpg"))
