"""What is compressed as a whole is read on from where it was left, by any number of threads and processes."""

import gzip
import pickle
import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from array_files import decoded, idx, labels_of, noise, pixels_of, read, write_mnist
from support import peak_memory

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import SourceError
from dali_rec.sources.arrays import layout, unpacked
from dali_rec.sources.open_file import OpenFile

COUNT = 600


@pytest.fixture
def images():
    """Of 2,400 bytes, of which some compress well."""
    made = noise(COUNT, 60, 40)
    made[::2] = 7
    made[:, 0, 0] = np.arange(COUNT) % 251
    return made


@pytest.fixture(params=["npz", "gz"])
def packed(request, tmp_path, images):
    labels = np.arange(COUNT)
    if request.param == "npz":
        path = tmp_path / "x.npz"
        np.savez_compressed(path, images=images, labels=labels)
        return path
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(idx((labels % 256).astype(np.uint8)))
    path = tmp_path / "x-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(images)))
    return path


@pytest.fixture
def small(monkeypatch):
    """Blocks of three images, of which four are kept, and marks at every second."""
    monkeypatch.setattr(unpacked, "_BLOCK", 8000)
    monkeypatch.setattr(unpacked, "MOST_KEPT", 4 * 7200)
    monkeypatch.setattr(layout, "MOST_KEPT", 4 * 7200)
    monkeypatch.setattr(unpacked, "_READ_AT_ONCE", 1000)
    monkeypatch.setattr(unpacked, "_MOST_MARKS", 100)


@pytest.fixture
def blocks(monkeypatch):
    """The blocks that were unpacked."""
    made = []
    take = unpacked._Inflated._take

    def counting(self, size):
        made.append(self._next)
        return take(self, size)

    monkeypatch.setattr(unpacked._Inflated, "_take", counting)
    return made


def test_in_their_order_each_is_unpacked_once(small, blocks, packed, images):
    assert np.array_equal(pixels_of(read(packed)), images)
    assert blocks == [0, *range(200)]


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order_images_are_the_same(small, packed, images, seed):
    rows = random.Random(seed).choices(range(COUNT), k=300)
    assert np.array_equal(pixels_of(read(packed), rows), images[rows])


def test_for_what_lies_before_no_more_than_from_the_last_mark_on_is_unpacked(small, blocks, packed):
    source = read(packed)
    pixels_of(source, [COUNT - 1, 590, 301])
    assert blocks == [0, *range(200), 100]  # 590 was kept
    pixels_of(source, [304, 550])
    assert blocks[202:] == [101, 182, 183]


def test_threads_that_overtake_each_other_get_their_images(small, packed, images):
    source = read(packed)
    with ThreadPoolExecutor(8) as pool:
        files = pool.map(source.pixels.read, (sample.location for sample in source.samples))
        assert np.array_equal(decoded(files), images)


def test_no_more_is_kept_than_is_allowed(small, packed):
    source = read(packed)
    pixels_of(source)
    (array,) = source.pixels._arrays.values()
    assert len(source.pixels._unpacked(array)._kept) == 4


def test_what_is_larger_than_is_kept_is_not_shuffled(small, packed, tmp_path):
    with pytest.raises(SourceError, match="its images can be read in their order alone, and not shuffled"):
        dali_rec.pack(packed, tmp_path / "out", shuffle=True)
    report = dali_rec.pack(packed, tmp_path / "out", split={"train": 0.8, "val": 0.2})
    assert [one.manifest.records for one in report.sets] == [480, 120]


def test_a_file_in_the_working_folder_is_named(small, packed, tmp_path, monkeypatch):
    monkeypatch.chdir(packed.parent)
    with pytest.raises(SourceError, match=f"^{packed.name}: its images can be read in their order alone"):
        dali_rec.pack(packed.name, tmp_path / "out", shuffle=True)


def test_what_is_kept_whole_can_be_shuffled(blocks, packed, tmp_path, images):
    dali_rec.pack(packed, tmp_path / "out", shuffle=True, workers=2)
    order = [int(line.split("\t")[2].rpartition("#")[2]) for line in (tmp_path / "out.lst").read_text().splitlines()]
    assert sorted(order) == list(range(COUNT)) != order
    assert np.array_equal(decoded(record.image for record in dali_rec.open(tmp_path / "out")), images[order])
    assert sorted(blocks) == [0, 0, 1]


def test_threads_that_come_at_once_unpack_it_once(blocks, packed, images, monkeypatch):
    opened = OpenFile.__init__

    def slowly(self, path):
        time.sleep(0.05)
        opened(self, path)

    source = read(packed)
    monkeypatch.setattr(OpenFile, "__init__", slowly)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(source.pixels.read, [sample.location for sample in source.samples]))
    assert np.array_equal(decoded(found), images)
    assert blocks == [0, 0, 1]


def test_what_is_sent_to_other_processes_is_small_and_the_same_there(packed, images):
    source = read(packed)
    pixels_of(source, [0])
    sent = pickle.dumps(source.pixels)
    assert len(sent) < 1000
    there = pickle.loads(sent)
    assert pickle.loads(sent) is there
    sample = source.samples[77]
    assert np.array_equal(decoded([there.read(sample.location)])[0], images[77])


def test_several_processes_and_threads_write_the_same(tmp_path, monkeypatch):
    from dali_rec.packing import workers

    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 100)
    write_mnist(tmp_path / "mnist", packed=True, train=3000, test=300)
    for number in (1, 6):
        dali_rec.pack(tmp_path / "mnist", tmp_path / f"out{number}" / "x", workers=number)
    for name in ("x-train.rec", "x-test.rec", "x-train.json"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out6" / name).read_bytes()
    assert len(dali_rec.open(tmp_path / "out6" / "x-train")) == 3000


def test_damage_ends_the_work_of_several_processes(tmp_path, monkeypatch):
    from dali_rec.packing import workers

    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 100)
    write_mnist(tmp_path, packed=True, train=3000)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be unpacked from about image"):
        dali_rec.pack(path, tmp_path / "out", workers=6)


def test_packing_goes_on_where_it_was_interrupted(packed, tmp_path):
    dali_rec.pack(packed, tmp_path / "whole", shards=3)
    done = []

    def stop(count, _total):
        done.append(count)
        if count == 450:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(packed, tmp_path / "out", shards=3, progress=stop)
    report = dali_rec.pack(packed, tmp_path / "out", shards=3, resume=True)
    assert report.images < COUNT
    for shard in range(3):
        name = f"-{shard:05d}-of-00003.rec"
        assert (tmp_path / f"out{name}").read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    assert dali_rec.pack(packed, tmp_path / "out", shards=3, resume=True).images == 0


def test_labels_of_the_command_are_those_of_the_rows(packed, tmp_path, capsys):
    assert main(["pack", str(packed), str(tmp_path / "out")]) == 0, capsys.readouterr().err
    assert [int(record.labels[0]) for record in dali_rec.open(tmp_path / "out")] == labels_of(read(packed))


@pytest.mark.posix
@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_unpacked(tmp_path):
    """300 MB unpacked, of which 64 MB are kept."""
    images = np.repeat(noise(100, 100, 100, 3), 100, axis=0)
    np.savez_compressed(tmp_path / "x.npz", images=images, labels=np.zeros(len(images), np.uint8))
    code = f"""
from dali_rec.sources import open_source
source = open_source({str(tmp_path / "x.npz")!r})
before = peak()
array, = source.pixels._arrays.values()
rows = source.pixels._unpacked(array)
for row in range(len(source.samples)):
    rows.read(row)
print(peak() - before)
"""
    grown, _ = peak_memory(code)
    assert int(grown) < 110_000
