"""mx.nd, mx.gluon.data and its transforms beside MXNet 1.9.1: ``tools/peers/mxnet_gluon.py`` stored its results."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import DATA

CALLS = Path(__file__).parents[2] / "tools" / "peers" / "mxnet_gluon.py"
STORED = np.load(DATA / "mxnet_gluon.npz")


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """What the script makes that made the stored results, as it stands."""
    path = tmp_path_factory.mktemp("ours") / "ours.npz"
    subprocess.run([sys.executable, "-m", "dali_rec.compat.mxnet", CALLS, DATA, path], check=True, timeout=120)
    return np.load(path)


@pytest.mark.parametrize("name", STORED.files)
def test_result_is_that_of_mxnet(ours, name):
    expected, found = STORED[name], ours[name]
    assert found.shape == expected.shape
    if expected.dtype.kind == "U":
        assert json.loads(found.item()) == json.loads(expected.item())
        return
    assert found.dtype == expected.dtype
    assert np.allclose(found.astype(np.float64), expected, rtol=1e-5, atol=3e-4)


def test_nothing_else_is_made(ours):
    assert sorted(ours.files) == sorted(STORED.files)
