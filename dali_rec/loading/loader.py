"""``Loader``: a packed data set as batches of tensors, epoch after epoch."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import zlib
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from dali_rec._dali import dali_reason, import_dali
from dali_rec._files import as_path
from dali_rec._numbers import counted, whole_number
from dali_rec.errors import LoaderError
from dali_rec.loading.at_once import with_several_at_once
from dali_rec.loading.augmentation import BoxAugmentation, box_augmentation
from dali_rec.loading.batch import ArraySpec, BatchMaker
from dali_rec.loading.batch_mix import BatchMix, BatchMixName, choose_mix
from dali_rec.loading.boxes import BoxMode, BoxReader, find_boxes
from dali_rec.loading.decoding import cuts_in_decoder
from dali_rec.loading.device import device_for
from dali_rec.loading.distributed import find_ranks, refuse_other_ranks
from dali_rec.loading.epoch import LastBatch
from dali_rec.loading.failures import Recovery
from dali_rec.loading.file_checks import check_files
from dali_rec.loading.finish import choose_resizer
from dali_rec.loading.labels import LabelReader, Ragged
from dali_rec.loading.readers import BufferReader, OrderReader, Place, Reader, choose_reader
from dali_rec.loading.runs import Runs, Stand
from dali_rec.loading.selection import Data, Subset, choose_weights, select
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
from dali_rec.loading.state import (
    Saved,
    data_fingerprint,
    describe_image,
    image_made_by,
    made_by,
    read_state,
    runs_made_by,
    write_state,
)
from dali_rec.loading.tuned import Tuned, choose_tuned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dali_rec.loading.augmentation import Augment

logger = logging.getLogger("dali_rec")

Framework = Literal["torch", "numpy", "jax", "cupy", "tensorflow"]


class Loader:
    """Iterates over a packed data set; each ``for`` loop over it is one epoch of ``(images, labels)`` batches.

    dataset: a Dataset, what ``dali_rec.open`` takes, or several of both.
    batch_size: images a batch, on this rank.
    image_size: height and width of the images, or one number for both, in pixels.
    augment: "train": random resized crop (8 % to 100 % of the area, aspect 3:4 to 4:3) and random flip. "eval": resize
        so that the shorter side is 256/224 of ``image_size``, and centre crop. "ssl": SimCLR's, two views, so that
        ``images`` is a tuple of two. "randaugment", "trivialaugment", "autoaugment": "train" and then that policy. An
        ``Augmentation``: any of these in other measure, with colour jitter, blur, random erasing. None: resize to
        ``image_size``, aspect not kept. A function: takes the node of decoded images (uint8 HWC RGB, on the pipeline's
        device) and returns the node to be resized to ``image_size``: HWC RGB of 0…255 too, of any dtype.
    framework: "torch", "numpy", "jax", "cupy" or "tensorflow": the kind of array that comes out. It lies on the
        pipeline's device, but for NumPy's.
    device: "auto" (a GPU where there is one, each rank its own), "gpu", "cpu", or the index of a CUDA device.
    dtype: "float32" or "float16": normalised, shape (batch, 3, height, width). "uint8": 0…255, shape (batch, height,
        width, 3).
    mean, std: of R, G, B for images of 0…1; ImageNet's by default. Not used with uint8.
    antialias: average over the pixels that resizing drops, as Pillow does. Off is noisier.
    resizer: "dali", or on the CPU "numba", functions of our own that resize and normalise in a quarter of DALI's time,
        to the same pixels within a level. "auto" is "numba" on the CPU, where Numba is installed.
    shuffle: True draws from a buffer of ``shuffle_buffer`` records that slides over the file, and permutes the .rec
        files each epoch. By default True with random augmentation, and False with "eval", None and functions.
        "global" permutes all records anew each epoch, the same whatever the number of ranks. Data sorted by class wants
        "global", or shuffling when it is packed.
    seed: of the order and of the augmentation. The same seed, data and options give the same batches.
    rank, world_size: this process' number among those that share an epoch, and their count; by default those of
        torch.distributed, JAX, or the launcher's environment variables.
    last_batch: "partial", the last batch is shorter where it does not fill; "drop"; or "pad", it repeats its last
        image.
    even: give every rank as many batches; one that has run out repeats an image.
    subset: of the data set: a share (0.1), class names, ids, or a function of a Record. See ``Dataset.subset``.
    weights: how likely each record is drawn, shape (records of the subset,): records are drawn with replacement.
    balance: "class" draws each class equally often, by ``labels`` where they are given.
    mix: how much each of several data sets makes up, one number each; they are drawn from with replacement.
    samples: draws an epoch, with weights, balance or mix; by default as many as there are records.
    labels: a .lst whose labels are taken instead of the records', by id (as MXNet's path_imglist).
    ragged: labels of records that have different numbers of them: "error", "pad" (``PaddedLabels``: values and mask),
        or "list" (a list of arrays).
    boxes: labels that are boxes (object detection) come as such, moved along with the image: "pad", float32 of shape
        (batch, objects, numbers an object) with -1 where an image has no more: class, xmin, ymin, xmax, ymax in parts
        of the image, and what more the records have; or "list", an array for each image. "auto" is "pad" for what was
        packed as boxes, "off" otherwise. ``augment`` is then "train" (SSD's crop, and flip), "eval" or None (the whole
        image, aspect not kept), or a ``BoxAugmentation``.
    max_objects: how many objects boxes are padded to; by default as many as the fullest image of the batch has.
    batch_mix: "mixup" (alpha 0.2), "cutmix" (alpha 1), "both" (one or the other by chance), or a ``BatchMix``: images
        are mixed with others of their batch, and labels are float32 of shape (batch, classes).
    with_ids: also yield the record ids: ``(images, labels, ids)``, a NumPy array of uint64.
    on_error: "raise", or "skip": leave out images that cannot be decoded, and put their ids into ``skipped``. A JPEG
        with wrong bytes in the middle may be decoded to wrong pixels all the same; ``dali_rec.verify`` finds these.
    threads: for decoding and resizing on the CPU; by default as tuned, or one a core, and beside a GPU the rank's share
        of the cores, 16 at most.
    prefetch: batches made ahead; by default as tuned, or 2. More where several are made at once (``batches_at_once``).
    tuned: True takes the settings that ``dali-rec bench DATASET --tune`` kept for this machine, False none; or a
        ``Tuned``. They make no other batches, only faster ones.

    Labels are int64 of shape (batch,) where each record has one class index, and float32 of shape (batch, labels)
    otherwise. Every epoch yields every record exactly once over all ranks, "drop", "pad" and drawing aside.

    ``state_dict`` and ``load_state_dict`` carry on in the middle of an epoch, exact to the random crop. ``dataset`` is
    the Dataset that is loaded, ``device`` where it is decoded: ``device.is_gpu``, and ``device.index`` of a GPU.
    Raises DatasetError, DeviceUnavailableError, MissingDependencyError on construction, LoaderError while iterating.
    """

    def __init__(
        self,
        dataset: Data,
        batch_size: int,
        image_size: int | tuple[int, int],
        *,
        augment: Augment | BoxAugmentation = "train",
        framework: Framework = "torch",
        device: str | int = "auto",
        dtype: DType = "float32",
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        antialias: bool = True,
        resizer: Literal["auto"] | Resizer = "auto",
        shuffle: bool | Literal["global"] | None = None,
        shuffle_buffer: int = 4096,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        last_batch: LastBatch = "partial",
        even: bool = False,
        subset: Subset | None = None,
        weights: Sequence[float] | NDArray[Any] | None = None,
        balance: Literal["class"] | None = None,
        mix: Sequence[float] | None = None,
        samples: int | None = None,
        labels: str | os.PathLike[str] | None = None,
        ragged: Ragged = "error",
        boxes: BoxMode = "auto",
        max_objects: int | None = None,
        batch_mix: BatchMix | BatchMixName | None = None,
        with_ids: bool = False,
        on_error: Literal["raise", "skip"] = "raise",
        threads: int | None = None,
        prefetch: int | None = None,
        tuned: bool | Tuned = True,
    ) -> None:
        check_choices(
            ("framework", framework, get_args(Framework)),
            ("last_batch", last_batch, get_args(LastBatch)),
            ("boxes", boxes, get_args(BoxMode)),
            ("on_error", on_error, ("raise", "skip")),
            ("shuffle", shuffle, (None, True, False, "global")),
        )
        samples = None if samples is None else whole_number("samples", samples)
        ranks = find_ranks(rank, world_size)
        import_dali()
        self._arrays: Any = importlib.import_module(f"dali_rec.loading.{framework}")
        self.dataset, sizes = select(dataset, subset)
        check_files(self.dataset)
        layout = find_boxes(self.dataset, boxes)
        augmentation = augment if layout is None else box_augmentation(augment)
        self.device = device_for(device, ranks.local_rank, framework, self._arrays.why_no_gpu)
        chosen = choose_resizer(resizer, on_gpu=self.device.is_gpu)
        settings, why_these = choose_tuned(tuned, self.dataset, self.device, ranks.world_size)
        cuts = cuts_in_decoder(self.device, settings.crop_in_decoder)
        image = ImageSpec(image_sides(image_size), augmentation, dtype, mean, std, antialias, layout, chosen, cuts)
        execution = Execution(self.device, batch_size, threads, prefetch, settings)
        execution = with_several_at_once(execution, self.dataset, image)
        self._ranks = (ranks.rank, ranks.world_size)
        self._ranks_were_found = rank is None
        reads_labels: LabelReader | BoxReader
        if layout is None:
            reads_labels = LabelReader(self.dataset, ragged, labels, are_classes=self.dataset.has_class_labels)
        else:
            if labels is not None:
                raise ValueError(f"labels is {labels!r}: boxes of a list are packed with it ('dali-rec pack LIST OUT')")
            reads_labels = BoxReader(self.dataset, layout, boxes, max_objects, crops=image.crops_boxes)
        mixing = choose_mix(batch_mix)
        self._batches = BatchMaker(
            self.dataset, image, reads_labels, self._arrays, self.device, mixing, with_ids=with_ids
        )
        shuffle = augment not in ("eval", None) and not callable(augment) if shuffle is None else shuffle
        spec = ReaderSpec(*self._ranks, bool(shuffle), shuffle_buffer, seed)
        drawn = choose_weights(
            len(self.dataset), weights, balance, mix, sizes, lambda: reads_labels.classes(self.dataset)
        )
        if samples is not None and drawn is None:
            raise ValueError(f"samples is {samples}: it goes with weights, balance or mix")
        reader = choose_reader(
            self.dataset,
            spec,
            drawn,
            samples,
            last_batch,
            execution,
            is_global=shuffle == "global",
            even=even,
            with_source=self._batches.needs_rows,
        )
        self._options: dict[str, Any] = {
            "batch_size": execution.batch_size,
            **describe_image(image),
            "shuffle": shuffle if shuffle == "global" else bool(shuffle),
            "shuffle_buffer": spec.shuffle_buffer,
            "seed": spec.seed,
            "last_batch": last_batch,
            "even": bool(even),
            "samples": samples,
            "weights": None if drawn is None else zlib.crc32(drawn.tobytes()),
            "labels": None if labels is None else zlib.crc32(as_path(labels).read_bytes()),
            "on_error": on_error,
            "batch_mix": repr(mixing),
        }
        self._is_running = False
        self._loops, self._process = 0, os.getpid()
        self._recovery = Recovery(self.dataset, execution, skips=on_error == "skip")
        logger.info(
            "Loader: %s; rank %d of %d (%s); decode and resize on the %s (%s); %d threads, %d batches at once, %d runs "
            "ahead; settings: %s",
            self.dataset,
            *self._ranks,
            ranks.why,
            self.device,
            self.device.why,
            execution.num_threads,
            reader.execution.batches_at_once,
            reader.execution.queue_depth,
            f"{reader.execution.in_force} ({why_these})" if reader.execution.in_force.changed else why_these,
        )
        self._runs = self._begin(Stand.at(Place()), reader, image)

    @property
    def batch_size(self) -> int:
        """Images in a full batch."""
        return self._runs.reader.execution.batch_size

    @property
    def batches_at_once(self) -> int:
        """How many batches are made at the same time: on the CPU several, which is faster."""
        return self._runs.reader.execution.batches_at_once

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images, in pixels."""
        return self._runs.image.size

    @property
    def tuned(self) -> Tuned:
        """The settings in force that tuning chose; an explicit ``threads`` or ``prefetch`` goes before it."""
        return self._runs.reader.execution.in_force

    @property
    def epoch(self) -> int:
        """Number of the epoch that is running, or comes next; the first is 0."""
        return self._runs.place.epoch

    @property
    def skipped(self) -> tuple[int, ...]:
        """Ids of the records left out so far because they cannot be decoded, once each time."""
        return tuple(self._recovery.skipped)

    @property
    def element_spec(self) -> tuple[ArraySpec, ArraySpec]:
        """Shapes and dtypes of the images and of the labels of a batch.

        Raises ValueError where a batch is not just one array of each: ids, several views, ragged labels.
        """
        may_be_shorter = self._options["last_batch"] == "partial" or self._recovery.skips
        return self._batches.specs(None if may_be_shorter else self.batch_size, self.image_size)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self.dataset.name}: a Loader cannot be copied or sent to another process; make another one there, and "
            "take state_dict() to where this one stands"
        )

    def __repr__(self) -> str:
        return f"<Loader of {counted(len(self), 'batch', 'batches')} of {self.batch_size} from {self.dataset!r}>"

    def __len__(self) -> int:
        """Batches in the whole of the epoch that is running, or comes next."""
        return self._runs.reader.batches(self._runs.place)

    def most_batches(self) -> tuple[int, bool]:
        """How many batches the longest epoch has, and whether each has as many, the one that comes next included."""
        whole = {self._runs.reader.batches(Place(epoch)) for epoch in range(self._ranks[1])}
        taken = 0 if self._is_running else self._runs.place.batch  # a loop that was left has ended its epoch
        coming = len(self) - taken
        return max(whole), whole == {coming} and not self._recovery.skips

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """One epoch, or the rest of it after ``load_state_dict``.

        A loop that was left early has ended its epoch: the next begins a new one.
        """
        if self._ranks_were_found:
            refuse_other_ranks(*self._ranks, self.dataset.name)
        if self._is_running:
            self._leave_epoch()
        self._loops += 1
        loop = self._loops
        while self._runs.has_more:
            self._is_running = True  # not before: within the loop a state may have been loaded
            batch = self._take()
            if batch is not None:
                yield batch
                if self._loops != loop:
                    raise LoaderError(
                        f"{self.dataset.name}: another loop over this Loader has begun within this one, or set_epoch() "
                        "was called in it, and ended its epoch; to look at batches within a loop, make a second Loader"
                    )
        self._end_epoch()

    def _take(self) -> tuple[Any, ...] | None:
        """The next batch, or None where it has nothing to hand out. It counts as taken, also for state_dict."""
        self._refuse_fork()
        with self._arrays.on_device(self.device):
            # On the framework's stream, which waits for DALI's work instead of Python.
            return self._runs.take(self._arrays.current_stream(self.device))

    def _refuse_fork(self) -> None:
        if os.getpid() != self._process:
            raise LoaderError(
                f"{self.dataset.name}: this Loader was made in another process, whose threads a fork leaves behind; "
                "make one in this process, or start processes by 'spawn'"
            )

    def _leave_epoch(self) -> None:
        """End an epoch whose loop was left: quietly if nothing was left to hand out, by a new pipeline otherwise."""
        if self._runs.is_exhausted:
            self._end_epoch()
        else:
            self._begin_at(self.epoch + 1)

    def _end_epoch(self) -> None:
        """Take the batches that are padding alone, and go to the next epoch."""
        while self._runs.has_more:
            self._take()
        self._runs.begin_next_epoch()
        self._is_running = False

    def _begin_at(self, epoch: int) -> None:
        """Go to the beginning of ``epoch``, with a new pipeline."""
        self._go_on(Stand.at(Place(epoch=epoch, began=epoch)), self._runs.reader, self._runs.image)
        self._is_running = False

    def _go_on(self, stand: Stand, reader: Reader, image: ImageSpec) -> None:
        """Let new pipelines go on from ``stand``. Where they cannot be made, others go on from where this stands."""
        self._refuse_fork()  # to end those of another process waits for its threads
        before = self._runs.stand(), self._runs.reader, self._runs.image
        # Both together would take twice the memory of a GPU, of which DALI gives nothing back.
        self._runs.end()
        try:
            self._runs = self._begin(stand, reader, image)
        except BaseException:
            self._runs = self._begin(*before)
            raise

    def _begin(self, stand: Stand, reader: Reader, image: ImageSpec) -> Runs:
        seeds = (self._options["seed"], *self._ranks)
        try:
            return Runs(reader, image, stand, self._batches, self._recovery, seeds)
        except LoaderError:  # it says by itself what to do
            raise
        except RuntimeError as error:
            if stand.mark.checkpoint is None:
                raise
            raise LoaderError(
                f"{self.dataset.name}: DALI does not go on from the state ({dali_reason(error)}); make the Loader as "
                "it was, with_ids included, with the same version of DALI, or start the epoch anew"
            ) from error

    def plugin_pipeline(self, index: Path) -> Any:
        """A DALI pipeline that makes this loader's batches by itself, from the first epoch on, without end.

        For TensorFlow's plugin (loading/tensorflow.py). Outputs: images, and labels int64 of shape (). index: a file
        that the reader's index is written to; it must stay.

        Raises ValueError with the reason where Python has a part in the batches.
        """
        reader, image = self._runs.reader, self._runs.image
        if not isinstance(reader, BufferReader):
            raise ValueError("its order is not that of DALI's reader")  # noqa: TRY004  # as the other reasons
        reasons = (
            (self._runs.place != Place(), "it has begun, or a state was loaded"),
            (
                not self._batches.is_plain,
                "its batches are mixed, or have ids, several views, boxes or labels of a list",
            ),
            (
                not self.dataset.has_class_labels or self.dataset.is_face_set,
                "its records have not one class index each",
            ),
            (self._recovery.skips, "it skips what cannot be decoded"),
            (self.batches_at_once > 1, "several of its batches are made at once"),
            (image.resizer == "numba", "its images are not resized by DALI; resizer='dali' leaves it to that"),
            (
                not reader.is_whole,
                "its last batches are not whole on every rank; last_batch='pad' and even=True make them so",
            ),
        )
        for applies, reason in reasons:
            if applies:
                raise ValueError(reason)
        return reader.build_for_plugin(image, index)

    def set_epoch(self, epoch: int) -> None:
        """Make the next loop that of ``epoch``, the first being 0, where a run goes on without this Loader's state.

        Loops count the epochs by themselves, so setting the one that comes next changes nothing. With
        ``shuffle="global"`` the order is that of the same epoch of a run that was not interrupted. The rest of an epoch
        for which a state was loaded comes first, whatever is set. Every rank sets the same.
        """
        epoch = whole_number("epoch", epoch)
        if epoch < 0:
            raise ValueError(f"epoch is {epoch}: epochs count from 0")
        if self._is_running:
            self._loops += 1
            if self._runs.is_exhausted:
                self._end_epoch()  # a loop that counted the batches was not run to its end
        place = self._runs.place
        is_begun = place.batch > 0 or (place.start > 0 and place.epoch == place.began)
        if self._is_running or (place.epoch != epoch and not is_begun):
            self._begin_at(epoch)

    @property
    def sampler(self) -> NoReturn:
        """There is none: libraries that find one make a DataLoader of it and ``dataset``, which yields records.

        Raises AttributeError with what to write for ``loader.sampler.set_epoch(epoch)``.
        """
        raise AttributeError(
            f"{self.dataset.name}: a Loader has no sampler, since it deals out the records to the ranks itself; write "
            "loader.set_epoch(epoch) for loader.sampler.set_epoch(epoch), or leave it out: loops count the epochs"
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: plain values, for torch.save or JSON.

        In a loop, the batch in hand counts as taken. Every rank saves its own; with ``shuffle="global"`` or drawing, a
        state of any rank serves any number of ranks.
        """
        runs = self._runs
        stand = runs.stand()
        saved = Saved(
            stand,
            self._ranks,
            runs.reader.taken(stand.place) if isinstance(runs.reader, OrderReader) else 0,
            runs.image.size,
            made_by(runs.image, runs.reader.execution),
            self._recovery.skipped,
        )
        return write_state(saved, data_fingerprint(self.dataset), self._options)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was saved: the next loop yields the rest of its epoch, the same to the random crop.

        On another number of ranks, which global order and drawing allow, the rest of the records is the same, each
        once, and the random crops are other ones.

        Raises LoaderError for a state of other data or other options, with the reason; the loader then stands where it
        did.
        """
        saved = read_state(state, data_fingerprint(self.dataset), self._options, self.dataset.name)
        stand, reader, image = saved.stand, self._runs.reader, self._runs.image
        if saved.ranks != self._ranks:
            if not isinstance(reader, OrderReader):
                raise LoaderError(
                    f"{self.dataset.name}: the state is of rank {saved.ranks[0]} of {saved.ranks[1]}, this is rank "
                    f"{self._ranks[0]} of {self._ranks[1]}: load the state that this rank saved; only shuffle='global' "
                    "goes on with another's, or with another number of ranks"
                )
            place = stand.place
            if saved.ranks[1] != self._ranks[1]:
                place = reader.after(place.epoch, saved.taken)
            stand = Stand.at(place)  # the random numbers are another rank's
        if stand.mark.checkpoint is not None:
            image = image_made_by(saved.made_by, image, self.device, self.dataset.name)
            reader = reader.making(*runs_made_by(saved.made_by))
        self._go_on(stand, reader, dataclasses.replace(image, size=saved.image_size))
        self._recovery.skipped = list(saved.skipped)
        self._is_running = False
        if stand.place.batch > 0 and self._runs.is_exhausted:  # that a rank has no batch does not end the epoch
            self._end_epoch()

    def close(self) -> None:
        """End its threads and free its memory, where something still holds the Loader, as a notebook's ``Out`` does.

        A Loader that nothing holds ends by itself. Batches that were handed out stay valid. Loops, ``state_dict`` and
        the like raise LoaderError afterwards.
        """
        self._refuse_fork()
        self._runs.end()

    def set_image_size(self, image_size: int | tuple[int, int]) -> None:
        """Make images of another size from the next batch on; order and random numbers go on as they were."""
        image = dataclasses.replace(self._runs.image, size=image_sides(image_size))
        self._go_on(self._runs.stand(), self._runs.reader, image)
