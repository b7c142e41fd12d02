"""Labels that a .lst has for the records of a data set."""

import random

import numpy as np
import pytest
from record_sets import payload, write_set
from support import jpeg, traced_peak

import dali_rec
from dali_rec.errors import DatasetError, SourceError
from dali_rec.loading.labels import LabelReader, PaddedLabels
from dali_rec.sources import read_list


def listed(reader, rows):
    return reader.of_samples((), range(len(rows)), np.array(rows))


@pytest.mark.parametrize("ragged", ["list", "pad"])
def test_each_record_gets_as_many_labels_as_its_line_has(tmp_path, ragged):
    ids = [(1 << 64) - 1, 40, 7, 40, 3, 12]  # a .rec may have one id twice
    labels = {key: [key % 97 + column / 4 for column in range(1 + number % 3)] for number, key in enumerate(ids)}
    write_set(tmp_path / "x", [payload(key, [0.0], jpeg()) for key in ids], ids)
    of_ids = {**labels, 5: [1.0] * 9, 0: [2.0]}  # also of what is not there
    lines = ["\t".join([str(key), *map(str, row), "a.jpg"]) for key, row in of_ids.items()]
    random.Random(0).shuffle(lines)
    (tmp_path / "other.lst").write_text("\n".join(lines))
    with dali_rec.open(tmp_path / "x") as dataset:
        reader = LabelReader(dataset, ragged, tmp_path / "other.lst", are_classes=None)
        for rows in ([0, 1, 2, 3, 4, 5], [5, 0, 2], [1, 3], [4]):
            found = listed(reader, rows)
            if isinstance(found, PaddedLabels):
                found = [values[mask] for values, mask in zip(*found, strict=True)]
            assert [row.tolist() for row in found] == [labels[ids[row]] for row in rows]
            assert {row.dtype for row in found} == {np.dtype(np.float32)}
        one = reader.one(dataset)
        assert (one.values[0] if isinstance(one, PaddedLabels) else one[0]).tolist() == labels[ids[0]]


@pytest.mark.parametrize(
    ("lines", "dtype"),
    [
        (("0\t3\tx", "1\t-4\tx"), np.int64),
        (("0\t3\tx", "1\t0.5\tx"), np.float32),
        (("0\t3\t1\tx", "1\t4\t0\tx"), np.float32),
        (("0\t3\tx", "1\t4\tx", "2\t0.5\tx"), np.int64),  # the last line is of no record
    ],
)
def test_whole_numbers_one_a_record_are_classes(tmp_path, lines, dtype):
    write_set(tmp_path / "x", [payload(key, [0.5], jpeg()) for key in range(2)], [0, 1])
    (tmp_path / "other.lst").write_text("\n".join(lines))
    with dali_rec.open(tmp_path / "x") as dataset:
        found = listed(LabelReader(dataset, "error", tmp_path / "other.lst", are_classes=None), [1, 0])
    wanted = [[float(label) for label in line.split("\t")[1:-1]] for line in lines[1::-1]]
    assert found.dtype == dtype
    assert found.reshape(2, -1).tolist() == wanted


@pytest.mark.parametrize("others", ["2", "2.5"])
def test_class_that_float32_would_round_is_refused(tmp_path, others):
    write_set(tmp_path / "x", [payload(key, [0.5], jpeg()) for key in range(2)], [0, 1])
    (tmp_path / "other.lst").write_text(f"0\t{others}\tx\n1\t16777217\tx\n")
    with dali_rec.open(tmp_path / "x") as dataset:
        if others == "2":
            with pytest.raises(DatasetError, match=r"id 1 has the label 16777217: .* up to 16,777,216"):
                LabelReader(dataset, "error", tmp_path / "other.lst", are_classes=None)
        else:  # numbers to be predicted may be rounded
            found = listed(LabelReader(dataset, "error", tmp_path / "other.lst", are_classes=None), [0, 1])
            assert found.tolist() == [[2.5], [16777216]]


def test_list_with_an_id_twice_is_refused(tmp_path):
    write_set(tmp_path / "x", [payload(key, [0.5], jpeg()) for key in range(2)], [0, 1])
    (tmp_path / "other.lst").write_text("0\t3\tx\n1\t3\tx\n0\t4\tx\n")
    with dali_rec.open(tmp_path / "x") as dataset, pytest.raises(SourceError, match="line 3: id 0 stands on line 1"):
        LabelReader(dataset, "error", tmp_path / "other.lst", are_classes=None)


@pytest.mark.parametrize("labels", [1, 3])
def test_labels_of_many_records_take_no_objects_of_their_own(tmp_path, labels):
    count = 20_000
    write_set(tmp_path / "x", [payload(key, [0.0], b"-") for key in range(count)], list(range(count)))
    (tmp_path / "other.lst").write_text(
        "".join(f"{key}\t" + "0.5\t" * labels + "x\n" for key in reversed(range(count)))
    )
    with dali_rec.open(tmp_path / "x") as dataset:
        list_alone = traced_peak(lambda: read_list(tmp_path / "other.lst"))
        peak = traced_peak(lambda: LabelReader(dataset, "error", tmp_path / "other.lst", are_classes=None))
    assert peak - list_alone < 80 * count  # an array of one number takes 112 bytes, and its entry in a list 8
