"""What Numba compiled, kept for other processes: here of a small module, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from numba import types
from dali_rec._compiled import c_function, compiled

@compiled
def doubled(number):
    return 2 * number

def times(factor):
    @c_function(types.int64(types.int64))
    def multiplied(number):
        return factor * doubled(number)
    return multiplied
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "small.py").write_text(MODULE)

    def run_code(code, cache="cache"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", f"from small import *\n{code}"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    return run_code


def kept(folder: Path):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_another_process_takes_what_the_first_has_compiled(run, tmp_path):
    code = "print(times(3).ctypes(7), doubled(4), sum(doubled.stats.cache_hits.values()))"
    assert run(code) == ("42 8 0", "")
    before = [path.stat().st_mtime_ns for path in kept(tmp_path / "cache")]
    assert run(code) == ("42 8 1", "")
    assert [path.stat().st_mtime_ns for path in kept(tmp_path / "cache")] == before


def test_no_two_things_have_one_file_however_processes_take_turns(run, tmp_path):
    run("times(3)", cache="one")
    run("times(5)", cache="other")
    names = [
        {path.name for path in kept(tmp_path / folder) if "multiplied" in path.name} for folder in ("one", "other")
    ]
    assert all(names)
    assert not names[0] & names[1]


@pytest.mark.posix
def test_a_full_disk_stops_nothing(run, tmp_path):
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))\n"
    out, error = run(f"{full}print(times(3).ctypes(7))")
    assert out == "42"
    assert error.count("set NUMBA_CACHE_DIR to a folder that can be written") == 1
    assert "File too large" in error
    assert kept(tmp_path / "cache") == []


def test_what_was_cut_short_is_compiled_anew(run, tmp_path):
    run("times(3)")
    for path in kept(tmp_path / "cache"):
        path.write_bytes(path.read_bytes()[:100])
    assert run("print(times(3).ctypes(7))") == ("42", "")
    assert all(path.stat().st_size > 100 for path in kept(tmp_path / "cache"))


def test_what_an_older_source_compiled_is_compiled_anew(run, tmp_path):
    run("times(3)")
    (tmp_path / "small.py").write_text(MODULE.replace("2 * number", "20 * number"))
    assert run("print(times(3).ctypes(7))") == ("420", "")


def test_it_runs_without_the_compiler(run, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert run("print(doubled(4))") == ("8", "")
