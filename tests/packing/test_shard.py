import threading
import time

import pytest
from support import jpeg

import dali_rec
from dali_rec.packing import reading


@pytest.fixture
def slow_disk(tmp_path, monkeypatch):
    """A folder of 64 images on a disk that takes its time; how many it was asked for at once."""
    folder = tmp_path / "images" / "a"
    folder.mkdir(parents=True)
    for number in range(64):
        (folder / f"{number:02}.jpg").write_bytes(jpeg(seed=number))
    asked, lock, read = [0], threading.Lock(), reading._read_file
    most = []

    def slowly(*place):
        with lock:
            asked[0] += 1
            most.append(asked[0])
        time.sleep(0.01)
        try:
            return read(*place)
        finally:
            with lock:
                asked[0] -= 1

    monkeypatch.setattr(reading, "_read_file", slowly)
    return tmp_path / "images", most


@pytest.mark.parametrize(("workers", "least", "limit"), [(1, 2, 4), (8, 5, 8)])
def test_a_disk_is_asked_for_several_images_at_once(slow_disk, tmp_path, workers, least, limit):
    images, most = slow_disk
    report = dali_rec.pack(images, tmp_path / "x", workers=workers)
    assert report.records == len(most) == 64
    assert least <= max(most) <= limit


def test_what_stops_packing_leaves_no_thread(slow_disk, tmp_path):
    images, most = slow_disk
    before = threading.active_count()

    def stop(done, _total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dali_rec.pack(images, tmp_path / "x", workers=1, progress=stop)
    assert len(most) < 64
    assert threading.active_count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
