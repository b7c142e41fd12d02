import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dali_rec.sources.tables.rows import parse_row, read_lines, read_objects, split_line

LINE = st.text(st.characters(blacklist_categories=["Cs", "Cc"]))
HARD = st.text(st.sampled_from("ab'\"[]{},; \t\\:é"))
OBJECTS = st.dictionaries(LINE | HARD, st.none() | st.booleans() | st.integers() | LINE | HARD | st.lists(HARD))
MARKS = st.sampled_from([b"", b"\xef\xbb\xbf"])
FIXTURES_STAY = settings()


def written(fields, delimiter, quote='"'):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL, lineterminator="").writerow(fields)
    return text.getvalue()


@given(st.lists(LINE | HARD, min_size=1, max_size=5), st.sampled_from(",;\t"), st.sampled_from("\"'"))
def test_quoted_fields_are_those_that_were_written(fields, delimiter, quote):
    assert split_line(written(fields, delimiter, quote), delimiter) == fields


def check_places(path, rows, wanted, delimiter=","):
    """That rows have these values, and each stands at the place and in the line that it says."""
    data = path.read_bytes()
    assert [row.values for row in rows] == wanted
    for row in rows:
        assert parse_row(path, data[row.start : row.start + row.length], delimiter) == row.values
        assert row.line == 1 + data.count(b"\n", 0, row.start)


@given(st.lists(st.lists(LINE | HARD, min_size=2, max_size=5), min_size=1), st.data())
@FIXTURES_STAY
def test_rows_of_a_csv_are_where_they_say(tmp_path, rows, data):
    ends = [data.draw(st.sampled_from(["\n", "\r\n", "\n\n", "\n \r\n"])) for _ in rows]
    text = "".join(written(row, ",") + end for row, end in zip(rows, ends, strict=True))
    path = tmp_path / "x.csv"
    text = data.draw(st.sampled_from([text, text.rstrip("\r\n ")]))
    path.write_bytes(data.draw(MARKS) + text.encode())
    check_places(path, list(read_lines(path, 2)), rows)


@pytest.mark.parametrize("is_array", [False, True])
@given(st.lists(OBJECTS, min_size=1), st.data())
@FIXTURES_STAY
def test_objects_are_where_they_say(tmp_path, is_array, objects, data):
    forms = st.sampled_from([json.dumps, str, lambda one: json.dumps(one, indent=1, ensure_ascii=False)])
    text = data.draw(st.sampled_from([",", "\n", " \n,\n\n"])).join(data.draw(forms)(one) for one in objects)
    path = tmp_path / "x.json"
    path.write_bytes(data.draw(MARKS) + (f"\n[ {text}\n]\n" if is_array else text).encode())
    check_places(path, list(read_objects(path)), objects)
