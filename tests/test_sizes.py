import pytest

from dali_rec._sizes import parse_size, shown_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GB", 10**9),
        ("500 mb", 5 * 10**8),
        ("64MiB", 2**26),
        ("1.5k", 1500),
        ("2tib", 2 << 40),
        ("7", 7),
        (7, 7),
    ],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1XB", "1 G B", "1 GBps", "1iB"])
def test_what_is_no_size_is_said(text):
    with pytest.raises(ValueError, match="expected a size such as 1GB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0", "0GB", "0.1"])
def test_less_than_a_byte_is_refused(text):
    with pytest.raises(ValueError, match="at least one byte"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (23_668, "23.7 kB"),
        (999_700, "1 MB"),
        (6_381_912, "6.38 MB"),
        (10**12, "1 TB"),
    ],
)
def test_sizes_are_shown_in_three_digits(count, shown):
    assert shown_size(count) == shown
