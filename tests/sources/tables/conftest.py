"""What the tests of tables share."""

import pytest
from support import jpeg


@pytest.fixture
def table(tmp_path):
    """Write a table beside three images, 1.jpg, 2.jpg and 'a, b.jpg'; returns its path."""

    def write(name, text):
        for number, image in enumerate(("1.jpg", "2.jpg", "a, b.jpg")):
            (tmp_path / image).write_bytes(jpeg(number))
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / name

    return write
