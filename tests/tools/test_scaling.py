import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import dali_rec

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tiny_records(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import tiny_records as module

    return module


def test_charts_grow_with_what_is_in_them(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.syspath_prepend(TOOLS)
    from curves import Curves, Point, curve_charts

    points = [Point(10**exponent, 2.0 * exponent, exponent, 3 * exponent) for exponent in range(4, 8)]
    curves = Curves("rate", "records", "images/s", {"a": points, "b": points[:2]}, log_x=True, log_y=True)
    heights = []
    for rows in (1, 2):
        curve_charts(tmp_path / "x.png", "a note", [[curves, curves]] * rows)
        with Image.open(tmp_path / "x.png") as chart:
            heights.append(chart.height)
    assert heights[1] > 1.5 * heights[0]


def test_tiny_records_are_the_bytes_that_the_writer_makes(tiny_records, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_records, "_AT_ONCE", 400)
    size = tiny_records.write_tiny_records(tmp_path / "tiny", 1201)
    dataset = dali_rec.open(tmp_path / "tiny")
    image = bytes(dataset[0].image)
    with Image.open(io.BytesIO(image)) as decoded:
        assert decoded.size == (16, 16)
    with dali_rec.RecordWriter(tmp_path / "slow.rec") as writer:
        for key in range(1201):
            writer.write_image(image, key % 1000, key)
    for suffix in (".rec", ".idx"):
        assert (tmp_path / f"tiny{suffix}").read_bytes() == (tmp_path / f"slow{suffix}").read_bytes()
    assert size == (tmp_path / "tiny.rec").stat().st_size < 600 * 1201  # ten million: under 6 GB


def test_full_disk_is_said_before_anything_is_written(tiny_records, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=10**6))
    with pytest.raises(SystemExit, match=r"10,000 records take .* 0\.0 GB are free; .*--work"):
        tiny_records.write_tiny_records(tmp_path / "tiny", 10_000)
    assert not list(tmp_path.iterdir())


def run(tmp_path, *arguments):
    command = [sys.executable, str(TOOLS / "scaling"), "--out", str(tmp_path / "out"), "--work", str(tmp_path)]
    command += ["--device", "cpu", "--seconds", "0.05", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_every_part_is_measured_and_drawn(class_folder, tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    points = ["--threads", 1, "--batches", 4, 8, "--sizes", 16, "--ranks", 2, "--records", 1200]
    options = ["--images", class_folder, "--rounds", 2, "--batch-size", 4, "--image-size", 16]
    done = run(tmp_path, *points, *options)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "scaling.json").read_text())
    assert result["missing"] == []
    found = {name: [(row["x"], row["series"]) for row in rows] for name, rows in result["parts"].items()}
    assert found == {
        "threads": [(1, "Loader")],
        "batch": [(4, "Loader"), (8, "Loader")],
        "image": [(16, "Loader")],
        "ranks": [(2, "Loader")],
        "records": [(1200, "buffer"), (1200, "global")],
    }
    for one in (one for rows in result["parts"].values() for row in rows for one in row["rounds"]):
        assert one["images_per_second"] > 0
        assert one["startup"] > 0
        assert one["batches"] >= 10
        assert one["memory"] > one["mapped"] > 0
    assert all(len(row["rounds"]) == 2 for rows in result["parts"].values() for row in rows)
    page = (tmp_path / "out" / "scaling.md").read_text()
    assert "too short to quote" in page
    assert "| 1,200 | global | " in page
    with Image.open(tmp_path / "out" / "scaling.png") as chart:
        assert chart.height > chart.width / 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("scaling-")] == []


@pytest.mark.slow
def test_point_that_fails_is_said_and_left_out(tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    done = run(tmp_path, "--parts", "records", "--records", 100, 600, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "scaling.json").read_text())
    assert [row["x"] for row in result["parts"]["records"]] == [600, 600]
    assert len(result["missing"]) == 2
    assert result["missing"][0].startswith("records 100, buffer: ")
    assert "fewer records than a batch of 256" in result["missing"][0]


def test_two_ranks_end_when_one_fails(monkeypatch, tmp_path, packed):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = spec_from_loader("scaling", SourceFileLoader("scaling", str(TOOLS / "scaling")))
    scaling = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scaling", scaling)
    spec.loader.exec_module(scaling)
    good = {"batch_size": 4, "image_size": 16, "framework": "numpy", "device": "cpu", "rank": 0, "world_size": 1}
    point = scaling.Point(1, packed, [good, {**good, "image_size": -1}])
    with pytest.raises(RuntimeError, match="image_size"):
        point.measure(0.05, limit=120)
    assert point.rounds == []
