import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source
from dali_rec.sources.tables.places import Lines
from dali_rec.sources.tables.split_column import SplitColumn


@pytest.fixture
def table(tmp_path):
    """Writes a table beside 0.jpg to 5.jpg; returns its path."""

    def write(text, name="x.csv"):
        for number in range(6):
            (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def splits(path, **options):
    source = open_source(path, SourceOptions(table=TableOptions(**options)))
    return {
        split.name: [source.samples[row].location for row in range(split.start, split.stop)] for split in source.splits
    }


THREE = {"train": ["1.jpg", "3.jpg"], "val": ["2.jpg"], "test": ["0.jpg"]}


@pytest.mark.parametrize("column", ["split", "Split", "subset", "data set", "Partition"])
def test_rows_are_parted_by_a_column_of_splits(table, column):
    text = f"path,label,{column}\n0.jpg,a,test\n1.jpg,b,Train\n2.jpg,a,VALIDATION\n3.jpg,a,training\n"
    assert splits(table(text)) == THREE


def test_rows_of_json_are_parted_too(table):
    rows = [{"file_name": f"{n}.jpg", "label": "a", "split": split} for n, split in enumerate(["test", "train", "val"])]
    assert splits(table(json.dumps(rows), "x.json")) == {"train": ["1.jpg"], "val": ["2.jpg"], "test": ["0.jpg"]}


def test_tables_of_automl_are_parted_by_their_first_column(table):
    assert splits(table("TEST,0.jpg,a\nTRAIN,1.jpg,b\nVALIDATE,2.jpg,a\nTRAIN,3.jpg,a\n")) == THREE
    assert splits(table("TRAIN,gs://bucket/1.jpg,a\nTEST,gs://bucket/2.jpg,b\n")) == {
        "train": ["gs://bucket/1.jpg"],
        "test": ["gs://bucket/2.jpg"],
    }


def test_each_split_is_packed_with_one_table_of_classes_and_the_ids_of_the_rows(table, tmp_path):
    path = table("id,path,label,split\n9,0.jpg,a,test\n8,1.jpg,b,train\n7,2.jpg,c,train\n")
    assert main(["pack", str(path), str(tmp_path / "out")]) == 0
    train, test = dali_rec.open(tmp_path / "out-train"), dali_rec.open(tmp_path / "out-test")
    assert train.classes == test.classes == ("a", "b", "c")
    assert [(record.key, record.labels.tolist(), record.image) for record in train] == [
        (8, [1.0], jpeg(1)),
        (7, [2.0], jpeg(2)),
    ]
    assert [(record.key, record.image) for record in test] == [(9, jpeg(0))]


def test_a_column_of_splits_can_be_named_or_passed_over(table, tmp_path):
    path = table("path,label,fold,split\n0.jpg,a,1,train\n1.jpg,b,2,test\n")
    assert splits(path, split="Fold") == {"1": ["0.jpg"], "2": ["1.jpg"]}
    assert splits(path, split="", labels=("label",)) == {}
    assert main(["pack", str(path), str(tmp_path / "out"), "--split-column", ""]) == 0
    assert len(dali_rec.open(tmp_path / "out")) == 2
    with pytest.raises(SourceError, match=r"no column 'folds' .*--split-column"):
        splits(path, split="folds")


def test_a_column_of_splits_that_is_the_label_parts_nothing(table):
    assert splits(table("path,label,split\n0.jpg,a,train\n1.jpg,b,test\n"), labels=("split",)) == {}


def test_a_column_that_names_no_splits_is_said_to_be_passed_over(table):
    path = table("path,label,split\n0.jpg,a,0\n1.jpg,b,1\n")
    source = open_source(path)
    assert (source.splits, len(source.samples)) == ((), 2)
    assert "the column 'split' names no train, val or test, and all rows become one data set" in source.notes[-1]
    assert splits(path, split="split") == {"0": ["0.jpg"], "1": ["1.jpg"]}


@pytest.mark.parametrize("odd", ["UNASSIGNED", "", "extra"])
def test_a_row_of_no_split_among_others_is_refused_by_its_line(table, odd):
    with pytest.raises(SourceError, match=rf"line 3: 'split' is '{odd}', which is no split .*--split-column ''"):
        open_source(table(f"path,label,split\n0.jpg,a,train\n1.jpg,b,{odd}\n"))


def test_shares_are_refused_for_a_table_that_is_split(table, tmp_path):
    path = table("path,label,split\n0.jpg,a,train\n1.jpg,b,test\n")
    with pytest.raises(SourceError, match=r"split already \(train, test\).*--split-column '' makes one data set"):
        dali_rec.pack(path, tmp_path / "out", split={"train": 0.5, "val": 0.5})


def test_column_of_names_is_no_column_of_splits(table):
    path = table("path,label,patient\n" + "".join(f"0.jpg,a,p{number}\n" for number in range(1001)))
    with pytest.raises(SourceError, match=r"'patient' has 1,001 different values.*--split-column"):
        splits(path, split="patient")


@given(st.lists(st.sampled_from(["train", "Training", "val", "dev ", "TEST", "fold 1", "0"]), min_size=1))
def test_each_row_is_in_the_split_that_it_names_and_in_no_other(values):
    column = SplitColumn("split", may_be_any=True)
    for line, value in enumerate(values):
        column.add(value, line)
    order, parts = column.parts(Lines(Path("x.csv")))
    called = {"train": "train", "training": "train", "val": "val", "dev": "val", "test": "test"}
    wanted = {}
    for row, value in enumerate(values):
        wanted.setdefault(called.get(value.strip().lower(), value.strip()), []).append(row)
    assert {part.name: order[part.start : part.stop].tolist() for part in parts} == wanted
    assert sum(part.stop - part.start for part in parts) == len(values)


@pytest.mark.parametrize(
    ("header", "values", "is_said"),
    [
        ("set", ("train", "test", "train"), True),
        ("evaluation_status", ("train", "train", "Train"), True),
        ("set", ("train", "blue", "test"), False),
        ("set", ("", "", ""), False),
    ],
)
def test_columns_of_other_names_that_look_like_splits_are_said(table, header, values, is_said):
    path = table(f"path,label,{header}\n" + "".join(f"{number}.jpg,a,{one}\n" for number, one in enumerate(values)))
    said = f"the column {header!r} looks like one of splits"
    assert any(said in note for note in open_source(path).notes) == is_said
    for options in (TableOptions(split=""), TableOptions(split=header)):
        if options.split == "" or all(values):
            assert not any(said in note for note in open_source(path, SourceOptions(table=options)).notes)
