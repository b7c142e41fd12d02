import json
import re

import pytest
from support import DATA, jpeg

import dali_rec
from dali_rec.errors import DatasetError, DatasetNotFoundError, IndexFileError


@pytest.mark.parametrize("name", ["photos", "photos.json", "photos.rec"])
def test_data_set_opens_by_prefix_manifest_or_file(packed, name):
    dataset = dali_rec.open(packed.with_name(name))
    assert (len(dataset), dataset.classes) == (12, ("ant", "bee", "cat"))


def test_records_come_in_the_order_of_the_files_over_all_shards(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=5)
    dataset = dali_rec.open(tmp_path / "x")
    assert [record.key for record in dataset] == list(range(12)) == dataset.keys.tolist()
    assert [dataset[position].key for position in range(12)] == list(range(12))
    assert [record.key for record in dataset[2:9:3]] == [2, 5, 8]
    assert [dataset[position].key for position in range(-12, 0)] == list(range(12))
    for outside in (12, -13):
        with pytest.raises(IndexError, match=f"record {outside} of a data set of 12"):
            dataset[outside]


def test_closed_data_set_says_that_it_is_closed(packed):
    with dali_rec.open(packed) as dataset:
        assert dataset[0].key == 0
    with pytest.raises(DatasetError, match=r"photos\.rec: it was closed"):
        dataset[0]


def test_several_files_are_one_data_set(class_folder, tmp_path):
    for name, side in (("a", 20), ("b", 30)):
        dali_rec.pack(class_folder, tmp_path / name, resize=side)
    dataset = dali_rec.open([tmp_path / "a", tmp_path / "b.rec"])
    assert (len(dataset), dataset.classes) == (24, ("ant", "bee", "cat"))
    whole, parts = dataset.manifest, [shard.path for shard in dataset.shards]
    assert (whole.records, whole.max_width, whole.max_height) == (24, 37, 30)
    assert whole.bytes == sum(path.stat().st_size for path in parts)
    assert [shard.rec for shard in whole.shards] == [path.name for path in parts] == ["a.rec", "b.rec"]
    assert (whole.split, whole.options) == (None, {})


def test_data_sets_with_different_classes_are_not_mixed(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "a")
    (class_folder / "ant").rename(class_folder / "ape")
    dali_rec.pack(class_folder, tmp_path / "b")
    foreign = DATA / "single.rec"  # without a manifest
    for parts in (["a", "b"], ["a", "b", foreign], ["a", foreign, "b"], [foreign, "a", "b"]):
        with pytest.raises(DatasetError, match="different classes"):
            dali_rec.open([tmp_path / part for part in parts])
    assert dali_rec.open([foreign, tmp_path / "a"]).manifest is None


def test_file_of_mxnet_opens_without_a_manifest():
    dataset = dali_rec.open(DATA / "multi.rec")
    assert (dataset.manifest, dataset.classes, dataset.keys.tolist()) == (None, None, list(range(100, 112)))


def test_file_without_an_index_opens(tmp_path):
    (tmp_path / "x.rec").write_bytes((DATA / "multi.rec").read_bytes())
    assert dali_rec.open(tmp_path / "x").keys.tolist() == list(range(100, 112))


@pytest.mark.parametrize("twice", [lambda lines: lines * 2, lambda lines: [one for one in lines for _ in range(2)]])
def test_record_that_the_index_names_twice_is_one_record(packed, twice):
    index = packed.with_name("photos.idx")
    index.write_text("".join(twice(index.read_text().splitlines(keepends=True))))
    assert dali_rec.open(packed).keys.tolist() == list(range(12))


def test_manifest_of_another_file_is_not_taken(packed):
    for suffix in (".rec", ".idx"):
        packed.with_name(f"other{suffix}").write_bytes((DATA / f"multi{suffix}").read_bytes())
    packed.with_name("other.json").write_bytes(packed.with_name("photos.json").read_bytes())
    dataset = dali_rec.open(packed.with_name("other.rec"))
    assert (dataset.manifest, dataset.keys.tolist()) == (None, list(range(100, 112)))


def test_missing_data_set_is_said_with_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"neither .*x\.json nor .*x\.rec exists"):
        dali_rec.open(tmp_path / "x")


def test_prefix_of_splits_is_told_their_names(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", split={"train": 0.5, "val": 0.5})
    (tmp_path / "x-notes.json").write_text("{}")
    (tmp_path / "x-torn.json").write_text('{"format": "dali-rec"')
    told = f"exists; name one that is there: {tmp_path / 'x-train'}, {tmp_path / 'x-val'}"
    with pytest.raises(DatasetNotFoundError, match=re.escape(told) + "$"):
        dali_rec.open(tmp_path / "x")


def test_missing_shard_is_said(class_folder, tmp_path):
    dali_rec.pack(class_folder, tmp_path / "x", shards=3)
    (tmp_path / "x-00001-of-00003.rec").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"x-00001-of-00003\.rec: no such file"):
        dali_rec.open(tmp_path / "x")


def test_cut_file_is_refused(packed):
    rec = packed.with_name("photos.rec")
    rec.write_bytes(rec.read_bytes()[:-4])
    with pytest.raises(DatasetError, match=r"photos\.rec: \d+ bytes, the manifest says"):
        dali_rec.open(packed)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("", "it is a folder: .*'dali-rec pack"),
        ("photos.idx", r"is called .*[/\\]photos$"),
        ("nothing", "'dali-rec pack' makes"),
    ],
)
def test_path_of_no_data_set_is_told_what_to_open(packed, name, remedy):
    with pytest.raises(DatasetNotFoundError, match=remedy):
        dali_rec.open(packed.parent / name)


def test_index_with_other_records_is_refused(packed):
    index = packed.with_name("photos.idx")
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:5]))
    with pytest.raises(IndexFileError, match="5 records, the manifest says 12"):
        dali_rec.open(packed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a manifest"),
        ('{"a": 1}', "not a manifest"),
        ('{"format": "dali-rec", "version": 99}', "manifest version 99"),
        ('{"format": "dali-rec", "version": 1}', "damaged manifest"),
    ],
)
def test_file_that_is_no_manifest_is_refused(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        dali_rec.open(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("records", None),
        ("records", -1),
        ("records", True),
        ("bytes", float("inf")),
        ("label_width", "1"),
        ("label_kind", "other"),
        ("classes", [1, 2]),
        ("classes", "ab"),
        ("label_classes", [[None]]),
        ("options", None),
        ("options", ["a"]),
        ("split", 3),
        ("shards", None),
        ("shards", [{"rec": 1, "idx": "x.idx", "records": 1, "bytes": 1, "sha256": ""}]),
        ("shards", [{"rec": "x.rec", "idx": "x.idx", "records": None, "bytes": 1, "sha256": ""}]),
    ],
)
def test_manifest_with_values_of_another_kind_is_damaged(packed, field, value):
    path = packed.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(DatasetError, match=r"damaged manifest .* put it back from a copy"):
        dali_rec.open(packed)
    assert [fault.kind for fault in dali_rec.verify(packed).faults] == ["manifest"]


def test_several_with_names_for_each_column_of_labels_keep_them_and_must_have_the_same(tmp_path):
    for name, colour in (("x", "red"), ("y", "red"), ("z", "grey")):
        for number, folder in enumerate((f"car/{colour}", "bus/blue")):
            (tmp_path / "photos" / name / folder).mkdir(parents=True)
            (tmp_path / "photos" / name / folder / "1.jpg").write_bytes(jpeg(number))
        dali_rec.pack(tmp_path / "photos" / name, tmp_path / name)
    x, y, z = (tmp_path / name for name in "xyz")
    names = (("bus", "car"), ("blue", "red"))
    assert dali_rec.open(x).manifest.label_classes == names
    both = dali_rec.open([x, y])
    assert (len(both), both.manifest.label_classes) == (4, names)
    with pytest.raises(DatasetError, match="different classes"):
        dali_rec.open([x, z])


UNREADABLE = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(500)),
    "no text": lambda path: path.write_bytes(b"\xff" * 500),
    "nested too deep": lambda path: path.write_text('{"a":' * 100_000),
    "without its shards": lambda path: path.write_text('{"format": "dali-rec", "version": 1}'),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


def load(path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    return dali_rec.Loader(path, 4, 32, framework="numpy")


@pytest.mark.parametrize("use", [dali_rec.open, dali_rec.info, load])
@pytest.mark.parametrize("name", ["photos", "photos.rec", "photos.json"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_manifest_that_cannot_be_read_is_an_error(packed, name, kind, use):
    UNREADABLE[kind](packed.with_name("photos.json"))
    with pytest.raises(DatasetError, match=r"photos\.json: .*put it back from a copy, or move it away"):
        use(packed.with_name(name))


def test_manifest_that_may_not_be_read_is_an_error(packed, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(DatasetError, match=r"photos\.json: cannot be read \(Permission denied\)"):
        dali_rec.open(packed)


@pytest.mark.parametrize(
    "text",
    [
        '[{"label": "cat", "location": "1.jpg"}]',
        "[{'label': 'cat', 'location': '1.jpg'}]",
        '{"label": "cat"}\n{"label": "dog"}\n',
        '{"images": [], "annotations": []}',
        '\ufeff{"images": []}',
        "17",
    ],
)
def test_json_of_another_kind_beside_the_rec_is_ignored(packed, text):
    packed.with_name("photos.json").write_text(text, "utf-8")
    for name in ("photos", "photos.rec"):
        dataset = dali_rec.open(packed.with_name(name))
        assert (len(dataset), dataset.manifest) == (12, None)
        assert dali_rec.info(packed.with_name(name)).records == 12
        assert dali_rec.verify(packed.with_name(name)).ok
    with pytest.raises(DatasetError, match=r"not JSON|not a manifest"):
        dali_rec.open(packed.with_name("photos.json"))


def test_empty_index_is_said(tmp_path):
    (tmp_path / "x.rec").write_bytes((DATA / "single.rec").read_bytes())
    (tmp_path / "x.idx").touch()
    with pytest.raises(IndexFileError, match=r"x\.rec: its \.idx is empty.*'dali-rec index .*x\.rec'"):
        dali_rec.open(tmp_path / "x.rec")


def test_empty_file_is_no_data_set(tmp_path):
    (tmp_path / "x.rec").write_bytes(b"")
    with pytest.raises(DatasetError, match="no records"):
        dali_rec.open(tmp_path / "x.rec")


@pytest.mark.parametrize("name", [None, 3])
def test_what_is_no_name_of_a_data_set_is_refused_in_words(name):
    with pytest.raises(DatasetNotFoundError, match=f"{name} names no data set: expected a prefix"):
        dali_rec.open(name)


def test_joined_data_sets_of_other_widths_have_no_common_label_width(class_folder, tmp_path):
    names = [f"ant/{path.name}" for path in sorted((class_folder / "ant").iterdir())[:2]]
    labels = {"one": ["0.5", "1.5"], "two": ["0.5\t2.5", "1.5\t2.5"], "mixed": ["0.5", "1.5\t2.5"]}
    widths, out = [], tmp_path / "out"
    for name, columns in labels.items():
        rows = zip(columns, names, strict=True)
        (tmp_path / f"{name}.lst").write_text("".join(f"{key}\t{row[0]}\t{row[1]}\n" for key, row in enumerate(rows)))
        widths.append(dali_rec.pack(tmp_path / f"{name}.lst", out / name, root=class_folder).manifest.label_width)
    assert widths == [1, 2, 0]
    whole = dali_rec.open([out / name for name in labels])
    assert (whole.manifest.label_width, whole.manifest.records) == (0, 6)
