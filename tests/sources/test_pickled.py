"""Mappings and arrays in pickles, read without running anything; see test_pairs.py for what is refused."""

import pickle

import numpy as np
import pytest

from dali_rec.errors import SourceError
from dali_rec.sources.pickled import read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [{}, {"a": 1}, {"a": 1, "b": [2, {"c": None}]}, [{"a": 300}, {}]])
def test_mappings_are_what_they_were(protocol, value):
    assert read_pickle(pickle.dumps(value, protocol), "x") == value


def test_keys_may_be_strings_of_python_2():
    assert read_pickle(b"\x80\x02}(U\x01aK\x01T\x01\x00\x00\x00bK\x02u.", "x") == {"a": 1, "b": 2}
    assert read_pickle(b"(dS'a'\nI1\nsS'b'\nI2\ns.", "x") == {"a": 1, "b": 2}
    assert read_pickle(b"(S'a'\nI1\nd.", "x") == {"a": 1}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", [1, None, (1, 2), "a" * 201])
def test_other_keys_are_refused(protocol, key):
    with pytest.raises(SourceError, match="nothing in it was run"):
        read_pickle(pickle.dumps({key: 1}, protocol), "x")


@pytest.mark.parametrize("program", [b"}(U\x01au.", b"](U\x01aK\x01u.", b"]U\x01aK\x01s.", b"(U\x01ad.", b"}K\x01s."])
def test_mappings_that_are_none_are_refused(program):
    with pytest.raises(SourceError, match="nothing in it was run"):
        read_pickle(program, "x")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_say_whether_their_columns_come_first(protocol, order):
    array = read_pickle(pickle.dumps(np.zeros((3, 4), np.uint8, order), protocol), "x")
    assert (array.dtype, array.shape, array.is_fortran) == ("u1", (3, 4), order == "F")
