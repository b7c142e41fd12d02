"""Settings that were measured to be fastest on a machine, kept beside the data set for that machine.

``dali-rec bench DATASET --tune`` writes them into DATASET.tuned.json, and the Loader takes those of the machine it runs
on. They are settings of speed alone: which records come, in which order and with which random crops is the same with
any of them.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec._cores import available_cores
from dali_rec._environment import local_world_size_in_environment
from dali_rec._files import write_text_atomically
from dali_rec._hardware import cpu_name, gpus
from dali_rec._locks import locked
from dali_rec._shard_names import dataset_name
from dali_rec.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device

FORMAT = "dali-rec-tuned"
VERSION = 1
SUFFIX = ".tuned.json"

logger = logging.getLogger("dali_rec")


@dataclass(frozen=True, slots=True)
class Tuned:
    """How DALI is to run; None leaves a setting at its default.

    threads: for decoding and resizing on the CPU. prefetch: batches made ahead. And of the decoder on a GPU:
    hw_decoder_load: the share of the JPEGs, 0…1, that goes to the chip's own JPEG engines. preallocate: make room in
    these for the data set's largest image; by default if that is a gigabyte at most. pad_memory: make the other buffers
    as large as that image, decoded. crop_in_decoder: decode no more of an image than its random crop; off by default,
    since nvImageCodec 0.9 ends the program at that on some GPUs.

    Raises ValueError for what is not possible.
    """

    threads: int | None = None
    prefetch: int | None = None
    hw_decoder_load: float | None = None
    preallocate: bool | None = None
    pad_memory: bool | None = None
    crop_in_decoder: bool | None = None

    def __post_init__(self) -> None:
        for name in ("threads", "prefetch"):
            count = getattr(self, name)
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
                raise ValueError(f"{name} is {count!r}: a number, at least 1")
        load = self.hw_decoder_load
        if load is not None and (isinstance(load, bool) or not isinstance(load, (int, float)) or not 0 <= load <= 1):
            raise ValueError(f"hw_decoder_load is {load!r}: a share, from 0 to 1")
        for name in ("preallocate", "pad_memory", "crop_in_decoder"):
            if getattr(self, name) not in (None, True, False):
                raise ValueError(f"{name} is {getattr(self, name)!r}: True or False")

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that are not at their default."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.changed.items()) or "the defaults"


#: All settings at their default.
DEFAULTS = Tuned()


class MachineKey(NamedTuple):
    """What settings hold for: processor, cores that a process may use, GPUs (of a pipeline on one), and DALI."""

    cpu: str
    cores: int
    gpus: tuple[str, ...]
    dali: str


class Entry(NamedTuple):
    """What was found on one machine.

    rec_bytes: the sizes of the .rec files, by which data packed anew is told. measured: when, with what options and
    with what gain, for people to read.
    """

    machine: MachineKey
    rec_bytes: tuple[int, ...]
    settings: Tuned
    measured: dict[str, Any]


def machine_key(device: Device) -> MachineKey:
    """The key of this machine, for a pipeline on ``device``; needs DALI."""
    import nvidia.dali

    # Of a pipeline on the CPU the driver is not asked: a process that has started CUDA must not fork.
    names = tuple(gpu.name for gpu in gpus()) if device.is_gpu else ()
    return MachineKey(cpu_name(), available_cores(), names, nvidia.dali.__version__)


def tuned_path(dataset: Dataset) -> Path | None:
    """Where the settings for a data set, or a view of one, are kept; None where its files are of several."""
    paths = {shard.path.with_name(dataset_name(shard.path.stem) + SUFFIX) for shard in dataset.shards}
    return paths.pop() if len(paths) == 1 else None


def rec_bytes(dataset: Dataset) -> tuple[int, ...]:
    """The sizes of the .rec files, each once."""
    return tuple(sorted({shard.reader.size for shard in dataset.shards}))


def read_tuned(path: Path) -> list[Entry]:
    """What is kept in the file, for all machines; nothing if there is none. Raises DatasetError if it is damaged."""
    try:
        return [_entry(one) for one in _machines(json.loads(path.read_bytes()))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DatasetError(
            f"{path}: not settings that this dali-rec can read ({reason}); delete it, or replace it by tuning anew: "
            "'dali-rec bench DATASET --tune'"
        ) from None


def _machines(content: dict[str, Any]) -> list[dict[str, Any]]:
    if content["format"] != FORMAT or content["version"] != VERSION:
        raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
    machines: list[dict[str, Any]] = content["machines"]
    return machines


def _entry(content: dict[str, Any]) -> Entry:
    machine = content["machine"]
    names = [field.name for field in fields(Tuned)]
    if not set(content["settings"]) <= set(names):
        raise ValueError(f"settings {sorted(content['settings'])}, known are {names}")
    return Entry(
        MachineKey(str(machine["cpu"]), int(machine["cores"]), tuple(map(str, machine["gpus"])), str(machine["dali"])),
        tuple(int(size) for size in content["rec_bytes"]),
        Tuned(**content["settings"]),
        dict(content["measured"]),
    )


def save_tuned(path: Path, entry: Entry) -> None:
    """Keep an entry in the file, in place of that of the same machine; what is kept for other machines stays.

    Processes that save at the same time wait for each other. A damaged file is replaced, with a warning. Raises
    DatasetError if it cannot be written.
    """
    with locked(path) as alone:
        if not alone:
            logger.debug("%s: not locked: what another process saves at this moment may be lost", path)
        _save_tuned(path, entry)


def _save_tuned(path: Path, entry: Entry) -> None:
    try:
        others = [one for one in read_tuned(path) if one.machine != entry.machine]
    except DatasetError as error:
        logger.warning("replaced: %s", error)
        others = []
    machines = [
        {
            "machine": one.machine._asdict(),
            "rec_bytes": one.rec_bytes,
            "settings": one.settings.changed,
            "measured": one.measured,
        }
        for one in [*others, entry]
    ]
    try:
        write_text_atomically(
            path, json.dumps({"format": FORMAT, "version": VERSION, "machines": machines}, indent=1) + "\n"
        )
    except OSError as error:
        raise DatasetError(
            f"{path}: the settings cannot be kept there ({error.strerror}); give them to the Loader: "
            f"tuned=dali_rec.loading.{entry.settings!r}"
        ) from None


def choose_tuned(wanted: bool | Tuned, dataset: Dataset, device: Device, world_size: int) -> tuple[Tuned, str]:
    """The settings for ``wanted``: True, those kept for this machine; False, the defaults; or as given. And why."""
    if isinstance(wanted, Tuned):
        return wanted, "as given"
    if not isinstance(wanted, bool):
        raise ValueError(f"tuned is {wanted!r}: expected True, False or a Tuned")  # noqa: TRY004  # as other options
    if not wanted:
        return DEFAULTS, "defaults (as asked)"
    return find_tuned(dataset, device, local_world_size_in_environment() or world_size)


def find_tuned(dataset: Dataset, device: Device, ranks_here: int) -> tuple[Tuned, str]:
    """The settings kept for this data set on this machine, and why these: the defaults where none are kept.

    ranks_here: processes that load on this machine, as far as is known. A damaged file is ignored, with a warning.
    """
    path = tuned_path(dataset)
    try:
        entries = [] if path is None else read_tuned(path)
    except DatasetError as error:
        logger.warning("ignored: %s", error)
        return DEFAULTS, "defaults (the file with those kept is damaged)"
    if path is None or not entries:
        return DEFAULTS, "defaults (not tuned)"
    if ranks_here != 1:
        return DEFAULTS, f"defaults ({path.name} is for one process a machine)"
    here = machine_key(device)
    entry = next((one for one in entries if one.machine == here), None)
    if entry is None:
        return DEFAULTS, f"defaults ({path.name} is of other machines)"
    if not set(rec_bytes(dataset)) <= set(entry.rec_bytes):
        return DEFAULTS, f"defaults ({path.name} is of other .rec files of this name; tune anew)"
    return entry.settings, f"{path.name}, of {entry.measured.get('date', 'this machine')}"
