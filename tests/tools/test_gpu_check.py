"""tools/gpu_check without a GPU: what it measures is put together and written down."""

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path

import pytest

import dali_rec
from dali_rec.bench import BenchOptions, bench
from dali_rec.loading import device

TOOL = Path(__file__).parents[2] / "tools" / "gpu_check"


@pytest.fixture
def gpu_check():
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    loader.exec_module(module)
    return module


def test_page_has_every_part(gpu_check, packed):
    report = bench(packed, BenchOptions(4, 32, rounds=2, seconds=0.2, device="cpu")).as_json()
    result = {
        "machine": {"text": "a machine"},
        "tests": [
            {"name": "one", "outcome": "passed", "message": ""},
            {"name": "two", "outcome": "failure", "message": "it broke"},
        ],
        "throughput": [gpu_check.rates("gpu", 1000, [1.0, 2.0, 4.0])],
        "stages": report,
        "packing": [{"device": "gpu", "images": 8000, "rates": [4000.0, 5000.0, 6000.0]}],
        "tuning": None,
        "comparison": "| loader | of a comparison |",
        "failed": {"tuning": "RuntimeError: no memory"},
    }
    page = "\n".join(gpu_check.page(result))
    assert "1 of 2 GPU tests passed" in page
    assert "two: failure: it broke" in page
    assert "| gpu | 500 | 250 | 1,000 |" in page
    assert "of the bare decoder's rate" in page
    assert "| gpu | 8,000 | 5,000 | 4,000 | 6,000 |" in page
    assert "of a comparison" in page
    assert "tuning could not be measured: RuntimeError: no memory" in page


def test_what_fails_does_not_take_the_rest_with_it(gpu_check, tmp_path, monkeypatch, capsys):
    def broken(_images):
        raise RuntimeError("this part is broken")

    monkeypatch.setattr(device, "count_gpus", lambda: (1, ""))
    monkeypatch.setattr(gpu_check, "run_tests", lambda: [{"name": "one", "outcome": "passed", "message": ""}])
    parts = {"throughput": broken, "comparison": lambda _images: "a table", "stages": broken}
    monkeypatch.setattr(gpu_check, "MEASUREMENTS", dict.fromkeys(gpu_check.MEASUREMENTS, lambda _images: None) | parts)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path)])
    assert gpu_check.main() == 1
    kept = json.loads((tmp_path / "gpu-check.json").read_text())
    assert kept["comparison"] == "a table"
    assert set(kept["failed"]) == {"throughput", "stages"}
    assert "stages could not be measured: RuntimeError: this part is broken" in capsys.readouterr().out


def test_packing_is_measured_on_both_devices(gpu_check, monkeypatch):
    packed_on = []

    def pack(source, out, **options):
        packed_on.append(options.get("device"))
        return original(source, out, **{**options, "device": "cpu"})

    original = dali_rec.pack
    monkeypatch.setattr(dali_rec, "pack", pack)
    monkeypatch.setattr(gpu_check, "RECORDS", 80)
    rows = gpu_check.measure_packing(None)
    assert packed_on[1:] == ["gpu", "cpu"] * gpu_check.PACKINGS
    assert [(row["device"], len(row["rates"])) for row in rows] == [("gpu", 3), ("cpu", 3)]
    assert all(row["images"] >= 80 and row["rates"][0] > 0 for row in rows)
