"""The code on docs/from-mxnet.md about InsightFace runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
from support import make_class_folder

import dali_rec
from dali_rec.images import decode_image
from dali_rec.packing import pack_insightface

PAGE = (Path(__file__).parents[1] / "docs" / "from-mxnet.md").read_text("utf-8")
INSIGHTFACE = PAGE[PAGE.index("\n## InsightFace") :].split("\n## ")[1]
PROGRAMS = re.findall(r"```python\n(.*?)```", INSIGHTFACE, re.DOTALL)


@pytest.fixture
def faces(tmp_path, monkeypatch):
    make_class_folder(tmp_path / "people", {"a": 90, "b": 90, "c": 90}, (112, 112))
    pack_insightface(tmp_path / "people", tmp_path / "faces" / "train")
    monkeypatch.chdir(tmp_path)


def test_face_set_is_opened(faces, capsys):
    names = {}
    exec(PROGRAMS[0], names)
    assert capsys.readouterr().out == "270 3\n"
    assert np.stack([names["first"], names["end"]]).tolist() == [[1, 91, 181], [91, 181, 271]]


def test_loader_stands_where_dali_data_iter_stood(faces, capsys):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    torch = pytest.importorskip("torch")
    names = {}
    exec(PROGRAMS[1], names)
    assert capsys.readouterr().out == "2\n"
    images, labels, loader = names["images"], names["labels"], names["train_loader"]
    assert (images.dtype, tuple(images.shape)) == (torch.float32, (128, 3, 112, 112))
    assert (labels.dtype, tuple(labels.shape), set(labels.tolist())) == (torch.int64, (128,), {0, 1, 2})
    assert len(list(loader)) == 2  # after reset, and after an epoch, there is another

    # Every image is x / 127.5 - 1 of one in the file, of its class, mirrored in about half of the cases.
    files = {}
    for record in dali_rec.open("faces/train"):
        pixels = decode_image(record.image).transpose(2, 0, 1) / 127.5 - 1
        files.setdefault(int(record.labels[0]), []).extend([pixels, pixels[:, :, ::-1]])
    mirrored = 0
    for image, label in zip(images[:20].numpy(), labels[:20].tolist(), strict=True):
        distances = [np.abs(image - pixels).mean() for pixels in files[label]]
        assert min(distances) < 0.02
        mirrored += int(np.argmin(distances)) % 2
    assert 2 <= mirrored <= 18
