import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from kills import wait_for
from support import jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.errors import ImageRejectedError, MissingDependencyError, SourceError
from dali_rec.sources.remote import FetchOptions, check_protocols, fetch, is_url, shown

IMAGE = jpeg(1, (60, 40))


class Handler(BaseHTTPRequestHandler):
    """Serves an image well, and in every way badly."""

    seen: ClassVar[Counter] = Counter()
    goes_on = threading.Event()

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.seen[path] += 1
        getattr(self, "serve_" + path.strip("/").partition("/")[0])()

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def serve_good(self):
        self.answer(200, IMAGE)

    def serve_redirect(self):
        self.answer(302, Location="/good")

    def serve_loop(self):
        self.answer(302, Location="/loop")

    def serve_missing(self):
        self.answer(404, b"no such thing")

    def serve_forbidden(self):
        self.answer(403)

    def serve_broken(self):
        self.answer(500)

    def serve_flaky(self):
        if self.seen[self.path] <= 2:
            self.answer(500)
        else:
            self.answer(200, IMAGE)

    def serve_busy(self):
        if self.seen[self.path] == 1:
            self.answer(503, Retry_After=1)
        else:
            self.answer(200, IMAGE)

    def serve_html(self):
        self.answer(200, b"<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")

    def serve_cut(self):
        self.answer(200, IMAGE[:300], Content_Length=len(IMAGE))
        self.close_connection = True

    def serve_slow(self):
        time.sleep(1.2)
        self.answer(200, IMAGE)

    def serve_wait(self):
        time.sleep(0.3)
        self.answer(200, IMAGE)

    def serve_still(self):
        self.goes_on.wait(60)
        self.answer(500)

    def serve_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(1000):
                self.wfile.write(b"x" * 65536)
        except OSError:
            pass  # the reader has had enough
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def forget():
    Handler.seen.clear()


QUICK = FetchOptions(timeout=5, retries=0)


@pytest.mark.parametrize("path", ["good", "redirect"])
def test_image_is_fetched(server, path):
    assert fetch(f"{server}/{path}", QUICK) == IMAGE


@pytest.mark.parametrize("path", ["flaky", "busy"])
def test_what_passes_is_tried_again(server, path):
    began = time.monotonic()
    assert fetch(f"{server}/{path}", FetchOptions(timeout=5, retries=3)) == IMAGE
    assert time.monotonic() - began >= 0.9  # back-off, or what the server asked for


@pytest.mark.parametrize(
    ("path", "reason", "tries"),
    [
        ("missing", "HTTP status 404", 1),
        ("forbidden", "HTTP status 403", 1),
        ("broken", r"HTTP status 500 \(2 tries\)", 2),
    ],
)
def test_failure_is_said_and_tried_again_only_if_that_helps(server, path, reason, tries):
    with pytest.raises(ImageRejectedError, match=f"/{path}: {reason}"):
        fetch(f"{server}/{path}", FetchOptions(timeout=5, retries=1))
    assert Handler.seen[f"/{path}"] == tries


def test_redirects_without_end_are_said(server):
    with pytest.raises(ImageRejectedError, match=r"/loop: redirected again and again$"):
        fetch(f"{server}/loop", FetchOptions(timeout=5, retries=1))


def test_transfer_that_is_cut_off_is_noticed(server):
    with pytest.raises(ImageRejectedError, match="/cut: the transfer was cut off"):
        fetch(f"{server}/cut", QUICK)


def test_slow_server_times_out(server):
    began = time.monotonic()
    with pytest.raises(ImageRejectedError, match="slow: timed out"):
        fetch(f"{server}/slow", FetchOptions(timeout=0.4, retries=0))
    assert time.monotonic() - began < 1.1


def test_endless_body_is_cut_at_the_cap(server):
    with pytest.raises(ImageRejectedError, match=r"more than the 1,000,000 bytes of --max-bytes"):
        fetch(f"{server}/endless", FetchOptions(timeout=10, retries=0, max_bytes=1_000_000))


def test_server_that_is_not_there_is_said():
    with pytest.raises(ImageRejectedError, match=r"127\.0\.0\.1:9"):
        fetch("http://127.0.0.1:9/x.jpg", QUICK)


def test_secrets_in_a_url_are_not_shown():
    url = "https://user:password@host.example/a/b.jpg?X-Amz-Signature=secret"
    assert shown(url) == "https://host.example/a/b.jpg"


@pytest.mark.parametrize("address", ["[::1", "host.example:99999999", ""])
def test_malformed_url_is_rejected_at_once_and_without_its_password(address):
    with pytest.raises(ImageRejectedError) as rejected:
        fetch(f"http://user:secret@{address}/x.jpg", FetchOptions())
    assert str(rejected.value) == f"http://{address}/x.jpg: not a valid URL"


def test_malformed_url_rejects_its_image_alone(tmp_path):
    (tmp_path / "1.jpg").write_bytes(IMAGE)
    (tmp_path / "x.csv").write_text("cat,1.jpg\ndog,http://u:p@[::1/x.jpg\n")
    report = dali_rec.pack(tmp_path / "x.csv", tmp_path / "y", max_bad=1)
    assert report.records == 1
    assert [rejection.reason for rejection in report.rejections] == ["http://[::1/x.jpg: not a valid URL"]


def test_list_of_urls_packs_and_failures_are_rejected(server, tmp_path):
    paths = ["good", "missing", "html", "redirect", "flaky", "cut", "forbidden", "good/again"]
    (tmp_path / "x.lst").write_text("".join(f"{key}\t0\t{server}/{path}\n" for key, path in enumerate(paths)))
    report = dali_rec.pack(tmp_path / "x.lst", tmp_path / "y", max_bad=4, fetch=FetchOptions(timeout=5, retries=2))
    records = {record.key: bytes(record.image) for record in dali_rec.open(tmp_path / "y")}
    assert records == dict.fromkeys((0, 3, 4, 7), IMAGE)
    reasons = {rejection.sample.key: rejection.reason for rejection in report.rejections}
    assert reasons.keys() == {1, 2, 5, 6}
    assert "not an image: it begins with b'<!DOCTYPE html>" in reasons[2]
    assert list(dali_rec.open(tmp_path / "y").keys) == [0, 3, 4, 7]


def test_urls_are_packed_where_an_event_loop_runs_as_in_a_notebook(server, tmp_path):
    (tmp_path / "x.lst").write_text(f"0\t0\t{server}/good\n")

    async def cell():
        return dali_rec.pack(tmp_path / "x.lst", tmp_path / "out")

    assert [asyncio.run(cell()).records, dali_rec.open(tmp_path / "out")[0].image] == [1, IMAGE]


def test_images_are_fetched_at_the_same_time_and_stored_in_order(server, tmp_path):
    (tmp_path / "x.csv").write_text("".join(f"{key},{server}/wait/{key}\n" for key in range(24)))
    began = time.monotonic()
    fetching = FetchOptions(connections=12)
    dali_rec.pack(tmp_path / "x.csv", tmp_path / "y", workers=1, fetch=fetching)
    assert time.monotonic() - began < 24 * 0.3 / 3
    assert [record.labels.tolist() for record in dali_rec.open(tmp_path / "y")] == [[float(key)] for key in range(24)]


def test_command_takes_urls(server, tmp_path, capsys):
    (tmp_path / "x.csv").write_text(f"cat,{server}/good\ncat,{server}/endless\n")
    arguments = ["pack", str(tmp_path / "x.csv"), str(tmp_path / "y"), "--max-bad", "1", "--max-bytes", "100000"]
    assert main([*arguments, "--timeout", "5", "--retries", "0", "--connections", "2"]) == 0
    assert "rejected: 1;" in capsys.readouterr().out


def test_other_file_systems_of_fsspec_serve_as_well(tmp_path):
    import fsspec

    with fsspec.open("memory://bucket/a.jpg", "wb") as file:
        file.write(IMAGE)
    (tmp_path / "x.lst").write_text("0\t0\tmemory://bucket/a.jpg\n")
    dali_rec.pack(tmp_path / "x.lst", tmp_path / "y")
    assert bytes(dali_rec.open(tmp_path / "y")[0].image) == IMAGE


def test_file_system_that_is_not_installed_is_said_once_with_the_remedy(monkeypatch):
    import fsspec

    def missing(protocol, **_):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(MissingDependencyError, match=r's3://.*pip install "dali-rec\[s3\]"'):
        check_protocols(["s3://bucket/never-seen.jpg"], FetchOptions(timeout=7))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # FTPFileSystem.__del__ of what failed
def test_file_system_that_needs_more_than_a_url_is_an_error():
    with pytest.raises(SourceError, match=r"ftp:// locations cannot be read: .*'host'.*fetch the files first"):
        check_protocols(["ftp://host.example/a.jpg"], QUICK)


def test_unknown_protocol_is_an_error():
    with pytest.raises(SourceError, match="nowhere://"):
        check_protocols(["a.jpg", "nowhere://x"], QUICK)


LOCATIONS = [("http://x/y", True), ("s3://b/k", True), ("a/b.jpg", False), ("C:/x", False)]


@pytest.mark.parametrize(("location", "url"), LOCATIONS)
def test_urls_are_told_from_paths(location, url):
    assert is_url(location) is url


@pytest.mark.parametrize("option", [{"timeout": 0}, {"retries": -1}, {"connections": 0}, {"max_bytes": 0}])
def test_senseless_options_are_refused(option):
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        FetchOptions(**option)


@pytest.mark.posix  # SIGINT for one process alone
def test_interrupted_packing_does_not_wait_for_a_server_that_stands_still(server, tmp_path):
    (tmp_path / "x.lst").write_text("".join(f"{number}\t0\t{server}/still\n" for number in range(40)))
    command = [sys.executable, "-m", "dali_rec", "pack", str(tmp_path / "x.lst"), str(tmp_path / "out" / "x")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as packing:
        wait_for(lambda: Handler.seen["/still"] and (tmp_path / "out" / "x.packing").exists())
        packing.send_signal(signal.SIGINT)
        _, said = packing.communicate(timeout=25)  # where one try takes 30 seconds
    Handler.goes_on.set()
    assert (packing.returncode, said) == (130, "interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []
