"""Images inside a table: pixels in brackets or with blanks between, and files in base64."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from support import jpeg, peak_memory, picture

import dali_rec
from dali_rec.errors import ImageRejectedError, SourceError
from dali_rec.sources import SourceOptions, TableOptions, open_source
from dali_rec.sources.pixels import to_pixels

GRAY = [[0, 128, 255], [1, 2, 3]]
COLOR = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", f"'cat',{GRAY}\n'dog',{COLOR}\n"),
        ("x.csv", f'label,location\ncat,"{GRAY}"\ndog,"{COLOR}"\n'),
        ("x.json", json.dumps([{"label": "cat", "location": GRAY}, {"label": "dog", "location": COLOR}], indent=2)),
        ("x.jsonl", f"{{'label': 'cat', 'location': {GRAY}}}\n{{'label': 'dog', 'location': {COLOR}}}\n"),
    ],
)
def test_pixels_in_a_table_are_stored_as_png(table, tmp_path, name, text):
    dali_rec.pack(table(name, text), tmp_path / "out" / "x")
    images = [dali_rec.decode_image(record.image) for record in dali_rec.open(tmp_path / "out" / "x")]
    assert images[0].tolist() == [[[value] * 3 for value in row] for row in GRAY]
    assert images[1].tolist() == COLOR


def test_pixels_can_be_encoded_otherwise(table, tmp_path):
    pixels = np.asarray(picture(3)).tolist()
    dali_rec.pack(table("x.csv", f"cat,{pixels}\n"), tmp_path / "out" / "x", encoding="jpeg")
    found = dali_rec.decode_image(dali_rec.open(tmp_path / "out" / "x")[0].image).astype(int)
    assert np.abs(found - np.asarray(picture(3))).mean() < 5


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ("[[1,2],[3]]", "not all of one length"),
        ("[[1,256]]", "from 1 to 256"),
        ("[[-1]]", "from -1"),
        ("[[1.5]]", "whole numbers"),
        ("[1,2]", "shape"),
        ("[[]]", "whole numbers"),
        ("[[[1,2]]]", "shape"),
        ("[[1,]]", "image at byte"),
        ("[" * 100_000 + "]" * 100_000, "too deep"),
        ('[["a"]]', "whole numbers"),
    ],
)
def test_bad_pixels_are_rejected_with_the_reason(table, tmp_path, pixels, message):
    path = table("x.csv", f"cat,[[1]]\ncat,{pixels}\n")
    report = dali_rec.pack(path, tmp_path / "out" / "x", max_bad=1)
    assert message in report.rejections[0].reason
    assert report.records == 1


def test_json_row_that_is_nested_too_deep_is_named(table):
    deep = "[" * 100_000 + "]" * 100_000
    path = table("x.jsonl", f'{{"label": 1, "location": [[1]]}}\n{{"label": 1, "location": {deep}}}\n')
    with pytest.raises(SourceError, match=r"x\.jsonl, line 2: .*too deep"):
        open_source(path)


def test_pixels_of_other_kinds_are_refused():
    with pytest.raises(ValueError, match="shape"):
        to_pixels(5)


@pytest.mark.parametrize("text", ["label,location\n0,[a] b.jpg\n", '[{"label": 0, "location": "[a] b.jpg"}]'])
def test_names_that_begin_with_a_bracket_are_no_pixels(tmp_path, text):
    (tmp_path / "[a] b.jpg").write_bytes(jpeg())
    path = tmp_path / ("x.json" if "{" in text else "x.csv")
    path.write_text(text)
    assert dali_rec.pack(path, tmp_path / "out").records == 1


def test_table_of_pixels_is_packed_in_bounded_memory(tmp_path):
    # 40 MB of pixels in a JSON array; held as Python objects they would take over a gigabyte.
    row = json.dumps({"label": 1, "location": np.full((128, 128, 3), 200).tolist()})
    (tmp_path / "x.json").write_text("[" + ",\n".join([row] * 160) + "]")
    code = f"""
import dali_rec
before = peak()
report = dali_rec.pack({str(tmp_path / "x.json")!r}, {str(tmp_path / "y")!r}, workers=1)
print(report.records, peak() - before)
"""
    printed, _ = peak_memory(code)
    count, kilobytes = printed.split()
    assert int(count) == 160
    assert int(kilobytes) < 150_000


def test_files_in_base64_are_stored_as_the_files_they_are(tmp_path):
    images = [jpeg(number) for number in range(4)]
    texts = [base64.b64encode(image).decode() for image in images]
    texts[1] = f"data:image/jpeg;base64,{texts[1]}"
    texts[2] = texts[2].rstrip("=")
    texts[3] = "\n".join(texts[3][at : at + 76] for at in range(0, len(texts[3]), 76))
    rows = [{"label": number, "location": text} for number, text in enumerate(texts)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "x.csv").write_text("".join(f'{row["label"]},"{row["location"]}"\n' for row in rows[:3]))
    for name, count in (("x.jsonl", 4), ("x.csv", 3)):
        source = open_source(tmp_path / name)
        assert [source.pixels.read(sample.location) for sample in source.samples] == images[:count]


def test_what_is_no_base64_is_rejected(tmp_path):
    texts = ["data:image/png;base64,AA*A", "/9j/" + "A" * 300 + "*"]
    rows = [{"label": 0, "location": text} for text in (base64.b64encode(jpeg(0)).decode(), *texts)]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    report = dali_rec.pack(tmp_path / "x.json", tmp_path / "out", max_bad=2)
    assert report.records == 1
    assert [rejection.reason.split(": ")[-1].split(" (")[0] for rejection in report.rejections] == ["not base64"] * 2


def test_a_path_is_no_base64(tmp_path):
    (tmp_path / "x.csv").write_text(f"label,location\n0,/9j/{'a' * 40}/{'b' * 40}.jpg\n0,/9j/cat.jpg\n")
    assert open_source(tmp_path / "x.csv").pixels is None


def test_numbers_with_blanks_between_are_a_square(table):
    # FER2013.
    path = table("x.csv", "emotion,pixels,Usage\n3,0 64 128 255,Training\n5,1 2 3 4 5,Training\n")
    said = "'Usage' looks like one of splits"
    assert any(
        said in note
        for note in open_source(path, SourceOptions(table=TableOptions(labels=("emotion",), location="pixels"))).notes
    )
    options = SourceOptions(table=TableOptions(labels=("emotion",), location="pixels", split="Usage"))
    source = open_source(path, options)
    assert [split.name for split in source.splits] == ["train"]
    first, second = source.samples
    assert np.array(Image.open(io.BytesIO(source.pixels.read(first.location)))).tolist() == [[0, 64], [128, 255]]
    with pytest.raises(ImageRejectedError, match="5 pixels are no square"):
        source.pixels.read(second.location)
