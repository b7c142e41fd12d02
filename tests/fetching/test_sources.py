"""From an S3 server and a web server on loopback, and from a path."""

import os
import re
import subprocess
import sys

import pytest
from fetched import contents
from support import DATA, peak_memory

import dali_rec
from dali_rec.cli import main
from dali_rec.packing import pack_insightface

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


FETCH_IN_A_FORK = """
import os, pathlib, sys
import dali_rec
url, folder = sys.argv[1:]
dali_rec.fetch(url, folder)
pathlib.Path(folder, "x-00001-of-00004.rec").unlink()
child = os.fork()
dali_rec.fetch(url, folder) if not child else sys.exit(os.waitpid(child, 0)[1])
"""


def test_from_s3_as_it_was_packed(here, there, tmp_path, bucket):
    dali_rec.pack(tmp_path / "photos", f"s3://{bucket}/sets/x", shards=4)
    dataset = dali_rec.fetch(f"s3://{bucket}/sets/x", here)
    assert (len(dataset), dataset.classes) == (40, ("ant", "bee"))
    assert contents(here) == contents(there)
    assert dali_rec.verify(here / "x").faults == ()
    assert len(dali_rec.fetch(f"S3://{bucket}/sets/x", here / "capitals")) == 40


@pytest.mark.parametrize("ranges", [True, False])
def test_from_a_web_server_with_ranges_and_without(web, here, there, ranges):
    web.ranges = ranges
    dali_rec.fetch(f"{web.url}/x?token=1/2", here)
    assert contents(here) == contents(there)


@pytest.mark.parametrize("ranges", [True, False])
def test_transfer_that_is_cut_goes_on(web, here, there, ranges):
    web.ranges, web.cut = ranges, "x-00001-of-00004.rec"
    dali_rec.fetch(f"{web.url}/x", here)
    assert web.cut is None
    assert contents(here) == contents(there)


def test_other_name_here(web, here):
    dataset = dali_rec.fetch(f"{web.url}/x", here / "train")
    assert len(dataset) == 40
    names = {path.name for path in (here).iterdir()}
    assert {"train.json", "train.lst", "train-00003-of-00004.rec"} < names
    assert all(name.startswith("train") for name in names)
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/x", here / "train")
    assert web.sent.keys() == {"x.json"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_fetches_too(web, here, there):
    command = [sys.executable, "-c", FETCH_IN_A_FORK, f"{web.url}/x", str(here)]
    subprocess.run(command, check=True, timeout=60)
    assert contents(here) == contents(there)


def test_name_with_characters_that_urls_escape(web, here, there, tmp_path):
    dali_rec.pack(tmp_path / "photos", there / "a b#1%", shards=2)
    web.folder = tmp_path / "quoted"
    web.folder.mkdir()
    for path in there.glob("a b*"):
        path.rename(web.folder / path.name.replace("%", "%25").replace(" ", "%20").replace("#", "%23"))
    assert len(dali_rec.fetch(f"{web.url}/a%20b%231%25", here)) == 40
    assert (here / "a b#1%.json").exists()


def test_data_set_of_mxnet_without_a_manifest(web, here, capsys):
    web.folder = DATA
    names = {"single.rec", "single.idx"}
    assert len(dali_rec.fetch(f"{web.url}/single.rec", here)) == len(dali_rec.open(DATA / "single"))
    assert contents(here) == {name: (DATA / name).read_bytes() for name in names}
    web.sent.clear()
    assert main(["fetch", f"{web.url}/single", str(here)]) == 0
    assert web.sent == dict.fromkeys(names, 1)  # looked up
    assert re.fullmatch(r"[0-9]+ records: .*[/\\]single\.rec\n", capsys.readouterr().out)


def test_path_is_a_source_too(here, there, capsys):
    assert main(["fetch", str(there / "x"), f"{here}/"]) == 0
    captured = capsys.readouterr()
    made = re.escape(str(here / "x.json"))
    assert re.fullmatch(rf"40 records in 2 classes in 4 shards, [0-9.]+ kB: {made}\n", captured.out)
    assert contents(here) == contents(there)


@pytest.mark.parametrize("has_manifest", [True, False])
def test_property_of_a_face_set_says_how_many_classes(web, here, there, tmp_path, has_manifest):
    pack_insightface(tmp_path / "photos", there / "faces")
    (there / "property").write_text("85742,112,112")
    if not has_manifest:
        (there / "faces.json").unlink()
    # Names come before the property.
    assert dali_rec.fetch(f"{web.url}/faces", here).num_classes == (2 if has_manifest else 85742)
    assert (here / "property").read_text() == "85742,112,112"
    web.sent.clear()
    dali_rec.fetch(f"{web.url}/faces", here)
    assert sum(count for name, count in web.sent.items() if name != "faces.json") <= 4  # looked up


def test_memory_is_bounded(here, tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(bytes(500 << 20), 0.0, 0)
    code = f"import dali_rec\nprint(peak())\ndali_rec.fetch({str(tmp_path / 'x')!r}, {str(here)!r})"
    before, after = peak_memory(code)
    assert after - int(before) < 300_000
