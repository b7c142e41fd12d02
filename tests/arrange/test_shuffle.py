import importlib
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import contents, files, payload, sets, write_set
from support import DATA, make_class_folder, peak_memory

import dali_rec
from dali_rec.arrange import frames, merge, shuffle
from dali_rec.errors import TruncatedRecordError

MIB = 1 << 20
MODULE = importlib.import_module("dali_rec.arrange.shuffle")  # the attribute of this name is the function


def order_of(seed, count):
    return np.random.Generator(np.random.PCG64(seed)).permutation(count).tolist()


def make_pieces_small(patch):
    """Pieces and buckets of a few records, so that small data sets go the way of large ones."""
    patch.setattr(frames, "CHUNK_BYTES", 200)
    patch.setattr(MODULE, "LEAST_MEMORY", 1)
    patch.setattr(MODULE, "_PIECES_BYTES", 0)


@pytest.fixture
def small_pieces(monkeypatch):
    make_pieces_small(monkeypatch)


@settings(max_examples=60)
@given(sets(max_size=30), st.integers(0, 5), st.integers(1, 3), st.sampled_from([1, 300, 1000, 5000, 10**8]))
def test_records_are_permuted_by_the_seed_alone_and_untouched(records, seed, shards, memory):
    keys, payloads = records
    shards = min(shards, len(keys))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        make_pieces_small(patch)
        here = Path(folder)
        write_set(here / "in", payloads, keys, shards=min(2, len(keys)))
        shuffle(here / "in", here / "out", seed=seed, shards=shards, memory=memory)
        assert contents(here / "out") == [(keys[row], payloads[row]) for row in order_of(seed, len(keys))]


@pytest.mark.usefixtures("small_pieces")
def test_memory_does_not_change_a_byte(tmp_path, monkeypatch):
    dali_rec.pack(
        make_class_folder(tmp_path / "photos", {"ant": 30, "bee": 31}), tmp_path / "in", shuffle=False, shards=3
    )
    buckets, cut = [], MODULE.bounds_by_bytes

    def counted(*arguments):
        edges = cut(*arguments)
        buckets.append(len(edges) - 1)
        return edges

    monkeypatch.setattr(MODULE, "bounds_by_bytes", counted)
    made = []
    for memory in (1, 3000, 8000, 24_000, "1GB"):
        shuffle(tmp_path / "in", tmp_path / "out", memory=memory, shards=2, overwrite=True)
        made.append(files(tmp_path / "out"))
    assert buckets[0] == 61
    assert buckets[-1] == 1
    assert sorted(set(buckets), reverse=True) == buckets  # each limit went another way
    assert all(one == made[0] for one in made)
    assert dali_rec.verify(tmp_path / "out").ok
    listed = [line.split("\t") for line in (tmp_path / "out.lst").read_text().splitlines()]
    for record, (key, label, path) in zip(dali_rec.open(tmp_path / "out"), listed, strict=True):
        assert (record.key, record.labels.tolist()) == (int(key), [float(label)])
        assert bytes(record.image) == (tmp_path / "photos" / path).read_bytes()


def test_any_order_is_as_likely_as_any_other(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], b"") for key in range(4)], list(range(4)))
    runs = 480
    orders = Counter()
    for seed in range(runs):
        shuffle(tmp_path / "a", tmp_path / "b", seed=seed, overwrite=True)
        orders[tuple(dali_rec.open(tmp_path / "b").keys.tolist())] += 1
    assert len(orders) == 24
    chi_square = sum((count - runs / 24) ** 2 / (runs / 24) for count in orders.values())
    assert chi_square < 49.7  # 23 degrees of freedom: exceeded by one set of seeds in a thousand


def test_shuffled_and_sorted_again_is_the_same_set(tmp_path):
    dali_rec.pack(make_class_folder(tmp_path / "photos", {"ant": 9, "bee": 9}), tmp_path / "a", shards=2)
    report = shuffle(tmp_path / "a", tmp_path / "b", seed=3, shard_records=5)
    assert sorted(contents(tmp_path / "b")) == sorted(contents(tmp_path / "a"))
    one, manifest = dali_rec.open(tmp_path / "a").manifest, report.manifest
    assert [entry.records for entry in manifest.shards] == [5, 5, 5, 3]
    same = ("records", "bytes", "classes", "label_width", "label_kind", "max_width", "max_height")
    assert [getattr(manifest, name) for name in same] == [getattr(one, name) for name in same]
    assert manifest.options["seed"] == 3


def test_faces_ordered_by_identity_are_mixed_and_found_by_id(tmp_path):
    shuffle(DATA / "faces.rec", tmp_path / "f", seed=1)
    before, after = dict(contents(DATA / "faces")), dict(contents(tmp_path / "f"))
    assert before == after
    assert list(before) != list(after)


def test_records_that_an_index_leaves_out_are_left_out(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(50)) for key in range(30)], list(range(30)))
    lines = (tmp_path / "a.idx").read_text().splitlines(keepends=True)
    (tmp_path / "a.idx").write_text("".join(lines[::7]))
    shuffle(tmp_path / "a", tmp_path / "b", seed=2)
    kept = list(range(0, 30, 7))
    assert [key for key, _ in contents(tmp_path / "b")] == [kept[row] for row in order_of(2, len(kept))]


@pytest.mark.parametrize(("memory", "message"), [("1MB", "at least 64MiB"), ("lots", "expected a size")])
def test_memory_that_makes_no_sense_is_said(tmp_path, memory, message):
    with pytest.raises(ValueError, match=message):
        shuffle(DATA / "multi.rec", tmp_path / "b", memory=memory)


@pytest.mark.usefixtures("small_pieces")
def test_damage_found_late_leaves_nothing(tmp_path):
    write_set(tmp_path / "a", [payload(key, [0.0], bytes(60)) for key in range(30)], list(range(30)))
    data = bytearray((tmp_path / "a.rec").read_bytes())
    data[29 * 92 + 4 : 29 * 92 + 8] = b"\xff\xff\x00\x00"
    (tmp_path / "a.rec").write_bytes(data)
    with pytest.raises(TruncatedRecordError, match=r"a\.rec: the record with id 29, at offset 2668, .*verify --repair"):
        shuffle(tmp_path / "a", tmp_path / "b", memory=1000)
    assert not list(tmp_path.glob("b*"))


def test_memory_stays_under_the_limit_on_a_set_several_times_as_large(tmp_path):
    random = np.random.default_rng(0)
    write_set(tmp_path / "part", [payload(key, [0.0], random.bytes(40_000)) for key in range(1000)], list(range(1000)))
    merge([tmp_path / "part"] * 9, tmp_path / "all")
    assert (tmp_path / "all.rec").stat().st_size > 5 * 64 * MIB
    setup = "import dali_rec.arrange, numpy, concurrent.futures.thread"
    _, before = peak_memory(setup)
    run = f"dali_rec.arrange.shuffle({str(tmp_path / 'all')!r}, {str(tmp_path / 'out')!r}, memory='64MiB')"
    _, after = peak_memory(f"{setup}\n{run}")
    assert (after - before) * 1024 < 64 * MIB
    assert contents(tmp_path / "out")[:3] == [contents(tmp_path / "all")[row] for row in order_of(100, 9000)[:3]]
