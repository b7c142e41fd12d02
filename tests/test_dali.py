import sys
from types import SimpleNamespace

import pytest

import dali_rec
from dali_rec import _dali
from dali_rec.cli import main
from dali_rec.errors import MissingDependencyError
from dali_rec.packing.batches import import_nvimgcodec

WHERE = {
    "linux": r'install it with: pip install "dali-rec\[cuda12\]", or "dali-rec\[cuda13\]" for drivers of CUDA 13',
    "win32": "DALI has builds for Linux only: {} runs on Linux, on Windows in WSL 2",
    "darwin": "DALI has builds for Linux only: {} runs on Linux",
}


@pytest.fixture(params=WHERE)
def without_dali(request, monkeypatch):
    """A system on which DALI is missing; gives what is to be done."""
    monkeypatch.setattr(_dali, "sys", SimpleNamespace(platform=request.param, flags=sys.flags))
    for name in ("nvidia", "nvidia.dali", "nvidia.nvimgcodec"):
        monkeypatch.setitem(sys.modules, name, None)
    return WHERE[request.param]


def test_loader_says_how_dali_is_had_or_where_loading_runs(without_dali, packed):
    with pytest.raises(
        MissingDependencyError, match=rf"^loading needs NVIDIA DALI \(.*\); {without_dali.format('loading')}$"
    ):
        dali_rec.Loader(packed, 4, 8)


def test_packing_on_a_gpu_says_so_too(without_dali):
    where = without_dali.format("packing on a GPU")
    with pytest.raises(MissingDependencyError, match=rf"^packing on a GPU needs nvImageCodec \(.*\); {where}$"):
        import_nvimgcodec()


def test_commands_say_it_in_one_line(without_dali, packed, tmp_path, capsys):
    assert main(["show", str(packed), "--augmented", "-o", str(tmp_path / "sheet.png")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
