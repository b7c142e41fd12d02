import threading

import numpy as np
import pytest
from support import encoded, jpeg, make_class_folder, picture

import dali_rec
from dali_rec.manifest import read_manifest
from dali_rec.packing import sizing


def shard_sizes(prefix):
    return [(shard.records, shard.bytes) for shard in read_manifest(prefix.with_suffix(".json")).shards]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(3)
    for number in range(60):
        size = tuple(generator.integers(20, 200, 2).tolist())
        (folder / f"{number}.jpg").write_bytes(encoded(picture(number, size), quality=90))
    return folder


def test_shard_records_is_the_most_that_a_shard_has(photos, tmp_path):
    dali_rec.pack(photos, tmp_path / "x", shard_records=14)
    assert [records for records, _ in shard_sizes(tmp_path / "x")] == [12] * 5


@pytest.mark.parametrize("size", [8000, 20_000, 57_000])
def test_no_shard_of_untouched_files_is_larger_than_asked(photos, tmp_path, size):
    dali_rec.pack(photos, tmp_path / "x", shard_size=size)
    sizes = shard_sizes(tmp_path / "x")
    assert sum(records for records, _ in sizes) == 60
    assert all(length <= size or records == 1 for records, length in sizes)
    # None could have taken the first record of the next.
    assert all(length > size - 8000 for _, length in sizes[:-1])


@pytest.mark.parametrize(("labels", "label_bytes"), [(1, 0), (2, 8), (50, 200)])
def test_shard_takes_what_just_fits(tmp_path, labels, label_bytes):
    image = next(data for data in map(jpeg, range(99)) if len(data) % 4 == 1)  # takes the most padding that there is
    columns = "\t1" * labels
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(image)
    (tmp_path / "x.lst").write_text("".join(f"{number}{columns}\t{number}.jpg\n" for number in range(6)))
    record = 8 + 24 + label_bytes + len(image) + 3
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "three", shard_size=3 * record)
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "two", shard_size=3 * record - 1)
    assert shard_sizes(tmp_path / "out" / "three") == [(3, 3 * record)] * 2
    assert shard_sizes(tmp_path / "out" / "two") == [(2, 2 * record)] * 3


def test_sizes_of_many_files_are_asked_for_by_several_threads(tmp_path, monkeypatch):
    meeting = threading.Barrier(3, timeout=30)
    measure = sizing._record_bytes

    def measured(origin, sample):
        if sample.key % 100 == 0:
            meeting.wait()
        return measure(origin, sample)

    monkeypatch.setattr(sizing, "_record_bytes", measured)
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "x.lst").write_text("".join(f"{number}\t0\ta.jpg\n" for number in range(300)))
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x", shard_size="100KB")
    sizes = shard_sizes(tmp_path / "out" / "x")
    assert sum(records for records, _ in sizes) == 300
    assert all(length <= 100_000 for _, length in sizes)


def test_shard_of_a_single_image_may_be_larger(photos, tmp_path):
    dali_rec.pack(photos, tmp_path / "x", shard_size=1)
    assert [records for records, _ in shard_sizes(tmp_path / "x")] == [1] * 60


def test_size_of_images_encoded_anew_is_estimated(tmp_path):
    make_class_folder(tmp_path / "photos", {"a": 300}, (200, 150))
    dali_rec.pack(tmp_path / "photos", tmp_path / "x", resize=64, shard_size="50KB")
    sizes = shard_sizes(tmp_path / "x")
    assert len(sizes) > 3
    assert all(35_000 < length < 60_000 for _, length in sizes)


def test_missing_files_take_no_room(tmp_path, photos):
    lines = [f"{number}\t0\t{number}.jpg\n" for number in range(60)]
    lines.insert(30, "99\t0\tmissing.jpg\n")
    (tmp_path / "x.lst").write_text("".join(lines))
    report = dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x", root=photos, shard_size="20KB", max_bad=1)
    assert report.records == 60


def test_two_ways_to_say_how_many_shards_are_refused(photos, tmp_path):
    with pytest.raises(ValueError, match="three ways to say one thing"):
        dali_rec.pack(photos, tmp_path / "x", shards=2, shard_records=10)
    with pytest.raises(ValueError, match="at least one byte"):
        dali_rec.pack(photos, tmp_path / "x", shard_size="0GB")
