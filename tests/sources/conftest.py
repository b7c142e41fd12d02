"""What the tests of sources share."""

import pytest

from dali_rec.sources import open_file


@pytest.fixture
def opened(monkeypatch):
    """The files that are opened to read images out of them, once each time."""
    found = []
    open_regular = open_file.open_regular
    monkeypatch.setattr(open_file, "open_regular", lambda path: found.append(path) or open_regular(path))
    return found
