import subprocess
import sys
from pathlib import Path

from support import make_class_folder

TOOL = Path(__file__).resolve().parents[2] / "tools" / "many_cores"


def test_a_codec_that_sleeps_sets_the_rate(tmp_path):
    images = make_class_folder(tmp_path / "images", {"a": 4}, (700, 600))
    command = [sys.executable, str(TOOL), "--images", str(images), "--count", "60", "--milliseconds", "50"]
    done = subprocess.run([*command, "--threads", "1", "4"], capture_output=True, text=True, check=True)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["1", "4"]
    for row, allowed in zip(rows, (20, 80), strict=True):
        assert row[3:] == ["1", str(allowed)]
        assert 0.5 * allowed < float(row[1]) <= 1.3 * allowed  # the end is timed when some are begun already
        assert row[1] == row[2]
