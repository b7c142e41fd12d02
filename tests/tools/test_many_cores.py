import subprocess
import sys
from pathlib import Path

from support import make_class_folder

TOOL = Path(__file__).resolve().parents[2] / "tools" / "many_cores"


def tables(images, *options):
    """The lines of what it prints, as cells."""
    command = [sys.executable, str(TOOL), "--images", str(images), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]


def rows(lines, name):
    at = next(number for number, line in enumerate(lines) if line and line[0] == f"{name}: threads")
    return lines[at + 2 : at + 4]


def test_a_codec_that_sleeps_sets_the_rate(tmp_path):
    images = make_class_folder(tmp_path / "images", {"a": 4}, (700, 600))
    parts = ["--parts", "packing", "verifying"]
    lines = tables(images, "--count", "320", "--milliseconds", "12", "--threads", "1", "4", *parts)
    for name, milliseconds in (("packing", 12), ("verifying", 8)):
        assert [row[0] for row in rows(lines, name)] == ["1", "4"]
        for row in rows(lines, name):
            allowed = int(row[0]) * 1000 / milliseconds
            assert row[3:] == ["1", f"{allowed:.0f}"]
            # The end is timed when some are begun already.
            assert all(0.5 * allowed < float(rate.replace(",", "")) <= 1.5 * allowed for rate in row[1:3])


def test_a_decoder_that_sleeps_sets_the_rate(tmp_path):
    images = make_class_folder(tmp_path / "images", {"a": 4}, (700, 600))
    lines = tables(images, "--count", "1024", "--milliseconds", "3", "--threads", "8", "--parts", "loading")
    ((threads, *rates, at_once, allowed),) = rows(lines, "loading")
    assert (threads, allowed) == ("8", "4,000")
    assert int(at_once) > 1
    assert all(1000 < float(rate.replace(",", "")) <= 4700 for rate in rates)
