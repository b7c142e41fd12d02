import re

import pytest
from support import jpeg

import dali_rec
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source, read_table


@pytest.fixture
def table(tmp_path):
    """Write x.csv beside 1.jpg, 2.jpg and a JPEG called 'plain'; returns its path."""

    def write(text):
        for number, name in enumerate(("1.jpg", "2.jpg", "plain")):
            (tmp_path / name).write_bytes(jpeg(number))
        (tmp_path / "x.csv").write_text(text)
        return tmp_path / "x.csv"

    return write


def read(path, **options):
    return read_table(path, None, TableOptions(**options))


def rows(source):
    return [(sample.key, sample.labels, sample.location) for sample in source.samples]


CAT_AND_DOG = [(0, (0.0,), "1.jpg"), (1, (1.0,), "2.jpg")]


@pytest.mark.parametrize(
    "header",
    ["Label,Location", "LABEL,location", "label,path", "Class,Path", "category,file_name", "class,image", "label,URL"],
)
def test_header_is_known_by_usual_names_in_capitals_or_not(table, header):
    source = read(table(f"{header}\ncat,1.jpg\ndog,2.jpg\n"))
    assert (rows(source), source.classes) == (CAT_AND_DOG, ("cat", "dog"))


def test_header_in_another_order_is_followed(table):
    assert rows(read(table("Filename,Class\n1.jpg,cat\n2.jpg,dog\n"))) == CAT_AND_DOG


def test_ids_are_known_in_capitals_too(table):
    assert rows(read(table("ID,Label,Path\n7,cat,1.jpg\n"))) == [(7, (0.0,), "1.jpg")]


def test_column_of_the_very_name_comes_before_its_synonyms(table):
    assert rows(read(table("class,label,path,location\nx,cat,y,1.jpg\nx,dog,y,2.jpg\n"))) == CAT_AND_DOG


def test_names_that_are_asked_for_are_found_in_capitals_or_not(table):
    assert rows(read(table("Kind,File\ncat,1.jpg\ndog,2.jpg\n"), labels=("kind",), location="file")) == CAT_AND_DOG


def test_columns_taken_for_others_are_said(table):
    notes = read(table("Class,Location\ncat,1.jpg\n")).notes
    assert [note.partition(": ")[2] for note in notes] == ["the column 'Class' is taken for 'label'"]
    assert "x.csv, line 1" in notes[0]


@pytest.mark.parametrize("first", ["path,1.jpg", "image,plain", "class,https://host.example/x", "label,[[1]]"])
def test_line_with_an_image_is_no_header(table, first):
    assert len(read(table(f"{first}\ndog,2.jpg\n")).samples) == 2


@pytest.mark.parametrize(
    "text",
    [
        "1.jpg,cat\n2.jpg,dog\n",
        "kind,path\ncat,1.jpg\ndog,2.jpg\n",
        ",kind,path\n0,cat,1.jpg\n1,dog,2.jpg\n",
        "id,kind,path\n0,cat,1.jpg\n1,dog,2.jpg\n",
        "image_id,kind\n1.jpg,cat\n2.jpg,dog\n",
        "id,kind\n1.jpg,cat\n2.jpg,dog\n",
        "image_id,class,path\n3,cat,1.jpg\n4,dog,2.jpg\n",
    ],
)
def test_column_that_alone_is_left_is_taken_for_what_is_missing(table, text):
    source = read(table(text))
    assert (rows(source), source.classes) == (CAT_AND_DOG, ("cat", "dog"))


def test_all_other_columns_can_be_labels(table):
    # As the attributes of CelebA and the classes of ISIC.
    source = read(table("image,smiling,young\n1.jpg,1,-1\n2.jpg,-1,1\n"), labels=("*",))
    assert [sample.labels for sample in source.samples] == [(1.0, -1.0), (-1.0, 1.0)]


def test_rows_of_missing_files_without_extensions_are_no_header(table):
    source = read(table("cat,a\ndog,b\n"))
    assert len(source.samples) == 2
    assert "line 1: no image among 'cat, a', nor on the next line: taken for label, location" in source.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind,what\ncat,1.jpg\n", r"line 1: no image among 'kind, what', .*--label-column and --location-column"),
        ("kind,what\ncat,plain\n", r"line 1: no image among"),
        ("1,cat,nothing\n2,dog,1.jpg\n", r"line 1: no image among .*--columns id,label,location"),
        ("1.jpg,cat,dog\n", r"line 1: no column 'location' in '1.jpg, cat, dog'.*--columns"),
        ("7,cat,a\n7,cat,1.jpg\n", r"line 1: no image among .*--columns id,label,location"),
        ("label,width\ncat,5\n", r"line 1: no column 'location' in 'label, width'.*--location-column"),
        ("kind,colour,path\ncat,red,1.jpg\n", r"line 1: no column 'label' in 'kind, colour, path'.*--label-column"),
        ("label,image,url\ncat,1.jpg,x\n", r"line 1: 'image' and 'url' may both be the column 'location'"),
        ("label,image,url,id\ncat,1.jpg,x,1\n", r"line 1: 'image' and 'url' may both be the column 'location'"),
        ("class,category,path\na,b,1.jpg\n", r"line 1: 'category' and 'class' may both .*--label-column"),
        ("Label,LABEL,path\na,b,1.jpg\n", r"line 1: 'LABEL' and 'Label' may both be the column 'label'"),
        ("label,location,location\na,1.jpg,2.jpg\n", r"line 1: the column 'location' stands 2 times"),
        ("id,id,label,location\n1,2,a,1.jpg\n", r"line 1: the column 'id' stands 2 times"),
    ],
)
def test_columns_that_cannot_be_told_are_refused_by_line_and_option(table, text, message):
    with pytest.raises(SourceError, match=message):
        read(table(text))


def test_root_that_is_no_folder_is_refused(table, tmp_path):
    with pytest.raises(
        SourceError, match=r"--root http://host\.example/x: no such folder or archive; it is where the paths in"
    ):
        open_source(table("cat,1.jpg\n"), SourceOptions(root="http://host.example/x"))


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("labels.mat", "Give the data set of torchvision that reads it to dali_rec.pack"),
        ("digits-ubyte", "Call IDX files as MNIST has them, such as train-images-idx3-ubyte"),
        ("x.csv.gz", "Unpack it first"),
        ("cache.pkl", "Read it in Python"),
        ("annotations.xml", "Of boxes write COCO annotations"),
        ("x.xlsx", "Save it as CSV"),
    ],
)
def test_files_of_other_kinds_are_refused_with_the_way(tmp_path, name, way):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=re.escape(f". {way}")):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["x.doc", "x"])
def test_other_kinds_of_files_are_refused_whatever_the_options(tmp_path, name):
    (tmp_path / name).write_text("a/1.jpg 0\n")
    with pytest.raises(SourceError, match=rf"{name}: not a folder, \.tar, \.zip, \.lst, \.csv, .*can be packed"):
        open_source(tmp_path / name, SourceOptions(root=tmp_path))


def test_column_given_twice_is_refused(table):
    with pytest.raises(SourceError, match="the column 'location' stands 2 times"):
        read(table("a,1.jpg,2.jpg\n"), columns=("label", "location", "location"))


def test_other_columns_may_have_one_name(table):
    assert rows(read(table("label,x,x,location\ncat,1,2,1.jpg\ndog,1,2,2.jpg\n"))) == CAT_AND_DOG


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {"table": TableOptions(columns=("a", "b"))}, "--columns, --label-column and the like go with a table"),
        ("", {"table": TableOptions(labels=("a",))}, "--columns, --label-column and the like go with a table"),
        ("", {"label_width": 2}, "--label-width goes with a .lst"),
        ("", {"root": "elsewhere"}, "--root goes with a list, a table, Parquet, or annotations in one file"),
        ("", {"flagged": "drop"}, "--flagged goes with COCO and VOC"),
        ("", {"empty": "drop"}, "--empty goes with annotations of boxes"),
        ("x.csv", {"label_width": 2}, "--label-width goes with a .lst"),
        ("x.csv", {"labels": "leaf"}, "--leaf-labels and --top-labels go with a folder of classes"),
        ("x.json", {"table": TableOptions(columns=("label", "location"))}, "--columns names the columns of a CSV"),
        ("x.lst", {"table": TableOptions(id="key")}, "--columns, --label-column and the like go with a table"),
        ("x.lst", {"classes": ("a",)}, r"x\.lst: --classes names 1 classes, and id 0 has no label from 0 to 0"),
        ("x.bin", {"classes": ("a",)}, "--classes goes with classes, which this is not"),
    ],
)
def test_option_of_another_kind_of_source_is_refused(table, tmp_path, name, options, message):
    table("cat,1.jpg\n")
    (tmp_path / "x.lst").write_text("0\t1\t1.jpg\n")
    (tmp_path / "x.json").write_text('[{"label": "cat", "location": "1.jpg"}]')
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / name, SourceOptions(**options))


def test_header_does_not_become_a_class(table, tmp_path):
    report = dali_rec.pack(table("Class,path\nant,1.jpg\nbee,2.jpg\n"), tmp_path / "out" / "x")
    assert (report.manifest.classes, report.rejections) == (("ant", "bee"), ())


def test_all_labels_are_said_without_what_pandas_numbers_rows_with(tmp_path):
    (tmp_path / "x.csv").write_text("Unnamed: 0.1,Unnamed: 0,image,old,sick\n0,0,1.jpg,1,0\n")
    source = open_source(tmp_path / "x.csv", SourceOptions(table=TableOptions(labels=("*",))))
    assert source.samples[0].labels == (1.0, 0.0)
    assert any("the labels are 'old, sick'" in note for note in source.notes)


def test_two_columns_that_may_be_splits_are_refused_unless_one_is_called_so(table):
    path = table("path,label,subset,partition\n1.jpg,a,web,train\n2.jpg,a,web,test\n")
    with pytest.raises(SourceError, match=r"'subset' and 'partition' may both be the column of splits.*--split-column"):
        open_source(path)
    chosen = open_source(path, SourceOptions(table=TableOptions(split="partition")))
    assert [split.name for split in chosen.splits] == ["train", "test"]
    called = open_source(table("path,label,dataset,Split\n1.jpg,a,web,train\n2.jpg,a,web,test\n"))
    assert [split.name for split in called.splits] == ["train", "test"]


@pytest.mark.parametrize("column", ["is_valid", "is_train", "IsTest"])
def test_column_of_yes_and_no_for_a_split_is_said_to_be_passed_over(table, column):
    # fastai's.
    path = table(f"path,label,{column}\n1.jpg,a,True\n2.jpg,b,False\n")
    assert f"--split-column {column!r} makes splits" in open_source(path).notes[-1]
    chosen = open_source(path, SourceOptions(table=TableOptions(split=column)))
    assert [split.name for split in chosen.splits] == ["False", "True"]
    assert "passed over" not in "".join(chosen.notes)
