"""The files of images with boxes are read ahead, whatever the annotations are."""

import json
import threading
import warnings

import pytest
from PIL import Image
from support import jpeg

from dali_rec import images
from dali_rec.errors import SourceError
from dali_rec.sources.detection import read_coco, read_voc, read_yolo
from dali_rec.sources.detection import voc as voc_module
from dali_rec.sources.detection import yolo as yolo_module

OBJECT = "<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"


@pytest.fixture(params=["coco", "voc", "yolo", "yolo list"])
def read(request, tmp_path):
    """Reads 100 images with boxes; of COCO and VOC the 30th and all from the 70th on are said to be other images."""

    def size(number, *, wrong):
        return (32, 99) if wrong and (number == 30 or number >= 70) else (40, 32)

    def read(*, wrong=False):
        folder, names = tmp_path / "data", [f"{number:03d}" for number in range(100)]
        place = {"coco": "", "voc": "JPEGImages"}.get(request.param, "images")
        (folder / place).mkdir(parents=True)
        for name in names:
            (folder / place / f"{name}.jpg").write_bytes(jpeg())
        if request.param == "coco":
            entries = [
                {"id": number, "file_name": f"{name}.jpg", "width": wide, "height": high}
                for number, name in enumerate(names)
                for wide, high in [size(number, wrong=wrong)]
            ]
            content = {"images": entries, "annotations": [], "categories": [{"id": 1, "name": "a"}]}
            (folder / "x.json").write_text(json.dumps(content))
            return read_coco(folder / "x.json", folder)
        if request.param == "voc":
            (folder / "Annotations").mkdir()
            for number, name in enumerate(names):
                wide, high = size(number, wrong=wrong)
                head = f"<size><width>{wide}</width><height>{high}</height></size>"
                (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{head}{OBJECT}</annotation>")
            return read_voc(folder)
        (folder / "labels").mkdir()
        for number, name in enumerate(names):
            text = "0 nonsense" if wrong and (number == 30 or number >= 70) else "0 .5 .5 .2 .2"
            (folder / "labels" / f"{name}.txt").write_text(text)
        if request.param == "yolo":
            return read_yolo(folder)
        (folder / "train.txt").write_text("".join(f"images/{name}.jpg\n" for name in names))
        (folder / "data.yaml").write_text("train: train.txt\nnames: [a]\n")
        return read_yolo(folder / "data.yaml")

    read.kind = request.param
    return read


def met(function, parties=4):
    """The function, whose first calls wait until so many are there."""
    meeting, places = threading.Barrier(parties, timeout=30), iter(range(parties))

    def called(*arguments, **options):
        if next(places, None) is not None:
            meeting.wait()
        return function(*arguments, **options)

    return called


def test_several_files_are_read_at_a_time(read, monkeypatch):
    monkeypatch.setattr(images, "open_regular", met(images.open_regular))
    monkeypatch.setattr(voc_module, "load_xml", met(voc_module.load_xml))
    if read.kind.startswith("yolo"):
        monkeypatch.setattr(yolo_module, "_read_label", met(yolo_module._read_label))
    source = read()
    assert [sample.location[-7:] for sample in source.samples] == [f"{number:03d}.jpg" for number in range(100)]
    assert [sample.labels[2:4] for sample in source.samples] == [(40, 32)] * 100


def test_the_first_error_in_order_is_raised(read):
    with pytest.raises(SourceError, match=r"images\[30\]|030\.(xml|txt)"):
        read(wrong=True)


def test_large_images_are_no_warning_and_the_filters_stay(read, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 40 × 32 are 1280
    filters = list(warnings.filters)
    assert [sample.labels[2:4] for sample in read().samples] == [(40, 32)] * 100
    assert warnings.filters == filters
