import subprocess
import sys
from pathlib import Path

import dali_rec

ROOT = Path(__file__).parents[2]


def write(images, out):
    command = [sys.executable, str(ROOT / "tools" / "peers" / "dali_rec_writer.py"), str(images), str(out), "1", "16"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_writer_empties_its_folder_and_says_its_seconds(class_folder, tmp_path):
    (tmp_path / "written").mkdir()
    (tmp_path / "written" / "old").touch()
    done = write(class_folder, tmp_path / "written")
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout.split()[-1]) < 60
    assert not (tmp_path / "written" / "old").exists()
    assert len(dali_rec.open(tmp_path / "written" / "packed")) == 12


def test_writer_that_leaves_images_out_has_no_time(class_folder, tmp_path):
    (class_folder / "ant" / "notes.txt").write_text("a file that pack does not take for an image")
    done = write(class_folder, tmp_path / "written")
    assert done.returncode != 0
    assert "12 of 13 images were written" in done.stderr
