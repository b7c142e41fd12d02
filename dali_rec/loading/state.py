"""Where a Loader stands, as plain values that JSON and torch.save take, and whether a state fits a Loader."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from dali_rec.errors import LoaderError, MissingDependencyError
from dali_rec.loading.finish import choose_resizer
from dali_rec.loading.readers import Place
from dali_rec.loading.runs import Mark, Stand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dali_rec.dataset import Dataset
    from dali_rec.loading.device import Device
    from dali_rec.loading.specs import Execution, ImageSpec

VERSION = 1

# "made_by" is not in the states of earlier versions.
_PARTS = {"epoch", "batch", "began", "start", "taken", "data", "options", "rank", "world_size", "image_size"} | {
    "skipped",
    "checkpointed",
    "failures_since",
    "pipeline",
}


class Saved(NamedTuple):
    """What a state holds of a Loader, beside the data and the options that both must have.

    ``ranks``: rank and world size. ``taken``: rows of the epoch that all ranks together have taken. ``made_by``: which
    of the ways to images was taken. ``skipped``: ids of the records left out.
    """

    stand: Stand
    ranks: tuple[int, int]
    taken: int
    image_size: tuple[int, int]
    made_by: Mapping[str, Any]
    skipped: Sequence[int]


def write_state(saved: Saved, data: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a Loader."""
    place, mark = saved.stand
    return {
        "version": VERSION,
        "epoch": place.epoch,
        "batch": place.batch,
        "began": place.began,
        "start": place.start,
        "taken": saved.taken,
        "data": dict(data),
        "options": dict(options),
        "rank": saved.ranks[0],
        "world_size": saved.ranks[1],
        "image_size": list(saved.image_size),
        "made_by": dict(saved.made_by),
        "skipped": list(saved.skipped),
        "checkpointed": [mark.place.epoch, mark.place.batch],
        "failures_since": mark.failures,
        "pipeline": None if mark.checkpoint is None else base64.b64encode(mark.checkpoint).decode("ascii"),
    }


def read_state(state: Mapping[str, Any], data: Mapping[str, Any], options: Mapping[str, Any], name: str) -> Saved:
    """What ``state`` holds. Raises LoaderError, with the reason, for one of other data or options, or damaged."""
    _check(state, data, options, name)
    place = Place(int(state["epoch"]), int(state["batch"]), int(state["began"]), int(state["start"]))
    epoch, batch = state["checkpointed"]
    text = state["pipeline"]
    try:
        checkpoint = None if text is None else base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise LoaderError(f"the state is damaged ({error}); start the epoch anew") from None
    mark = Mark(dataclasses.replace(place, epoch=epoch, batch=batch), int(state["failures_since"]), checkpoint)
    return Saved(
        Stand(place, mark),
        (state["rank"], state["world_size"]),
        int(state["taken"]),
        tuple(state["image_size"]),
        state.get("made_by", {}),
        [int(key) for key in state["skipped"]],
    )


def data_fingerprint(dataset: Dataset) -> dict[str, Any]:
    """What tells this data set, or view of one, from others: names are left out, so that files may move."""
    digest = hashlib.sha256()
    for shard in dataset.shards:
        for numbers in (shard.index.keys, shard.index.offsets):
            digest.update(f"{shard.reader.size}:{len(numbers)}:{zlib.crc32(numbers.tobytes()):08x};".encode("ascii"))
    return {"records": len(dataset), "shards": len(dataset.shards), "digest": digest.hexdigest()}


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


def made_by(image: ImageSpec, execution: Execution) -> dict[str, Any]:
    """Which of the ways to images is taken. Not an option, but DALI's checkpoint is of its operators and its runs."""
    return {
        "resizer": image.resizer,
        "crop_in_decoder": image.crop_in_decoder,
        "at_once": execution.at_once,
        "pipelines": execution.pipelines,
    }


def runs_made_by(made: Mapping[str, Any]) -> tuple[int, int]:
    """Batches a run, and pipelines, where a state was saved."""
    return int(made.get("at_once", 1)), int(made.get("pipelines", 1))


def image_made_by(made: Mapping[str, Any], image: ImageSpec, device: Device, name: str) -> ImageSpec:
    """``image``, made as where a state was saved. Raises LoaderError where it cannot be made so on ``device``."""
    wanted = made.get("resizer", image.resizer)
    try:
        resizer = choose_resizer(wanted, on_gpu=device.is_gpu)
    except (ValueError, MissingDependencyError) as error:
        raise LoaderError(
            f"{name}: the state was saved with resizer={wanted!r}, which cannot be had here: {error}"
        ) from error
    cuts = bool(made.get("crop_in_decoder", image.crop_in_decoder))
    if cuts and not image.crop_in_decoder and device.is_gpu:
        raise LoaderError(
            f"{name}: the state was saved with crops cut out by the decoder, which not every GPU survives; where this "
            "one does, make the Loader with tuned=Tuned(crop_in_decoder=True)"
        )
    return dataclasses.replace(image, resizer=resizer, crop_in_decoder=cuts)


def _check(state: Mapping[str, Any], data: Mapping[str, Any], options: Mapping[str, Any], name: str) -> None:
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


def _plain(value: Any) -> Any:
    """Lists for tuples, as JSON gives them back."""
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
