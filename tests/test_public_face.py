import subprocess
import sys

import pytest

import dali_rec
from dali_rec import errors


@pytest.mark.parametrize("module", [dali_rec, errors])
def test_all_is_sorted_and_every_name_is_there(module):
    assert list(module.__all__) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_error_is_a_dali_rec_error_and_says_what_it_is():
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, errors.DaliRecError)
        assert error.__doc__


def test_import_needs_neither_dali_nor_a_framework():
    code = "import sys, dali_rec; print(sorted({'nvidia', 'torch', 'cupy', 'fsspec', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"
