"""What the machine has, where libraries of the driver are there, and where they are not."""

from types import SimpleNamespace

import pytest

from dali_rec import _hardware as hardware


@pytest.mark.parametrize(
    ("statuses", "calls"), [((0, 0, 0), 4), ((9, 0, 0), 1), ((0, 2, 0), 3), ((0, 0, 3), 4)]
)  # what each of the functions returns (nvml.h), and how many are called
def test_near_cores_are_known_where_all_of_nvml_works(monkeypatch, statuses, calls):
    called = []

    def function(status):
        return lambda *arguments: called.append(arguments) or status

    names = ("nvmlInit_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetCpuAffinityWithinScope")
    functions = dict(zip(names, map(function, statuses), strict=True))
    library = SimpleNamespace(**functions, nvmlShutdown=function(0))

    def load(name):
        if name != "libnvidia-ml.so":
            raise OSError(name)
        return library

    monkeypatch.setattr(hardware.ctypes, "CDLL", load)
    assert hardware.knows_near_cores(5) == (not any(statuses))
    assert len(called) == calls
    assert all(arguments[0] == 5 for arguments in called[1:2])


def test_near_cores_are_not_known_without_nvml(monkeypatch):
    def load(name):
        raise OSError(name)

    monkeypatch.setattr(hardware.ctypes, "CDLL", load)
    assert not hardware.knows_near_cores(0)
