"""Which rank this process is, where the caller does not say."""

from __future__ import annotations

import sys
from typing import NamedTuple

from dali_rec._environment import local_rank_in_environment, ranks_in_environment
from dali_rec._numbers import whole_number
from dali_rec.errors import LoaderError


class Ranks(NamedTuple):
    """``rank`` of ``world_size`` processes, ``local_rank`` on this machine; ``why`` says where that was found."""

    rank: int
    world_size: int
    local_rank: int
    why: str


def find_ranks(rank: int | None, world_size: int | None) -> Ranks:
    """The rank and world size: as given, or from torch.distributed, JAX, or the environment, in this order.

    Raises ValueError if only one of the two is given, or the rank is not below the world size.
    """
    if (rank is None) != (world_size is None):
        raise ValueError(f"rank is {rank} and world_size {world_size}: give both, or neither to have them found")
    if rank is None or world_size is None:
        found = _detect()
    else:
        rank, world_size = whole_number("rank", rank), whole_number("world_size", world_size)
        found = Ranks(rank, world_size, _local_rank(), "as given")
    if not 0 <= found.rank < found.world_size:
        raise ValueError(f"rank is {found.rank} of world_size {found.world_size} ({found.why}): ranks count from 0")
    return found


def refuse_other_ranks(rank: int, world_size: int, name: str) -> None:
    """Raise LoaderError where torch.distributed or JAX was set up later, and says other than what was found before.

    Lightning and Fabric set it up after the program has made its loaders: every rank would load all records.
    """
    now = _from_torch() or _from_jax()
    if now is not None and now.world_size > 1 and now[:2] != (rank, world_size):
        raise LoaderError(
            f"{name}: this Loader was made as rank {rank} of {world_size}, and since then {now.why} was set up, where "
            f"this is rank {now.rank} of {now.world_size}; make the Loader after that (with Lightning in "
            "train_dataloader() and val_dataloader()), or give it rank and world_size"
        )


def _detect() -> Ranks:
    return _from_torch() or _from_jax() or _from_environment() or Ranks(0, 1, 0, "one process")


def _from_torch() -> Ranks | None:
    # Only what the program has imported can be set up: importing it here would take seconds for nothing.
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return Ranks(distributed.get_rank(), distributed.get_world_size(), _local_rank(), "torch.distributed")


def _from_jax() -> Ranks | None:
    jax = sys.modules.get("jax")
    distributed = getattr(jax, "distributed", None)
    # Asking for the process count would start JAX's devices; before initialize() there is one process anyway.
    if jax is None or distributed is None or not getattr(distributed, "is_initialized", lambda: False)():
        return None
    return Ranks(jax.process_index(), jax.process_count(), _local_rank(), "jax.distributed")


def _from_environment() -> Ranks | None:
    found = ranks_in_environment()
    if found is None:
        return None
    return Ranks(found.rank, found.world_size, _local_rank(), f"the environment's {found.why}")


def _local_rank() -> int:
    return local_rank_in_environment() or 0
