import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import make_class_folder

import dali_rec
from dali_rec.errors import EngineError, MissingDependencyError, TooManyBadImagesError

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    pytest.mark.slow,
    # Ray's own, and JAX's where another test has loaded it: what Ray starts runs a program of its own at once.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_class_folder(tmp_path_factory.mktemp("ray") / "photos", {"ant": 60, "bee": 60}, (300, 200))


@pytest.fixture(scope="module")
def cluster():
    """Two machines of a cluster, on this one: each with its own daemon and one core."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8}
    )
    cluster.add_node(num_cpus=1, object_store_memory=10**8)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_same_bytes_as_on_one_machine(cluster, photos, tmp_path):
    seen = []
    report = dali_rec.pack(
        photos,
        tmp_path / "out" / "x",
        shards=8,
        resize=64,
        engine="ray",
        address=cluster.address,
        progress=lambda done, total: seen.append((done, total)),
    )
    dali_rec.pack(photos, tmp_path / "one" / "x", shards=8, resize=64)
    assert contents(tmp_path / "out") == contents(tmp_path / "one")
    assert report.images == 120
    assert seen == [(15 * number, 120) for number in range(1, 9)]


def test_packed_data_set_is_packed_again(cluster, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dali_rec.pack(photos, "whole", shards=2)
    dali_rec.pack("whole", "ray/x", shards=3, resize=64, engine="ray", address=cluster.address)
    dali_rec.pack(dali_rec.open("whole"), "one/x", shards=3, resize=64)
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")


def task_processes():
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and b"_pack_one" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def test_worker_that_is_killed_half_way_does_no_harm(cluster, photos, tmp_path):
    killed = []

    def kill_one(done, _total):
        if killed or done < 45:
            return
        end = time.monotonic() + 20
        while not killed and time.monotonic() < end:
            for process in task_processes()[:1]:
                os.kill(process, signal.SIGKILL)
                killed.append(process)

    options = {"shards": 24, "upscale": True, "resize": 1200}
    dali_rec.pack(photos, tmp_path / "out" / "x", engine="ray", address=cluster.address, progress=kill_one, **options)
    assert killed
    dali_rec.pack(photos, tmp_path / "one" / "x", **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def test_machine_that_dies_half_way_does_no_harm(cluster, photos, tmp_path):
    third = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    cluster.wait_for_nodes()
    removed = threading.Event()

    def remove_it(done, _total):
        if done >= 45 and not removed.is_set():
            removed.set()
            cluster.remove_node(third, allow_graceful=False)

    dali_rec.pack(
        photos, tmp_path / "out" / "x", shards=24, engine="ray", address=cluster.address, progress=remove_it, resize=64
    )
    assert removed.is_set()
    dali_rec.pack(photos, tmp_path / "one" / "x", shards=24, resize=64)
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def test_bad_images_end_the_work_and_it_resumes(cluster, photos, tmp_path):
    folder = make_class_folder(tmp_path / "photos", {"ant": 40})
    for number in range(4):
        (folder / "ant" / f"bad{number}.jpg").write_bytes(b"no image")
    options = {"shards": 4, "engine": "ray", "address": cluster.address}
    with pytest.raises(TooManyBadImagesError, match="4 bad images among"):
        dali_rec.pack(folder, tmp_path / "out" / "x", max_bad=3, **options)
    report = dali_rec.pack(folder, tmp_path / "out" / "x", max_bad=4, resume=True, **options)
    assert (report.records, len(report.rejections)) == (40, 4)
    dali_rec.pack(folder, tmp_path / "one" / "x", shards=4, max_bad=4)
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def test_relative_paths_are_found_by_every_worker(cluster, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    dali_rec.pack(photos.name, f"{tmp_path.name}/x", shards=2, engine="ray", address=cluster.address)
    assert dali_rec.verify(photos.parent / tmp_path.name / "x").records == 120


def test_cluster_that_is_not_there_is_an_error(photos, tmp_path):
    with pytest.raises(EngineError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        dali_rec.pack(photos, tmp_path / "x", engine="ray", address="127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_this_machine_alone_by_the_command(photos, tmp_path):
    command = [sys.executable, "-m", "dali_rec", "pack", str(photos), str(tmp_path / "x"), "--shards", "2"]
    done = subprocess.run([*command, "--engine", "ray"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "120 records in 2 classes in 2 shards" in done.stdout


def test_without_ray_the_error_says_what_to_install(photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dali-rec\[ray\]"'):
        dali_rec.pack(photos, tmp_path / "x", engine="ray")
