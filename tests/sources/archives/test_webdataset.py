"""Shards of WebDataset, as its own writer and img2dataset write them."""

import io
import json
import tarfile
from dataclasses import replace

import pytest
from support import jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source


def write(path, *samples):
    """A shard of (key, mapping from extension to contents)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for key, members in samples:
            for extension, data in members.items():
                text = (
                    data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
                )
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size, info.mtime = len(text), 1e9 + 0.5
                tar.addfile(info, io.BytesIO(text))
    return path


def samples(count, first=0, **members):
    """Samples with an image each and what ``members`` make of their number."""
    return [
        (f"{key:06}", {"jpg": jpeg(key), **{name: make(key) for name, make in members.items()}})
        for key in range(first, first + count)
    ]


def shards(folder, names=("train-000000.tar", "train-000001.tar"), **members):
    for number, name in enumerate(names):
        write(folder / name, *samples(3, 3 * number, **members))
    return folder


def rows(path):
    return [(record.key, record.labels.tolist(), bytes(record.image)) for record in dali_rec.open(path)]


def labels_of(source):
    return [list(sample.labels) for sample in source.samples]


def with_label(*columns, location="location"):
    return SourceOptions(table=TableOptions(columns, location))


@pytest.mark.parametrize("source", ["shards", "shards/train-{000000..000001}.tar", "shards/train-00000{0,1}.tar"])
def test_classes_in_the_order_of_shards_and_samples(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    shards(tmp_path / "shards", cls=lambda key: str((key * 3) % 7), txt=lambda key: "a caption")
    report = dali_rec.pack(source, "out", shards=2)
    assert rows("out") == [(key, [(key * 3) % 7], jpeg(key)) for key in range(6)]
    assert (tmp_path / "out.lst").read_text().splitlines()[-1] == "5\t1\ttrain-000001.tar//000005.jpg"
    assert "beside images and labels there are 6 .txt, which are left out" in report.notes[-1]


@pytest.mark.filterwarnings("ignore")  # it leaves its files open
def test_what_webdataset_itself_writes_and_reads(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "x-%06d.tar"), maxcount=4, verbose=0) as writer:
        for key in range(10):
            image = {"jpg": jpeg(key), "cls": key % 3, "json": {"width": 40}}
            writer.write({"__key__": f"n{key % 2}/{key:04}", **image})
    pattern = str(tmp_path / "x-{000000..000002}.tar")
    dali_rec.pack(pattern, tmp_path / "out")
    wanted = [
        (sample["jpg"], int(sample["cls"]))
        for sample in webdataset.WebDataset(pattern, shardshuffle=False, empty_check=0)
    ]
    assert [(image, label) for _, (label,), image in rows(tmp_path / "out")] == wanted


def test_labels_are_keys_of_the_json_or_other_members(tmp_path):
    shards(
        tmp_path / "x",
        json=lambda key: {"label": key % 2, "kind": f"c{key % 3}", "both": [key, 1], "width": 0.5},
        cls=lambda key: "7",
        id=lambda key: str(100 + key),
    )
    assert labels_of(open_source(tmp_path / "x")) == [[7]] * 6
    assert labels_of(open_source(tmp_path / "x", with_label("width", "cls", "id")))[1] == [0.5, 7, 101]
    assert labels_of(open_source(tmp_path / "x", with_label("both")))[5] == [5, 1]
    named = open_source(tmp_path / "x", with_label("kind"))
    assert (named.classes, labels_of(named)) == (("c0", "c1", "c2"), [[key % 3] for key in range(6)])
    options = SourceOptions(table=TableOptions(("kind",)), classes=("c2", "c1", "c0"))
    assert labels_of(open_source(tmp_path / "x", options)) == [[2 - key % 3] for key in range(6)]


def test_the_key_label_of_a_json_needs_no_option(tmp_path):
    shards(tmp_path / "x", json=lambda key: {"label": key, "caption": "x"})
    assert labels_of(open_source(tmp_path / "x")) == [[key] for key in range(6)]


def test_names_for_classes_that_are_numbers(tmp_path):
    shards(tmp_path / "x", cls=lambda key: f"{key % 2}\n")
    assert open_source(tmp_path / "x", SourceOptions(classes=("cat", "dog"))).classes == ("cat", "dog")
    with pytest.raises(SourceError, match=r"train-000000\.tar, item 1: the label 1 is none of the 1 classes"):
        open_source(tmp_path / "x", SourceOptions(classes=("cat",)))


def test_json_without_a_label_names_its_keys(tmp_path):
    # As img2dataset writes it.
    shards(tmp_path / "x", json=lambda key: {"caption": "x", "url": "y"}, txt=lambda key: "x")
    message = (
        r"train-000000\.tar//000000: no \.cls, and no 'label' among 'caption', 'url' in its \.json: .*--label-column"
    )
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / "x")


def test_shards_without_labels_get_label_0_and_say_so(tmp_path):
    for members in ({}, {"txt": lambda key: "a caption"}):
        source = open_source(shards(tmp_path / "x", **members))
        assert (source.classes, labels_of(source), source.shuffled_by_default) == (None, [[0]] * 6, False)
        assert "all images get label 0; if each .tar is a class, say --top-labels" in source.notes[-1]
    assert open_source(tmp_path / "x", SourceOptions(labels="top")).classes == ("train-000000", "train-000001")


@pytest.mark.parametrize("members", [{"cls": str}, {"json": lambda key: {"caption": str(key)}}])
def test_labels_can_be_left_out(tmp_path, members):
    source = open_source(shards(tmp_path / "shards", **members), with_label(""))
    assert labels_of(source) == [[0]] * 6
    with pytest.raises(SourceError, match="--classes numbers the names of classes, and there are no labels"):
        open_source(tmp_path / "shards", replace(with_label(""), classes=("a", "b")))
    (name,) = members
    assert source.notes == (f"{tmp_path / 'shards'}: beside images and labels there are 6 .{name}, which are left out",)


def test_samples_without_image_or_label_are_left_out_and_counted(tmp_path):
    path = write(
        tmp_path / "x.tar",
        ("0", {"jpg": jpeg(0), "cls": "1"}),
        ("1", {"cls": "1"}),
        ("2", {"jpg": jpeg(2)}),
        ("3", {"jpg": jpeg(3), "cls": ""}),
        ("4", {"JPG": jpeg(4), "CLS": "2"}),
        ("__meta__", {"json": {}}),
        ("._5", {"jpg": b"x", "cls": "1"}),
    )
    source = open_source(path)
    assert labels_of(source) == [[1], [2]]
    assert source.notes == (
        f"{path}: 2 samples without an image left out, x.tar//1 …",
        f"{path}: 2 samples without a label left out, x.tar//2 …",
    )


def test_label_that_only_later_samples_have_is_an_error(tmp_path):
    path = write(tmp_path / "x.tar", ("0", {"jpg": jpeg(), "txt": "a"}), ("1", {"jpg": jpeg(), "cls": "1"}))
    with pytest.raises(SourceError, match=r"x\.tar//1 has a \.cls, and x\.tar//0 has nothing that says its label"):
        open_source(path)


def test_label_behind_a_name_with_dots_is_an_error(tmp_path):
    path = write(tmp_path / "x-0.tar", ("a.b", {"jpg": jpeg(), "cls": "1"}))
    with pytest.raises(SourceError, match=r"x-0\.tar//a: its label is in \.b\.cls, .*--label-column b\.cls"):
        open_source(tmp_path / "x-{0,0}.tar")
    assert labels_of(open_source(path, with_label("b.cls"))) == [[1]]


def test_of_several_images_the_one_that_is_named(tmp_path):
    path = write(tmp_path / "x.tar", ("0", {"input.jpg": jpeg(0), "target.jpg": jpeg(1), "cls": "1"}))
    with pytest.raises(
        SourceError, match=r"x\.tar//0 has several images, \.input\.jpg, \.target\.jpg: .*--location-column"
    ):
        open_source(path)
    source = open_source(path, with_label("label", location="target.jpg"))
    assert source.pixels.read(source.samples[0].location) == jpeg(1)
    plain = open_source(write(tmp_path / "y.tar", ("0", {"mask.png": b"x", "jpg": jpeg(2), "cls": "1"})))
    assert plain.pixels.read(plain.samples[0].location) == jpeg(2)


@pytest.mark.parametrize(
    "names",
    [
        ("imagenet1k-train-0000.tar", "imagenet1k-train-0001.tar", "imagenet1k-validation-00.tar"),
        ("train/00000.tar", "train/00001.tar", "val/00000.tar"),
    ],
)
def test_shards_called_as_splits(tmp_path, names):
    shards(tmp_path / "x", names, cls=str)
    dali_rec.pack(tmp_path / "x", tmp_path / "out")
    assert [label for _, (label,), _ in rows(tmp_path / "out-train")] == list(range(6))
    assert [label for _, (label,), _ in rows(tmp_path / "out-val")] == list(range(6, 9))


def test_some_shards_called_as_splits_are_an_error(tmp_path):
    shards(tmp_path / "x", ("train-0.tar", "val-0.tar", "more-0.tar"), cls=str)
    with pytest.raises(SourceError, match=r"train-0\.tar is called as the shard of a split, and more-0\.tar is not"):
        open_source(tmp_path / "x")


def test_shards_follow_each_other_by_number(tmp_path):
    shards(tmp_path / "x", ("x-2.tar", "x-10.tar", "x-1.tar"), cls=str)
    assert labels_of(open_source(tmp_path / "x")) == [[6], [7], [8], [0], [1], [2], [3], [4], [5]]


def test_class_folders_with_json_beside_the_images_are_no_shard(tmp_path):
    path = write(tmp_path / "x.tar", ("cat/0", {"jpg": jpeg(), "json": {}}), ("dog/1", {"jpg": jpeg(), "json": {}}))
    source = open_source(path)
    assert source.classes == ("cat", "dog")
    assert any(
        "files of images' names are not read" in note and "to have them, unpack it" in note for note in source.notes
    )


def test_missing_shards_and_patterns_of_other_files(tmp_path, monkeypatch):
    shards(tmp_path, cls=str)
    with pytest.raises(SourceError, match=r"2 of 4 files are not there: .*train-000002\.tar, .*train-000003\.tar"):
        open_source(tmp_path / "train-{000000..000003}.tar")
    (tmp_path / "x-0.rar").touch()
    with pytest.raises(SourceError, match=r"a pattern names \.tar or \.zip files, and .*x-0\.rar is none"):
        open_source(tmp_path / "x-{0,0}.rar")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="only some begin with one; name all from one folder on"):
        open_source(f"{{{tmp_path / 'train-000000'},train-000001}}.tar")
    (tmp_path / "x-0.tar.gz").touch()
    with pytest.raises(SourceError, match=r"x-0\.tar\.gz: compressed as a whole"):
        open_source(tmp_path / "x-{0,0}.tar.gz")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"json": "{"}, r"x\.tar//0\.json: no JSON"),
        ({"json": "[1]"}, r"x\.tar//0\.json: a list; expected a mapping"),
        ({"json": {"label": {"a": 1}}}, r"x\.tar, item 0: a label is a dict"),
        ({"cls": b"\xff"}, r"x\.tar//0\.cls: cannot be read"),
        ({"cls": "cat"}, None),
        ({"cls": "nan"}, None),
    ],
)
def test_labels_that_make_no_sense(tmp_path, members, reason):
    path = write(tmp_path / "x.tar", ("0", {"jpg": jpeg(), **members}))
    if reason is None:
        assert open_source(path).classes == (members["cls"],)
    else:
        with pytest.raises(SourceError, match=reason):
            open_source(path)


def test_options_of_other_sources_are_refused(tmp_path):
    shards(tmp_path / "x", cls=str)
    for options, message in (
        (
            SourceOptions(table=TableOptions(columns=("a", "b"))),
            "--columns, --label-column and the like go with a table",
        ),
        (SourceOptions(table=TableOptions(labels=("*",))), r"--label-column '\*' goes with a table"),
        (SourceOptions(root="."), "--root goes with"),
    ):
        with pytest.raises(SourceError, match=message):
            open_source(tmp_path / "x", options)


def test_command_packs_a_pattern_and_plans(tmp_path, capsys):
    shards(tmp_path, json=lambda key: {"kind": f"class{key % 2}"})
    arguments = ["pack", str(tmp_path / "train-{000000..000001}.tar"), str(tmp_path / "out"), "--label-column", "kind"]
    assert main([*arguments, "--dry-run"]) == 0
    assert "class1" in capsys.readouterr().out
    assert main([*arguments, "--split", "a=0.5,b=0.5"]) == 0
    assert len(dali_rec.open(tmp_path / "out-a")) == 3
