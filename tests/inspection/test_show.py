import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from support import DATA, jpeg

import dali_rec
from dali_rec.cli import main
from dali_rec.inspection import augmented_sheet, contact_sheet, write_report
from dali_rec.inspection.plots import histogram, scatter

HOSTILE = "<script>document.title='owned'<\u2215script>\"&"


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def packed(tmp_path):
    names = 6 * ["ant"] + 9 * ["bee"] + 2 * [HOSTILE]
    dali_rec.pack([(jpeg(seed, (120, 90)), name) for seed, name in enumerate(names)], tmp_path / "photos-packed")
    return tmp_path / "photos-packed"


def test_page_stands_alone_and_escapes_what_is_foreign(packed, tmp_path):
    write_report(packed, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "url(" not in text
    assert "<script>document" not in text
    assert text.count("<figure") == 17
    assert text.count("data:image/jpeg;base64,") == 17
    assert "<b>9</b>" in text
    assert "&lt;script&gt;" in text


def test_page_says_what_cannot_be_decoded(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(1), 0.0, 0)
        writer.write_image(b"no image", 0.0, 1)
        writer.write_image(jpeg(2)[:-300], 0.0, 2)
    write_report(tmp_path / "x.rec", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "id 1: not an image" in text
    assert "<li>id 2: " in text
    assert text.count("cannot be decoded</div>") == 2


@pytest.mark.parametrize("name", ["single", "multi", "detection", "faces"])
def test_page_and_sheet_of_files_of_mxnet(tmp_path, name):
    assert (
        main(["show", str(DATA / f"{name}.rec"), "-o", str(tmp_path / "s.png"), "--html", str(tmp_path / "p.html")])
        == 0
    )
    assert (tmp_path / "p.html").read_text("utf-8").count("<figure") == 12
    assert size_of(tmp_path / "s.png")[0] > 1000


def test_number_of_samples_is_bounded(packed, tmp_path):
    write_report(packed, tmp_path / "page.html", count=5)
    assert (tmp_path / "page.html").read_text("utf-8").count("<figure") == 5


def test_sheet_of_ids_and_at_random(packed, tmp_path):
    with dali_rec.open(packed) as dataset:
        contact_sheet(dataset, tmp_path / "a.png", ids=[3, 5], tile=64)
        contact_sheet(dataset, tmp_path / "b.png", order="random", count=4, tile=64, columns=2)
    assert size_of(tmp_path / "a.png") == (2 * 12 + 2 * 64 + 8, 2 * 12 + 64 + 32)
    assert size_of(tmp_path / "b.png") == (2 * 12 + 2 * 64 + 8, 2 * 12 + 2 * (64 + 32) + 8)


def test_augmented_sheet_shows_other_crops_of_the_same_image(packed, tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    with dali_rec.open(packed) as dataset:
        augmented_sheet(dataset, tmp_path / "a.png", count=2, versions=3, tile=64)
    with Image.open(tmp_path / "a.png") as image:
        sheet = np.asarray(image)
    tiles = [sheet[12:76, 12 + column * 72 : 76 + column * 72].astype(int) for column in range(4)]
    assert sheet.shape[1] == 2 * 12 + 4 * 64 + 3 * 8
    assert all(np.abs(tiles[0] - tile).mean() > 1 for tile in tiles[1:])
    assert np.abs(tiles[1] - tiles[2]).mean() > 1


def test_command_makes_a_sheet_in_this_folder(packed, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    monkeypatch.chdir(tmp_path)
    assert main(["show", str(packed)]) == 0
    assert (tmp_path / "photos-packed.png").exists()
    capsys.readouterr()
    assert main(["show", str(packed), "--augmented", "--count", "2", "-o", "aug.png"]) == 0
    assert capsys.readouterr() == ("aug.png\n", "")
    assert main(["show", str(packed), "--ids", "99"]) == 1
    assert "id 99" in capsys.readouterr().err


def test_plots_of_nothing_and_of_one():
    assert scatter(np.zeros((0, 2)), "x", "y") == ""
    assert scatter(np.array([[5, 5]]), "x", "y").count("<circle") == 1
    assert histogram(np.array([1.0]), "x", np.array([0, 2, np.inf])).count("<rect") == 2


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def rendered(path, width, *flags):
    """The page as the browser has it once its script has run."""
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", *flags]
    done = subprocess.run([*command, "--dump-dom", path], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0",)])
def test_page_in_a_browser(packed, tmp_path, flags):
    write_report(packed, tmp_path / "page.html")
    address = (tmp_path / "page.html").as_uri()
    for width in (1280, 500):
        page = rendered(address, width, *flags)
        assert 'data-overflow="0"' in page
        assert 'data-shown="17"' in page
        assert "<title>photos-packed</title>" in page
    assert 'data-shown="6"' in rendered(f"{address}#ant", 1280, *flags)
    assert 'data-shown="0"' in rendered(f"{address}#zebra", 1280, *flags)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
def test_page_fits_a_phone(packed, tmp_path):
    """In a frame of 390 pixels, which is less than the window of a headless browser may have."""
    write_report(packed, tmp_path / "page.html")
    frame = '<iframe src="page.html" style="width:390px;height:800px;border:0"></iframe>'
    overflow = "document.querySelector('iframe').contentDocument.documentElement.dataset.overflow"
    script = f"onload = () => {{ document.title = {overflow} }}"
    (tmp_path / "phone.html").write_text(f"<!doctype html>{frame}<script>{script}</script>")
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=3000")
    page = rendered((tmp_path / "phone.html").as_uri(), 800, *flags)
    assert "<title>0</title>" in page


@pytest.mark.parametrize("options", [["--ids", "1"], ["--random"], ["--augmented"]])
def test_options_of_the_sheet_are_refused_for_a_page_alone(packed, tmp_path, capsys, options):
    page = tmp_path / "page.html"
    assert main(["show", str(packed), "--html", str(page), *options]) == 2
    assert "are of the sheet: say -o" in " ".join(capsys.readouterr().err.split())
    assert not page.exists()
