import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import make_class_folder

import dali_rec
from dali_rec.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_table_of_commands_is_complete():
    listed = re.findall(r"^\| `dali-rec (\w+)", README, re.MULTILINE)
    assert listed == [command.name or command.callback.__name__ for command in app.registered_commands]


def test_training_loop_runs_as_it_stands(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    make_class_folder(tmp_path / "photos", {"a": 40, "b": 40})
    dali_rec.pack(tmp_path / "photos", tmp_path / "data" / "train")
    environment = {**os.environ, "PYTHONPATH": str(Path(dali_rec.__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=True, text=True
    )
    assert re.fullmatch(r"0 \d+\.\d+\n1 \d+\.\d+\n", ran.stdout)
