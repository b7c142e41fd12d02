import dataclasses
import re
from pathlib import Path

import pytest

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec.compat.mxnet.io.parameters import ImageRecordParameters
from dali_rec.demo import write_images

PAGE = (Path(__file__).parents[3] / "docs" / "from-mxnet.md").read_text()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ImageRecordParameters)])
def test_every_parameter_is_on_the_page(name):
    assert f"`{name}`" in PAGE


def test_the_example_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", per_class=9)
    dali_rec.pack(tmp_path / "photos", tmp_path / "data" / "train")
    program = next(one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "ImageRecordIter" in one)
    names = {}
    exec(program.replace("range(90)", "range(2)"), names)
    assert names["images"].shape == (64, 3, 224, 224)
    assert set(names["labels"].tolist()) <= set(range(8))
    assert names["mx"] is mx
