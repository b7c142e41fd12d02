"""tools/gpu_check without a GPU: what it measures is put together and written down."""

import importlib.machinery
import importlib.util
import json
import sys
import time
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
            {"name": "three", "outcome": "skipped", "message": "no CuPy"},
        ],
        "crops": "killed by signal 11",
        "throughput": [gpu_check.rates("gpu", 1000, [1.0, 2.0, 4.0])],
        "stages": report,
        "packing": [{"device": "gpu", "images": 8000, "rates": [4000.0, 5000.0, 6000.0]}],
        "tuning": None,
        "comparison": "| loader | of a comparison |",
        "failed": {"tuning": "RuntimeError: no memory"},
    }
    page = "\n".join(gpu_check.page(result))
    assert "1 of 3 GPU tests passed, 1 were skipped" in page
    assert "two: failure: it broke" in page
    assert "| gpu | 500 | 250 | 1,000 |" in page
    assert "of the bare decoder's rate" in page
    assert "| gpu | 8,000 | 5,000 | 4,000 | 6,000 |" in page
    assert "of a comparison" in page
    assert "tuning: failed: RuntimeError: no memory" in page
    assert "Crops cut out by the decoder: killed by signal 11." in page


def test_what_fails_does_not_take_the_rest_with_it(gpu_check, tmp_path, monkeypatch, capsys):
    def run_part(part, _images):
        if part in ("crops", "stages"):
            raise gpu_check.PartFailedError("this part is broken")
        outcomes = [{"name": outcome, "outcome": outcome, "message": ""} for outcome in ("passed", "skipped")]
        return {"tests": outcomes, "comparison": "a table"}.get(part)

    monkeypatch.setattr(device, "count_gpus", lambda: (1, ""))
    monkeypatch.setattr(gpu_check, "run_part", run_part)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path)])
    assert gpu_check.main() == 1
    kept = json.loads((tmp_path / "gpu-check.json").read_text())
    assert kept["comparison"] == "a table"
    assert set(kept["failed"]) == {"crops", "stages"}
    assert "stages: failed: this part is broken" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path), "--parts", "tests", "crops"])
    assert gpu_check.main() == 1
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path), "--parts", "tests"])
    assert gpu_check.main() == 0
    kept = json.loads((tmp_path / "gpu-check.json").read_text())
    assert kept["comparison"] == "a table"  # of the first run
    assert set(kept["failed"]) == {"crops", "stages"}


def test_only_files_with_gpu_tests_are_run(gpu_check):
    names = [path.name for path in gpu_check.files_with_gpu_tests()]
    assert names == ["test_dali_engine.py", "test_frameworks.py", "test_gpu.py", "test_batches.py"]


def test_a_part_runs_in_a_process_of_its_own(gpu_check, tmp_path, monkeypatch):
    tool = tmp_path / "tool"
    monkeypatch.setitem(gpu_check.__dict__, "__file__", str(tool))
    tool.write_text("import sys; open(sys.argv[sys.argv.index('--into') + 1], 'w').write('[1, 2]')")
    assert gpu_check.run_part("stages", None) == [1, 2]
    for end, reason in (
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
        ("raise RuntimeError('no memory')", "RuntimeError: no memory"),
    ):
        tool.write_text(end)
        with pytest.raises(RuntimeError, match=reason):
            gpu_check.run_part("stages", tmp_path)


def test_what_was_found_before_the_end_is_kept(gpu_check, tmp_path, monkeypatch):
    tool = tmp_path / "tool"
    monkeypatch.setitem(gpu_check.__dict__, "__file__", str(tool))
    monkeypatch.setattr(gpu_check, "LONGEST_PART", 2)
    monkeypatch.setattr(gpu_check, "LAST_WORDS", 1)
    find = "import os, sys, time; open(sys.argv[sys.argv.index('--into') + 1], 'w').write('[1]'); "
    for end, reason in (("os.kill(os.getpid(), 9)", "killed by signal 9"), ("time.sleep(60)", "stood still")):
        tool.write_text(find + end)
        with pytest.raises(gpu_check.PartFailedError, match=reason) as raised:
            gpu_check.run_part("tests", None)
        assert raised.value.found == [1]


def test_a_part_gives_up_in_time(gpu_check, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "LONGEST_PART", 1)
    monkeypatch.setitem(gpu_check.PARTS, "stages", lambda _images: gpu_check.keep(["early"]) and time.sleep(60))
    assert gpu_check.do_part("stages", None, tmp_path / "found.json") == 1
    assert json.loads((tmp_path / "found.json").read_text()) == ["early"]
    assert capsys.readouterr().err.strip().endswith("TimeoutError: not done within 1 s")


def test_a_part_finds_dali_rec_where_it_is_not_installed(gpu_check, tmp_path, monkeypatch):
    tool = tmp_path / "tool"
    monkeypatch.setitem(gpu_check.__dict__, "__file__", str(tool))
    tool.write_text(
        "import subprocess, sys\n"
        "command = [sys.executable, '-c', 'import json, dali_rec; print(json.dumps(dali_rec.__file__))']\n"
        "out = subprocess.run(command, capture_output=True, text=True, check=True, cwd='/').stdout\n"
        "open(sys.argv[sys.argv.index('--into') + 1], 'w').write(out)"
    )
    assert gpu_check.run_part("stages", None) == dali_rec.__file__


def test_process_of_a_part_writes_what_it_found(gpu_check, tmp_path, monkeypatch):
    monkeypatch.setitem(gpu_check.PARTS, "stages", lambda images: [str(images)])
    into = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--parts", "stages", "--into", str(into), "--images", "photos"])
    assert gpu_check.main() == 0
    assert json.loads(into.read_text()) == ["photos"]


def test_tests_that_end_the_process_are_run_one_by_one(gpu_check, tmp_path):
    file = tmp_path / "test_ends.py"
    file.write_text(
        "import os, pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "def test_ends(): os.kill(os.getpid(), 11)\n"
        "def test_fails(): assert 1 == 2\n"
        "def test_passes(): pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    found = {test["name"].rpartition("::")[2]: test for test in gpu_check.tests_of(str(file))}
    assert {name: test["outcome"] for name, test in found.items()} == {
        "test_ends": "failed",
        "test_fails": "failure",
        "test_passes": "passed",
    }
    assert found["test_ends"]["message"] == "killed by signal 11"


def test_packing_is_measured_on_both_devices(gpu_check, monkeypatch):
    packed_on = []

    def pack(source, out, **options):
        packed_on.append(options.get("device"))
        return original(source, out, **{**options, "device": "cpu"})

    original = dali_rec.pack
    monkeypatch.setattr(dali_rec, "pack", pack)
    monkeypatch.setattr(gpu_check, "PACKED", 80)
    rows = gpu_check.measure_packing(None)
    assert packed_on == ["gpu", "cpu"] * gpu_check.PACKINGS
    assert [(row["device"], len(row["rates"])) for row in rows] == [("gpu", 3), ("cpu", 3)]
    assert all(row["images"] >= 80 and row["rates"][0] > 0 for row in rows)


def test_runs_are_made_long_enough_to_quote(gpu_check, packed, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(gpu_check, "pack_many", lambda *_: (packed, 12))
    monkeypatch.setattr(gpu_check, "SHORTEST_RUN", 0.2)
    monkeypatch.setattr(gpu_check, "RUNS", 2)
    monkeypatch.setattr("torch.cuda.synchronize", lambda: None)
    monkeypatch.setattr(
        gpu_check, "loader", lambda prefix, _device: dali_rec.Loader(prefix, 4, 16, device="cpu", threads=1)
    )
    rows = gpu_check.measure(None)
    assert [(row["device"], row["runs"]) for row in rows] == [("gpu", 2), ("cpu", 2)]
    assert all(row["images"] > 12 and row["images"] % 12 == 0 for row in rows)
