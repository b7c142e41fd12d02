import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import jpeg, make_class_folder

import dali_rec
from dali_rec.sources import Sample, SampleTable, Source, Split, open_source
from dali_rec.sources.overlap import say_overlap


def overlap(source):
    return [note for note in source.notes if "in several splits" in note]


def test_row_of_two_splits_is_said(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    (tmp_path / "x.csv").write_text("path,label,split\n0.jpg,a,train\n1.jpg,a,test\n0.jpg,a,test\n2.jpg,a,train\n")
    (note,) = overlap(open_source(tmp_path / "x.csv"))
    assert "1 image is in several splits; 0.jpg is in train and test" in note


def test_record_of_two_views_is_said(tmp_path):
    dali_rec.pack(make_class_folder(tmp_path / "photos", {"a": 3, "b": 3}), tmp_path / "out", shuffle=False)
    with dali_rec.open(tmp_path / "out") as whole:
        apart = {"train": whole.subset(classes=["a"]), "val": whole.subset(classes=["b"])}
        assert overlap(open_source(apart)) == []
        (note,) = overlap(open_source({"train": whole, "val": whole.subset(classes=["b"])}))
    assert "3 images are in several splits; b/b_000.jpg is in train and val" in note


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=4))
def test_overlap_is_said_where_there_is_one(parts):
    samples = SampleTable.of(Sample(0, (0.0,), name) for part in parts for name in part)
    ends = [sum(map(len, parts[:number])) for number in range(len(parts) + 1)]
    splits = tuple(Split(f"s{number}", *ends[number : number + 2]) for number in range(len(parts)))
    split_of, several, first = {}, set(), None
    for number, part in enumerate(parts):
        for name in part:
            before = split_of.setdefault(name, number)
            if before != number:
                several.add(name)
                first = first or f"{name} is in s{before} and s{number}"
    notes = overlap(say_overlap(Source(samples, ".", splits=splits)))
    images = "1 image is" if len(several) == 1 else f"{len(several)} images are"
    assert notes == ([f".: {images} in several splits; {first}"] if several else [])


@pytest.mark.parametrize("count", [0, 1])
def test_source_without_splits_is_as_it_was(count):
    source = Source(SampleTable.of([Sample(0, (0.0,), "a")] * 2), ".", splits=(Split("train", 0, 2),) * count)
    assert say_overlap(source) is source
