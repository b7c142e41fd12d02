"""How many cores there are to work with."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Cores that this process may run on; fewer where a container limits its processor time, to that rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _own_folders() if (quota := _quota(folder)) is not None]
    return min([cores, *(max(1, math.ceil(quota)) for quota in quotas)])


def _quota(folder: Path) -> float | None:
    """Cores' worth of time that Linux gives a control group, by ``docker run --cpus`` or Kubernetes, or None."""
    try:
        if (folder / "cpu.max").exists():  # cgroup v2: "QUOTA PERIOD", in microseconds; QUOTA may be "max"
            quota, period = (folder / "cpu.max").read_text("ascii").split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
        if quota.strip() == "max" or float(quota) <= 0:  # -1 in v1
            return None
        return float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _own_folders() -> Iterator[Path]:
    """The folders of this process's groups and those around them; in a container the topmost are its own."""
    try:
        lines = os.fsdecode(_OWN_GROUPS.read_bytes()).splitlines()
    except OSError:
        return
    for line in lines:  # "NUMBER:CONTROLLERS:/PATH", no controllers in v2
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = _GROUPS / controllers
        group = top / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))
