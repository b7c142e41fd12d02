"""What launchers of many processes tell each of them, in environment variables."""

from __future__ import annotations

import os
from typing import NamedTuple

#: Variables with rank, world size and rank within the machine: torchrun and most launchers, Open MPI, Slurm's steps.
#: Slurm's own world size is that of the job, also in a script that runs once: only that of a step means processes.
_VARIABLES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
)
#: How many processes a launcher started on this machine: torchrun and most launchers, Open MPI.
_LOCAL_SIZES = ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE")


class EnvironmentRanks(NamedTuple):
    """``rank`` of ``world_size`` processes; ``why`` names the variables that say so."""

    rank: int
    world_size: int
    why: str


def ranks_in_environment() -> EnvironmentRanks | None:
    """The rank that a launcher gave this process, or None. Raises ValueError for one that is no number."""
    for rank, world_size, _ in _VARIABLES:
        if rank in os.environ and world_size in os.environ:
            return EnvironmentRanks(_number(rank), _number(world_size), f"{rank} and {world_size}")
    return None


def local_rank_in_environment() -> int | None:
    """The rank within the machine that a launcher gave this process, or None."""
    for _, _, local in _VARIABLES:
        if local in os.environ:
            return _number(local)
    return None


def local_world_size_in_environment() -> int | None:
    """How many processes a launcher started on this machine, or None where it does not say."""
    return next((_number(name) for name in _LOCAL_SIZES if name in os.environ), None)


def _number(variable: str) -> int:
    text = os.environ[variable]
    if not text.isdecimal():
        raise ValueError(f"the environment variable {variable} is {text!r}: expected a whole number from 0 up")
    return int(text)
