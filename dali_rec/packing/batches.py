"""Packing on a GPU: whole batches of JPEGs decoded and scaled by DALI and encoded by nvImageCodec.

What does not suit a batch (other formats, JPEGs that are not YCbCr or are damaged, files that are stored as they are)
and each image of a batch that fails goes the way of packing on the CPU, one by one, so that a bad image is rejected
alone and for the same reason. The same graph and encoder run on the CPU, which is how they are tested where there is no
GPU.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import simplejpeg

from dali_rec._dali import DALI_ERRORS, how_to_get_dali
from dali_rec.errors import ImageRejectedError, MissingDependencyError
from dali_rec.images import check_pixels, inspect_image
from dali_rec.orientation import orientation_of
from dali_rec.packing.geometry import Geometry, plan_geometry
from dali_rec.packing.reading import read_image
from dali_rec.packing.transform import Outcome, PreparedImage, transform_or_reject

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from dali_rec.packing.options import ImageOptions, PackOptions
    from dali_rec.packing.plan import Plan, ShardPlan
    from dali_rec.packing.reading import Origin, Stamp
    from dali_rec.sources import Sample

logger = logging.getLogger("dali_rec")

BATCH_SIZE = 128
_BATCHES_AHEAD = 2  # for each that is worked on
# Of the images of a run: on a GPU they take 0.8 GB, in each transformer.
_MOST_PIXELS = 1 << 28
# In a row. The GPU's memory may be short for a moment, while others use it, and a batch fails at a bad image.
_MOST_FAILED_BUILDS = 3
_MOST_FAILED_BATCHES = 8
_END_OF_IMAGE = b"\xff\xd9"
_INTERPOLATIONS = {
    "bicubic": "INTERP_CUBIC",
    "area": "INTERP_LINEAR",
    "nearest": "INTERP_NN",
    "linear": "INTERP_LINEAR",
    "cubic": "INTERP_CUBIC",
    "lanczos": "INTERP_LANCZOS3",
}


class Settings(NamedTuple):
    """How images go over the GPU. The defaults were chosen without one; tools/gpu_check measures others beside them.

    transformers: how many batches are worked on at a time: one is decoded while the other is encoded. hw_decoder_load:
    what share of the images the chip's JPEG engines are given. encoder_threads: those of each encoder, by default its
    share of the workers. encodes_on_cpu: whether it is the processor that encodes what the GPU has scaled.
    """

    batch_size: int = BATCH_SIZE
    transformers: int = 2
    # All that they take: of a smaller share it would be chance which image goes to them, and so what its pixels are.
    hw_decoder_load: float = 1.0
    encoder_threads: int | None = None
    encodes_on_cpu: bool = False


DEFAULTS = Settings()


class Seen(NamedTuple):
    """An encoded image, and what becomes of it in a batch: None where that does not take it.

    pixels: of the image, before or after, whichever is more.
    """

    data: bytes
    geometry: Geometry | None = None
    pixels: int = 0


def see(data: bytes, options: ImageOptions) -> Seen:
    """Whether a batch takes an image: only a JPEG that it decodes to the same picture as the CPU.

    Unless ``options`` trust it, it is decoded here too, if smaller: from a stream that breaks off in the middle a GPU
    makes a picture that is grey below, without a word.
    """
    try:
        info = inspect_image(data, options.max_pixels)
        if info.format != "JPEG" or info.mode != "RGB" or not info.is_loadable:
            return Seen(data)
        # Three components are YCbCr to nvImageCodec, whatever Adobe's marker says.
        if simplejpeg.decode_jpeg_header(data)[2] != "YCbCr" or data[-2:] != _END_OF_IMAGE:
            return Seen(data)
        if options.encoding not in ("keep", "jpeg") or options.color == "gray":
            return Seen(data)
        upright = (info.width, info.height) if orientation_of(data) < 5 else (info.height, info.width)
        geometry = plan_geometry(*upright, options)
        pixels = max(info.width * info.height, geometry.width * geometry.height)
        if not geometry.changes(*upright) or pixels > options.max_pixels:
            return Seen(data)
        if not options.trust:
            check_pixels(data, info)
    except ImageRejectedError:  # the way of the CPU says why
        return Seen(data)
    return Seen(data, geometry, pixels)


class BatchTransformer:
    """Makes encoded images what ``options`` ask for, a batch at a time, in the thread that made it.

    pool: where what does not suit goes, image by image. on_gpu: False runs the same on the CPU. ``by_batches``,
    ``alone``: how many images have gone which way; ``seconds``: how long those in batches took to be decoded and
    scaled, and to be encoded.

    Raises MissingDependencyError without DALI or nvImageCodec.
    """

    def __init__(
        self, options: ImageOptions, pool: Executor, *, on_gpu: bool, threads: int, settings: Settings = DEFAULTS
    ) -> None:
        self._options = options
        self._pool = pool
        self._on_gpu = on_gpu
        self._threads = threads
        self._settings = settings
        self.by_batches = self.alone = 0
        self.seconds = {"decode": 0.0, "encode": 0.0}
        self._pipeline: Any = None
        self._failed_builds = self._failed_batches = 0
        self._has_given_up = False
        self._codec = codec = import_nvimgcodec()
        self._encoder: Any = None
        self._encoding = codec.EncodeParams(
            quality_type=codec.QualityType.QUALITY,
            quality_value=options.quality,
            chroma_subsampling=codec.ChromaSubsampling.CSS_420,
        )

    def transform(self, images: Sequence[Seen]) -> list[Outcome]:
        """Each of a batch of images made ready, or the reason why it is rejected, in their order."""
        outcomes: dict[int, Outcome] = {}
        for rows in _parts(images):
            for row, data in zip(rows, self._run([images[row] for row in rows]), strict=True):
                geometry = images[row].geometry
                if data is not None and geometry is not None:
                    outcomes[row] = PreparedImage(data, geometry.crop_width, geometry.crop_height)
        alone = {
            row: self._pool.submit(transform_or_reject, image.data, self._options)
            for row, image in enumerate(images)
            if row not in outcomes
        }
        self.by_batches += len(outcomes)
        self.alone += len(alone)
        return [outcomes[row] if row in outcomes else alone[row].result() for row in range(len(images))]

    def _run(self, images: Sequence[Seen]) -> list[bytes | None]:
        if self._has_given_up:
            return [None] * len(images)
        try:
            if self._pipeline is None:
                self._failed_builds += 1
                self._pipeline = self._build()
                self._failed_builds = 0
            made = self._make(self._pipeline, images)
        except DALI_ERRORS as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            logger.info("a batch of %d images is done one by one, since it failed together: %s", len(images), reason)
            self._pipeline = self._encoder = None  # DALI's are of no use after a failure
            self._failed_batches += 1
            if self._failed_builds == _MOST_FAILED_BUILDS or self._failed_batches == _MOST_FAILED_BATCHES:
                self._has_given_up = True
                what = "no pipeline can be made any more" if self._failed_builds else "one batch after the other failed"
                logger.warning("the rest goes over the processor, since %s: %s", what, reason)
            return [None] * len(images)
        self._failed_batches = 0
        return made

    def _make(self, pipeline: Any, images: Sequence[Seen]) -> list[bytes | None]:
        began = time.perf_counter()
        pixels = _scaled(pipeline, images)
        decoded = time.perf_counter()
        streams = self._encoder.encode([pixels[at] for at in range(len(images))], "jpeg", params=self._encoding)
        made = [None if stream is None else bytes(stream) for stream in streams]
        self.seconds["decode"] += decoded - began
        self.seconds["encode"] += time.perf_counter() - decoded
        return made

    def _build(self) -> Any:
        """The pipeline, and beside it the encoder."""
        pipeline = self._define()
        # The most images of a batch that nvImageCodec gives to the chip's engines is what its first batch has, however
        # few those are (adjustBatchSizes in its image_generic_codec.h). Which go there of more would be chance.
        _scaled(pipeline, [_small_image()] * self._settings.batch_size)
        return pipeline

    def _define(self) -> Any:
        from dali_rec._dali import import_dali
        from dali_rec.loading.decoding import parsed

        dali = import_dali()
        fn, types = dali.fn, dali.types
        interpolation = getattr(types, _INTERPOLATIONS[self._options.interpolation])
        averages = self._options.interpolation in ("bicubic", "area")

        def graph() -> Any:
            encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1)
            sizes = fn.external_source(name="sizes", dtype=types.FLOAT, ndim=1)
            crops = fn.external_source(name="crops", dtype=types.FLOAT, ndim=1)
            # Chroma is scaled up as the CPU's decoder does it: what is packed stays.
            options: dict[str, Any] = {"device": "cpu"}
            if self._on_gpu:
                options = {
                    "device": "mixed",
                    "jpeg_fancy_upsampling": True,
                    "hw_decoder_load": self._settings.hw_decoder_load,
                    "affine": False,  # all transformers' threads would be tied to the same cores
                }
            images = fn.decoders.image(parsed(dali, encoded), output_type=types.RGB, **options)
            images = fn.resize(images, size=sizes, interp_type=interpolation, antialias=averages)
            return fn.crop(images, crop=crops, crop_pos_x=0.5, crop_pos_y=0.5, rounding="truncate")

        pipeline = dali.pipeline_def(graph)(
            batch_size=self._settings.batch_size,
            num_threads=self._threads,
            device_id=0 if self._on_gpu else None,
            prefetch_queue_depth=1,
        )
        pipeline.build()
        codec = self._codec
        on_cpu = [codec.Backend(codec.BackendKind.CPU_ONLY)]
        # Each image is waited for by a thread while it is encoded, on a GPU too, and CUDA's waiting takes a core.
        threads = self._settings.encoder_threads or self._threads // self._settings.transformers
        self._encoder = codec.Encoder(
            device_id=0 if self._on_gpu else codec.NVIMGCODEC_DEVICE_CPU_ONLY,
            max_num_cpu_threads=max(1, min(threads, self._threads - 1)),  # of one a core nvImageCodec complains
            backends=on_cpu if self._settings.encodes_on_cpu or not self._on_gpu else None,
        )
        return pipeline


def _scaled(pipeline: Any, images: Sequence[Seen]) -> Any:
    """The pixels of images that a batch takes, as DALI's list."""
    geometries = [image.geometry for image in images if image.geometry is not None]
    pipeline.feed_input("encoded", [np.frombuffer(image.data, np.uint8) for image in images])
    pipeline.feed_input("sizes", np.array([(one.height, one.width) for one in geometries], np.float32))
    pipeline.feed_input("crops", np.array([(one.crop_height, one.crop_width) for one in geometries], np.float32))
    (pixels,) = pipeline.run()  # when it returns they are there: the encoder need not wait for a stream of DALI's
    return pixels


def _small_image() -> Seen:
    """A JPEG to begin with."""
    return Seen(simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8)), Geometry(32, 32, 32, 32), 64 * 64)


def _parts(images: Sequence[Seen]) -> Iterator[list[int]]:
    """The rows of images that are decoded together: a bounded number of pixels, but one image at least."""
    rows: list[int] = []
    pixels = 0
    for row, image in enumerate(images):
        if image.geometry is None:
            continue
        if rows and pixels + image.pixels > _MOST_PIXELS:
            yield rows
            rows, pixels = [], 0
        rows.append(row)
        pixels += image.pixels
    if rows:
        yield rows


def import_nvimgcodec() -> Any:
    """The module nvidia.nvimgcodec. Raises MissingDependencyError with what to do."""
    try:
        from nvidia import nvimgcodec
    except ImportError as error:
        what = "packing on a GPU"
        raise MissingDependencyError(f"{what} needs nvImageCodec ({error}); {how_to_get_dali(what)}") from None
    return nvimgcodec


def prepare_by_batches(
    shards: Sequence[tuple[Plan, ShardPlan]],
    options: PackOptions,
    *,
    on_gpu: bool = True,
    settings: Settings = DEFAULTS,
) -> Generator[tuple[Sample, Stamp, Outcome]]:
    """Prepare the images of these shards in order, as ``prepare_all`` does, a bounded number of batches at a time."""
    workers = options.worker_count
    if any(plan.has_urls for plan, _ in shards):
        workers = max(workers, options.fetch.connections)
    readers = ThreadPoolExecutor(workers, thread_name_prefix="dali-rec-pack")
    runners = ThreadPoolExecutor(settings.transformers, thread_name_prefix="dali-rec-batch")
    of_thread, transformers = threading.local(), []

    def read(origin: Origin, location: str) -> tuple[Stamp, Seen | ImageRejectedError]:
        stamp, data = read_image(origin, location, options.fetch)
        return stamp, see(data, options.image) if isinstance(data, bytes) else data

    def run(
        samples: list[Sample], reading: list[Future[tuple[Stamp, Seen | ImageRejectedError]]]
    ) -> list[tuple[Sample, Stamp, Outcome]]:
        if not hasattr(of_thread, "transformer"):
            of_thread.transformer = BatchTransformer(
                options.image, readers, on_gpu=on_gpu, threads=options.worker_count, settings=settings
            )
            transformers.append(of_thread.transformer)
        done = [one.result() for one in reading]
        outcomes = iter(of_thread.transformer.transform([found for _, found in done if isinstance(found, Seen)]))
        return [
            (sample, stamp, next(outcomes) if isinstance(found, Seen) else found)
            for sample, (stamp, found) in zip(samples, done, strict=True)
        ]

    pending: deque[Future[list[tuple[Sample, Stamp, Outcome]]]] = deque()
    try:
        for plan, shard in shards:
            for start in range(shard.start, shard.stop, settings.batch_size):
                samples = [plan.samples[row] for row in range(start, min(start + settings.batch_size, shard.stop))]
                reading = [readers.submit(read, plan.origin, sample.location) for sample in samples]
                pending.append(runners.submit(run, samples, reading))
                if len(pending) >= _BATCHES_AHEAD * settings.transformers:
                    yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        runners.shutdown(cancel_futures=True)
        readers.shutdown(cancel_futures=True)
        by_batches, alone = (sum(getattr(one, name) for one in transformers) for name in ("by_batches", "alone"))
        logger.info("packing: %d images went by batches, %d one by one", by_batches, alone)
