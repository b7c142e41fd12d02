import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import DATA, make_class_folder, traced_peak

import dali_rec
from dali_rec import shard
from dali_rec.errors import DatasetError, RecordError
from dali_rec.recordio import Index


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """40, 8 and 1 images of three classes in three files."""
    folder = tmp_path_factory.mktemp("views")
    make_class_folder(folder / "in", {"ant": 40, "bee": 8, "cat": 1}, size=(8, 8))
    dali_rec.pack(folder / "in", folder / "x", shards=3)
    return dali_rec.open(folder / "x")


@given(rows=st.lists(st.integers(0, 48), max_size=60))
def test_view_has_the_records_taken_in_the_order_of_the_files(data, rows):
    view = data.take(rows)
    assert [record.key for record in view] == [data[row].key for row in sorted(set(rows))]
    assert view.keys.tolist() == [record.key for record in view]
    assert len(view) == len(set(rows))
    assert all(len(one) for one in view.shards)  # DALI can hand out a wrong record where a file has none in the view


@given(rows=st.lists(st.integers(0, 48), min_size=1, max_size=60))
def test_spans_are_where_the_records_lie(data, rows):
    places = [data.locate(row) for row in rows]
    assert data.spans(np.array(rows)) == [(one, offset, one.reader.end_of(offset)) for one, offset in places]
    view = data.take(rows)
    by_row, by_view = data.spans(np.unique(rows)), view.spans(np.arange(len(view)))
    assert [span[1:] for span in by_view] == [span[1:] for span in by_row]


def test_view_of_a_view(data):
    view = data.take(range(10, 40)).take([0, 5, 29])
    assert view.keys.tolist() == data.keys[[10, 15, 39]].tolist()
    assert [view[row].key for row in range(3)] == view.keys.tolist()


@pytest.mark.parametrize("row", [-1, 49])
def test_rows_outside_the_data_set_are_an_error(data, row):
    with pytest.raises(IndexError, match="49 records"):
        data.take([3, row])


@pytest.mark.parametrize("rows_at_once", [5, 1000])
@pytest.mark.parametrize("name", ["single.rec", "multi.rec", "detection.rec"])
def test_first_labels_read_in_bulk_are_those_of_the_records(name, rows_at_once, monkeypatch):
    monkeypatch.setattr(shard, "_ROWS_AT_ONCE", rows_at_once)
    with dali_rec.open(DATA / name) as dataset:
        labels = np.concatenate([one.first_labels() for one in dataset.shards])
        assert labels.tolist() == [record.labels[0] for record in dataset]


def test_class_indices_are_those_of_the_records(data):
    assert data.class_indices.tolist() == [int(record.labels[0]) for record in data]


@pytest.mark.parametrize(("at", "instead"), [(0, b"\0"), (4, b"\x14\0\0\0"), (8, b"\xff\xff\xff\x7f")])
def test_damaged_head_is_named_when_labels_are_read(data, tmp_path, at, instead):
    content = bytearray((DATA / "single.rec").read_bytes())
    offset = int(dali_rec.open(DATA / "single.rec").shards[0].index.offsets[2])
    content[offset + at : offset + at + len(instead)] = instead
    (tmp_path / "single.rec").write_bytes(content)
    (tmp_path / "single.idx").write_bytes((DATA / "single.idx").read_bytes())
    with pytest.raises(RecordError, match=f"offset {offset}"):
        _ = dali_rec.open(tmp_path / "single.rec").class_indices


@settings(max_examples=30)
@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_split_is_disjoint_whole_and_alike_in_every_class(data, share, seed):
    first, second = data.split(share, 1 - share, seed=seed)
    assert sorted([*first.keys.tolist(), *second.keys.tolist()]) == sorted(data.keys.tolist())
    for index, size in enumerate((40, 8, 1)):
        assert abs((first.class_indices == index).sum() - share * size) <= 1
    assert first.keys.tolist() == data.split(share, 1 - share, seed=seed)[0].keys.tolist()


def test_smaller_fraction_lies_within_the_larger(data):
    small, large = (data.subset(fraction=share, seed=4).keys.tolist() for share in (0.2, 0.6))
    assert set(small) < set(large)


def test_subset_meets_all_conditions(data):
    view = data.subset(classes=["bee", 2], fraction=1.0)
    assert sorted(view.class_indices.tolist()) == [1] * 8 + [2]
    assert view.classes == ("ant", "bee", "cat")
    keys = view.keys[:3].tolist()
    assert sorted(data.subset(ids=keys).keys.tolist()) == sorted(keys)


def test_one_class_may_be_given_by_itself(data):
    assert data.subset(classes="bee").keys.tolist() == data.subset(classes=["bee"]).keys.tolist()
    for number, name in enumerate(data.classes):
        assert data.subset(classes=number).keys.tolist() == data.subset(classes=[name]).keys.tolist()


@pytest.mark.parametrize("number", [-1, 3])
def test_class_that_there_is_not_is_an_error(data, number):
    with pytest.raises(DatasetError, match=f"no class {number}; it has 3 classes"):
        data.subset(classes=[number])


def test_filter_keeps_what_the_function_says(data):
    assert data.filter(lambda record: record.key % 7 == 0).keys.tolist() == [
        k for k in data.keys.tolist() if k % 7 == 0
    ]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"ids": [1, 99]}, "id 99"),
        ({"ids": [1, -1]}, r"id -1 is not a whole number from 0 to 2\^64-1"),
        ({"ids": [2**64]}, "id 18446744073709551616 is not a whole number"),
        ({"ids": [1.5]}, "id 1.5 is not a whole number"),
        ({"ids": np.array([-1])}, "id -1 is not a whole number"),
        ({"ids": np.ones(49, bool)}, "id True is not a whole number"),
        ({"ids": ["1"]}, "id 1 is not a whole number"),
        ({"ids": [1, 2**64 - 1]}, "id 18446744073709551615 among them"),
        ({"fraction": float("nan")}, "fraction is nan"),
        ({"classes": ["dog"]}, "no class 'dog'; its classes are ant, bee, cat"),
        ({"fraction": 0}, "fraction is 0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(data, condition, message):
    with pytest.raises(ValueError, match=message):
        data.subset(**condition)


@pytest.mark.parametrize("of", [list, tuple, np.array, lambda ids: np.array(ids, np.uint64)])
def test_ids_may_be_any_sequence_of_whole_numbers(data, of):
    assert sorted(data.subset(ids=of([0, 7])).keys.tolist()) == [0, 7]


@pytest.mark.parametrize(
    "fractions", [(), (0.5,), (1.0, 0.0), (0.9, 0.2), (1.1, -0.1), (float("nan"), 1), (1, float("nan"))]
)
def test_fractions_that_are_no_whole_are_refused(data, fractions):
    with pytest.raises(ValueError, match="1 together"):
        data.split(*fractions)


@pytest.mark.parametrize("label", [0.5, -1.0, float("inf")])
def test_labels_that_are_no_classes_are_named(tmp_path, label):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(b"", 1.0, 7)
        writer.write_image(b"", label, 8)
    with pytest.raises(DatasetError, match=f"id 8 has the label {label}"):
        _ = dali_rec.open(tmp_path / "x.rec").class_indices


class Name(str):
    """The name of a class that counts how often it is compared with another."""

    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Name.compared += 1
        return str.__eq__(self, other)


def test_many_classes_are_found_without_looking_through_all_for_each(data):
    names = tuple(Name(f"class {number}") for number in range(1000))
    of_many = dali_rec.dataset.Dataset(data.shards, dataclasses.replace(data.manifest, classes=names))
    view = of_many.subset(classes=[str(name) for name in names[1:]])
    assert view.keys.tolist() == data.subset(classes=[1, 2]).keys.tolist()
    assert Name.compared < 10 * len(names)


def test_ids_are_looked_up_without_a_list_of_all(data):
    keys = np.arange(200_000, dtype=np.int64)
    index = Index(keys, np.zeros(len(keys), np.int64))
    shard = copy.copy(data.shards[0])
    shard.index = index
    large = dali_rec.dataset.Dataset([shard])
    _ = large.keys
    assert traced_peak(lambda: large.subset(ids=[3, 7])) < 2.5 * keys.nbytes
