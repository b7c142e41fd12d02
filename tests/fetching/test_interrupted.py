"""Fetches that are killed, and several at once."""

import _thread
import contextlib
import itertools
import shutil
import signal
import threading
import time

import pytest
from fetched import begin, contents, fetch_killed_at, size_of_recs
from kills import wait_for
from support import make_class_folder

import dali_rec
from dali_rec.errors import DatasetError, DatasetNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.mark.parametrize("ranges", [True, False])
def test_fetch_that_is_killed_goes_on(web, here, there, ranges):
    web.ranges, web.seconds = ranges, 0.02
    process = begin(f"{web.url}/x", here)
    while size_of_recs(here / "x.fetching") < size_of_recs(there) // 4:
        time.sleep(0.01)
        assert process.poll() is None
    process.kill()
    process.communicate()
    time.sleep(0.2)
    assert {path.name for path in here.iterdir()} == {"x.fetching", "x.fetching.lock"}
    staged = size_of_recs(here / "x.fetching")
    web.seconds = 0
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)
    assert not (here / "x.fetching").exists()
    if ranges:
        assert web.sent_of_recs == size_of_recs(there) - staged + 4  # each was looked up


@pytest.mark.posix  # SIGINT for one process alone
def test_interruption_does_not_wait_for_a_slow_server(web, here):
    process = begin(f"{web.url}/x", here)
    while not web.sent_of_recs:
        time.sleep(0.01)
        assert process.poll() is None
    web.seconds = 300
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=100)[1]


@pytest.mark.parametrize("request_number", [1, 6])  # of files that are looked up, and of their pieces
def test_interruption_is_heard_where_it_wakes_nobody(web, here, request_number):
    stands_still, requests = threading.Event(), itertools.count()

    def wait(name):
        if name.endswith(".rec") and (number := next(requests)) >= request_number:
            if number == request_number:
                threading.Timer(0.2, _thread.interrupt_main).start()  # by no signal
            stands_still.wait(60)

    web.before = wait
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        dali_rec.fetch(f"{web.url}/x", here)
    assert time.monotonic() - began < 30
    stands_still.set()


def test_processes_at_once_fetch_it_once(web, here, there):
    others_wait = threading.Event()
    web.before = lambda name: others_wait.wait(300) if name.endswith(".rec") else None
    processes = [begin(f"{web.url}/x", here)]
    wait_for(lambda: "x-00000-of-00004.rec" in web.requests)
    processes += [begin(f"{web.url}/x", here) for _ in range(3)]
    for process in processes[1:]:
        assert "waiting for another process" in process.stderr.readline()
    others_wait.set()
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert contents(here) == contents(there)
    assert web.sent_of_recs == size_of_recs(there) + 4  # each was looked up once


@pytest.mark.parametrize("kind", ["shards", "one file", "no manifest"])
def test_fetch_killed_at_any_step_leaves_no_mixture_and_goes_on(tmp_path, kind):
    there, here, before = tmp_path / "there", tmp_path / "here", tmp_path / "before"
    shards = 2 if kind == "shards" else None

    def pack(classes):
        photos = make_class_folder(tmp_path / "-".join(classes), classes)
        dali_rec.pack(photos, there / "x", shards=shards, overwrite=True)
        if kind == "no manifest":
            (there / "x.json").unlink()

    pack({"ant": 3, "bee": 4})
    dali_rec.fetch(there / "x", f"{before}/")
    pack({"cow": 5})
    new = contents(there)
    whole = [(7, None), (5, None)] if kind == "no manifest" else [(7, ("ant", "bee")), (5, ("cow",))]
    for step in range(1, 100):
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(before, here)
        if not fetch_killed_at(step, there / "x", here):
            break
        with contextlib.suppress(DatasetNotFoundError, DatasetError), dali_rec.open(here / "x") as found:
            assert (len(found), found.classes) in whole
        assert len(dali_rec.fetch(there / "x", here)) == 5
        (here / "x.fetching.lock").unlink(missing_ok=True)  # of a process that was killed when all was done
        assert contents(here) == new
        assert not (here / "x.fetching").exists()
    assert 10 < step < 99


def test_what_was_half_moved_is_not_opened_nor_packed_over(here, there, tmp_path):
    steps = iter(range(1, 99))
    while not (here / "x.fetching" / "publishing.json").exists():
        assert fetch_killed_at(next(steps), there / "x", here)
    for action in (lambda: dali_rec.open(here / "x"), lambda: dali_rec.pack(tmp_path / "photos", here / "x")):
        with pytest.raises(DatasetError, match=r"interrupted.* run 'dali-rec fetch' to .*here[/\\]x again"):
            action()


def test_half_fetched_folder_is_no_class(there, tmp_path):
    photos = tmp_path / "photos"
    steps = iter(range(1, 99))
    while not (photos / "x.fetching" / "job.json").exists():
        assert fetch_killed_at(next(steps), there / "x", photos)
    dali_rec.pack(photos, tmp_path / "again")
    assert dali_rec.open(tmp_path / "again").classes == ("ant", "bee")
