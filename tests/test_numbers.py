from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import traced_peak

from dali_rec._numbers import counted, distinct, each, parse_float, parse_int


@pytest.mark.parametrize("text", ["0", "7", " 12 ", "-3", "+5", "007", "18446744073709551615"])
def test_whole_numbers_are_read_as_python_reads_them(text):
    assert parse_int(text) == int(text)


@pytest.mark.parametrize("text", ["0", " 1.5 ", "-1e-3", "1E5", ".5", "inf"])
def test_numbers_are_read_as_python_reads_them(text):
    assert parse_float(text) == float(text)


@pytest.mark.parametrize("text", ["1_2", "2019_1", "1_0.5", "1e1_0", "_", "cat", ""])
def test_what_is_no_number_is_refused(text):
    for parse in (parse_int, parse_float):
        with pytest.raises(ValueError, match=r"number|int|float"):
            parse(text)


@given(st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1)))
def test_distinct_values_ascend_each_once(values):
    assert distinct(np.array(values, dtype=np.uint64)).tolist() == sorted(set(values))


def test_values_come_as_pythons_own_a_few_at_a_time():
    values = np.arange(200_000)
    assert list(each(values)) == values.tolist()
    assert [type(value) for value in each(np.float32([0.5]))] == [float]
    assert traced_peak(lambda: deque(each(values), maxlen=0)) < 4_000_000  # of which a list of all takes 8


def test_one_is_one_and_a_thousand_have_their_comma():
    assert [counted(number, "image") for number in (0, 1, 1000)] == ["0 images", "1 image", "1,000 images"]
    assert [counted(number, "class has", "classes have") for number in (1, 2)] == ["1 class has", "2 classes have"]
