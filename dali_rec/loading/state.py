"""Where a Loader stands, as plain values that JSON and torch.save take, and whether a state fits a Loader."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import zlib
from typing import TYPE_CHECKING, Any

from dali_rec.errors import LoaderError, MissingDependencyError
from dali_rec.loading.finish import choose_resizer
from dali_rec.loading.readers import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device
    from dali_rec.loading.specs import ImageSpec

VERSION = 1

_PARTS = {"epoch", "batch", "began", "start", "taken", "data", "options", "rank", "world_size", "pipeline"} | {
    "image_size",
    "skipped",
    "checkpointed",
    "failures_since",
}


def data_fingerprint(dataset: Dataset) -> dict[str, Any]:
    """What tells this data set, or view of one, from others: names are left out, so that files may move."""
    digest = hashlib.sha256()
    for shard in dataset.shards:
        for numbers in (shard.index.keys, shard.index.offsets):
            digest.update(f"{shard.reader.size}:{len(numbers)}:{zlib.crc32(numbers.tobytes()):08x};".encode("ascii"))
    return {"records": len(dataset), "shards": len(dataset.shards), "digest": digest.hexdigest()}


def make_state(
    place: Place,
    taken: int,
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    ranks: tuple[int, int],
    extra: Mapping[str, Any],
    checkpoint: bytes | None,
) -> dict[str, Any]:
    """The state of a Loader; ``ranks``: rank and world size, ``taken``: rows that all ranks have taken."""
    return {
        "version": VERSION,
        "epoch": place.epoch,
        "batch": place.batch,
        "began": place.began,
        "start": place.start,
        "taken": taken,
        "data": dict(data),
        "options": dict(options),
        "rank": ranks[0],
        "world_size": ranks[1],
        **extra,
        "pipeline": None if checkpoint is None else base64.b64encode(checkpoint).decode("ascii"),
    }


def check_state(state: Mapping[str, Any], data: Mapping[str, Any], options: Mapping[str, Any], name: str) -> None:
    """Raise LoaderError, with the reason, unless the state comes from the same data and the same options."""
    if not hasattr(state, "get") or state.get("version") != VERSION:
        raise LoaderError(f"{name}: not a state of this version of Loader.state_dict(); start the epoch anew")
    missing = _PARTS.difference(state)
    if missing:
        raise LoaderError(f"{name}: the state is damaged: it has no {', '.join(sorted(missing))}; start the epoch anew")
    for what, theirs, ours in (("data", state["data"], data), ("options", state["options"], options)):
        for key in sorted({*theirs, *ours}):
            if _plain(theirs.get(key)) != _plain(ours.get(key)):
                raise LoaderError(
                    f"{name}: the state was saved with other {what}: {key} was {theirs.get(key)!r}, here it is "
                    f"{ours.get(key)!r}; make the Loader as it was, or start the epoch anew"
                )


def place_of(state: Mapping[str, Any]) -> Place:
    """Where the state stands."""
    return Place(int(state["epoch"]), int(state["batch"]), int(state["began"]), int(state["start"]))


def checkpoint_of(state: Mapping[str, Any]) -> bytes | None:
    """DALI's part of the state. Raises LoaderError if it is damaged."""
    text = state["pipeline"]
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise LoaderError(f"the state is damaged ({error}); start the epoch anew") from None


def _plain(value: Any) -> Any:
    """Lists for tuples, as JSON gives them back."""
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def describe_image(image: ImageSpec) -> dict[str, Any]:
    """What of the images belongs to a state: all but the size, which may change on the way."""
    augment = image.augment
    named = repr(augment) if not callable(augment) else f"{augment.__module__}.{getattr(augment, '__qualname__', '')}"
    return {
        "augment": named,
        "dtype": image.dtype,
        "mean": list(image.mean),
        "std": list(image.std),
        "antialias": bool(image.antialias),
        "boxes": image.boxes,
    }


def made_by(image: ImageSpec, at_once: int, pipelines: int) -> dict[str, Any]:
    """Which of the ways to images is taken. Not an option, but DALI's checkpoint is of its operators and its runs.

    at_once: batches a run. pipelines: how many make the runs.
    """
    return {
        "resizer": image.resizer,
        "crop_in_decoder": image.crop_in_decoder,
        "at_once": at_once,
        "pipelines": pipelines,
    }


def runs_of(state: Mapping[str, Any]) -> tuple[int, int]:
    """Batches a run, and pipelines, where the state was saved."""
    made = state.get("made_by", {})
    return int(made.get("at_once", 1)), int(made.get("pipelines", 1))


def image_of(state: Mapping[str, Any], image: ImageSpec, device: Device, name: str) -> ImageSpec:
    """``image``, made as where the state was saved. Raises LoaderError where it cannot be made so on ``device``."""
    theirs = {**made_by(image, 1, 1), **state.get("made_by", {})}
    try:
        resizer = choose_resizer(theirs["resizer"], on_gpu=device.is_gpu)
    except (ValueError, MissingDependencyError) as error:
        raise LoaderError(
            f"{name}: the state was saved with resizer={theirs['resizer']!r}, which cannot be had here: {error}"
        ) from error
    cuts = bool(theirs["crop_in_decoder"])
    if cuts and not image.crop_in_decoder and device.is_gpu:
        raise LoaderError(
            f"{name}: the state was saved with crops cut out by the decoder, which not every GPU survives; where this "
            "one does, make the Loader with tuned=Tuned(crop_in_decoder=True)"
        )
    return dataclasses.replace(image, resizer=resizer, crop_in_decoder=cuts)
