import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dali_rec import _dali
from dali_rec import _hardware as hardware
from dali_rec._hardware import Driver, Gpu
from dali_rec.cli import main
from dali_rec.inspection import dali_probe, doctor, packages
from dali_rec.inspection.dali_probe import Probe
from dali_rec.loading.device import Device

PYPROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text()
OPTIONAL = PYPROJECT.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
EXTRAS = re.findall(r"^(\w+) = \[", OPTIONAL, re.MULTILINE)
CORE = re.findall(r'"([\w-]+)', PYPROJECT.partition("\ndependencies = [")[2].partition("\n]")[0])
DRIVER, CARD = Driver("570.86.15", (12, 8)), Gpu(0, "NVIDIA H200", 141 << 30, (9, 0))
DALI = {"nvidia-dali-cuda120": "2.4.0", "nvidia-nvimgcodec-cu12": "0.9.0"}
ALL_CORE = {package.distributions[0]: "9.9" for package in packages.CORE}


@pytest.fixture
def machine(monkeypatch):
    """Pretend a machine: its packages, driver, GPUs, how pipelines go, and its system."""

    def pretend(versions, driver=None, cards=(), runs=True, gpu_runs=True, reason="broken", system="linux"):
        def finish(device):
            good = runs if device == "cpu" else gpu_runs
            return Probe(good, "" if good else reason)

        monkeypatch.setattr(_dali, "sys", SimpleNamespace(platform=system))
        monkeypatch.setattr(packages, "installed", lambda: {**ALL_CORE, **versions})
        monkeypatch.setattr(doctor, "nvidia_driver", lambda: driver)
        monkeypatch.setattr(doctor, "gpus", lambda: cards)
        monkeypatch.setattr(dali_probe, "start", lambda device: device)
        monkeypatch.setattr(dali_probe, "finish", finish)
        chosen = Device(0, "1 found") if cards else Device(None, "no NVIDIA driver found (libcuda)")
        monkeypatch.setattr(doctor, "choose_device", lambda _wanted: chosen)
        found = doctor.diagnose()
        return found, {finding.name: finding for finding in found.findings}

    return pretend


def test_this_machine_is_described_by_what_is_on_it():
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    found = doctor.diagnose()
    by_name = {finding.name: finding for finding in found.findings}
    assert by_name["Python"].detail.startswith(".".join(map(str, sys.version_info[:3])))
    assert by_name["CPU pipeline"].status == "ok"
    assert by_name["DALI"].status == "ok"
    import numpy as np

    assert by_name["NumPy"].detail.startswith(np.__version__)
    cards = hardware.gpus()
    assert found.device == ("GPU 0" if cards else "CPU")
    assert [name for name in by_name if re.fullmatch(r"GPU \d+", name)] == [f"GPU {card.number}" for card in cards]


def test_no_framework_and_no_dali_is_imported_for_it():
    heavy = {"torch", "tensorflow", "jax", "cupy", "nvidia.dali", "ray", "matplotlib", "s3fs", "aiohttp"}
    code = (
        "import sys\nfrom dali_rec.cli import main\nassert main(['doctor', '--json']) == 0\n"
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"
    assert {finding["status"] for finding in json.loads(ran.stdout)["findings"]} <= {"ok", "absent", "problem"}


def test_bare_machine_is_told_what_installs_what(machine):
    found, by_name = machine({})
    assert (found.device, found.framework) == (None, None)
    assert (by_name["DALI"].status, by_name["DALI"].remedy) == ("problem", 'pip install "dali-rec[cuda12]"')
    assert by_name["NVIDIA driver"].status == "absent"
    assert by_name["PyTorch"].remedy == 'pip install "dali-rec[torch]"'
    assert by_name["s3fs"].remedy == 'pip install "dali-rec[s3]"'
    assert "CPU pipeline" not in by_name


@pytest.mark.parametrize(
    ("system", "remedy"),
    [("win32", "loading runs on Linux, on Windows in WSL 2"), ("darwin", "loading runs on Linux")],
)
def test_where_dali_has_no_builds_another_system_is_the_remedy(machine, system, remedy):
    found, by_name = machine({}, DRIVER, (CARD,), system=system)
    assert by_name["DALI"].status == "problem"
    assert by_name["DALI"].detail == "has builds for Linux only: packing works, loading does not"
    assert by_name["DALI"].remedy == by_name["CuPy"].remedy == remedy
    assert not [one for one in found.findings if "cuda1" in (one.remedy or "")]
    assert by_name["s3fs"].remedy == 'pip install "dali-rec[s3]"'


def test_every_remedy_names_an_extra_that_there_is(machine):
    for driver in (None, DRIVER, Driver(None, (13, 0))):
        found, _ = machine({}, driver=driver)
        named = {extra for one in found.findings if one.remedy for extra in re.findall(r"\[(\w+)\]", one.remedy)}
        assert named <= set(EXTRAS)
        assert len(named) > 5


def test_core_packages_are_those_that_dali_rec_depends_on():
    assert {name for name in CORE if name not in ("typer", "rich")} | {"aiohttp"} == {
        package.distributions[0] for package in packages.CORE
    }


def test_missing_core_package_is_a_problem(machine, monkeypatch):
    monkeypatch.delitem(ALL_CORE, "simplejpeg")
    _, by_name = machine(DALI)
    assert by_name["simplejpeg"].status == "problem"
    assert by_name["simplejpeg"].remedy


@pytest.mark.parametrize(
    ("cuda", "extra"), [((12, 2), "cuda12"), ((13, 0), "cuda13"), ((13, 1), "cuda13"), (None, "cuda12")]
)
def test_build_of_dali_goes_by_the_driver(machine, cuda, extra):
    _, by_name = machine({}, driver=Driver("1.0", cuda) if cuda else None)
    assert by_name["DALI"].remedy == by_name["CuPy"].remedy == f'pip install "dali-rec[{extra}]"'


@pytest.mark.parametrize(("cards", "status"), [((), "absent"), ((CARD,), "ok")])
def test_cupy_is_of_use_beside_a_gpu_alone(machine, cards, status):
    _, by_name = machine({**DALI, "cupy-cuda12x": "14.0"}, DRIVER, cards)
    assert by_name["CuPy"].status == status
    assert by_name["CuPy"].detail.startswith("14.0")


def test_gpu_is_used_where_its_pipeline_runs(machine):
    found, by_name = machine({**DALI, "torch": "2.8.0"}, DRIVER, (CARD,))
    assert (found.device, found.framework) == ("GPU 0", "torch")
    assert by_name["NVIDIA driver"].detail == "570.86.15, for CUDA 12.8 and older"
    assert by_name["GPU 0"].detail == "NVIDIA H200, 141.0 GiB, compute capability 9.0"
    assert by_name["GPU pipeline"].status == "ok"
    assert not [finding for finding in found.findings if finding.status == "problem"]


def test_gpu_pipeline_that_fails_points_to_the_cpu(machine):
    found, by_name = machine(DALI, DRIVER, (CARD,), gpu_runs=False, reason="CUDA error 804")
    assert found.device is None
    assert "Loader(device='cpu')" in found.why
    assert "CUDA error 804" in by_name["GPU pipeline"].detail


def test_cpu_pipeline_that_fails_is_a_problem(machine):
    found, by_name = machine(DALI, runs=False, reason="the process was ended by signal 11")
    assert found.device is None
    assert by_name["CPU pipeline"].status == "problem"
    assert "signal 11" in by_name["CPU pipeline"].detail


def test_two_builds_of_dali_are_a_problem(machine):
    _, by_name = machine({**DALI, "nvidia-dali-cuda130": "2.4.0"}, DRIVER)
    assert "overwrite each other" in by_name["DALI"].detail
    assert by_name["DALI"].remedy == (
        'pip uninstall -y nvidia-dali-cuda120 nvidia-dali-cuda130 && pip install "dali-rec[cuda12]"'
    )


@pytest.mark.parametrize(
    ("versions", "said"),
    [({"nvidia-dali-cuda120": "1.51.2"}, "2.3 or newer"), ({"nvidia-dali-cuda130": "2.4.0"}, "is for CUDA 13")],
)
def test_dali_that_does_not_fit_is_a_problem(machine, versions, said):
    _, by_name = machine({**versions, "nvidia-nvimgcodec-cu12": "0.9"}, DRIVER)
    assert by_name["DALI"].status == "problem"
    assert said in by_name["DALI"].detail


def test_cpu_build_of_pytorch_beside_a_gpu_is_a_problem(machine):
    _, by_name = machine({**DALI, "torch": "2.8.0+cpu"}, DRIVER, (CARD,))
    assert by_name["PyTorch build"].status == "problem"
    _, by_name = machine({**DALI, "torch": "2.8.0+cpu"})
    assert "PyTorch build" not in by_name


@pytest.mark.parametrize(
    ("versions", "cards", "framework"),
    [
        ({}, (), "numpy"),
        ({"cupy-cuda12x": "14"}, (), "numpy"),
        ({"cupy-cuda12x": "14"}, (CARD,), "cupy"),
        ({"jax": "1", "tensorflow-cpu": "2"}, (), "jax"),
        ({"tensorflow-cpu": "2"}, (), "tensorflow"),
    ],
)
def test_framework_is_one_that_is_there(machine, versions, cards, framework):
    assert machine({**DALI, **versions}, DRIVER, cards)[0].framework == framework


def test_probe_says_why_a_pipeline_does_not_run():
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    probe = dali_probe.finish(dali_probe.start("99"))
    assert not probe.runs
    assert "DeviceUnavailableError" in probe.reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param("import os; os.kill(os.getpid(), 11)", "signal 11", marks=pytest.mark.posix),
        ("import time; time.sleep(60)", "did not end within 1 s"),
        ("raise SystemExit(3)", "status 3"),
        ("import nothing_of_this_name", "No module named"),
    ],
)
def test_probe_that_dies_or_hangs_is_a_finding(code, reason):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert reason in dali_probe.finish(process, timeout=1).reason


def test_limit_of_a_container_counts_as_memory(tmp_path, monkeypatch):
    meminfo, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text("MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n")
    limit.write_text("max\n")
    monkeypatch.setattr(hardware, "_MEMINFO", meminfo)
    monkeypatch.setattr(hardware, "_MEMORY_LIMITS", (limit,))
    assert hardware.memory() == (8 << 30, 4 << 30)
    limit.write_text(f"{2 << 30}\n")
    assert hardware.memory() == (2 << 30, 2 << 30)
    meminfo.write_text("nonsense")
    assert hardware.memory() is None


def test_command_prints_a_table_and_ends_well(capsys, machine):
    machine({**DALI, "torch": "2.8.0"})
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for expected in ("nvidia-dali-cuda120", 'pip install "dali-rec[gcs]"', "The loader will use the CPU", "torch"):
        assert expected in out


def test_marks_are_plain_where_the_encoding_lacks_others(machine, monkeypatch):
    machine({})
    out = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["doctor"]) == 0
    out.flush()
    printed = out.buffer.getvalue().decode("cp1252")
    assert "+  NumPy " in printed
    assert "-  s3fs " in printed
    assert "x  DALI " in printed
    assert "\\u" not in printed


def test_command_ends_well_where_nothing_can_be_loaded(capsys, machine):
    machine({})
    assert main(["doctor"]) == 0
    assert "The loader cannot run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("plugin", "status"),
    [
        ({}, "absent"),
        ({"nvidia-dali-tf-plugin-cuda120": "2.4.0"}, "ok"),
        ({"nvidia-dali-tf-plugin-cuda120": "2.3.0"}, "problem"),
    ],
)
def test_tensorflow_plugin_must_be_of_dalis_version(machine, plugin, status):
    versions = {"nvidia-dali-cuda120": "2.4.0", "nvidia-nvimgcodec-cu12": "0.9.0", "tensorflow": "2.21.0", **plugin}
    _, by_name = machine(versions)
    assert by_name["TensorFlow plugin"].status == status
    assert ("nvidia-dali-tf-plugin-cuda120==2.4.0" in (by_name["TensorFlow plugin"].remedy or "")) == (status != "ok")


def test_numba_that_is_installed_and_does_not_work_is_a_problem(machine, monkeypatch):
    assert "Numba's compiler" not in machine({})[1]
    monkeypatch.setitem(sys.modules, "numba", None)
    found = machine({})[1]["Numba's compiler"]
    assert (found.status, found.remedy) == ("problem", "pip install --upgrade numba")
