"""tools/gpu_check without a GPU: what it measures is put together and written down."""

import dataclasses
import functools
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import dali_rec
from dali_rec.bench import BenchOptions, bench
from dali_rec.demo import write_images
from dali_rec.loading import device
from dali_rec.packing import batches, choose_device

TOOL = Path(__file__).parents[2] / "tools" / "gpu_check"
sys.path.insert(0, str(TOOL.parent))

from gpu import marked_tests, packing, page, parts, processes  # noqa: E402
from gpu.work import Work  # noqa: E402


@pytest.fixture(autouse=True)
def no_part(monkeypatch):
    """After each test this process is that of no part again."""
    monkeypatch.setattr(processes, "_into", None)


@pytest.fixture
def gpu_check():
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def work(class_folder, tmp_path):
    """As after the part "data": the 12 images, packed."""
    dali_rec.pack(class_folder, tmp_path / "packed")
    return Work(tmp_path, class_folder)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """What is run in place of the tool, to be written; ``INTO`` is where it writes what it found."""
    file = tmp_path / "tool"

    def write(code):
        file.write_text(f"import sys; INTO = sys.argv[sys.argv.index('--into') + 1]; PART = sys.argv[2]\n{code}")

    monkeypatch.setattr(processes, "TOOL", file)
    monkeypatch.setattr(page, "page", lambda result: [str(result)])
    return write


FOUND = "open(INTO, 'w').write('[1]')"


def test_page_has_every_part(packed):
    report = bench(packed, BenchOptions(4, 32, rounds=2, seconds=0.2, device="cpu")).as_json()
    result = {
        "machine": {"text": "a machine"},
        "data": {"records": 8000},
        "smoke": {"levels apart": 0.3, "images": 8000},
        "tests": [
            {"name": "one", "outcome": "passed", "message": ""},
            {"name": "two", "outcome": "failure", "message": "it broke"},
            {"name": "three", "outcome": "skipped", "message": "no CuPy"},
        ],
        "crops": "killed by signal 11",
        "throughput": [parts.rates("gpu", 1000, [1.0, 2.0, 4.0])],
        "stages": report,
        "packing": {
            "engines": False,
            "steps": {"images": 2560, "rates": {"decode": 9000.0, "encode": 7000.0, "all": 3500.0}, "one by one": 0},
            "runs": [
                {"device": "gpu", "images": 8000, "rate": rate, "steady": 6500.0, "one by one": 3}
                for rate in (6000.0, 4000.0, 5000.0)
            ],
            "settings": [{"settings": {"transformers": 3}, "rate": 7100.0, "one by one": 0}],
            "same bytes": False,
            "auto": "gpu",
        },
        "tuning": None,
        "comparison": "| loader | of a comparison |",
        "failed": {"tuning": "Traceback:\nRuntimeError: no memory"},
    }
    text = "\n".join(page.page(result))
    assert "1 of 3 GPU tests passed, 1 were skipped" in text
    assert "two: failure: it broke" in text
    assert "| gpu | 500 | 250 | 1,000 |" in text
    assert "of the bare decoder's rate" in text
    assert "| gpu | 8,000 | 5,000 | 4,000 | 6,000 | 6,500 | 3 |" in text
    assert "decode 9,000/s, encode 7,000/s, all 3,500/s." in text
    assert "The GPU's packings were not the same bytes." in text
    assert "--device auto took the GPU." in text
    assert "no libnvcuvid.so.1" in text
    assert "| transformers 3 | 7,100 | 0 |" in text
    assert "of a comparison" in text
    assert "tuning: failed: Traceback:\n\n    RuntimeError: no memory" in text
    assert "levels apart 0.3, images 8000." in text
    assert "Crops cut out by the decoder: killed by signal 11." in text


def test_what_cannot_be_shown_leaves_the_rest():
    result = {"machine": {"text": "a machine"}, "failed": {}, "data": None, "smoke": None, "crops": None}
    result |= {"packing": {"engines": True, "steps": 1}, "comparison": "a table"}
    text = "\n".join(page.page({**dict.fromkeys(page.PAGES), **result}))
    assert "packing: gpu-check.json has it, but it cannot be shown: TypeError" in text
    assert "a table" in text


@pytest.fixture
def main(gpu_check, tmp_path, monkeypatch):
    """Runs the tool with these arguments, as if there were a GPU."""
    monkeypatch.setattr(device, "count_gpus", lambda: (1, ""))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path), *map(str, arguments)])
        return gpu_check.main(), json.loads((tmp_path / "gpu-check.json").read_text())

    return run


def test_what_fails_does_not_take_the_rest_with_it(main, monkeypatch, capsys):
    def run_part(part, *_):
        if part in ("crops", "stages"):
            raise processes.PartFailedError("this part is broken")
        outcomes = [{"name": outcome, "outcome": outcome, "message": ""} for outcome in ("passed", "skipped")]
        return {"tests": outcomes, "comparison": "a table"}.get(part)

    monkeypatch.setattr(processes, "run_part", run_part)
    status, kept = main()
    assert status == 1
    assert kept["comparison"] == "a table"
    assert set(kept["failed"]) == {"crops", "stages"}
    assert "stages: failed: this part is broken" in capsys.readouterr().out
    assert main("--parts", "tests", "crops")[0] == 1
    status, kept = main("--parts", "tests")
    assert status == 0
    assert kept["comparison"] == "a table"  # of the first run
    assert set(kept["failed"]) == {"crops", "stages"}


def test_parts_are_done_in_the_order_of_their_worth(main, monkeypatch):
    done = []
    monkeypatch.setattr(processes, "run_part", lambda part, *_: done.append(part))
    assert main("--parts", "tuning", "crops", "smoke")[0] == 0
    assert done == ["data", "smoke", "crops", "tuning"]
    done.clear()
    assert main("--parts", "tests")[0] == 0  # which make their own data
    assert done == ["tests"]


def test_what_a_part_finds_is_written_while_it_goes_on(gpu_check, tool, main, tmp_path, monkeypatch):
    # The whole program is ended in the middle of a part, as by a machine that is taken back.
    tool(f"import time\n{FOUND}\ntime.sleep(60 * (PART == 'stages'))")
    noted = gpu_check.note

    def note_and_end(result, part, found, out):
        noted(result, part, found, out)
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu_check, "note", note_and_end)
    with pytest.raises(KeyboardInterrupt):
        main("--parts", "crops", "stages", "tuning")
    kept = json.loads((tmp_path / "gpu-check.json").read_text())
    assert (kept["crops"], kept["stages"], kept["tuning"]) == ([1], [1], None)
    assert "[1]" in (tmp_path / "gpu-check.md").read_text()


@pytest.mark.slow
def test_minutes_are_kept_whatever_becomes_of_the_parts(gpu_check, tool, main, monkeypatch, capsys):
    # One hangs where Python hears no alarm, one crashes; a third sleeps for longer than it may.
    tool(
        f"import os, signal, time\n{FOUND}\n"
        "if PART == 'smoke': signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); time.sleep(60)\n"
        "if PART == 'crops': os.kill(os.getpid(), 11)\n"
        "if PART == 'stages': time.sleep(60)\n"
    )
    monkeypatch.setattr(gpu_check, "SHORTEST_PART", 1)
    monkeypatch.setattr(processes, "LAST_WORDS", 0.5)
    for part, share in (("smoke", 0.1), ("stages", 1.0)):
        monkeypatch.setitem(parts.PARTS, part, parts.PARTS[part]._replace(share=share))
    began = time.monotonic()
    status, kept = main("--minutes", 0.2)
    assert time.monotonic() - began < 14
    assert status == 1
    assert {part for part, found in kept.items() if found == [1]} == {"data", "smoke", "crops", "throughput", "stages"}
    assert kept["failed"]["smoke"] == "stood still: killed after 2 s"  # 1.2 and 0.5
    assert kept["failed"]["crops"] == "killed by signal 11"
    assert kept["failed"]["stages"].startswith("stood still")
    left_out = "left out: the 0.2 minutes are over"
    assert [part for part, why in kept["failed"].items() if why == left_out] == [
        "packing",
        "tests",
        "tuning",
        "comparison",
    ]
    assert "gpu_check: stages, " in capsys.readouterr().err


def test_minutes_are_a_number(main, capsys):
    for minutes in ("0", "-1", "nan"):
        with pytest.raises(SystemExit):
            main("--minutes", minutes)
    assert "--minutes is 0" in capsys.readouterr().err


def test_only_files_with_gpu_tests_are_run():
    names = [path.name for path in marked_tests.files_with_gpu_tests()]
    assert names == ["test_dali_engine.py", "test_frameworks.py", "test_gpu.py", "test_batches.py"]


def test_a_part_runs_in_a_process_of_its_own(tool):
    tool(FOUND)
    assert processes.run_part("stages", [], 20) == [1]
    for end, reason in (
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
        (
            "print('DALI said', file=sys.stderr); raise RuntimeError('no memory')",
            r"^RuntimeError: no memory\nafter it said:\nDALI said\n[^$]*no memory$",
        ),
        ("import sys; sys.exit('one line')", "^one line$"),
        ("import sys; sys.exit(1)", "^it said nothing$"),
    ):
        tool(end)
        with pytest.raises(RuntimeError, match=reason):
            processes.run_part("stages", [], 20)


def test_what_was_found_before_the_end_is_kept(tool, monkeypatch):
    monkeypatch.setattr(processes, "LAST_WORDS", 1)
    for end, reason in (("os.kill(os.getpid(), 9)", "killed by signal 9"), ("time.sleep(60)", "stood still")):
        tool(f"import os, time; {FOUND}; {end}")
        with pytest.raises(processes.PartFailedError, match=reason) as raised:
            processes.run_part("tests", [], 2)
        assert raised.value.found == [1]


def test_what_a_part_began_ends_with_it(tool, monkeypatch):
    monkeypatch.setattr(processes, "LAST_WORDS", 1)
    tool(
        "import subprocess, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(INTO, 'w').write(str(child.pid)); time.sleep(60)"
    )
    with pytest.raises(processes.PartFailedError, match="stood still") as raised:
        processes.run_part("stages", [], 1)
    status = Path(f"/proc/{raised.value.found}/status")
    deadline = time.monotonic() + 10
    while status.exists() and "zombie" not in status.read_text():
        assert time.monotonic() < deadline


ORPHAN = """
import os, runpy, sys, time
module = runpy.run_path(sys.argv[1])
ready, ending = os.pipe()
if os.fork() == 0:
    module["processes"].end_with_parent()
    os.write(ending, b".")
    time.sleep(60)
    os._exit(0)
os.read(ready, 1)
os._exit(0)
"""


def test_parts_end_with_the_program_however_that_ends():
    # The orphan would hold standard output open.
    subprocess.run([sys.executable, "-c", ORPHAN, str(TOOL)], stdout=subprocess.PIPE, timeout=30, check=True)


def test_a_part_gives_up_in_time(tmp_path, monkeypatch, capsys):
    assert processes.do_part(lambda: processes.keep(["early"]) and time.sleep(60), tmp_path / "found.json", 1) == 1
    assert json.loads((tmp_path / "found.json").read_text()) == ["early"]
    assert capsys.readouterr().err.strip().endswith("TimeoutError: not done within 1 s")


def test_a_part_finds_dali_rec_where_it_is_not_installed(tool):
    tool(
        "import subprocess\n"
        "command = [sys.executable, '-c', 'import json, dali_rec; print(json.dumps(dali_rec.__file__))']\n"
        "out = subprocess.run(command, capture_output=True, text=True, check=True, cwd='/').stdout\n"
        "open(INTO, 'w').write(out)"
    )
    assert processes.run_part("stages", [], 60) == dali_rec.__file__


def test_process_of_a_part_writes_what_it_found(gpu_check, tmp_path, monkeypatch):
    monkeypatch.setitem(parts.PARTS, "stages", parts.Part(lambda work: [str(work.images)], 1.0))
    monkeypatch.setattr(processes, "end_with_parent", lambda: None)  # it is this process
    into = tmp_path / "found.json"
    arguments = ["--do", "stages", "--into", into, "--seconds", 9, "--data", tmp_path, "--images", "photos"]
    monkeypatch.setattr(sys, "argv", ["gpu_check", *map(str, arguments)])
    assert gpu_check.main() == 0
    assert json.loads(into.read_text()) == ["photos"]


@pytest.fixture
def run_tests(tmp_path, monkeypatch):
    """Runs files of tests marked ``gpu``; gives (outcome, message) by the test's name, and the processes it took."""
    begun = []
    original = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **opts: begun.append(1) or original(*args, **opts))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")

    def run(*codes):
        paths = []
        for number, code in enumerate(codes):
            paths.append(tmp_path / f"test_{number}.py")
            paths[-1].write_text(f"import os, pytest, time\npytestmark = pytest.mark.gpu\n{code}")
        monkeypatch.setattr(marked_tests, "files_with_gpu_tests", lambda: paths)
        found = marked_tests.run_tests()
        return {one["name"].rpartition("::")[2]: (one["outcome"], one["message"]) for one in found}, len(begun)

    return run


def test_a_test_that_ends_the_process_leaves_the_others(run_tests):
    found, processes = run_tests(
        "def test_passes(): pass\n@pytest.mark.parametrize('n', [1, 11])\ndef test_n(n): assert n == 11, 'it is one'\n",
        "def test_ends(): os.kill(os.getpid(), 11)\ndef test_ends_not(): pass\n"
        "def test_skips(): pytest.skip('no CuPy')\n@pytest.fixture\ndef broken(): raise OSError\n"
        "def test_error(broken): pass",
    )
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "test_passes": "passed",
        "test_n[1]": "failure",
        "test_n[11]": "passed",
        "test_ends": "failed",
        "test_ends_not": "passed",
        "test_skips": "skipped",
        "test_error": "error",
    }
    assert found["test_ends"][1] == "killed by signal 11"
    assert "it is one" in found["test_n[1]"][1]
    assert "no CuPy" in found["test_skips"][1]
    assert processes == 2


@pytest.mark.slow
def test_a_test_that_stands_still_leaves_the_others(run_tests, monkeypatch):
    monkeypatch.setattr(marked_tests, "LONGEST_TEST", 10)  # time to begin, on a busy machine
    found, _ = run_tests("def test_hangs(): time.sleep(60)\ndef test_passes(): pass")
    assert found == {"test_hangs": ("failed", "stood still: killed after 10 s"), "test_passes": ("passed", "")}


def test_a_file_that_does_not_import_leaves_the_others(run_tests):
    found, _ = run_tests("os._exit(7)", "import no_such_module", "def test_passes(): pass")
    assert found.pop("test_passes") == ("passed", "")
    (ends, crashed), (missing, error) = sorted(found.items())
    assert (Path(ends).name, crashed) == ("test_0.py", ("failed", "pytest ended with status 7"))
    assert (Path(missing).name, error[0]) == ("test_1.py", "error")
    assert "no_such_module" in error[1]


def test_tests_that_are_cut_off_say_which_was_running(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    (tmp_path / "test_it.py").write_text(
        "import os, pytest, signal, time\npytestmark = pytest.mark.gpu\ndef test_a(): pass\n"
        "def test_b(): os.kill(os.getppid(), signal.SIGALRM); time.sleep(60)"  # the part's time is over now
    )
    monkeypatch.setattr(marked_tests, "files_with_gpu_tests", lambda: [tmp_path / "test_it.py"])
    into = tmp_path / "found.json"
    assert processes.do_part(marked_tests.run_tests, into, 600) == 1
    outcomes = {one["name"].rpartition("::")[2]: one["outcome"] for one in json.loads(into.read_text())}
    assert outcomes == {"test_a": "passed", "test_b": "running"}


def test_data_is_drawn_and_packed_once_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "RECORDS", 400)
    work = Work(tmp_path, tmp_path / "images")
    assert parts.make_data(work)["records"] == 640
    assert len(dali_rec.open(work.packed)) == 640
    missing = Work(tmp_path, tmp_path / "nowhere" / "photos")
    with pytest.raises(RuntimeError, match="photos: none of the images"):
        parts.make_data(missing)


def test_packing_is_measured_on_both_devices_and_with_other_settings(tmp_path, monkeypatch):
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")
    kept = []

    class OnThisCpu(batches.BatchTransformer):
        def __init__(self, *arguments, on_gpu, **options):
            assert on_gpu
            super().__init__(*arguments, on_gpu=False, **options)

    monkeypatch.setattr(batches, "BatchTransformer", OnThisCpu)
    monkeypatch.setattr(choose_device, "count_gpus", lambda: (1, ""))
    monkeypatch.setattr(choose_device, "_NOT_TIMED", 4)
    monkeypatch.setattr(packing, "keep", lambda found: kept.append(json.loads(json.dumps(found))))
    monkeypatch.setattr(packing, "BATCHES_ALONE", 2)
    monkeypatch.setattr(packing, "PACKED", 40)
    monkeypatch.setattr(packing, "PACKINGS", 2)
    monkeypatch.setattr(packing, "SETTINGS", ({}, {"batch_size": 16, "trust": True}))
    write_images(tmp_path / "images", per_class=2)
    found = packing.measure_packing(Work(tmp_path, tmp_path / "images"))
    assert set(found["steps"]["rates"]) == {"decode", "encode", "all"}
    assert [run["device"] for run in found["runs"]] == ["gpu", "cpu"] * 2
    assert all(run["rate"] > 0 and run["steady"] > 0 and run["images"] >= 40 for run in found["runs"])
    assert [run["one by one"] for run in found["runs"]] == [0, None] * 2
    assert [(row["settings"], row["one by one"]) for row in found["settings"]] == [
        ({}, 0),
        ({"batch_size": 16, "trust": True}, 0),
    ]
    assert found["same bytes"]
    assert found["auto"] == "cpu"  # so few
    assert len(kept) == 1 + 4 + 2
    text = ["\n".join(page.packing_page(some)) for some in (*kept, found)]
    assert text[-1].count("|") > text[0].count("|") == 0


@pytest.fixture
def pretend(monkeypatch):
    """As if the CPU were a GPU."""
    pytest.importorskip("torch")
    monkeypatch.setattr("torch.cuda.synchronize", lambda: None)
    original = dali_rec.Loader

    def loader(*arguments, **options):
        return original(*arguments, **{**options, "device": "cpu"})

    monkeypatch.setattr(dali_rec, "Loader", loader)
    monkeypatch.setattr(parts, "BATCH_SIZE", 4)
    monkeypatch.setattr(parts, "IMAGE_SIZE", 16)


def test_runs_are_made_long_enough_to_quote(work, pretend, monkeypatch):
    run = parts.time_epochs

    def time_epochs(one, count, epochs=1):
        assert run(one, count, epochs) > 0
        return 0.4 * epochs

    monkeypatch.setattr(parts, "time_epochs", time_epochs)
    monkeypatch.setattr(parts, "RUNS", 2)
    rows = parts.measure(work)
    assert [(row["device"], row["runs"], row["images"]) for row in rows] == [("gpu", 2, 48), ("cpu", 2, 48)]
    assert all(row["long_enough"] for row in rows)


def test_an_epoch_that_lacks_images_is_an_error(work, pretend):
    with pytest.raises(RuntimeError, match="an epoch had 12 images, not 13"):
        parts.time_epochs(parts.loader(work.packed, "gpu"), 13)


def test_smoke_counts_an_epoch_and_compares_a_batch(work, pretend):
    found = parts.smoke(work)
    assert (found["levels apart"], found["over 8 apart"], found["images"]) == (0.0, 0.0, 12)


def test_engines_of_the_chip_are_counted(monkeypatch, tmp_path):
    def tell(_handle, engines, cores):
        engines._obj.value, cores._obj.value = 7, 1

    names = dict.fromkeys(("nvjpegCreateEx", "nvjpegDestroy"), lambda *_args: 0)
    nvjpeg = types.SimpleNamespace(**names, nvjpegGetHardwareDecoderInfo=tell)
    asked = []
    nvidia = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(packing.importlib.util, "find_spec", lambda _name: nvidia)
    monkeypatch.setattr(packing.ctypes, "CDLL", lambda path: asked.append(path) or nvjpeg)
    assert packing.count_engines() is None
    library = tmp_path / "cu13" / "lib" / "libnvjpeg.so.13"
    library.parent.mkdir(parents=True)
    library.touch()
    assert packing.count_engines() == 7
    assert asked == [str(library)]
    nvjpeg.nvjpegCreateEx = lambda *_args: 6
    assert packing.count_engines() == 0


def test_smoke_finds_wrong_pixels_and_says_how_wrong(work, pretend, tmp_path, monkeypatch):
    alike = dali_rec.Loader

    def loader(*arguments, **options):
        return alike(*arguments, **{**options, "antialias": options["device"] == "cpu", "augment": None})

    monkeypatch.setattr(dali_rec, "Loader", loader)
    monkeypatch.setattr(parts, "FARTHEST", 0.01)
    monkeypatch.setattr(processes, "_into", tmp_path / "found.json")
    with pytest.raises(RuntimeError, match="levels off the CPU's"):
        parts.smoke(work)
    assert json.loads((tmp_path / "found.json").read_text())["levels apart"] > 0.01


def test_rounds_are_kept_as_they_are_measured(work, monkeypatch):
    kept = []
    for name in ("bench", "tune"):
        on_cpu = functools.partial(on_this_cpu, getattr(dali_rec.bench, name))
        monkeypatch.setattr(f"dali_rec.bench.{name}", on_cpu)
    monkeypatch.setattr("dali_rec.bench.tuning.SHORTEST_ROUND", 0.0)
    monkeypatch.setattr("dali_rec.bench.tuning.FEWEST_BATCHES", 1)
    monkeypatch.setattr(parts, "keep", lambda found: kept.append(json.loads(json.dumps(found))))
    found = parts.measure_stages(work)
    assert [sum(len(stage["rounds"]) for stage in one["stages"]) for one in kept] == list(range(1, 13))
    assert "\n".join(page.stages_page(kept[2])).count("images/s") == 1
    assert [stage["name"] for stage in found["stages"]] == ["read", "decode", "pipeline", "train"]
    kept.clear()
    found = parts.tune_loader(work)
    names = [one["name"] for one in (*found["comparisons"], *filter(None, [found["confirmation"]]), *found["advice"])]
    assert [[one["name"] for one in some["comparisons"]] for some in kept] == [
        names[:count] for count in range(1, len(names) + 1)
    ]
    assert page.tuning_page(kept[0])[-1] == "It was not done."


def on_this_cpu(measure, path, options, **callbacks):
    """As ``measure`` does on the GPU, but on the CPU and briefly."""
    options = dataclasses.replace(options, batch_size=4, image_size=16, device="cpu", dtype="float32", seconds=0.02)
    return measure(path, options, **callbacks)
