import random
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import traced_peak

from dali_rec.sources import Sample, SampleTable, sample

SAMPLES = st.builds(
    Sample,
    st.integers(0, 2**64 - 1),
    st.lists(st.floats(allow_nan=False, width=32), max_size=3).map(tuple),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)


@given(samples=st.lists(SAMPLES, max_size=20), data=st.data(), at_once=st.integers(1, 7))
def test_rows_come_back_one_by_one_in_order_and_as_they_are_taken(samples, data, at_once):
    table = SampleTable.of(samples)
    assert list(table) == samples == [table[row] for row in range(len(samples))]
    rows = data.draw(st.lists(st.integers(0, len(samples) - 1), max_size=30)) if samples else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_ROWS_AT_ONCE", at_once)
        for chosen in (rows, np.array(rows, np.int64), array("q", rows)):
            assert list(table.take(chosen)) == [samples[row] for row in rows]


def test_taking_rows_needs_little_more_memory_than_they_do():
    table = SampleTable.of(Sample(key, (1.0,), f"folder/{key:06d}.jpg") for key in range(200_000))
    order = list(range(len(table)))
    random.Random(0).shuffle(order)
    rows = array("q", order)
    assert traced_peak(lambda: table.take(rows)) < 1.4 * traced_peak(lambda: SampleTable.of(table))
