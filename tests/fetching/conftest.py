"""A data set in a folder, a web server of that folder, and an empty folder."""

import pytest
from fetched import Web
from support import make_class_folder

import dali_rec
from dali_rec.fetching import download
from dali_rec.sources import remote, remote_file


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
