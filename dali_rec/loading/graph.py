"""The DALI graph: records in, (images, labels, where each came from) out."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dali_rec._dali import import_dali
from dali_rec.errors import DatasetError, LoaderError
from dali_rec.loading.augment import decode_views
from dali_rec.loading.augmentation import random_augmentation
from dali_rec.loading.box_augment import decode_boxed
from dali_rec.loading.decoding import Decoder, decoder_options, parsed
from dali_rec.loading.derived_index import write_derived_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dali_rec.dataset import Dataset
    from dali_rec.loading.pipelines import Source
    from dali_rec.loading.specs import Execution, ImageSpec, ReaderSpec

ReaderOutput = Literal["encoded", "labels", "source"]

# The buffer of data sets that are smaller.
_LEAST_FILL = 4096


def build_pipeline(
    dataset: Dataset,
    image: ImageSpec,
    reader: ReaderSpec,
    execution: Execution,
    *,
    with_source: bool,
    checkpoint: bytes | None = None,
) -> Any:
    """Build the pipeline over DALI's reader.

    Its outputs: images (one output a view), labels as float32 and, ``with_source``, what a RecordFinder takes.
    checkpoint: of a pipeline built alike, to go on where that stood.

    Raises DatasetError where there are fewer records than ranks.
    """
    check_ranks(dataset.name, len(dataset), reader.world_size)
    with tempfile.TemporaryDirectory(prefix="dali-rec-") as folder:
        index = Path(folder, "derived.idx")
        files = write_derived_index(dataset, index)

        def read(dali: Any) -> tuple[Any, ...]:
            encoded, labels = _read(dali.fn, dataset, files, index, reader)
            return (
                (encoded, labels, dali.fn.get_property(encoded, key="source_info"))
                if with_source
                else (encoded, labels)
            )

        # The index is read while it builds.
        return _build(read, dataset, image, execution, rank_seed(reader.seed, reader.rank), checkpoint)


def build_plugin_pipeline(
    dataset: Dataset, image: ImageSpec, reader: ReaderSpec, execution: Execution, index: Path
) -> Any:
    """Build the pipeline for TensorFlow's plugin, which makes another like it: images, and class indices of shape ().

    index: where the derived index is written. The plugin reads it once more, so it must stay.
    """
    files = write_derived_index(dataset, index)

    def read(dali: Any) -> tuple[Any, ...]:
        encoded, labels = _read(dali.fn, dataset, files, index, reader)
        classes = dali.fn.cast(dali.fn.squeeze(labels, axes=[0]), dtype=dali.types.INT64)
        return encoded, classes.gpu() if execution.device.is_gpu else classes

    return _build(read, dataset, image, execution, rank_seed(reader.seed, reader.rank), None)


def build_fed_pipeline(
    feed: Source,
    dataset: Dataset,
    image: ImageSpec,
    execution: Execution,
    seed: int,
    checkpoint: bytes | None = None,
    origin: Literal["INT64", "UINT8"] | None = "INT64",
) -> Any:
    """Build the pipeline over a feed: of our own (loading/feed.py), or what DALI's reader gives (``ReaderSource``).

    Its outputs are the images, labels as float32, and the feed's third output as it is, unless ``origin``, its DALI
    type, is None: of our own feed the record's row in the data set as int64 of shape (1,).
    """
    kinds = ["UINT8", "FLOAT", *filter(None, [origin])]

    def read(dali: Any) -> tuple[Any, ...]:
        types = dali.types
        # With batch_info the feed counts as stateless, which is what DALI's checkpoints ask of a source. no_copy: the
        # feed keeps alive what it handed out.
        outputs = dali.fn.external_source(
            source=feed,
            num_outputs=len(kinds),
            batch=True,
            batch_info=True,
            no_copy=True,
            dtype=[getattr(types, kind) for kind in kinds],
            ndim=[1] * len(kinds),
        )
        return tuple(outputs)

    pipeline = _build(read, dataset, image, execution, seed, checkpoint)
    # DALI's graph is a ring of objects that keeps the feed until Python looks for rings, which takes it many pipelines.
    weakref.finalize(pipeline, feed.end).atexit = False
    return pipeline


def build_reader_pipeline(
    dataset: Dataset,
    reader: ReaderSpec,
    batch_size: int,
    outputs: Sequence[ReaderOutput],
    checkpoint: bytes | None = None,
) -> Any:
    """DALI's reader alone, in the order in which ``build_pipeline`` has it; "source" is what a RecordFinder takes.

    checkpoint: of one like it. Raises DatasetError where there are fewer records than ranks.
    """
    check_ranks(dataset.name, len(dataset), reader.world_size)
    dali = import_dali()
    with tempfile.TemporaryDirectory(prefix="dali-rec-") as folder:
        index = Path(folder, "derived.idx")
        files = write_derived_index(dataset, index)

        def graph() -> tuple[Any, ...]:
            encoded, labels = _read(dali.fn, dataset, files, index, reader)
            source = dali.fn.get_property(encoded, key="source_info")
            nodes = {"encoded": encoded, "labels": labels, "source": source}
            return tuple(nodes[name] for name in outputs)

        pipeline = dali.pipeline_def(graph)(
            batch_size=batch_size,
            num_threads=1,
            device_id=None,
            seed=0,
            enable_checkpointing=True,
            checkpoint=checkpoint,
        )
        pipeline.build()
    return pipeline


def check_ranks(name: str, records: int, world_size: int) -> None:
    """Raise DatasetError where there are fewer records than ranks."""
    if records < world_size:
        raise DatasetError(f"{name}: {records} records cannot be shared among {world_size} ranks; use fewer ranks")


def _build(
    read: Callable[[Any], tuple[Any, ...]],
    dataset: Dataset,
    image: ImageSpec,
    execution: Execution,
    seed: int,
    checkpoint: bytes | None,
) -> Any:
    dali = import_dali()

    def graph() -> tuple[Any, ...]:
        encoded, *others = read(dali)
        encoded = parsed(dali, encoded)
        decoder = Decoder(dali, execution.device, decoder_options(dataset, execution), cuts=image.crop_in_decoder)
        if image.boxes is not None:
            labels, *rest = others
            boxed = decode_boxed(dali, encoded, labels, image.boxes, image, decoder)
            found = [boxed.corners] if boxed.kept is None else [boxed.corners, boxed.kept]
            return (boxed.images, labels, *found, *rest)
        return (*decode_views(dali, encoded, image, decoder), *others)

    random = random_augmentation(image.augment)
    # DALI's own augmentation policies are written with conditionals; autograph rewrites what they run in.
    definition = dali.pipeline_def(graph, enable_conditionals=random is not None and random.policy is not None)
    with _without_dalis_deprecations():
        pipeline = definition(
            batch_size=execution.images_at_once,
            num_threads=execution.num_threads,
            # Without a GPU the device must be None: types.CPU_ONLY_DEVICE_ID looks for a driver.
            device_id=execution.device.index,
            seed=seed,
            prefetch_queue_depth=execution.queue_depth,
            enable_checkpointing=True,
            checkpoint=checkpoint,
        )
    try:
        pipeline.build()
    except RuntimeError as error:
        if os.strerror(errno.EAGAIN) not in str(error):
            raise
        raise LoaderError(
            f"DALI cannot start its threads ({error}): take fewer threads=, or raise the limit of memory (ulimit -v) "
            "or of processes (ulimit -u, a container's --pids-limit)"
        ) from None
    return pipeline


@contextlib.contextmanager
def _without_dalis_deprecations() -> Iterator[None]:
    """DALI's policies call operators by names that DALI itself deprecates, and it warns past every filter."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        if "is now deprecated" not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def rank_seed(*numbers: int) -> int:
    """A seed for DALI of these numbers: each rank has its own, so that ranks do not crop alike."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0]) & 0x7FFFFFFF


def shuffles_files(dataset: Dataset, reader: ReaderSpec) -> bool:
    """Whether DALI's reader permutes the files each epoch; it then sticks to its shard, and otherwise moves on."""
    return reader.shuffle and len(dataset.shards) > 1


def _read(fn: Any, dataset: Dataset, files: list[str], index: Path, reader: ReaderSpec) -> Any:
    options: dict[str, Any] = {}
    if shuffles_files(dataset, reader):
        # The same on every rank, or ranks would share records.
        options = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": reader.seed & 0x7FFFFFFF}
    return fn.readers.mxnet(
        path=files,
        index_path=[os.fspath(index)],
        name="reader",
        random_shuffle=reader.shuffle,
        # DALI reads the files over and over until it is full.
        initial_fill=min(reader.shuffle_buffer, max(_LEAST_FILL, len(dataset))),
        shard_id=reader.rank,
        num_shards=reader.world_size,
        pad_last_batch=True,  # what makes epochs exact: see loading/epoch.py
        seed=rank_seed(reader.seed, reader.rank, 1),  # its own, so that the order can be had without the images
        **options,
    )
