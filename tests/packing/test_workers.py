import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toy_format
from kills import KILLED, wait_for
from PIL import Image
from support import encoded, jpeg, make_class_folder, picture

import dali_rec
from dali_rec import _workers
from dali_rec.errors import EngineError, TooManyBadImagesError
from dali_rec.packing import workers
from dali_rec.packing.options import PackOptions
from dali_rec.packing.reading import Origin

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture
def begun(begun, monkeypatch):
    """Packing takes processes for a handful of images already; those that it began."""
    monkeypatch.setattr(workers, "_IMAGES_A_PROCESS", 4)
    return begun


@pytest.fixture
def images(tmp_path):
    folder = make_class_folder(tmp_path / "images", {"cat": 30, "dog": 30})
    (folder / "cat" / "x.png").write_bytes(encoded(picture(99, mode="L"), "PNG"))
    (folder / "cat" / "y.jpg").write_bytes(jpeg(5)[:300])
    (folder / "dog" / "z.jpg").write_bytes(b"")
    return folder


@pytest.fixture
def toys():
    """Pillow opens toys, until the end of the test."""
    Image.register_open("TOY", toy_format.open_toy, toy_format.accept)
    yield
    Image.ID.remove("TOY")
    del Image.OPEN["TOY"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("threads", "most", "count"),
    [(1, 9, 1), (4, 9, 1), (5, 9, 2), (16, 9, 4), (17, 9, 5), (64, 1, 1), (64, 2, 2), (64, 0, 1)],
)
def test_many_threads_are_parted_into_processes(threads, most, count):
    assert _workers.process_count(threads, most) == count


@pytest.mark.parametrize(("images", "count"), [(1, 0), (7, 0), (8, 2), (11, 2), (12, 3)])
def test_few_images_are_not_worth_a_process(begun, images, count):
    workers.begin_packing(PackOptions(workers=64), images, stay_here=False).close()
    assert len(begun) == count


@pytest.mark.parametrize("options", [{}, {"resize": 20}, {"shards": 3, "trust": True}, {"resize": 20, "color": "gray"}])
def test_processes_make_the_same_files_as_threads(images, tmp_path, begun, options):
    options = {"max_bad": 2, **options}
    dali_rec.pack(images, tmp_path / "one" / "x", workers=1, **options)
    assert begun == []
    report = dali_rec.pack(images, tmp_path / "many" / "x", workers=5, **options)
    assert [threads for threads, _ in begun] == [3, 2]
    assert all(process.returncode is not None for _, process in begun)
    assert report.images == 63
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert "x.rejected.jsonl" in contents(tmp_path / "many")


def test_processes_look_pixels_up_in_a_table(tmp_path, begun):
    rows = [{"id": number, "label": number % 3, "location": [[number, 2], [3, 4]]} for number in range(40)]
    (tmp_path / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for count in (1, 8):
        dali_rec.pack(tmp_path / "table.jsonl", tmp_path / str(count) / "x", workers=count)
    assert len(begun) == 2
    assert contents(tmp_path / "1") == contents(tmp_path / "8")


@pytest.mark.posix
def test_forked_process_does_not_end_the_processes_of_its_parent(tmp_path):
    (tmp_path / "x.jpg").write_bytes(jpeg())
    code = f"""
import os
from dali_rec._workers import begin_workers
from dali_rec.im2rec.database import DatabaseOptions, Encoding, Row
workers = begin_workers(Encoding(DatabaseOptions(pass_through=True)), 8, 2)
pid = os.fork()
if pid == 0:
    workers.close()
    os._exit(0)
os.waitpid(pid, 0)
row = Row(0, (0.0,), {str(tmp_path / "x.jpg")!r})
print(sum(len(pending.result()[0]) for pending in [workers.begin([row]) for _ in range(4)]))
workers.close()
"""
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == (f"{4 * len(jpeg())}\n", "")


def test_too_many_bad_images_end_the_processes(images, tmp_path, begun):
    with pytest.raises(TooManyBadImagesError, match="the file is empty"):
        dali_rec.pack(images, tmp_path / "out" / "x", workers=8, max_bad=1)
    assert [process.returncode for _, process in begun] == [KILLED] * 2
    assert list(contents(tmp_path / "out")) == ["x.rejected.jsonl"]


@pytest.mark.usefixtures("toys")
def test_formats_that_the_caller_registered_are_known_to_processes(tmp_path, begun, capfd, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    lines = []
    for number in range(20):
        (tmp_path / f"{number}.toy").write_bytes(toy_format.PICTURE)
        lines.append(f"{number}\t0\t{number}.toy\n")
    (tmp_path / "x.lst").write_text("".join(lines))
    report = dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x", workers=8)
    assert len(begun) == 2
    assert report.records == 20
    assert capfd.readouterr().err.count("a library that prints") >= 20  # and not among the answers


@pytest.mark.parametrize("of_main", [False, True])
def test_what_cannot_be_told_to_another_process_keeps_the_work_in_this_one(
    images, tmp_path, begun, monkeypatch, of_main
):
    def opener(*_rest):
        return None

    if of_main:  # as of a notebook
        opener.__module__, opener.__qualname__ = "__main__", "opener"
        monkeypatch.setattr(sys.modules["__main__"], "opener", opener, raising=False)
    Image.register_open("TOY", opener, None if of_main else lambda _: False)
    try:
        dali_rec.pack(images, tmp_path / "out" / "x", workers=8, max_bad=2)
    finally:
        Image.ID.remove("TOY")
        del Image.OPEN["TOY"]
    assert begun == []


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (toy_format.FAILS, RuntimeError, "the toy broke"),
        (toy_format.FAILS_BADLY, EngineError, "ToyError: the toy broke and so did its error"),
    ],
)
def test_an_error_of_a_process_is_raised_here(tmp_path, begun, capfd, data, error, message):
    (tmp_path / "bad.toy").write_bytes(data)
    (tmp_path / "x.lst").write_text("".join(f"{number}\t0\tbad.toy\n" for number in range(20)))
    with pytest.raises(error, match=message):
        dali_rec.pack(tmp_path / "x.lst", tmp_path / "out" / "x", workers=8)
    assert all(process.returncode is not None for _, process in begun)
    assert "open_toy" in capfd.readouterr().err  # where it happened
    assert contents(tmp_path / "out") == {}


def test_a_process_that_is_killed_is_said_and_leaves_nothing(images, tmp_path, begun, monkeypatch):
    monkeypatch.setattr(_workers, "_AHEAD", 1)  # so that it is killed with answers to give

    def kill(done, _total):
        if done == 5:
            begun[1][1].kill()

    how = "ended with status 1" if sys.platform == "win32" else "was killed by signal 9"
    with pytest.raises(EngineError, match=rf"{how}; .* fewer --workers$"):
        dali_rec.pack(images, tmp_path / "out" / "x", workers=8, shards=2, max_bad=2, progress=kill)
    assert all(process.returncode is not None for _, process in begun)
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("raise SystemExit('no such module')", "ended with status 1"),
        ("import time; print('hello', flush=True); time.sleep(60)", "gave an answer that cannot be read"),
    ],
)
def test_a_process_that_cannot_begin_is_said(images, tmp_path, begun, monkeypatch, command, message):
    monkeypatch.setattr(_workers._Process, "_COMMAND", command)
    monkeypatch.setattr(_workers, "_SECONDS_TO_END", 1)
    with pytest.raises(EngineError, match=message):
        dali_rec.pack(images, tmp_path / "out" / "x", workers=8, max_bad=2)
    assert all(process.returncode is not None for _, process in begun)
    assert contents(tmp_path / "out") == {}


def test_a_process_that_ends_before_it_is_told_anything_leaves_no_pipe(images, tmp_path, begun, monkeypatch):
    ended = []

    class Ended(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.wait()
            ended.append(self)

    monkeypatch.setattr(subprocess, "Popen", Ended)
    monkeypatch.setattr(_workers._Process, "_COMMAND", "raise SystemExit(3)")
    with pytest.raises(EngineError, match="ended with status 3"):
        dali_rec.pack(images, tmp_path / "out" / "x", workers=8, max_bad=2)
    assert [(process.stdin.closed, process.stdout.closed) for process in ended] == [(True, True)]


@pytest.mark.parametrize(("threads", "turns"), [(5, [3, 2]), (7, [4, 3]), (8, [4, 4])])
def test_a_process_gets_work_as_it_has_threads(threads, turns, begun):
    made = workers.begin_packing(PackOptions(workers=threads), 8, stay_here=False)
    asked = [made.begin((Origin("nowhere"), ["a"])) for _ in range(2 * threads)]
    for one in asked:
        assert [str(ready.outcome) for ready in one.result()] == [f"no such file: {Path('nowhere', 'a')}"]
    made.close()
    assert sorted((asked.count(one) // 2 for one in set(asked)), reverse=True) == turns
    assert [count for count, _ in begun] == turns


def test_a_frozen_program_has_no_python_to_begin(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert _workers.process_count(64, 9) == 1


@pytest.fixture(scope="module")
def long_list(tmp_path_factory):
    """Enough images for processes: one, many times."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "a.jpg").write_bytes(jpeg(3, (900, 700), quality=95))
    (folder / "x.lst").write_text("".join(f"{number}\t0\ta.jpg\n" for number in range(4000)))
    return folder / "x.lst"


def children(pid):
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == pid and state != "Z":
                    found.append(int(folder.name))
    return found


def is_gone(pid):
    with contextlib.suppress(OSError):
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) == "Z"
    return True


@linux_only
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_processes_end_with_the_one_that_packs(long_list, tmp_path, how):
    command = [sys.executable, "-m", "dali_rec", "pack", str(long_list), str(tmp_path / "out" / "x")]
    with subprocess.Popen(
        [*command, "--workers", "8", "--resize", "100"], stderr=subprocess.PIPE, text=True
    ) as packing:
        wait_for(lambda: len(children(packing.pid)) == 2)
        wait_for(lambda: list((tmp_path / "out").glob("*.packing/*.partial")))
        helpers = children(packing.pid)
        os.kill(packing.pid, signal.Signals[how])
        _, said = packing.communicate(timeout=30)
    assert packing.returncode != 0
    wait_for(lambda: all(is_gone(pid) for pid in helpers))
    assert "Traceback" not in said, said
    assert not (tmp_path / "out" / "x.rec").exists()


def test_processes_end_with_the_one_that_is_killed(tmp_path):
    code = f"""
import sys, time
from dali_rec._workers import begin_workers
from dali_rec.im2rec.database import DatabaseOptions, Encoding, Row
workers = begin_workers(Encoding(DatabaseOptions(pass_through=True)), 8, 2)
row = Row(0, (0.0,), {str(tmp_path / "x.jpg")!r})
for pending in [workers.begin([row]) for _ in range(4)]:
    pending.result()
print("working", flush=True)
while True:
    workers.begin([row]).result()
"""
    (tmp_path / "x.jpg").write_bytes(jpeg())
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as working:
        assert working.stdout.read(7) == b"working"
        working.kill()
        _, said = working.communicate(timeout=60)  # which ends when all have ended that can write to it
    assert working.returncode == KILLED
    assert said == b""


def test_a_script_needs_no_guard_around_its_main_part(long_list, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, dali_rec\nprint('once')\nprint(dali_rec.pack(*sys.argv[1:], workers=8, trust=True).records)\n"
    )
    command = [sys.executable, str(script), str(long_list), str(tmp_path / "out" / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once", "4000"]


def test_images_behind_urls_stay_with_this_process(begun):
    made = workers.begin_packing(PackOptions(workers=8), 10**6, stay_here=True)
    made.close()
    assert isinstance(made, _workers.Threads)
    assert begun == []


class BrokenPipe(io.RawIOBase):
    """A pipe whose other end is gone, as Windows has it."""

    def writable(self):
        return True

    def write(self, _data):
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_pipe_of_windows_whose_process_is_gone_is_said(begun):
    made = workers.begin_packing(PackOptions(workers=8), 8, stay_here=False)
    for process in made._processes:
        process._process.kill()
        process._requests.close()
        process._requests = io.BufferedWriter(BrokenPipe())
    with pytest.raises(EngineError, match="a process that worked for this one"):
        made.begin((Origin("nowhere"), ["a"]))
    made.close()
    assert all(process.returncode is not None for _, process in begun)


@pytest.mark.parametrize(("status", "shown"), [(0, "0"), (1, "1"), (255, "255"), (3221225477, "0xC0000005")])
def test_a_status_of_windows_is_shown_as_it_is_known(status, shown):
    assert _workers._shown_status(status) == shown
