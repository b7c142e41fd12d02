import json

import pytest
from support import jpeg

from dali_rec.errors import SourceError
from dali_rec.sources import open_source


@pytest.fixture
def write(tmp_path):
    def write(content):
        for number in range(4):
            (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
        (tmp_path / "x.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / "x.json"

    return write


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": ["0.jpg"], "val": ["1.jpg"], "Test": ["2.jpg"]}, "lists are of splits.* location, label and split"),
        ({"file": ["0.jpg", "1.jpg"], "label": ["cat", "dog"]}, "look like columns.* list of rows"),
        ({"0.jpg": ["cat"], "1.jpg": ["dog"]}, "'label' is a list"),
        ('{"cat": ["0.jpg"], "cat": ["1.jpg"], "dog": ["2.jpg"]}', "'cat' stands 2 times"),
        ('{"0.jpg": "cat", "0.jpg": "dog"}', "'0.jpg' stands 2 times"),
    ],
)
def test_objects_that_look_like_paths_by_class_and_are_none_are_refused(write, content, message):
    with pytest.raises(SourceError, match=message):
        open_source(write(content))


def test_class_without_images_keeps_its_number(write):
    source = open_source(write({"ant": [], "cat": ["0.jpg"], "dog": ["1.jpg"]}))
    assert source.classes == ("ant", "cat", "dog")
    assert [sample.labels for sample in source.samples] == [(1.0,), (2.0,)]
