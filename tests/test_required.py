"""Packages without which nothing works, and that do not import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"


@pytest.fixture
def run_without(tmp_path):
    def run(module, *arguments):
        lines = 'raise ImportError("libGL.so.1: cannot open shared object file:\\n No such file or directory")'
        (tmp_path / f"{module}.py").write_text(lines)
        path = os.pathsep.join([str(tmp_path), *sys.path])
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, check=False, text=True
        )

    return run


@pytest.mark.parametrize("module", ["cv2", "simplejpeg", "numpy", "typer", "rich"])
def test_a_command_names_it_in_one_line(run_without, module):
    done = run_without(module, "-m", "dali_rec", "doctor")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"dali-rec: {module} does not import (libGL.so.1: cannot open shared object file: No")
    assert "mend it with: pip " in done.stderr


def test_a_tool_names_it_in_one_line(run_without):
    done = run_without("cv2", str(TOOLS / "im2rec.py"), "--help")
    assert done.returncode == 1
    assert done.stderr.startswith("im2rec.py: cv2 does not import (libGL.so.1")
    assert len(done.stderr.splitlines()) == 1


def test_all_that_are_not_installed_are_named_at_once():
    hide = "import importlib.util; importlib.util.find_spec = lambda name: None"
    code = f"import numpy, sys; {hide}; sys.modules.pop('cv2', None); import dali_rec"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        "PIL, simplejpeg, cv2, yaml are not installed; mend it with: "
        "pip install pillow simplejpeg opencv-python-headless pyyaml"
    )


def test_the_import_raises_an_import_error_with_the_remedy(run_without):
    done = run_without("cv2", "-c", "import dali_rec")
    assert done.stderr.splitlines()[-1] == (
        "dali_rec.errors.MissingDependencyError: cv2 does not import (libGL.so.1: cannot open shared object file: "
        "No such file or directory); mend it with: pip uninstall -y opencv-python opencv-contrib-python "
        "opencv-python-headless && pip install opencv-python-headless"
    )


def test_a_folder_that_is_left_of_it_is_not_taken_for_it():
    code = "import sys, types; sys.modules['cv2'] = types.ModuleType('cv2'); import dali_rec"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert "cv2 does not import (a folder without its files" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="a working directory cannot be removed elsewhere")
def test_the_import_needs_no_working_directory(tmp_path):
    code = f"import os; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r}); import dali_rec"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
