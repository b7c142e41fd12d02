"""What Hugging Face's library keeps on disk: folders of save_to_disk, and of its cache."""

import json

import pytest

import dali_rec
from dali_rec.errors import SourceError

pa = pytest.importorskip("pyarrow")

from parquet_files import (  # noqa: E402
    CLASSES,
    FILES,
    HUGGING_FACE,
    images_of,
    labelled,
    labels_of,
    read,
    records_of,
)

FEATURES = json.loads(HUGGING_FACE[b"huggingface"])["info"]["features"]


def saved(folder, *parts, first=0, names=None, metadata=HUGGING_FACE, **state):
    """A folder as Dataset.save_to_disk writes it: a file for each list of labels, with the images that come next."""
    names = names or [f"data-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for name, labels in zip(names, parts, strict=True):
        labelled(folder / name, labels, FILES[first : first + len(labels)], metadata)
        first += len(labels)
    listed = {"_data_files": [{"filename": name} for name in names], "_format_columns": None, "_format_type": None}
    said = {
        **listed,
        "_output_all_columns": False,
        "_split": "train",
        "_format_kwargs": {},
        "_fingerprint": "0",
        **state,
    }
    (folder / "state.json").write_text(json.dumps(said))
    (folder / "dataset_info.json").write_text(json.dumps({"citation": "", "features": FEATURES}))
    return folder


def cached(folder, name, **splits):
    """A folder as load_dataset has it in its cache, with a file or several for each split."""
    first = 0
    for split, parts in splits.items():
        for number, labels in enumerate(parts):
            end = f"-{number:05d}-of-{len(parts):05d}" if len(parts) > 1 else ""
            labelled(folder / f"{name}-{split}{end}.arrow", labels, FILES[first : first + len(labels)], None)
            first += len(labels)
    said = {"features": FEATURES, "splits": {split: {"name": split, "dataset_name": name} for split in splits}}
    (folder / "dataset_info.json").write_text(json.dumps(said))
    return folder


def parts_of(source):
    return {one.name: labels_of(source)[one.start : one.stop] for one in source.splits}


def of_classes(*labels):
    return [(label,) for label in labels]


def test_a_data_set_is_its_files_in_the_order_of_its_state(tmp_path):
    folder = saved(tmp_path / "train", [0, 1], [2], [0], names=["b.arrow", "c.arrow", "a.arrow"])
    labelled(folder / "cache-0123456789abcdef.arrow", [1, 1])
    report = dali_rec.pack(folder, tmp_path / "out" / "x")
    wanted = [(number, [label], FILES[number]) for number, label in enumerate([0, 1, 2, 0])]
    assert records_of(tmp_path / "out" / "x") == wanted
    left_out = "1 Arrow file that datasets does not list left out: cache-0123456789abcdef.arrow"
    assert report.notes == (f"{folder}: {left_out}",)


def test_features_come_from_the_file_beside_where_the_schema_has_none(tmp_path):
    source = read(saved(tmp_path / "set", [0, 2], metadata=None))
    assert (labels_of(source), source.classes) == (of_classes(0, 2), tuple(CLASSES))
    assert read(tmp_path / "set" / "data-00000-of-00001.arrow").classes == tuple(CLASSES)
    assert read(tmp_path / "set" / "*.arrow").classes == tuple(CLASSES)


def test_a_dict_is_packed_in_its_splits(tmp_path):
    folder = tmp_path / "test"  # which is no split
    saved(folder / "validation", [1], [2], first=4)
    saved(folder / "train", [0, 1], [2, 0])
    saved(folder / "held_out", [0], first=6)
    saved(folder / "old", [1])
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation", "held_out"]}))
    (folder / "logo.jpg").write_bytes(FILES[0])
    report = dali_rec.pack(folder, tmp_path / "out" / "x")
    assert [(one.split, one.manifest.records) for one in report.sets] == [("train", 4), ("val", 2), ("held_out", 1)]
    assert records_of(tmp_path / "out" / "x-val") == [(0, [1], FILES[4]), (1, [2], FILES[5])]
    assert report.notes == (
        f"{folder}: 1 image beside the Arrow files left out: logo.jpg",
        f"{folder}: 1 Arrow file that datasets does not list left out: old/data-00000-of-00001.arrow",
    )
    source = read(folder / "validation")
    assert (source.splits, images_of(source)) == ((), FILES[4:6])


def test_data_sets_saved_into_folders_of_splits_belong_together(tmp_path):
    saved(tmp_path / "set" / "train", [0, 1], [2], names=["b.arrow", "a.arrow"])
    saved(tmp_path / "set" / "test", [1])
    assert parts_of(read(tmp_path / "set")) == {"train": of_classes(0, 1, 2), "test": of_classes(1)}
    saved(tmp_path / "two" / "cats", [0])
    saved(tmp_path / "two" / "dogs", [0])
    with pytest.raises(SourceError, match="may be two data sets; pack one of them, or all files by a pattern such as "):
        read(tmp_path / "two")


@pytest.mark.parametrize("name", ["mnist", "my-train-set"])
def test_the_cache_is_packed_in_its_splits_without_what_else_is_kept_there(tmp_path, name):
    folder = cached(tmp_path / "plain" / "0.0.0" / "0123abc", name, train=[[0, 1], [2]], validation=[[1]])
    labelled(folder / "cache-0123456789abcdef.arrow", [1, 1])
    source = read(folder)
    assert parts_of(source) == {"train": of_classes(0, 1, 2), "val": of_classes(1)}
    assert (source.classes, images_of(source)) == (tuple(CLASSES), FILES[:4])
    left_out = "1 Arrow file that datasets does not list left out: "
    assert source.notes == (f"{folder}: {left_out}cache-0123456789abcdef.arrow",)
    assert parts_of(read(tmp_path / "plain")) == parts_of(source)
    del source  # which has the files mapped
    assert labels_of(read(folder / f"{name}-train-00001-of-00002.arrow")) == of_classes(2)
    (folder / f"{name}-train-00001-of-00002.arrow").unlink()
    note = f"{folder}: of the 2 files {name}-train-…-of-00002 only 1 is there"
    assert note in read(folder).notes


def test_columns_that_are_not_shown_are_left_out_and_told(tmp_path):
    folder = saved(tmp_path / "set", [0, 2], _format_columns=["image"], _format_type="torch")
    note = f"{folder / 'state.json'}: only the columns 'image' are shown, as set_format has it"
    source = read(folder)
    assert (labels_of(source), source.notes[0]) == (of_classes(0, 0), note)
    with pytest.raises(
        SourceError, match=r"arrow, of which state\.json shows only some columns: no column 'kind' in 'image'"
    ):
        read(folder, labels=("kind",))
    saved(folder, [0, 2], _format_columns=["image"], _output_all_columns=True)
    assert (labels_of(read(folder)), read(folder).notes) == (of_classes(0, 2), ())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (
            {"_indices_data_files": [{"filename": "indices.arrow"}]},
            r"state\.json: its rows are chosen by a file of indi",
        ),
        ({"_indices_files": [{"filename": "indices.arrow"}]}, r"state\.json: its rows are chosen by a file of indices"),
        ({"_inplace_history": [{"transforms": [["cast_"]]}]}, r"state\.json: its columns were changed after they were"),
        ({"_data_files": [{"filename": "data-00001.arrow"}]}, r"state\.json: data-00001\.arrow is not there; fetch or"),
        (
            {"_data_files": [{"filename": "../x.arrow"}]},
            r"state\.json: .*x\.arrow.* under '_data_files' is no name of a",
        ),
        (
            {"_data_files": [{"filename": "x.arrow", "skip": 3}]},
            r"state\.json: .*skip.* under '_data_files' is no name",
        ),
        ({"_data_files": [3]}, r"state\.json: 3 under '_data_files' is no name of a file"),
    ],
)
def test_rows_and_columns_other_than_those_of_the_files_are_refused(tmp_path, state, reason):
    folder = saved(tmp_path / "set", [0, 2], **state)
    with pytest.raises(SourceError, match=reason):
        read(folder)
    if "_data_files" not in state:
        with pytest.raises(SourceError, match=reason):
            read(folder / "data-00000-of-00001.arrow")


def test_what_older_versions_wrote_is_read(tmp_path):
    old = {"_indices_data_files": [], "_indices_files": None, "_inplace_history": [{"transforms": []}]}
    assert labels_of(read(saved(tmp_path / "set", [0, 2], names=["dataset.arrow"], **old))) == of_classes(0, 2)


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        (
            ["train", "test"],
            r"dataset_dict\.json: the split 'test' is not there, or lacks its state\.json; copy the data",
        ),
        (["train", "../train"], r"dataset_dict\.json: the split '\.\./train' is no name of a folder"),
        ([".."], r"dataset_dict\.json: the split '\.\.' is no name of a folder"),
    ],
)
def test_splits_of_a_dict_that_are_not_there_are_errors(tmp_path, splits, reason):
    saved(tmp_path / "set" / "train", [0])
    (tmp_path / "set" / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    with pytest.raises(SourceError, match=reason):
        read(tmp_path / "set")


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json"])
def test_json_that_is_cut_off_is_an_error_that_names_it(tmp_path, name):
    folder = saved(tmp_path / "set", [0])
    (folder / name).write_text('{"features": ')
    with pytest.raises(SourceError, match=rf"{name}: not JSON \(.*\); is the file cut short\?"):
        read(folder)


def test_json_of_other_programs_says_nothing(tmp_path):
    labelled(tmp_path / "set" / "x.arrow", [0, 2])
    (tmp_path / "set" / "state.json").write_text('{"epoch": 3}')
    (tmp_path / "set" / "dataset_info.json").write_text('{"splits": [{"name": "train"}]}')
    (tmp_path / "set" / "dataset_dict.json").write_text("[]")
    source = read(tmp_path / "set")
    assert (labels_of(source), source.splits, source.notes) == (of_classes(0, 2), (), ())


def test_what_datasets_itself_saves_is_packed_as_it_loads_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
    rows = [{"bytes": file, "path": f"{number}.jpg"} for number, file in enumerate(FILES)]
    columns = {"image": rows, "label": [number % 3 for number in range(12)]}
    whole = datasets.Dataset.from_dict(columns, features=kinds)
    (tmp_path / "n.jpg").write_bytes(FILES[5])
    by_path = datasets.Dataset.from_dict({"image": [str(tmp_path / "n.jpg")], "label": [1]}, features=kinds)
    data = datasets.DatasetDict(
        train=whole, filtered=whole.filter(lambda row: row["label"] != 1), chosen=whole.select([5, 3, 8]), path=by_path
    )
    data.save_to_disk(tmp_path / "set", num_shards={"train": 3, "filtered": 1, "chosen": 1, "path": 1})
    dali_rec.pack(tmp_path / "set", tmp_path / "out" / "x")
    dali_rec.pack(data, tmp_path / "wanted" / "x")
    for split in data:
        found = records_of(tmp_path / "out" / f"x-{split}")
        assert found == records_of(tmp_path / "wanted" / f"x-{split}")
        assert len(found) == len(data[split])
        assert dali_rec.open(tmp_path / "out" / f"x-{split}").classes == tuple(CLASSES)
