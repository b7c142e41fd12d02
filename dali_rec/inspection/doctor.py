"""``doctor``: what this machine has, what is missing, and what the loader will use."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from dali_rec._cores import available_cores
from dali_rec._dali import has_builds_here, where_instead
from dali_rec._hardware import cpu_name, gpus, memory, nvidia_driver, total_cores
from dali_rec._version import __version__
from dali_rec.inspection import dali_probe, packages
from dali_rec.loading.device import choose_device
from dali_rec.loading.finish import obstacle_to_numba

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dali_rec._hardware import Driver, Gpu
    from dali_rec.inspection.dali_probe import Probe
    from dali_rec.inspection.packages import Installed, Package

#: ok: there and working; absent: not there, and not needed for what is there; problem: something will not work.
Status = Literal["ok", "absent", "problem"]

_OLDEST_DALI = (2, 3)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, how it is with it, and the command that would mend it, if any.

    Where there is no such command on this system, the remedy is another system.
    """

    section: str
    name: str
    status: Status
    detail: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was looked at.

    device: "GPU 0", "CPU", or None where nothing can be loaded. framework: the array framework at hand that the loader
    feeds, "numpy" where there is no other, or None with the device. why: how both came about.
    """

    findings: tuple[Finding, ...]
    device: str | None
    framework: str | None
    why: str

    def as_json(self) -> dict[str, Any]:
        """Everything as what JSON can hold."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Look at this machine: system, GPUs, DALI, frameworks, and what packing uses.

    Versions come from the metadata of packages, of which only Numba is imported: many a one does not fit the NumPy that
    is there. Whether DALI works is tried, by loading a few images in a process of its own: on the CPU, and on the first
    GPU where there is one.
    """
    versions = packages.installed()
    driver, cards = nvidia_driver(), gpus()
    dali = packages.find_dali(versions)
    probes = {"cpu": dali_probe.start("cpu")} if dali else {}
    if dali and cards:
        probes["gpu"] = dali_probe.start("0")
    findings = [*_machine(), *_gpus(driver, cards), *_dali(dali, versions, driver)]
    results = {device: dali_probe.finish(process) for device, process in probes.items()}
    findings += _probes(results)
    findings += _packages("frameworks", packages.FRAMEWORKS.values(), versions, driver, cards)
    findings += _torch_build(versions, cards)
    findings += _tensorflow_plugin(versions, dali)
    findings += _packages("packing", packages.CORE, versions, driver, cards)
    findings += _compiler(versions)
    findings += _packages("packing", packages.OTHERS, versions, driver, cards)
    return Diagnosis(tuple(findings), *_choice(results, versions))


def cuda_extra(driver: Driver | None) -> str:
    """The extra of dali-rec whose DALI the driver serves; that of CUDA 12 where there is no driver."""
    return "cuda13" if driver is not None and driver.cuda >= (13, 0) else "cuda12"


def _install(extra: str) -> str:
    return f'pip install "dali-rec[{extra}]"'


def _install_dali(driver: Driver | None) -> str:
    return _install(cuda_extra(driver)) if has_builds_here() else where_instead("loading")


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "dali-rec", "ok", __version__)
    old = sys.version_info < (3, 10)
    yield Finding("machine", "Python", "problem" if old else "ok", f"{platform.python_version()}, {sys.executable}")
    yield Finding("machine", "system", "ok", platform.platform())
    cores, every = available_cores(), total_cores()
    share = f"{cores} cores" if cores == every else f"{cores} of {every} cores for this process"
    yield Finding("machine", "processor", "ok", f"{cpu_name()}, {share}")
    sizes = memory()
    said = "not known" if sizes is None else f"{sizes[0] / 2**30:.1f} GiB, {sizes[1] / 2**30:.1f} GiB available"
    yield Finding("machine", "memory", "ok", said)


def _gpus(driver: Driver | None, cards: tuple[Gpu, ...]) -> Iterator[Finding]:
    if driver is None:
        yield Finding("GPU", "NVIDIA driver", "absent", "none that starts; the CPU decodes and resizes")
        return
    version = f"{driver.version}, " if driver.version else ""
    yield Finding("GPU", "NVIDIA driver", "ok", f"{version}for CUDA {driver.cuda[0]}.{driver.cuda[1]} and older")
    for card in cards:
        capability = ".".join(map(str, card.capability))
        detail = f"{card.name}, {card.memory / 2**30:.1f} GiB, compute capability {capability}"
        yield Finding("GPU", f"GPU {card.number}", "ok", detail)
    if not cards:
        yield Finding("GPU", "GPU", "absent", "the driver shows none to this process (CUDA_VISIBLE_DEVICES?)")


def _dali(dali: list[Installed], versions: dict[str, str], driver: Driver | None) -> Iterator[Finding]:
    remedy = _install_dali(driver)
    if not dali:
        why = "not installed" if has_builds_here() else "has builds for Linux only"
        yield Finding("loading", "DALI", "problem", f"{why}: packing works, loading does not", remedy)
    elif len(dali) > 1:
        names = " and ".join(one.distribution for one in dali)
        uninstall = f"pip uninstall -y {' '.join(one.distribution for one in dali)} && {remedy}"
        yield Finding("loading", "DALI", "problem", f"{names} overwrite each other: have one of them", uninstall)
    else:
        yield _one_dali(dali[0], driver, remedy)
    codec = ", ".join(f"{one.version} ({one.distribution})" for one in packages.find_codec(versions))
    if codec:
        yield Finding("loading", "nvImageCodec", "ok", codec)
    else:
        status: Status = "problem" if dali else "absent"
        yield Finding("loading", "nvImageCodec", status, "not installed; DALI needs it", remedy)


def _one_dali(dali: Installed, driver: Driver | None, remedy: str) -> Finding:
    detail = f"{dali.version} ({dali.distribution})"
    numbers = tuple(int(part) for part in dali.version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST_DALI:
        return Finding("loading", "DALI", "problem", f"{detail}: 2.3 or newer is needed", f"{remedy} --upgrade")
    cuda = int(dali.distribution.rpartition("cuda")[2][:2])
    if driver is not None and cuda > driver.cuda[0]:
        told = f"{detail} is for CUDA {cuda}, the driver for CUDA {driver.cuda[0]}"
        return Finding("loading", "DALI", "problem", told, f"pip uninstall -y {dali.distribution} && {remedy}")
    return Finding("loading", "DALI", "ok", detail)


def _probes(results: dict[str, Probe]) -> Iterator[Finding]:
    for device, probe in results.items():
        name = f"{device.upper()} pipeline"
        detail = "runs: images written, read, decoded and resized" if probe.runs else f"does not run: {probe.reason}"
        yield Finding("loading", name, "ok" if probe.runs else "problem", detail)


def _packages(
    section: str,
    wanted: Iterable[Package],
    versions: dict[str, str],
    driver: Driver | None,
    cards: tuple[Gpu, ...],
) -> Iterator[Finding]:
    for package in wanted:
        there = packages.find(package, versions)
        if there is not None:
            plain = there.distribution == package.distributions[0]
            detail = there.version if plain else f"{there.version} ({there.distribution})"
            if package.needs_gpu and not cards:
                yield Finding(section, package.name, "absent", f"{detail}, of no use without a GPU")
            else:
                yield Finding(section, package.name, "ok", f"{detail}, for {package.purpose}")
        elif package in packages.CORE:
            missing = f"not installed, for {package.purpose}"
            yield Finding(section, package.name, "problem", missing, "pip install --upgrade dali-rec")
        else:
            remedy = _install(package.extra) if package.extra else _install_dali(driver)
            yield Finding(section, package.name, "absent", f"not installed, for {package.purpose}", remedy)


def _compiler(versions: dict[str, str]) -> Iterator[Finding]:
    """A Numba that is installed, and does not work: the loader does without it and is slower, packing cannot."""
    obstacle = obstacle_to_numba() if "numba" in versions else None
    if obstacle is not None:
        yield Finding("packing", "Numba's compiler", "problem", f"does not run: {obstacle.reason}", obstacle.remedy)


def _torch_build(versions: dict[str, str], cards: tuple[Gpu, ...]) -> Iterator[Finding]:
    """A PyTorch that cannot use the GPU, beside a GPU: what the loader makes there could not be handed over."""
    version = versions.get("torch", "")
    if cards and version.endswith("+cpu"):
        detail = f"{version} cannot take tensors on the GPU; Loader(device='cpu') feeds it"
        yield Finding("frameworks", "PyTorch build", "problem", detail, "pip install --force-reinstall torch")


def _tensorflow_plugin(versions: dict[str, str], dali: list[Installed]) -> Iterator[Finding]:
    """DALI's plugin for TensorFlow, which must be of DALI's own version, where there are both."""
    if len(dali) != 1 or packages.find(packages.FRAMEWORKS["tensorflow"], versions) is None:
        return
    name = dali[0].distribution.replace("nvidia-dali-", "nvidia-dali-tf-plugin-")
    purpose = "for as_endless_dataset without Python in between"
    remedy = f"pip install --no-build-isolation --no-cache-dir --no-deps {name}=={dali[0].version}"
    there = versions.get(name)
    if there is None:
        yield Finding("frameworks", "TensorFlow plugin", "absent", f"not installed, {purpose}", remedy)
    elif there != dali[0].version:
        detail = f"{there} is not of DALI's version, {dali[0].version}"
        yield Finding("frameworks", "TensorFlow plugin", "problem", detail, remedy)
    else:
        yield Finding("frameworks", "TensorFlow plugin", "ok", f"{there} ({name}), {purpose}")


def _choice(results: dict[str, Probe], versions: dict[str, str]) -> tuple[str | None, str | None, str]:
    if not results:
        return None, None, "it needs DALI"
    device = choose_device("auto")
    on_gpu = device.is_gpu and "gpu" in results
    if not results["gpu" if on_gpu else "cpu"].runs:
        otherwise = ", but that of the CPU does: Loader(device='cpu')" if on_gpu and results["cpu"].runs else ""
        return None, None, f"the {device} pipeline does not run{otherwise}"
    at_hand = [
        name
        for name, package in packages.FRAMEWORKS.items()
        if packages.find(package, versions) and (on_gpu or not package.needs_gpu)
    ]
    framework = at_hand[0] if at_hand else "numpy"
    default = "it is the default" if framework == "torch" else "the default, torch, is not installed: name it"
    return str(device), framework, f"{device}: {device.why}; {framework}: {default}"
