import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dali_rec.packing.split import check_shares, parse_shares, split_rows

SHARES = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
    lambda parts: {f"part{number}": part / sum(parts) for number, part in enumerate(parts)}
)


@given(st.integers(1, 300), SHARES, st.integers(0, 5))
def test_every_row_is_in_one_split_and_the_sizes_are_the_shares(count, shares, seed):
    rows = split_rows(count, shares, seed)
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(count))
    for name, share in shares.items():
        assert abs(len(rows[name]) - count * share) < 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), SHARES)
def test_stratified_split_has_the_shares_of_each_group(groups, shares):
    rows = split_rows(len(groups), shares, 0, groups)
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(len(groups)))
    for group in set(groups):
        for name, share in shares.items():
            found = sum(groups[row] == group for row in rows[name])
            assert abs(found - groups.count(group) * share) < 1


def test_seed_decides_who_goes_where():
    shares = {"a": 0.5, "b": 0.5}
    one, again, other = (split_rows(100, shares, seed)["a"].tolist() for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted(one) != list(range(50))


def test_shares_are_read():
    assert parse_shares("train=0.9, val=0.1") == {"train": 0.9, "val": 0.1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train=0.9", "add up to 0.9"),
        ("train=0.9,val=x", "'val=x': expected NAME=SHARE"),
        ("train,val=0.1", "'train': expected NAME=SHARE"),
        ("a=0.5,a=0.5", "'a' stands twice"),
        ("a=1,b=0", "above 0"),
        ("a=nan,b=1", "above 0"),
        ("a/b=0.5,c=0.5", "'a/b': the name becomes part of a file's"),
        ("../b=0.5,c=0.5", "the name becomes part of a file's"),
        ("a\\b=1", "the name becomes part of a file's"),
        ("=1", "the name becomes part of a file's, and may not be empty"),
    ],
)
def test_bad_shares_are_said(text, message):
    with pytest.raises(ValueError, match=message):
        parse_shares(text)


@pytest.mark.parametrize("shares", [{"a": float("nan")}, {"a": 1.5, "b": -0.5}, {"a\n": 1.0}, {"": 1.0}])
def test_shares_that_no_files_can_have_are_refused(shares):
    with pytest.raises(ValueError, match="split "):
        check_shares(shares)
