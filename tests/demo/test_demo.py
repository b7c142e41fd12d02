import io

import pytest
from PIL import Image

from dali_rec.demo import run_demo, write_images
from dali_rec.images import check_image


def test_drawn_images_are_varied_and_the_same_every_time(tmp_path):
    assert write_images(tmp_path / "a", per_class=12) == write_images(tmp_path / "b", per_class=12) == 96
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jpg"))
    sizes, modes, progressive = set(), set(), 0
    for file in files:
        data = (tmp_path / "a" / file).read_bytes()
        assert data == (tmp_path / "b" / file).read_bytes()
        check_image(data)
        image = Image.open(io.BytesIO(data))
        sizes.add(image.size)
        modes.add(image.mode)
        progressive += "progressive" in image.info
    assert (len(files), modes) == (96, {"RGB", "L"})
    assert len(sizes) > 50
    assert 0 < progressive < 48


def test_demo_goes_the_whole_way_and_says_what_it_did(class_folder, tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    said = []
    report = run_demo(class_folder, folder=tmp_path / "demo", device="cpu", say=said.append)
    assert [epoch.images for epoch in report.epochs] == [12, 12]
    with Image.open(report.sheet) as sheet:
        assert sheet.width > 100
    text = "\n".join(said)
    for fact in ("12 records, 3 classes", "0 rejected", "12 records framed", "CPU", "epoch 1", str(report.sheet)):
        assert fact in text
