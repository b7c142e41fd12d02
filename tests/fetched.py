"""What tests of ``fetch`` share: a web server, what has come, and fetches that are killed."""

import email.utils
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import dali_rec


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


def contents(folder):
    """The files of a folder but for the record of what was fetched."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".fetched"}


def size_of_recs(folder):
    return sum(path.stat().st_size for path in folder.glob("*.rec"))


def begin(url, out):
    small = "download.PIECE = 4096; download.CONNECTIONS = 2"
    # A shell lets what it runs in the background ignore interruptions.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    imports = "from dali_rec import fetch; from dali_rec.fetching import download"
    code = f"{heard}; {imports}; {small}; fetch({url!r}, {str(out)!r})"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


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
