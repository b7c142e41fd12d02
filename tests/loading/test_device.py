import pytest

from dali_rec.errors import DeviceUnavailableError
from dali_rec.loading import device
from dali_rec.loading.device import choose_device


@pytest.fixture
def gpus(monkeypatch):
    """Pretend that the driver shows so many GPUs."""

    def pretend(count):
        monkeypatch.setattr(device, "count_gpus", lambda: (count, "" if count else "no NVIDIA driver found (libcuda)"))

    return pretend


def test_auto_takes_a_gpu_where_there_is_one(gpus):
    gpus(2)
    assert choose_device("auto").index == 0
    gpus(0)
    assert not choose_device("auto").is_gpu


def test_why_the_cpu_was_taken_is_said(gpus):
    gpus(0)
    assert "no NVIDIA driver" in choose_device("auto").why


@pytest.mark.parametrize("wanted", ["gpu", 0])
def test_gpu_without_a_gpu_is_an_error_with_the_remedy(gpus, wanted):
    gpus(0)
    with pytest.raises(DeviceUnavailableError, match=r"no NVIDIA driver found.*device='cpu'"):
        choose_device(wanted)


def test_gpu_that_is_not_there_is_an_error(gpus):
    gpus(2)
    assert choose_device(1).index == 1
    with pytest.raises(DeviceUnavailableError, match="no GPU 2: 2 found"):
        choose_device(2)


def test_cpu_is_taken_as_asked(gpus):
    gpus(2)
    assert not choose_device("cpu").is_gpu


@pytest.mark.parametrize("wanted", ["cuda", -1, True, 1.5])
def test_unknown_device_is_an_error(gpus, wanted):
    gpus(1)
    with pytest.raises(ValueError, match="expected 'auto', 'gpu', 'cpu'"):
        choose_device(wanted)
