import importlib
import types

import pytest

from dali_rec.errors import DeviceUnavailableError
from dali_rec.loading import device, specs
from dali_rec.loading.device import choose_device, device_for


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


def test_auto_takes_no_gpu_that_the_framework_cannot_use(gpus):
    gpus(2)
    assert device_for("auto", 1, "torch", lambda: None).index == 1
    found = device_for("auto", 1, "torch", lambda: "PyTorch 2.13.0+cpu cannot use it")
    assert (found.index, found.why) == (None, "a GPU was found, but PyTorch 2.13.0+cpu cannot use it")


@pytest.mark.parametrize("wanted", ["gpu", 1])
def test_gpu_that_the_framework_cannot_use_is_an_error_with_the_remedy(gpus, wanted):
    gpus(2)
    with pytest.raises(DeviceUnavailableError, match=r"framework='jax' on GPU [01]: JAX cannot; .* device='cpu'"):
        device_for(wanted, 0, "jax", lambda: "JAX cannot")


def test_framework_is_not_asked_on_the_cpu(gpus):
    gpus(0)
    assert not device_for("auto", 0, "jax", lambda: pytest.fail("asked")).is_gpu


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_builds_for_the_cpu_say_that_they_have_no_gpu(framework):
    pytest.importorskip(framework)
    if device.count_gpus()[0]:
        pytest.skip("there is a GPU")
    assert "cannot use it" in importlib.import_module(f"dali_rec.loading.{framework}").why_no_gpu()


@pytest.mark.parametrize(
    ("cores", "ranks", "on_cpu", "on_gpu"), [(2, None, 2, 2), (64, None, 64, 16), (64, 8, 64, 8), (4, 8, 4, 1)]
)
def test_threads_beside_a_gpu_are_the_share_of_a_rank(monkeypatch, cores, ranks, on_cpu, on_gpu):
    monkeypatch.setattr(specs, "available_cores", lambda: cores)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if ranks:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert specs.default_threads(device.Device(None, "")) == on_cpu
    assert specs.default_threads(device.Device(3, "")) == on_gpu


def test_jax_has_the_gpu_by_its_cuda_number(monkeypatch):
    jax = pytest.importorskip("jax")
    module = importlib.import_module("dali_rec.loading.jax")
    shown = [types.SimpleNamespace(local_hardware_id=3)]
    monkeypatch.setattr(jax, "local_devices", lambda backend: shown if backend == "gpu" else ["cpu"])
    assert module._device_of(device.Device(3, "")) is shown[0]
    assert module._device_of(device.Device(None, "")) == "cpu"
    with pytest.raises(DeviceUnavailableError, match=r"made on GPU 1, and JAX has only .* take device=3"):
        module._device_of(device.Device(1, ""))


def test_tensorflow_numbers_the_gpus_that_it_uses(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    module = importlib.import_module("dali_rec.loading.tensorflow")
    shown = [types.SimpleNamespace(name=f"/physical_device:GPU:{number}") for number in (2, 13)]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _kind: shown)
    assert module._name_of(device.Device(None, "")) == "/CPU:0"
    assert module._name_of(device.Device(2, "")) == "/GPU:0"
    assert module._name_of(device.Device(13, "")) == "/GPU:1"
    with pytest.raises(DeviceUnavailableError, match="made on GPU 3, and TensorFlow uses only"):
        module._name_of(device.Device(3, ""))
