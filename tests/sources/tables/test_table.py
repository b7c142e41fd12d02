"""Tables of classes and images: forms, columns, labels, and what is wrong with them."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import jpeg, peak_memory

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, SourceError
from dali_rec.manifest import read_manifest
from dali_rec.sources import SourceOptions, TableOptions, open_source, read_table
from dali_rec.sources.tables.rows import split_line


def read(path, classes=None, **options):
    return read_table(path, None, TableOptions(**options), classes)


def rows(source):
    return [(sample.key, sample.labels, sample.location) for sample in source.samples]


CATS_AND_DOGS = [(0, (0.0,), "1.jpg"), (1, (1.0,), "2.jpg"), (2, (0.0,), "a, b.jpg")]
OBJECTS = [{"label": "cat", "location": "1.jpg"}, {"label": "dog", "location": "2.jpg"}]
OBJECTS.append({"location": "a, b.jpg", "label": "cat"})


# Forms


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", 'label,location\ncat,1.jpg\ndog,2.jpg\ncat,"a, b.jpg"\n'),
        ("x.csv", '\ufefflocation,label\r\n1.jpg,cat\r\n2.jpg,dog\r\n"a, b.jpg",cat\r\n'),
        ("x.csv", "cat,1.jpg\ndog,2.jpg\ncat,'a, b.jpg'"),
        ("x.csv", "'cat', 1.jpg\n'dog', 2.jpg\n'cat', 'a, b.jpg'\n"),
        ("x.csv", '\n"cat" , "1.jpg"\n\n"dog", 2.jpg\ncat, "a, b.jpg"\n'),
        ("x.csv", "\ufefflabel;location\r\ncat;1.jpg\r\ndog;2.jpg\r\ncat;a, b.jpg\r\n"),
        ("x.csv", "label\tlocation\ncat\t1.jpg\ndog\t2.jpg\ncat\ta, b.jpg\n"),
        ("x.tsv", "label\tlocation\ncat\t1.jpg\ndog\t2.jpg\ncat\ta, b.jpg\n"),
        ("x.json", json.dumps(OBJECTS)),
        ("x.json", json.dumps(OBJECTS, indent=2)),
        ("x.json", str([{**one, "note": None, "nested": {"}": True}} for one in OBJECTS])),
        ("x.json", "[" + ",\n".join(map(str, OBJECTS)) + ",\n]\n"),
        ("x.json", " ".join(map(json.dumps, OBJECTS))),
        ("x.jsonl", "\n\n".join(map(json.dumps, OBJECTS))),
        ("x.jsonl", "\n".join(map(str, OBJECTS)) + "\n"),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_samples(table, name, text):
    source = read(table(name, text))
    assert (rows(source), source.classes) == (CATS_AND_DOGS, ("cat", "dog"))


def test_pixels_between_semicolons_are_looked_up(table):
    source = read(table("x.csv", "label;location\ncat;[[0, 128], [255, 3]]\ndog;[[7]]\n"))
    read_back = [np.array(Image.open(io.BytesIO(source.pixels.read(one.location)))).tolist() for one in source.samples]
    assert read_back == [[[0, 128], [255, 3]], [[7]]]


def test_every_form_packs(table, tmp_path):
    path = table("x.csv", "'cat', 1.jpg\n'dog', 2.jpg\n")
    dali_rec.pack(path, tmp_path / "out" / "x")
    dataset = dali_rec.open(tmp_path / "out" / "x")
    assert [bytes(record.image) for record in dataset] == [jpeg(0), jpeg(1)]
    assert dataset.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ", ["a", "b"]),
        ("a,,b,", ["a", "", "b", ""]),
        ('"a,b","c ""d"""', ["a,b", 'c "d"']),
        ("'a,b', 'it''s'", ["a,b", "it's"]),
        ("'tis,it's.jpg", ["'tis", "it's.jpg"]),
        ("'cat',[[1, 2],[3,4]]", ["cat", "[[1, 2],[3,4]]"]),
        ("[[1,2]],5", ["[[1,2]]", "5"]),
        ("[[1,2]] ,[a] b.jpg,[]c", ["[[1,2]]", "[a] b.jpg", "[]c"]),
    ],
)
def test_line_is_split_as_people_mean_it(line, fields):
    assert split_line(line, ",") == fields


# Columns and labels


def test_columns_can_be_named(table):
    path = table("x.csv", "file,breed,species,number\n1.jpg,manx,cat,7\n2.jpg,beagle,dog,9\n")
    source = read(path, labels=("species", "breed"), location="file", id="number")
    assert rows(source) == [(7, (0.0, 1.0), "1.jpg"), (9, (1.0, 0.0), "2.jpg")]
    assert (source.classes, source.label_classes) == (None, (("cat", "dog"), ("beagle", "manx")))
    assert source.keys_are_given


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("x.csv", "location,label,kind\n1.jpg,cat,7\n2.jpg,dog,8\n", {}),
        ("x.csv", ",path\n0,1.jpg\n1,2.jpg\n", {}),
        ("x.csv", "1.jpg\n2.jpg\n", {"columns": ("location",)}),
        ("x.txt", "1.jpg\n2.jpg\n", {}),
        ("x.txt", "cat 1.jpg\ndog 2.jpg\n", {"columns": ("label", "location")}),
        ("x.jsonl", '{"location": "1.jpg"}\n{"location": "2.jpg", "label": 3}\n', {}),
        ("x.json", '{"1.jpg": 7, "2.jpg": 8}', {}),
        ("x.json", '{"cat": ["1.jpg"], "dog": ["2.jpg"], "hen": []}', {}),
    ],
)
def test_labels_can_be_left_out(table, name, text, options):
    source = read(table(name, text), labels=("",), **options)
    assert rows(source) == [(0, (0.0,), "1.jpg"), (1, (0.0,), "2.jpg")]
    assert (source.classes, source.label_classes) == (None, None)


def test_column_of_ids_that_is_the_location_or_a_label_is_no_id(table):
    # Kaggle's tables: id,breed and Image,Id.
    path = table("x.csv", "id,breed\n1.jpg,cat\n2.jpg,dog\n")
    assert rows(read(path, labels=("breed",), location="id")) == CATS_AND_DOGS[:2]
    path = table("x.csv", "Image,Id\n1.jpg,w_cat\n2.jpg,w_dog\n")
    assert rows(read(path, labels=("Id",))) == CATS_AND_DOGS[:2]
    path = table("x.json", '[{"id": "1.jpg", "label": "cat"}, {"id": "2.jpg", "label": "dog"}]')
    assert rows(read(path, location="id")) == CATS_AND_DOGS[:2]


def test_ids_that_are_no_numbers_can_be_left_out(table):
    text = "id,label,location,,\n0a-b,cat,1.jpg,,\n0a-c,dog,2.jpg,,\n"
    with pytest.raises(SourceError, match=r"line 2: 'id' is '0a-b'; .* --id-column '' does without ids"):
        read(table("x.csv", text))
    assert rows(read(table("x.csv", text), id="")) == CATS_AND_DOGS[:2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "image_id,label,location\n7,cat,1.jpg\n"),
        ("x.csv", "cat,1.jpg\n"),
        ("x.json", '{"image_id": 7, "label": "cat", "location": "1.jpg"}'),
    ],
)
def test_column_of_ids_that_is_asked_for_and_not_there_is_an_error(table, name, text):
    with pytest.raises(SourceError, match=r"line [12]: no column 'imageid' among .*--id-column"):
        read(table(name, text), id="imageid")


def test_rows_that_name_one_image_are_said(table):
    # As in tables with a row for each box.
    source = read(table("x.csv", "filename,class,xmin\n1.jpg,cat,3\n2.jpg,dog,4\n1.jpg,dog,5\n1.jpg,dog,6\n"))
    assert len(source.samples) == 4
    assert "2 rows name an image that a row before names, and become records too: 1.jpg" in source.notes[-1]


def test_columns_of_a_table_without_header_can_be_given(table):
    source = read(table("x.csv", "1.jpg,x,5\n2.jpg,y,6\n"), columns=("location", "other", "label"))
    assert rows(source) == [(0, (5.0,), "1.jpg"), (1, (6.0,), "2.jpg")]


def test_three_columns_without_header_are_id_label_and_location(table):
    assert rows(read(table("x.csv", "12,cat,1.jpg\n5,dog,2.jpg\n"))) == [(12, (0.0,), "1.jpg"), (5, (1.0,), "2.jpg")]


def test_numbers_stay_numbers(table):
    source = read(table("x.csv", "label,location\n3,1.jpg\n-1.5,2.jpg\n"))
    assert ([labels for _, labels, _ in rows(source)], source.classes) == ([(3.0,), (-1.5,)], None)


def test_numbers_among_names_are_names(table):
    assert read(table("x.csv", "label,location\n3,1.jpg\ncat,2.jpg\n")).classes == ("3", "cat")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("3 nan 4", r"line 3: the label 'nan' is not a finite number"),
        ("3 4 -inf", r"line 4: the label '-inf' is not a finite number"),
        ("1e400 3", r"line 2: the label '1e400' is not a finite number"),
        ("nan nan", r"line 2: the label 'nan' is not a finite number"),
        ("3 4 five", r"line 4: the label 'five' is no number, as most of the column 'label' are"),
        ("3 3 3 n/a none", r"line 5: the label 'n/a' is no number"),
    ],
)
def test_odd_label_among_numbers_is_refused_with_its_line(table, labels, message):
    path = table("x.csv", "label,location\n" + "".join(f"{label},1.jpg\n" for label in labels.split()))
    with pytest.raises(SourceError, match=message + ".*--classes"):
        read(path)


def test_nan_of_json_among_numbers_is_refused(table):
    path = table("x.json", '[{"label": 1, "location": "1.jpg"}, {"label": NaN, "location": "2.jpg"}]')
    with pytest.raises(SourceError, match=r"line 1: the label 'nan' is not a finite number"):
        read(path)


def test_nan_among_names_is_a_name(table):
    assert read(table("x.csv", "nan,1.jpg\nroti,2.jpg\n")).classes == ("nan", "roti")


def test_numbers_and_a_name_are_classes_where_they_are_given_as_such(table):
    source = read(table("x.csv", "3,1.jpg\n4,2.jpg\nother,1.jpg\n"), classes=("3", "4", "other"))
    assert [labels for _, labels, _ in rows(source)] == [(0.0,), (1.0,), (2.0,)]


@pytest.mark.parametrize("names", [("2019_1", "20_191", "2019_1"), ("1_2", "12", "1_2")])
def test_names_that_only_look_like_numbers_are_names(table, names):
    path = table("x.csv", "label,location\n" + "".join(f"{name},{number}.jpg\n" for number, name in enumerate(names)))
    source = read(path)
    assert source.classes == tuple(sorted(set(names)))
    assert [source.classes[int(labels[0])] for _, labels, _ in rows(source)] == list(names)


def test_order_of_classes_can_be_given(table):
    source = read(table("x.csv", "cat,1.jpg\ndog,2.jpg\n"), classes=("dog", "cow", "cat"))
    assert (source.classes, [labels for _, labels, _ in rows(source)]) == (("dog", "cow", "cat"), [(2.0,), (0.0,)])


def test_names_of_columns_are_kept_in_the_manifest(table, tmp_path):
    path = table("x.csv", "location,a,b\n1.jpg,x,1\n2.jpg,y,2\n")
    dali_rec.pack(path, tmp_path / "out" / "x", table=TableOptions(labels=("a", "b")))
    assert read_manifest(tmp_path / "out" / "x.json").label_classes == (("x", "y"), None)
    assert [record.labels.tolist() for record in dali_rec.open(tmp_path / "out" / "x")] == [[0, 1], [1, 2]]


def test_root_can_be_elsewhere(table, tmp_path):
    path = table("x.csv", "cat,1.jpg\n")
    (tmp_path / "elsewhere").mkdir()
    path = path.rename(tmp_path / "elsewhere" / "x.csv")
    dali_rec.pack(path, tmp_path / "out" / "x", root=tmp_path)
    assert len(dali_rec.open(tmp_path / "out" / "x")) == 1


# What is wrong is said by file and line


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "label,location\ncat,1.jpg\ncat\n", r"x\.csv, line 3: 1 fields, expected 2"),
        ("x.csv", "label,location\ncat,a,b.jpg\n", r"line 2: 3 fields, expected 2 .*quote a field"),
        ("x.csv", "label,location\n,1.jpg\n", r"line 2: 'label' is empty"),
        ("x.csv", "label,location\ncat,\n", r"line 2: 'location' is empty"),
        ("x.csv", "a,b,c\n1,2,3\n", r"line 1: no column 'location'"),
        ("x.csv", "kind,size,location\ncat,5,1.jpg\n", r"line 1: no column 'label' in 'kind, size, .*--label-column"),
        ("x.csv", 'label,location\n"cat,1.jpg\n', r"line 2: a field in \" quotes does not end"),
        ("x.csv", "cat,[[1,2]\n", r"line 1: a list in \[ \] does not end"),
        ("x.csv", '"cat" x,1.jpg\n', r"line 1: 'x' stands between"),
        ("x.csv", "id,label,location\n1,a,1.jpg\n1,a,2.jpg\n", r"line 3: 'id' 1 stands on line 2 already"),
        ("x.csv", "id,label,location\nx,a,1.jpg\n", r"line 2: 'id' is 'x'; expected a whole number"),
        ("x.csv", "id,label,location\n-1,a,1.jpg\n", r"line 2: 'id' is '-1'"),
        ("x.csv", "id,label,location\n1_0,a,1.jpg\n", r"line 2: 'id' is '1_0'; expected a whole number"),
        ("x.csv", "label|location\ncat|1.jpg\n", r"line 1: .* its columns are parted by '\|'; .* a \.tsv tabs"),
        ("x.tsv", "label;location\ncat;1.jpg\n", r"line 1: .* its columns are parted by ';'"),
        ("x.csv", "label,location\rcat,1.jpg\rdog,2.jpg\r", r"x\.csv: its lines end with a carriage return alone"),
        ("x.csv", "label,location\ncat,1.jpg\n".encode("utf-16"), r"x\.csv: the text is UTF-16"),
        ("x.csv", "label,location\ncat,1.jpg\ncafé,2.jpg\n".encode("latin-1"), r"line 3: the label 'caf.*not UTF-8"),
        ("x.csv", 'label,location\n"two\nlines",1.jpg\n', r"line 2: a field in \" quotes .* JSON lines"),
        ("x.csv", "label,image\n1,data:image/jpeg;base64;AAAA\n", r"line 2: .* characters, 'data:.*no path"),
        ("x.csv", f"label,image\n1,{'A' * 5000}\n", r"line 2: .* 5,000 characters, 'AAA.*no path"),
        ("x.csv", "", r"x\.csv: no rows"),
        ("x.csv", "label,location\n", r"x\.csv: no rows"),
        ("x.json", '[{"label": 1, "location": "a"},\n\n{"label": 1}]', r"x\.json, line 3: no column 'location'"),
        ("x.json", '[{"label": 1, "location": "a"},\n 5]', r"line 2: expected an object"),
        ("x.json", '[{"label": 1, "location": "a"},\n {"label": 1', r"line 2: the object .* does not end"),
        ("x.json", '[{"label": 1, "location": "a"}', r"x\.json: the array does not end"),
        ("x.json", '[{"label": 1 "location": "a"}]', r"line 1: neither JSON nor a Python literal"),
        ("x.json", '[{"label": [1], "location": "a"}]', r"line 1: 'label' is a list.* --label-column"),
        ("x.json", '[{"label": 1, "location": {"a": 1}}]', r"line 1: 'location' is a dict; expected a path"),
        ("x.json", '[{"label": 1, "where": "a"}]', r"line 1: no column 'location' in .*--location-column"),
        ("x.json", '[{"id": 1, "label": 1, "location": "a"}, {"label": 1, "location": "a"}]', "no 'id', which"),
        ("x.json", '[{"label": 1, "location": "a"}, {"id": 1, "label": 1, "location": "a"}]', "has an 'id'"),
        ("x.jsonl", '{"label": __import__("os"), "location": "a"}', "neither JSON nor a Python literal"),
        ("x.jsonl", '{"label": 1, "location": "cat\\1.jpg"}', r"line 1: .* for a backslash write two, or / in a path"),
        ("x.jsonl", '{"label": 1, "location": "C:\\Users\\1.jpg"}', "for a backslash write two, or / in a path"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(table, name, text, message):
    with pytest.raises(SourceError, match=message):
        read(table(name, text))


def test_label_that_is_no_class_is_said_with_its_line(table):
    with pytest.raises(SourceError, match=r"line 3: the label 'cow' is not in --classes"):
        read(table("x.csv", "label,location\ncat,1.jpg\ncow,2.jpg\n"), classes=("cat",))


# Size


def test_large_table_plans_quickly_and_in_little_memory(tmp_path):
    lines = (f"class_{key % 1000},images/{key % 97}/image_{key:07d}.jpg\n" for key in range(100_000))
    (tmp_path / "x.csv").write_text("label,location\n" + "".join(lines))
    code = f"""
import time
from dali_rec.packing import PackOptions, plan_pack
from dali_rec.sources import SourceOptions
began = time.perf_counter()
source, plans = plan_pack({str(tmp_path / "x.csv")!r}, "out", PackOptions(shuffle=True), SourceOptions())
print(len(plans[0].samples), time.perf_counter() - began)
"""
    printed, kilobytes = peak_memory(code)
    count, seconds = printed.split()
    assert int(count) == 100_000
    assert float(seconds) < 5
    assert kilobytes < 200_000


# The command


def test_command_takes_the_columns(table, tmp_path):
    path = table("x.csv", "1.jpg;cat\n".replace(";", ",") + "2.jpg,dog\n")
    options = ["--columns", "file,kind", "--label-column", "kind", "--location-column", "file"]
    assert main(["pack", str(path), str(tmp_path / "out" / "x"), *options]) == 0
    assert dali_rec.open(tmp_path / "out" / "x").classes == ("cat", "dog")


def test_list_parted_by_blanks_is_read_with_its_label_width(table, tmp_path):
    path = table("x.lst", "5  1   2.5 a, b.jpg\n6 3 4 1.jpg\n")
    assert main(["pack", str(path), str(tmp_path / "out" / "x"), "--label-width", "2"]) == 0
    records = {record.key: record.labels.tolist() for record in dali_rec.open(tmp_path / "out" / "x")}
    assert records == {5: [1.0, 2.5], 6: [3.0, 4.0]}
    assert main(["pack", str(path), str(tmp_path / "out" / "y"), "--label-width", "4"]) == 1


def test_image_that_is_not_there_is_rejected(table, tmp_path):
    path = table("x.csv", "cat,1.jpg\ncat,nothing.jpg\n")
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=1)
    assert "no such file" in report.rejections[0].reason
    assert report.records == 1


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("1", "1.jpg"),
        pytest.param("1.JPG", "1.jpg", marks=pytest.mark.posix),
        ("/1.jpg", "1.jpg"),
        ("1.jpg.png", None),
        ("nothing", None),
    ],
)
def test_image_that_is_there_under_another_name_than_others_is_said(table, tmp_path, location, there):
    source = table("x.csv", f"label,location\n1,{location}\n2,2.jpg\n")
    reason = dali_rec.pack(source, tmp_path / "out", max_bad=1).rejections[0].reason
    assert reason.partition("; ")[2] == (f"there is {tmp_path / there}: correct the path" if there else "")


@pytest.mark.posix  # on Windows they are slashes
def test_backslashes_of_windows_are_said(table, tmp_path):
    source = table("x.csv", "label,location\n1,a\\1.jpg\n2,2.jpg\n")
    assert "write / for the backslashes" in dali_rec.pack(source, tmp_path / "out", max_bad=1).rejections[0].reason


def test_name_that_is_not_utf_8_is_said(table, tmp_path):
    path = table("x.csv", "label,location\n1,1.jpg\n2,é.jpg\n")
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    (tmp_path / "é.jpg").write_bytes(jpeg())
    assert "save that as UTF-8" in dali_rec.pack(path, tmp_path / "out", max_bad=1).rejections[0].reason


def test_class_of_which_every_image_is_rejected_is_named_with_its_number(table, tmp_path):
    path = table("x.csv", "ant,nothing.jpg\ncat,1.jpg\ncat,missing.jpg\n")
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=2)
    assert report.manifest.classes == ("ant", "cat")
    assert report.notes == ("classes of which every image was rejected, and that keep their numbers: 0 'ant'",)


def test_half_of_a_surrogate_pair_is_named(table):
    path = table("x.json", '[{"label": "cat", "location": "1\\ud800.jpg"}]')
    with pytest.raises(DatasetError, match="surrogate pair"):
        read(path)


def test_lines_of_path_and_label_with_blanks_between(tmp_path):
    (tmp_path / "train.txt").write_text("a/1.jpg 0\r\nmy cat/2.jpg\t 1\n\nb/3.jpg   0\n")
    source = open_source(tmp_path / "train.txt")
    assert [(sample.location, sample.labels) for sample in source.samples] == [
        ("a/1.jpg", (0.0,)),
        ("my cat/2.jpg", (1.0,)),
        ("b/3.jpg", (0.0,)),
    ]
    (tmp_path / "names.txt").write_text("a/1.jpg hen 0.5\nmy cat/2.jpg cat 0.25\n")
    options = SourceOptions(table=TableOptions(labels=("kind", "score")))
    source = open_source(tmp_path / "names.txt", options)
    assert source.label_classes == (("cat", "hen"), None)
    assert [sample.labels for sample in source.samples] == [(1.0, 0.5), (0.0, 0.25)]


def test_names_that_look_like_no_classes_are_said(table):
    combined = read(table("x.csv", "Edema|Mass,1.jpg\nEdema,2.jpg\n"))
    assert "1 of the labels in 'label' look like several names, 'Edema|Mass'" in combined.notes[-1]
    boxed = "".join(f"n{number} {number} 1 499,1.jpg\n" for number in range(30))
    assert any("30 different names in 30 rows" in note for note in read(table("x.csv", boxed)).notes)


@pytest.mark.parametrize(
    ("labels", "first"),
    [
        (["16 0", "7 1 2 0", "2"], "numbers, '16 0'"),  # Human Protein Atlas
        (["scab", "rust", "scab rust"], "names, 'scab rust'"),  # Plant Pathology 2021
        (["haze a", "haze b", "clear a", "clear b", "haze a b", "clear a b", "a haze", "b haze"], "names, 'haze a'"),
    ],
)
def test_names_of_several_classes_are_said(table, labels, first):
    source = read(table("x.csv", "path,tags\n" + "".join(f"1.jpg,{label}\n" for label in labels)))
    assert any(f"look like several {first}" in note for note in source.notes)


@pytest.mark.parametrize("labels", [["hot dog", "cat", "Siamese cat"], ["Boeing 707-320", "Boeing 777", "DC-10"]])
def test_names_with_blanks_are_names(table, labels):
    source = read(table("x.csv", "path,label\n" + "".join(f"1.jpg,{label}\n" for label in labels)))
    assert not any("look like several" in note for note in source.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", 'image,choice\n1.jpg,"{""choices"": [""Cat"", ""Dog""]}"\n'),  # Label Studio
        ("x.csv", "image,choice\n1.jpg,\"['Cat', 'Dog']\"\n"),  # pandas
        ("x.jsonl", '{"source-ref": "1.jpg", "class": "[1, 0]"}\n'),  # SageMaker
    ],
)
def test_lists_in_quotes_are_no_classes(table, name, text):
    with pytest.raises(SourceError, match=r"line \d: '(choice|class)' is a (dict|list); expected a number or a name"):
        read(table(name, text))


def test_names_in_brackets_are_names(table):
    assert read(table("x.csv", "image,label\n1.jpg,[UNK]\n2.jpg,{a}\n")).classes == ("[UNK]", "{a}")


def test_names_with_boxes_behind_them_are_no_classes(table):
    # LOC_val_solution.csv of ImageNet at Kaggle.
    text = "ImageId,PredictionString\n1,n01751748 111 108 230 366 \n2,n09193705 0 14 499 300 n09193705 1 2 3 4\n"
    with pytest.raises(SourceError, match="have boxes behind them, as 'n01751748 111 108 230 366' has"):
        read(table("x.csv", text))


def test_splits_become_no_classes_unasked(table):
    text = "image_name evaluation_status\n1.jpg train\n2.jpg val\n"  # DeepFashion
    with pytest.raises(SourceError, match="'evaluation_status' are train, val, which are splits and no classes"):
        read(table("x.txt", text))
    assert read(table("x.txt", text), labels=("evaluation_status",)).classes == ("train", "val")


def test_rows_of_classes_that_are_not_in_the_image_are_left_out(table):
    # Open Images.
    text = "ImageID,Source,LabelName,Confidence\n1,verification,/m/01,1\n1,verification,/m/02,0\n2,machine,/m/03,0.7\n"
    source = read(table("x.csv", text), labels=("LabelName",))
    assert [(one.location, source.classes[int(one.labels[0])]) for one in source.samples] == [
        ("1.jpg", "/m/01"),
        ("2.jpg", "/m/03"),
    ]
    assert any("1 rows whose 'Confidence' is 0, which says that the class is not in" in note for note in source.notes)
    assert len(read(table("x.csv", text), labels=("Confidence",)).samples) == 3
    assert len(read(table("x.csv", text.replace("LabelName", "label"))).samples) == 3


def test_columns_that_describe_others_are_no_labels(table):
    # SageMaker's augmented manifest.
    text = '{"source-ref": "1.jpg", "kind": 4, "kind-metadata": {"class-name": "cat"}}\n'
    assert rows(read(table("x.manifest", text))) == [(0, (4.0,), "1.jpg")]


@pytest.mark.parametrize(
    "columns", ["xmin,ymin,xmax,ymax", "Roi.X1,Roi.Y1,Roi.X2,Roi.Y2", "x,y,width,height", "x1,y1,x2,y2"]
)
def test_columns_of_boxes_are_said_to_be_passed_over(table, columns):
    source = read(table("x.csv", f"filename,class,{columns}\n1.jpg,cat,1,2,3,4\n"))
    assert "the columns of boxes are passed over" in source.notes[-1]
    assert read(table("x.csv", "filename,xmin,ymin,xmax,ymax\n1.jpg,1,2,3,4\n"), labels=("*",)).notes[:-1] == (
        f"{Path(source.root) / 'x.csv'}, line 1: the column 'filename' is taken for 'location'",
    )


@pytest.mark.parametrize(
    "value",
    [
        {"cat": ["1.jpg"], "dog": ["2.jpg"]},  # Food-101
        {"1.jpg": "cat", "2.jpg": "dog"},
        {"labels": [["1.jpg", "cat"], ["2.jpg", "dog"]]},  # StyleGAN
    ],
)
def test_object_that_has_all_paths_and_labels(table, value):
    source = read(table("x.json", json.dumps(value)))
    assert (rows(source), source.classes) == (CATS_AND_DOGS[:2], ("cat", "dog"))
    assert [sample.labels for sample in read(table("x.json", json.dumps(value)), ("dog", "cat")).samples] == [
        (1,),
        (0,),
    ]


def test_several_objects_of_all_paths_are_refused(table):
    with pytest.raises(SourceError, match="an object of all paths stands alone"):
        read(table("x.json", '[{"cat": ["1.jpg"]}, {"dog": ["2.jpg"]}]'))


@pytest.mark.parametrize(
    ("name", "other", "is_said"),
    [
        ("train.csv", "val.csv", True),
        ("my_test_labels.csv", "my_train_labels.csv", True),
        ("train.csv", "val.txt", False),
        ("a.csv", "b.csv", False),
    ],
)
def test_classes_of_two_lists_are_said_to_be_numbered_apart(table, tmp_path, name, other, is_said):
    path = table(name, "dog,1.jpg\n")
    (tmp_path / other).write_text("cat,2.jpg\n")
    notes = "".join(read(path).notes)
    assert (f"if {other} has others" in notes) == is_said
    path.write_text("1,1.jpg\n")
    assert "has others" not in "".join(read(path).notes)


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere it is another one")
def test_a_table_is_the_same_in_other_capitals(table, tmp_path):
    table("train.csv", "dog,1.jpg\n")
    assert "has others" not in "".join(read(tmp_path / "TRAIN.csv").notes)


def test_classes_of_tables_in_folders_of_splits_are_said_to_be_numbered_apart(tmp_path):
    # Hugging Face's metadata.csv, Roboflow's _annotations.csv.
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "metadata.csv").write_text("file_name,label\n1.jpg,cat\n")
    assert "if train/metadata.csv has others" in "".join(read(tmp_path / "test" / "metadata.csv").notes)
    (tmp_path / "train" / "metadata.csv").unlink()
    assert "has others" not in "".join(read(tmp_path / "test" / "metadata.csv").notes)


def test_names_that_differ_in_capitals_alone_are_said(table):
    notes = read(table("x.csv", "path,label\n1.jpg,Cat\n2.jpg,cat\n1.jpg,dog\n")).notes
    assert any("'Cat' and 'cat' in 'label' differ in capitals, and are two classes" in note for note in notes)
    assert not any("capitals" in note for note in read(table("x.csv", "path,label\n1.jpg,Cat\n2.jpg,dog\n")).notes)


def test_a_column_for_each_class_gives_a_label_each(table):
    # Roboflow's _classes.csv, with blanks behind its commas.
    source = read(table("x.csv", "filename, cat, dog\n1.jpg, 1, 0\n2.jpg, 1, 1\n"), labels=("*",))
    assert rows(source) == [(0, (1.0, 0.0), "1.jpg"), (1, (1.0, 1.0), "2.jpg")]
    assert (source.classes, source.label_classes) == (None, None)
