import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import contents, files, payload, sets, write_set
from support import DATA, jpeg, make_class_folder

import dali_rec
from dali_rec.arrange import merge, split
from dali_rec.errors import CorruptRecordError, DatasetError, OutputExistsError

SHARES = {"train": 0.5, "val": 0.3, "test": 0.2}


@settings(max_examples=60)
@given(sets(min_size=8, max_size=30), st.integers(0, 3), st.booleans(), st.integers(1, 2))
def test_every_record_is_in_one_part_untouched_and_in_order(records, seed, stratify, shards):
    keys, payloads = records
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write_set(here / "in", payloads, keys)
        try:
            split(here / "in", here / "out", shares={"a": 0.6, "b": 0.4}, seed=seed, stratify=stratify, shards=shards)
        except ValueError as error:  # of few records of many classes
            assert "would get none" in str(error) or "cannot fill" in str(error)  # noqa: PT017
            return
        parts = [contents(here / f"out-{name}") for name in "ab"]
        place_of = {pair: place for place, pair in enumerate(zip(keys, payloads, strict=True))}
        places = [[place_of[pair] for pair in part] for part in parts]
        assert [sorted(part) for part in places] == places
        assert sorted(places[0] + places[1]) == list(range(len(keys)))
        if not stratify:
            assert abs(len(places[0]) - 0.6 * len(keys)) < 1


@settings(max_examples=30)
@given(sets(min_size=4), st.integers(1, 4))
def test_sharding_anew_and_back_gives_the_same_file(records, shards):
    keys, payloads = records
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write_set(here / "in", payloads, keys)
        split(here / "in", here / "parts", shards=shards)
        split(here / "parts", here / "whole", shards=1)
        for suffix in (".rec", ".idx"):
            assert (here / f"whole{suffix}").read_bytes() == (here / f"in{suffix}").read_bytes()


def test_stratified_parts_have_the_shares_of_every_class(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 10, "bee": 20, "cat": 30})
    dali_rec.pack(photos, tmp_path / "all", shuffle=False)
    report = split(tmp_path / "all", tmp_path / "all", shares=SHARES, stratify=True)
    assert [one.manifest_path.name for one in report.sets] == ["all-train.json", "all-val.json", "all-test.json"]
    for one, share in zip(report.sets, SHARES.values(), strict=True):
        dataset = dali_rec.open(one.manifest_path)
        assert np.bincount(dataset.class_indices).tolist() == [10 * share, 20 * share, 30 * share]
        assert (one.manifest.split, one.manifest.classes) == (one.manifest_path.stem[4:], ("ant", "bee", "cat"))
        assert dali_rec.verify(one.manifest_path).ok


def test_parts_are_those_of_packing_with_the_same_seed(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 15, "bee": 8})
    dali_rec.pack(photos, tmp_path / "whole", shuffle=False)
    dali_rec.pack(photos, tmp_path / "packed", shuffle=False, split=SHARES, seed=4)
    split(tmp_path / "whole", tmp_path / "split", shares=SHARES, seed=4)
    for name in SHARES:
        one, other = (dali_rec.open(tmp_path / f"{how}-{name}") for how in ("packed", "split"))
        assert [bytes(record.image) for record in one] == [bytes(record.image) for record in other]


def test_parts_know_their_own_largest_image(tmp_path):
    write_set(
        tmp_path / "a", [payload(key, [0.0], jpeg(key, (20 + key, 60 - key))) for key in range(20)], list(range(20))
    )
    for one in split(tmp_path / "a", tmp_path / "a", shares={"x": 0.5, "y": 0.5}).sets:
        keys = dali_rec.open(one.manifest_path).keys
        assert (one.manifest.max_width, one.manifest.max_height) == (20 + max(keys), 60 - min(keys))


def test_shards_hold_no_more_than_asked(tmp_path):
    sizes = [10, 400, 10, 10, 3000, 10, 500, 500]
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(size)) for key, size in enumerate(sizes)], list(range(8)))
    report = split(tmp_path / "a", tmp_path / "b", shard_size="1kB")
    assert [entry.records for entry in report.manifest.shards] == [4, 1, 2, 1]
    assert [entry.bytes > 1000 for entry in report.manifest.shards] == [False, True, False, False]
    assert report.manifest.shards[0].rec == "b-00000-of-00004.rec"
    by_records = split(tmp_path / "a", tmp_path / "c", shard_records=3)
    assert [entry.records for entry in by_records.manifest.shards] == [3, 3, 2]
    by_number = split(tmp_path / "a", tmp_path / "d", shards=3)
    assert [entry.records for entry in by_number.manifest.shards] == [2, 3, 3]
    assert contents(tmp_path / "b") == contents(tmp_path / "c") == contents(tmp_path / "d") == contents(tmp_path / "a")


def test_parts_merge_to_all_records_again(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 9, "bee": 9})
    dali_rec.pack(photos, tmp_path / "all")
    split(tmp_path / "all", tmp_path / "all", shares=SHARES)
    merge([tmp_path / f"all-{name}" for name in SHARES], tmp_path / "again")
    assert sorted(contents(tmp_path / "again")) == sorted(contents(tmp_path / "all"))
    lists = [sorted((tmp_path / f"{name}.lst").read_text().splitlines()) for name in ("again", "all")]
    assert lists[0] == lists[1]


def test_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes([key])) for key in range(40)], list(range(40)))
    for name, seed in (("x", 1), ("y", 1), ("z", 2)):
        split(tmp_path / "a", tmp_path / name, shares=SHARES, seed=seed)
    same, again, other = ((tmp_path / f"{name}-train.rec").read_bytes() for name in "xyz")
    assert same == again != other
    manifests = [files(tmp_path / name)["-val.json"].replace(f'"{name}-'.encode(), b'"') for name in "xy"]
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"a": 0.5}}, "add up to 0.5"),
        ({"stratify": True}, "needs shares"),
        ({"shards": 2, "shard_records": 2}, "shards and shard_records: say one of them"),
        ({"shards": 0}, "shards is 0: at least 1"),
        ({"shard_size": "big"}, "'big': expected a size"),
        ({"shards": 100}, "12 records cannot fill 100 shards"),
        ({"shares": {"a": 0.999, "b": 0.001}}, "the split 'b' would get none; give it a larger share$"),
        ({"shares": {"a": 0.999, "b": 0.001}, "stratify": True}, "give it a larger share; --stratify parts each class"),
    ],
)
def test_options_that_cannot_be_met_are_said(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        split(DATA / "multi.rec", tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_no_part_is_published_before_all_are_done_or_over_another(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], b"x") for key in range(10)], list(range(10)))
    write_set(tmp_path / "a-val", [payload(0, [0.0], b"y")], [0])
    before = files(tmp_path / "a")
    with pytest.raises(OutputExistsError, match=r"a-val\.\w+ exists already"):
        split(tmp_path / "a", tmp_path / "a", shares={"train": 0.5, "val": 0.5})
    data = bytearray((tmp_path / "a.rec").read_bytes())
    data[9 * 36] ^= 1
    (tmp_path / "a.rec").write_bytes(data)
    with pytest.raises(CorruptRecordError, match="the record with id 9"):
        split(tmp_path / "a", tmp_path / "b", shares={"train": 0.5, "val": 0.5})
    assert set(files(tmp_path / "a")) == set(before)
    assert not list(tmp_path.glob("b*"))


def test_records_without_an_image_are_dealt_out_and_it_is_said(tmp_path):
    payloads = [payload(key, [float(key)], b"" if key % 3 == 0 else b"x") for key in range(10)]
    write_set(tmp_path / "a", payloads, list(range(10)))
    report = split(tmp_path / "a", tmp_path / "b", shares={"x": 0.5, "y": 0.5})
    assert report.notes == ("4 records have no image; they are dealt out like all",)
    assert sorted(contents(tmp_path / "b-x") + contents(tmp_path / "b-y")) == contents(tmp_path / "a")


def test_ids_and_classes_choose_records(tmp_path):
    photos = make_class_folder(tmp_path / "photos", {"ant": 9, "bee": 9, "cat": 9})
    dali_rec.pack(photos, tmp_path / "all", shards=2)
    whole = dict(contents(tmp_path / "all"))
    report = split(tmp_path / "all", tmp_path / "some", classes=["cat", "ant"], ids=range(0, 27, 2))
    kept = [record.key for record in dali_rec.open(tmp_path / "all") if record.key % 2 == 0 and record.labels[0] != 1]
    assert contents(tmp_path / "some") == [(key, whole[key]) for key in kept]
    assert report.manifest.classes == ("ant", "bee", "cat")
    assert dali_rec.verify(tmp_path / "some").ok
    split(tmp_path / "all", tmp_path / "two", classes=[1], shares={"a": 0.5, "b": 0.5})
    assert len(contents(tmp_path / "two-a")) + len(contents(tmp_path / "two-b")) == 9
    with pytest.raises(DatasetError, match="no class 'dog'"):
        split(tmp_path / "all", tmp_path / "no", classes=["dog"])
    with pytest.raises(DatasetError, match="no record has these ids and classes"):
        split(DATA / "single.rec", tmp_path / "no", classes=["77"])
    assert not list(tmp_path.glob("no*"))


def test_progress_ends_at_the_whole(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(50)) for key in range(9)], list(range(9)))
    lines = (tmp_path / "a.idx").read_text().splitlines(keepends=True)
    (tmp_path / "a.idx").write_text("".join(lines[::4]))
    said = []
    split(tmp_path / "a", tmp_path / "b", shards=2, progress=lambda *state: said.append(state))
    assert [done for done, _ in said] == sorted(done for done, _ in said)
    assert said[-1][0] == said[-1][1]
