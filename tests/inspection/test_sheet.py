import numpy as np
import pytest
from PIL import Image
from support import make_class_folder

import dali_rec


def test_sheet_shows_a_picture_of_each_class(tmp_path):
    folder = tmp_path / "photos"
    colours = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (30, 30), colour).save(folder / name / f"{number}.png")
    dali_rec.pack(folder, tmp_path / "x")
    dali_rec.contact_sheet(dali_rec.open(tmp_path / "x"), tmp_path / "sheet.png", count=3, tile=100)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 12 + 100 + 32, 2 * 12 + 3 * 100 + 2 * 8, 3)
    assert [tuple(sheet[62, 62 + 108 * column]) for column in range(3)] == list(colours.values())
    captions = sheet[12 + 100 :]
    assert (captions < 128).any()


def test_image_that_cannot_be_decoded_does_not_spoil_the_sheet(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(b"not an image", 0.0)
    dali_rec.contact_sheet(dali_rec.open(tmp_path / "x.rec"), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * 12 + 144, 2 * 12 + 144 + 32)


def test_same_seed_gives_the_same_sheet(tmp_path):
    dali_rec.pack(make_class_folder(tmp_path / "photos", {"a": 9, "b": 9}), tmp_path / "x")
    dataset = dali_rec.open(tmp_path / "x")
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        dali_rec.contact_sheet(dataset, tmp_path / name, count=4, seed=seed)
    one, two, three = ((tmp_path / name).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_names_in_any_script_are_drawn_or_spelled_out(monkeypatch):
    from PIL import ImageFont

    from dali_rec.inspection import fonts

    only_pillows = ImageFont.load_default(size=12)
    monkeypatch.setattr(fonts, "_fonts", lambda: (only_pillows,))
    assert fonts.write("plain name 7").text == "plain name 7"
    assert fonts.write("caf\u00e9").text == "cafe"
    assert fonts.write("\u5c0f\u732b").text == "\\u5c0f\\u732b"


def test_a_font_of_the_system_is_taken_where_it_has_the_characters():
    from dali_rec.inspection import fonts

    if len(fonts._fonts()) == 1:
        pytest.skip("none of the fonts that are looked for is on this system")
    written = fonts.write("caf\u00e9 \u00d6sterreich")
    assert (written.text, written.font) == ("caf\u00e9 \u00d6sterreich", fonts._fonts()[1])


def test_sheet_is_returned_for_a_notebook_to_show_and_written_only_where_it_is_to_be(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    dataset = dali_rec.open(packed)
    sheet = dali_rec.contact_sheet(dataset, count=3)
    assert sorted(tmp_path.iterdir()) == before
    written = dali_rec.contact_sheet(dataset, tmp_path / "sheet.png", count=3)
    with Image.open(tmp_path / "sheet.png") as read:
        assert sheet.tobytes() == written.tobytes() == read.tobytes()
