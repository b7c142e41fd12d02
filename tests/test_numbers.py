import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec._numbers import distinct, parse_float, parse_int


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
