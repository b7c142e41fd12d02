"""``fetch``: from an S3 server and a web server on loopback, from memory, and from a path."""

import contextlib
import email.utils
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from kills import wait_for
from support import DATA, make_class_folder, peak_memory

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import DatasetError, DatasetNotFoundError, MissingDependencyError, OutputExistsError
from dali_rec.fetching import download, run, target
from dali_rec.packing import pack_insightface
from dali_rec.packing.store import LocalStore
from dali_rec.sources import remote, remote_file

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
LONG_AGO = 1_500_000_000


class Web:
    """A web server of a folder. It counts the bytes of each file, and can be made to fail in several ways."""

    def __init__(self, folder):
        self.folder, self.ranges, self.seconds, self.sent = Path(folder), True, 0.0, {}
        self.requests, self.is_dated, self.is_sized = [], True, True
        self.cut, self.spoil, self.status, self.before = None, None, {}, lambda name: None
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                web.serve(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # clients that are killed

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, request):
        name = request.path.partition("?")[0].lstrip("/")
        path = self.folder / name
        self.requests.append(name)
        self.before(name)
        if name in self.status or not path.is_file():
            request.send_response(self.status.get(name, 404))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        whole = data = path.read_bytes()
        if self.ranges and "Range" in request.headers:
            start, end = (int(number) for number in request.headers["Range"].removeprefix("bytes=").split("-"))
            data = whole[start : end + 1]
            request.send_response(206 if data else 416)
            request.send_header(
                "Content-Range", f"bytes {start}-{end}/{len(whole)}" if data else f"bytes */{len(whole)}"
            )
        else:
            request.send_response(200)
        if self.is_sized:
            request.send_header("Content-Length", str(len(data)))
        if self.is_dated:
            request.send_header("Last-Modified", email.utils.formatdate(path.stat().st_mtime, usegmt=True))
        request.end_headers()
        length = len(data)
        if self.cut == name and length > 1:
            self.cut, length = None, length // 2
        if self.spoil == name and length > 1:
            data = bytes(len(data))
        for at in range(0, length, 4096):
            time.sleep(self.seconds)
            self.sent[name] = self.sent.get(name, 0) + min(4096, length - at)
            request.wfile.write(data[at : min(at + 4096, length)])
        request.close_connection = length < len(data) or not self.is_sized

    @property
    def sent_of_recs(self):
        return sum(count for name, count in self.sent.items() if name.endswith(".rec"))


@pytest.fixture
def there(tmp_path):
    """A folder with the data set ``x``: 40 records in 4 shards."""
    photos = make_class_folder(tmp_path / "photos", {"ant": 20, "bee": 20}, (120, 90))
    dali_rec.pack(photos, tmp_path / "there" / "x", shards=4)
    return tmp_path / "there"


@pytest.fixture
def here(tmp_path):
    """An empty folder."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def web(there):
    web = Web(there)
    yield web
    web.server.shutdown()
    web.server.server_close()
    remote.filesystem_for.cache_clear()


@pytest.fixture(autouse=True)
def pieces(monkeypatch):
    """Small pieces, so that small files have several."""
    monkeypatch.setattr(download, "PIECE", 4096)
    monkeypatch.setattr(remote_file, "_RETRIES", 1)


def contents(folder):
    """The files of a folder but for the record of what was fetched."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".fetched"}


def size_of_recs(folder):
    return sum(path.stat().st_size for path in folder.glob("*.rec"))


def repack(there, count):
    """Another data set of the same name."""
    photos = make_class_folder(there.parent / f"photos-{count}", {"ant": count, "cow": count}, (120, 90))
    dali_rec.pack(photos, there / "x", shards=4, overwrite=True)


def test_from_s3_as_it_was_packed(here, there, tmp_path, bucket):
    dali_rec.pack(tmp_path / "photos", f"s3://{bucket}/sets/x", shards=4)
    dataset = dali_rec.fetch(f"s3://{bucket}/sets/x", here)
    assert (len(dataset), dataset.classes) == (40, ("ant", "bee"))
    assert contents(here) == contents(there)
    assert dali_rec.verify(here / "x").faults == ()


def test_from_memory_changed_and_appended(here, there, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.put(f"{there}/", "memory://changed/", recursive=True)
    dali_rec.fetch("memory://changed/x", here)
    before = set(contents(here))
    dali_rec.pack(make_class_folder(tmp_path / "more", {"cow": 5}), "memory://changed/x", append=True)
    seen = []
    dataset = dali_rec.fetch("memory://changed/x.json", here, progress=lambda *one: seen.append(one))
    assert (len(dataset), dataset.classes) == (45, ("ant", "bee", "cow"))
    assert contents(here).keys() - before == {"x-append1.rec", "x-append1.idx"}
    new = sum((here / name).stat().st_size for name in ("x-append1.rec", "x-append1.idx", "x.lst"))
    assert seen[-1] == (new, new)
    memory.rm("memory://changed", recursive=True)


@pytest.mark.parametrize("ranges", [True, False])
def test_from_a_web_server_with_ranges_and_without(web, here, there, ranges):
    web.ranges = ranges
    dali_rec.fetch(f"{web.url}/x?token=1/2", here)
    assert contents(here) == contents(there)


@pytest.mark.parametrize("ranges", [True, False])
def test_transfer_that_is_cut_goes_on(web, here, there, ranges):
    web.ranges, web.cut = ranges, "x-00001-of-00004.rec"
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.cut is None
    assert contents(here) == contents(there)


def test_what_is_here_costs_no_more_than_the_manifest(web, here, monkeypatch):
    dali_rec.fetch(f"{web.url}/x", here)
    web.sent.clear()
    monkeypatch.setattr(target, "hash_file", pytest.fail)
    monkeypatch.setattr(run, "locked", pytest.fail)
    web.requests.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.requests == ["x.json"]


def test_copy_made_by_other_means_is_taken_by_its_checksums(web, here, there):
    shutil.copytree(there, here, copy_function=shutil.copyfile, dirs_exist_ok=True)
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.sent_of_recs <= 4  # looked up
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.sent.keys() == {"x.json"}


@pytest.mark.parametrize("damage", ["removed", "same size", "cut"])
@pytest.mark.parametrize("name", ["x-00002-of-00004.rec", "x-00002-of-00004.idx"])
def test_file_that_is_not_whole_here_is_fetched_again_alone(web, here, there, name, damage):
    dali_rec.fetch(f"{web.url}/x", here)
    path = here / name
    data = path.read_bytes()
    path.unlink()
    if damage != "removed":
        path.write_bytes(bytes(len(data)) if damage == "same size" else data[:100])
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)
    assert web.sent.keys() == {"x.json", name}


def test_changed_data_set_replaces_the_old_one(web, here, there, tmp_path):
    dali_rec.fetch(f"{web.url}/x", here)
    photos = make_class_folder(tmp_path / "others", {"cow": 9})
    dali_rec.pack(photos, there / "x", shards=2, overwrite=True)
    assert dali_rec.fetch(f"{web.url}/x", here).classes == ("cow",)
    assert contents(here) == contents(there)


@pytest.mark.parametrize("shards", [None, 4])
def test_data_set_that_is_repaired_there_is_repaired_here(web, here, there, tmp_path, shards):
    bad = tmp_path / "photos" / "ant" / "ant_003.jpg"
    bad.write_bytes(bad.read_bytes()[:-300])
    dali_rec.pack(tmp_path / "photos", there / "x", shards=shards, trust=True, overwrite=True)
    assert len(dali_rec.fetch(f"{web.url}/x", here)) == 40
    web.sent.clear()
    dali_rec.repair(dali_rec.verify(there / "x"))
    assert len(dali_rec.fetch(f"{web.url}/x", here)) == 39
    assert contents(here) == contents(there)
    fetched = {name: count for name, count in web.sent.items() if count > 1}
    assert len([name for name in fetched if name.endswith(".idx")]) == 1
    assert not [name for name in fetched if name.endswith(".rec")]


def test_other_name_here(web, here):
    dataset = dali_rec.fetch(f"{web.url}/x", here / "train")
    assert len(dataset) == 40
    names = {path.name for path in (here).iterdir()}
    assert {"train.json", "train.lst", "train-00003-of-00004.rec"} < names
    assert all(name.startswith("train") for name in names)
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here / "train")
    assert web.sent.keys() == {"x.json"}


FETCH_IN_A_FORK = """
import os, pathlib, sys
import dali_rec
url, folder = sys.argv[1:]
dali_rec.fetch(url, folder)
pathlib.Path(folder, "x-00001-of-00004.rec").unlink()
child = os.fork()
dali_rec.fetch(url, folder) if not child else sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_fetches_too(web, here, there):
    command = [sys.executable, "-c", FETCH_IN_A_FORK, f"{web.url}/x", str(here)]
    subprocess.run(command, check=True, timeout=60)
    assert contents(here) == contents(there)


def test_name_with_characters_that_urls_escape(web, here, there, tmp_path):
    dali_rec.pack(tmp_path / "photos", there / "a b#1%", shards=2)
    web.folder = tmp_path / "quoted"
    web.folder.mkdir()
    for path in there.glob("a b*"):
        path.rename(web.folder / path.name.replace("%", "%25").replace(" ", "%20").replace("#", "%23"))
    assert len(dali_rec.fetch(f"{web.url}/a%20b%231%25", here)) == 40
    assert (here / "a b#1%.json").exists()


def test_data_set_of_mxnet_without_a_manifest(web, here, capsys):
    web.folder = DATA
    names = {"single.rec", "single.idx"}
    assert len(dali_rec.fetch(f"{web.url}/single.rec", here)) == len(dali_rec.open(DATA / "single"))
    assert contents(here) == {name: (DATA / name).read_bytes() for name in names}
    web.sent.clear()
    assert main(["fetch", f"{web.url}/single", str(here)]) == 0
    assert web.sent == dict.fromkeys(names, 1)  # looked up
    assert re.fullmatch(r"[0-9]+ records: .*/single\.rec\n", capsys.readouterr().out)


def test_changed_data_set_without_a_manifest_replaces_the_old_one(web, here, tmp_path):
    web.folder = tmp_path / "there"
    for name in ("single", "multi"):
        for suffix in (".rec", ".idx"):
            shutil.copyfile(DATA / f"{name}{suffix}", web.folder / f"y{suffix}")
        if name == "single":
            dali_rec.fetch(f"{web.url}/y", here)
    dali_rec.fetch(f"{web.url}/y", here)
    assert (here / "y.rec").read_bytes() == (DATA / "multi.rec").read_bytes()


def test_path_is_a_source_too(here, there, capsys):
    assert main(["fetch", str(there / "x"), f"{here}/"]) == 0
    captured = capsys.readouterr()
    assert re.fullmatch(rf"40 records in 2 classes in 4 shards, [0-9.]+ kB: {here}/x\.json\n", captured.out)
    assert contents(here) == contents(there)


@pytest.mark.parametrize("has_manifest", [True, False])
def test_property_of_a_face_set_says_how_many_classes(web, here, there, tmp_path, has_manifest):
    pack_insightface(tmp_path / "photos", there / "faces")
    (there / "property").write_text("85742,112,112")
    if not has_manifest:
        (there / "faces.json").unlink()
    # Names come before the property.
    assert dali_rec.fetch(f"{web.url}/faces", here).num_classes == (2 if has_manifest else 85742)
    assert (here / "property").read_text() == "85742,112,112"
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/faces", here)
    assert sum(count for name, count in web.sent.items() if name != "faces.json") <= 4  # looked up


def test_second_face_set_does_not_change_the_property_of_the_first(here, there, tmp_path):
    for name in ("a", "b"):
        pack_insightface(tmp_path / "photos", there / name / name)
    dali_rec.fetch(there / "a" / "a", here)
    (there / "b" / "property").write_text("85742,112,112")
    with pytest.raises(OutputExistsError, match="property is here already"):
        dali_rec.fetch(there / "b" / "b", here)
    assert (here / "property").read_text() == (there / "a" / "property").read_text()


def test_server_without_times_is_known_again_by_sizes(web, here):
    web.is_dated, web.folder = False, DATA
    dali_rec.fetch(f"{web.url}/single", here)
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/single", here)
    assert web.sent == {"single.rec": 1, "single.idx": 1}  # looked up


def test_index_that_the_source_has_not_may_be_made_here(web, here, there):
    for path in there.glob("*.idx"):
        path.unlink()
    dali_rec.fetch(f"{web.url}/x", here)
    assert main(["index", *map(str, here.glob("*.rec"))]) == 0
    before = contents(here)
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.sent.keys() == {"x.json"}
    assert contents(here) == before


# Killed, several at once, damaged.


def begin(url, out):
    small = "download.PIECE = 4096; download.CONNECTIONS = 2"
    # A shell lets what it runs in the background ignore interruptions.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    imports = "from dali_rec import fetch; from dali_rec.fetching import download"
    code = f"{heard}; {imports}; {small}; fetch({url!r}, {str(out)!r})"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("ranges", [True, False])
def test_fetch_that_is_killed_goes_on(web, here, there, ranges):
    web.ranges, web.seconds = ranges, 0.02
    process = begin(f"{web.url}/x", here)
    while size_of_recs(here / "x.fetching") < size_of_recs(there) // 4:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
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


def test_interruption_does_not_wait_for_a_slow_server(web, here):
    process = begin(f"{web.url}/x", here)
    while not web.sent_of_recs:
        time.sleep(0.01)
        assert process.poll() is None
    web.seconds = 300
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=100)[1]


def test_processes_at_once_fetch_it_once(web, here, there):
    web.seconds = 1
    processes = [begin(f"{web.url}/x", here)]
    wait_for(lambda: web.sent_of_recs)
    processes += [begin(f"{web.url}/x", here) for _ in range(3)]
    for process in processes[1:]:
        assert "waiting for another process" in process.stderr.readline()
    web.seconds = 0
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert contents(here) == contents(there)
    assert web.sent_of_recs == size_of_recs(there) + 4  # each was looked up once


class KilledError(BaseException):
    pass


def fetch_killed_at(step, url, out):
    """Fetch, and die before the file operation of this number. Gives whether it came to that."""
    count = [0]

    def counted(function):
        def call(*arguments, **options):
            count[0] += 1
            if count[0] == step:
                raise KilledError
            return function(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink", "rmdir", "mkdir"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        try:
            dali_rec.fetch(url, out)
        except KilledError:
            return True
    return False


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
        with contextlib.suppress(DatasetNotFoundError, DatasetError):
            found = dali_rec.open(here / "x")
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
        with pytest.raises(DatasetError, match=r"interrupted.* run 'dali-rec fetch' to .*/here/x again"):
            action()


def test_half_fetched_folder_is_no_class(there, tmp_path):
    photos = tmp_path / "photos"
    steps = iter(range(1, 99))
    while not (photos / "x.fetching" / "job.json").exists():
        assert fetch_killed_at(next(steps), there / "x", photos)
    dali_rec.pack(photos, tmp_path / "again")
    assert dali_rec.open(tmp_path / "again").classes == ("ant", "bee")


def test_damage_on_the_way_is_noticed_and_only_that_file_fetched_again(web, here, there):
    web.spoil = "x-00002-of-00004.rec"
    with pytest.raises(DatasetError, match=r"x-00002-of-00004\.rec: what came has another checksum than the manifest"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert [path.name for path in (here).iterdir()] == ["x.fetching"]
    web.spoil = None
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)
    assert "x-00000-of-00004.rec" not in {name for name, count in web.sent.items() if count > 1}


def test_index_of_which_a_part_came_is_fetched_from_its_beginning(web, here, there):
    web.spoil = "x-00002-of-00004.rec"
    with pytest.raises(DatasetError):
        dali_rec.fetch(f"{web.url}/x", here)
    web.spoil = None
    staged = here / "x.fetching" / "x-00000-of-00004.idx"
    staged.write_bytes(staged.read_bytes()[:40].replace(b"0", b"9"))  # the index is another there by now
    (there / "x.lst").unlink()
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)


def test_data_set_that_is_just_being_replaced_there_is_not_fetched(web, here, there, tmp_path, monkeypatch):
    dali_rec.pack(tmp_path / "photos", there / "y")
    dali_rec.fetch(f"{web.url}/y", here)
    before = contents(here)
    move = LocalStore.move

    def killed_at_the_list(store, name, to):
        if to == "y.lst":
            raise KilledError
        move(store, name, to)

    monkeypatch.setattr(LocalStore, "move", killed_at_the_list)
    with pytest.raises(KilledError):
        dali_rec.pack(make_class_folder(tmp_path / "others", {"cow": 9}), there / "y", overwrite=True)
    assert (there / "y.rec").exists()
    assert not (there / "y.json").exists()
    for out in (here, here / "z"):
        with pytest.raises(DatasetError, match=r"/y: a run was interrupted, or is still busy, .*'dali-rec pack --resu"):
            dali_rec.fetch(f"{web.url}/y", out)
    assert contents(here) == before


def test_change_while_it_is_fetched_is_said(web, here, there):
    for path in there.iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO))

    def change(name):
        if name == "x-00003-of-00004.rec":
            web.before = lambda _: None
            repack(there, 15)

    web.before = change
    with pytest.raises(DatasetError, match=r"/x was changed while it was fetched|cut short or replaced there"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert not list((here).glob("*.*c"))
    assert len(dali_rec.fetch(f"{web.url}/x", here)) == 30
    assert contents(here) == contents(there)


def test_change_of_a_data_set_without_a_manifest_is_said(web, here, tmp_path):
    web.folder = tmp_path / "there"
    for name in ("single.rec", "single.idx"):
        shutil.copyfile(DATA / name, web.folder / name)
        os.utime(web.folder / name, (LONG_AGO, LONG_AGO))

    def change(name):
        if web.sent.get("single.idx", 0) > 10:
            os.utime(web.folder / "single.rec")

    web.before = change
    with pytest.raises(DatasetError, match=r"/single was changed while it was fetched"):
        dali_rec.fetch(f"{web.url}/single", here)


# Refused.


def test_another_data_set_is_not_replaced_unasked(web, here, there, tmp_path):
    dali_rec.pack(tmp_path / "photos", here / "x", resize=16, shards=4)
    before = contents(here)
    with pytest.raises(OutputExistsError, match=r"x\.json is here already"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == before
    dali_rec.fetch(f"{web.url}/x", here, overwrite=True)
    assert contents(here) == contents(there)


def test_data_set_of_this_name_from_elsewhere_is_not_replaced_unasked(here, there, tmp_path):
    dali_rec.fetch(there / "x", here)
    before = contents(here)
    dali_rec.pack(make_class_folder(tmp_path / "others", {"cow": 9}), tmp_path / "elsewhere" / "x")
    with pytest.raises(OutputExistsError, match=r"x\.json is here already, and is not what was fetched from .*/elsew"):
        dali_rec.fetch(tmp_path / "elsewhere" / "x", here)
    assert contents(here) == before


def test_what_was_appended_here_is_not_replaced_unasked(here, there, tmp_path):
    dali_rec.fetch(there / "x", here)
    dali_rec.pack(make_class_folder(tmp_path / "more", {"cow": 5}), here / "x", append=True)
    with pytest.raises(OutputExistsError, match=r"x\.json is here already"):
        dali_rec.fetch(there / "x", here)
    assert len(dali_rec.open(here / "x")) == 45


def test_folder_of_somebody_else_is_left_alone(here, there):
    (here / "x.fetching").mkdir()
    (here / "x.fetching" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"x\.fetching is needed as a work folder but holds other files"):
        dali_rec.fetch(there / "x", here)
    assert (here / "x.fetching" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["../x.rec", "a/x.rec", "..\\x.rec", "x.sh"])
def test_manifest_that_names_files_elsewhere_is_refused(web, here, there, name):
    manifest = json.loads((there / "x.json").read_text())
    manifest["shards"][1]["rec"] = name
    (there / "x.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"x\.json: it names .* which is no \.rec beside it"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert list(here.iterdir()) == []


def test_nothing_there_is_one_line(web, here, capsys):
    assert main(["fetch", f"{web.url}/nothing", str(here)]) == 1
    wanted = f"dali-rec: {web.url}/nothing: no data set there: neither nothing.json nor nothing.rec exists\n"
    assert capsys.readouterr().err == wanted


def test_shard_that_is_not_there_is_named(web, here, there):
    (there / "x-00001-of-00004.rec").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"x-00001-of-00004\.rec: not found, and the manifest names it"):
        dali_rec.fetch(f"{web.url}/x", here)


def test_no_permission_is_said(web, here):
    web.status = {"x.json": 403, "x.rec": 403}
    with pytest.raises(PermissionError, match=r"/x\.rec: no permission to read it"):
        dali_rec.fetch(f"{web.url}/x", here)


def test_server_in_trouble_is_said(web, here):
    web.status = {"x.json": 503}
    with pytest.raises(OSError, match=r"/x\.json: HTTP status 503 \(2 tries\)"):
        dali_rec.fetch(f"{web.url}/x", here)


def test_server_that_gives_no_lengths_is_said_at_once(web, here):
    web.ranges, web.is_sized = False, False
    with pytest.raises(DatasetError, match=r"/x-?[^ ]*: the server does not say how long it is"):
        dali_rec.fetch(f"{web.url}/x", here)
    assert len(web.requests) == len(set(web.requests)) + 1  # of the manifest


def test_bucket_that_is_not_there(here, bucket):
    with pytest.raises(DatasetNotFoundError, match="s3://none-of-that-name/x: no data set there"):
        dali_rec.fetch("s3://none-of-that-name/x", here)


def test_missing_package_is_named(here, monkeypatch):
    remote.filesystem_for.cache_clear()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dali-rec\[gcs\]'"):
        dali_rec.fetch("gs://bucket/x", here)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "https://host"])
def test_url_without_a_name_is_refused(here, url):
    with pytest.raises(DatasetNotFoundError, match="name the data set in it, such as"):
        dali_rec.fetch(url, here)


def test_no_room_is_said_before_anything_comes(web, here, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert main(["fetch", f"{web.url}/x", str(here)]) == 1
    said = re.escape(f"dali-rec: {here}/x: it needs ") + r"[0-9.]+ kB, and 1 kB are free there; "
    assert re.match(said, capsys.readouterr().err)


@pytest.mark.parametrize("ranges", [True, False])
def test_disk_that_gets_full_is_said_and_the_rest_comes_later(web, here, there, monkeypatch, ranges):
    web.ranges = ranges
    fsync, count = os.fsync, [0]

    def full(descriptor):
        count[0] += 1
        if count[0] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        dali_rec.fetch(f"{web.url}/x", here)
    assert Path(caught.value.filename).parent == here / "x.fetching"
    dali_rec.fetch(f"{web.url}/x", here)
    assert contents(here) == contents(there)


def test_disk_that_is_full_before_the_manifest_is_said_with_its_name(here, there, monkeypatch, capsys):
    fsync = os.fsync

    def full(descriptor):
        if "/x.json" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert main(["fetch", str(there / "x"), str(here)]) == 1
    assert f"dali-rec: {here}/x.fetching/x.json: No space left on device; " in capsys.readouterr().err
    monkeypatch.undo()
    dali_rec.fetch(there / "x", here)
    assert contents(here) == contents(there)


def test_memory_is_bounded(here, tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(bytes(500 << 20), 0.0, 0)
    code = f"import dali_rec\nprint(peak())\ndali_rec.fetch({str(tmp_path / 'x')!r}, {str(here)!r})"
    before, after = peak_memory(code)
    assert after - int(before) < 300_000
