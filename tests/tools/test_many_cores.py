import subprocess
import sys
from pathlib import Path

from support import make_class_folder

TOOL = Path(__file__).resolve().parents[2] / "tools" / "many_cores"


def test_a_codec_that_sleeps_sets_the_rate(tmp_path):
    images = make_class_folder(tmp_path / "images", {"a": 4}, (700, 600))
    command = [sys.executable, str(TOOL), "--images", str(images), "--count", "320", "--milliseconds", "12"]
    done = subprocess.run([*command, "--threads", "1", "4"], capture_output=True, text=True, check=True)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    for name, milliseconds in (("packing", 12), ("verifying", 8)):
        at = lines.index([f"{name}: threads", *lines[-4][1:]])
        rows = lines[at + 2 : at + 4]
        assert [row[0] for row in rows] == ["1", "4"]
        for row in rows:
            allowed = int(row[0]) * 1000 / milliseconds
            assert row[3:] == ["1", f"{allowed:.0f}"]
            for rate in row[1:3]:
                assert (
                    0.5 * allowed < float(rate.replace(",", "")) <= 1.5 * allowed
                )  # the end is timed when some are begun already
