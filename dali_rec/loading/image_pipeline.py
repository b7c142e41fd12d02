"""``image_pipeline``: the Loader's DALI pipeline by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dali_rec.dataset import Dataset
from dali_rec.loading.augmentation import random_augmentation
from dali_rec.loading.decoding import cuts_in_decoder
from dali_rec.loading.device import choose_device
from dali_rec.loading.finish import choose_resizer
from dali_rec.loading.graph import build_pipeline
from dali_rec.loading.specs import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    DType,
    Execution,
    ImageSpec,
    ReaderSpec,
    Resizer,
    check_choices,
    image_sides,
)
from dali_rec.loading.tuned import Tuned, choose_tuned
from dali_rec.opening import open_dataset

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from dali_rec.loading.augmentation import Augment


def image_pipeline(
    dataset: Dataset | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    batch_size: int,
    image_size: int | tuple[int, int],
    *,
    augment: Augment = "train",
    device: str | int = "auto",
    dtype: DType = "float32",
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    antialias: bool = True,
    resizer: Literal["auto"] | Resizer = "dali",
    shuffle: bool | None = None,
    shuffle_buffer: int = 4096,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    threads: int | None = None,
    prefetch: int | None = None,
    tuned: bool | Tuned = True,
) -> Any:
    """The Loader's pipeline by itself, built, for DALI's own iterators; parameters mean what they mean to the Loader.

    resizer: "dali" by default: a pipeline with "numba" cannot be serialised for another process.
    rank, world_size: 0 of 1 by default; they are not looked up.

    Outputs: images (of "ssl" two, a view each) and labels (float32, shape (labels,) each). The reader is called
    "reader" and pads its last batch, so iterate with ``last_batch_policy=PARTIAL`` and ``reader_name="reader"``.

    Raises DatasetError, DeviceUnavailableError, MissingDependencyError.
    """
    check_choices(("shuffle", shuffle, (None, True, False)))  # "global" is none of DALI's reader
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    if dataset.manifest is not None and dataset.manifest.label_kind == "boxes" and augment is not None:
        raise ValueError(
            f"augment is {augment!r}: {dataset.name} has boxes, which it would not move; take Loader, or None"
        )
    shuffle = random_augmentation(augment) is not None if shuffle is None else shuffle
    place = choose_device(device)
    chosen = choose_resizer(resizer, on_gpu=place.is_gpu)
    settings, _ = choose_tuned(tuned, dataset, place, world_size)
    return build_pipeline(
        dataset,
        ImageSpec(
            image_sides(image_size),
            augment,
            dtype,
            mean,
            std,
            antialias,
            resizer=chosen,
            crop_in_decoder=cuts_in_decoder(place, settings.crop_in_decoder),
        ),
        ReaderSpec(rank, world_size, shuffle, shuffle_buffer, seed),
        Execution(place, batch_size, threads, prefetch, settings),
        with_source=False,
    )
