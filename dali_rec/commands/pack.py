"""``dali-rec pack``."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from dali_rec._environment import ranks_in_environment
from dali_rec._numbers import counted
from dali_rec._sizes import parse_size
from dali_rec.commands._options import parse_split, seconds_above_zero, size
from dali_rec.commands._source_options import (
    ClassesOption,
    LeafOption,
    PatternOption,
    SeedOption,
    SplitOption,
    StratifyOption,
    TopOption,
    folder_labels,
    read_classes,
)
from dali_rec.images import MAX_PIXELS
from dali_rec.packing.options import (
    SHUFFLE_SEED,
    Color,
    Device,
    Encoding,
    Engine,
    ImageOptions,
    Interpolation,
    PackOptions,
    ResizeMode,
    RunOptions,
)
from dali_rec.progress import progress_bar
from dali_rec.sources import (
    Empty,
    FetchOptions,
    Flagged,
    Format,
    SourceOptions,
    TableOptions,
)
from dali_rec.sources.detection import count_objects

if TYPE_CHECKING:
    from dali_rec.packing.plan import Plan
    from dali_rec.sources import Source

ShuffleOption = Annotated[
    bool | None,
    typer.Option("--shuffle/--no-shuffle", help="By default a folder is shuffled and a list keeps its order."),
]
AnyFormat = Literal[Format, "insightface"]
FormatOption = Annotated[
    AnyFormat,
    typer.Option(
        "--format",
        help="Format of the annotations of boxes; auto finds it by their content. insightface: write InsightFace's "
        "layout, sorted by class, for face recognition.",
    ),
]

#: How ``dali-rec pack --help`` shows its options.
SECTIONS = {
    "Images": (
        *("resize", "resize_mode", "upscale", "center_crop", "interpolation", "encoding", "quality", "color"),
        *("max_pixels", "trust", "device"),
    ),
    "Labels": ("leaf_labels", "top_labels", "label_pattern", "classes"),
    "Lists and tables": (
        *("root", "label_column", "location_column", "id_column", "split_column", "columns", "label_width"),
    ),
    "Boxes and faces": ("data_format", "flagged", "empty"),
    "Order and files": (
        *("shuffle", "seed", "split", "stratify", "shards", "shard_size", "shard_records"),
        *("overwrite", "append", "resume"),
    ),
    "Images behind URLs": ("timeout", "retries", "connections", "max_bytes"),
    "Bad images": ("max_bad", "strict"),
    "Machines": ("workers", "node_rank", "num_nodes", "engine", "address"),
}


def pack(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of images, .tar, .zip or shards of WebDataset, .parquet, .arrow, .tfrecord, .npz, .npy, .h5, "
            "IDX (MNIST), CIFAR, .lst, .csv, .tsv, .txt, .json, .jsonl, COCO, VOC, YOLO and other annotations of "
            "boxes, .rec, or .bin of faces.",
        ),
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="Prefix of the files to make: data/train gives data/train.rec. Also s3://…."
        ),
    ],
    *,
    resize: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Scale larger images down to this many pixels.")
    ] = None,
    resize_mode: Annotated[
        ResizeMode, typer.Option(help="The side that gets this length; exact: both, fill: scale and cut a square.")
    ] = "shorter",
    upscale: Annotated[bool, typer.Option("--upscale", help="Also scale smaller images up.")] = False,
    center_crop: Annotated[bool, typer.Option("--center-crop", help="Cut the largest square from the centre.")] = False,
    interpolation: Annotated[Interpolation, typer.Option(help="How to scale.")] = "bicubic",
    encoding: Annotated[
        Encoding, typer.Option(help="Encode images of other formats anew in this one; keep: store them as they are.")
    ] = "keep",
    quality: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Quality of JPEG and WebP that are encoded anew.")
    ] = 95,
    color: Annotated[Color, typer.Option(help="Make all images colour or grey.")] = "keep",
    max_pixels: Annotated[
        int, typer.Option(metavar="N", min=1, help="Reject images with more pixels than this.")
    ] = MAX_PIXELS,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Do not decode images that are stored as they are: faster, but damage is not found."
        ),
    ] = False,
    device: Annotated[Device, typer.Option(help="Where JPEGs are scaled; auto takes a GPU if it is faster.")] = "cpu",
    shards: Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of .rec files; by default 1.")] = None,
    shard_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            callback=size,
            help="Most bytes of a .rec file, as in 1GB; estimated where images are encoded anew.",
        ),
    ] = None,
    shard_records: Annotated[int | None, typer.Option(metavar="N", min=1, help="Most images of a .rec file.")] = None,
    shuffle: ShuffleOption = None,
    seed: SeedOption = SHUFFLE_SEED,
    split: SplitOption = None,
    stratify: StratifyOption = False,
    leaf_labels: LeafOption = False,
    top_labels: TopOption = False,
    label_pattern: PatternOption = None,
    classes: ClassesOption = None,
    root: Annotated[
        Path | None, typer.Option(help="Where the paths of a list, table or file of boxes begin: a folder or archive.")
    ] = None,
    label_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column of the labels; may be given several times; '*': all others, '': none.  "
            "[default: label, class or the like]",
        ),
    ] = None,
    location_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the paths, URLs or pixels.")
    ] = "location",
    id_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the ids, if there is one; '' is none.")
    ] = "id",
    split_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of the splits; '' is none.  [default: split or the like, with train, val and test]",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…", help="Names of all columns of a CSV or text without a header, as in label,location."
        ),
    ] = None,
    label_width: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Number of labels on each line of a .lst with blanks between its columns."
        ),
    ] = None,
    data_format: FormatOption = "auto",
    flagged: Annotated[
        Flagged,
        typer.Option(
            help="What to do with boxes that are difficult (VOC), a crowd (COCO) or ignored: mark them in a sixth "
            "column, keep them unmarked, or drop them."
        ),
    ] = "column",
    empty: Annotated[
        Empty, typer.Option(help="Keep or drop images without objects; MXNet's own iterators stop at them.")
    ] = "keep",
    timeout: Annotated[
        float, typer.Option(callback=seconds_above_zero, help="Seconds for an image behind a URL.")
    ] = 30.0,
    retries: Annotated[int, typer.Option(metavar="N", min=0, help="Further tries, if an image cannot be fetched.")] = 3,
    connections: Annotated[int, typer.Option(metavar="N", min=1, help="Images fetched at a time.")] = 16,
    max_bytes: Annotated[int, typer.Option(metavar="N", min=1, help="Reject images behind URLs that are larger.")] = 256
    << 20,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Threads, by default one for each core; more than four are divided into processes.",
        ),
    ] = None,
    max_bad: Annotated[
        str, typer.Option(metavar="SHARE|NUMBER", help="Fail if more images than this are bad: 1%, 0.01, or a number.")
    ] = "1%",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad image.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a data set of the same name.")] = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the data set of this name, as further shards.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    node_rank: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Number of this machine, from 0, of --num-nodes.")
    ] = None,
    num_nodes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Machines that share the work; by default as srun or torchrun say."),
    ] = None,
    engine: Annotated[Engine, typer.Option(help="local, or ray for a Ray cluster.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of the Ray cluster; auto: the one that this machine is in; by default Ray starts here alone."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be packed, and write nothing.")] = False,
) -> None:
    """Pack the images of a folder, archive, list, table or annotations.

    Example: dali-rec pack photos/train data/train --resize 256

    Example: dali-rec pack photos.zip data/photos --split train=0.9,val=0.1

    Example: dali-rec pack labels.csv data/train --root images --dry-run

    Example: dali-rec pack coco/annotations/instances_val2017.json data/val

    The first makes data/train.rec, .idx, .lst and .json. Images that cannot be decoded are left out and named, with
    the reason, in data/train.rejected.jsonl. Splits make data/photos-train.rec, data/photos-val.rec and so on.
    """
    from dali_rec.packing import plan_pack, run_pack, run_pack_insightface

    nodes = (0, 1) if dry_run else _nodes(node_rank, num_nodes)
    one_file = shards in (None, 1) and not shard_size and not shard_records and split is None and not append
    if data_format == "insightface" and not (one_file and nodes == (0, 1) and not resume):
        raise typer.BadParameter(
            "InsightFace's layout is one file, made at once: leave out shards, splits, nodes, --append and --resume"
        )
    named = None if columns is None else tuple(name.strip() for name in columns.split(","))
    image = ImageOptions(
        resize, resize_mode, upscale, center_crop, interpolation, encoding, quality, color, max_pixels, trust, device
    )
    options = PackOptions(
        image=image,
        fetch=FetchOptions(timeout, retries, connections, max_bytes),
        shards=shards,
        shard_size=None if shard_size is None else parse_size(shard_size),
        shard_records=shard_records,
        shuffle=shuffle,
        seed=seed,
        split=parse_split(split),
        stratify=stratify,
        workers=workers,
        max_bad=_bad_image_budget(max_bad),
        strict=strict,
    )
    labels = folder_labels(leaf=leaf_labels, top=top_labels)
    table = TableOptions(tuple(label_column or ("label",)), location_column, id_column, named, split_column)
    names = read_classes(classes)
    annotations: Format = "auto" if data_format == "insightface" else data_format
    source_options = SourceOptions(root, labels, names, table, label_width, annotations, flagged, empty, label_pattern)
    if dry_run:
        with progress_bar("listing", "images"):
            planned = plan_pack(source, out, options, source_options)
        _print_plan(*planned)
        return
    run = RunOptions(resume, overwrite, *nodes, engine, address)
    with progress_bar("packing", "images") as progress:
        if data_format == "insightface":
            report = run_pack_insightface(source, out, options, source_options, run, progress=progress)
        else:
            report = run_pack(source, out, options, source_options, run, append=append, progress=progress)
    for packed in report.sets:
        appended = f"{packed.added:,} appended: " if append else ""
        print(f"{appended}{packed.manifest.in_few_words()}: {packed.location}")
        if packed.rejected is not None:
            print(f"rejected: {len(packed.rejections):,}; the reasons are in {packed.rejected}")
    print(f"{report.seconds:.1f} s, {report.images_per_second:,.0f} images/s")


def _nodes(rank: int | None, count: int | None) -> tuple[int, int]:
    """Which machine this is and of how many: as given, or from the variables of srun, torchrun and mpirun."""
    if rank is not None or count is not None:
        if rank is None or count is None:
            raise typer.BadParameter("--node-rank and --num-nodes go together")
        return rank, count
    found = ranks_in_environment()
    if found is None or found.world_size == 1:
        return 0, 1
    print(f"node {found.rank} of {found.world_size}, by {found.why}", file=sys.stderr)
    return found.rank, found.world_size


def _bad_image_budget(text: str) -> float:
    """``1%`` and ``0.01`` are shares, ``5`` is a number of images."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise typer.BadParameter(
            f"{text!r}: expected a share (1% or 0.01) or a number of images", param_hint="--max-bad"
        )
    if text.endswith("%"):
        return min(value / 100, 1 - 1e-9)
    if value >= 1 and not value.is_integer():
        raise typer.BadParameter(f"{text!r}: a number of images is whole; a share is below 1")
    return value


def _print_plan(source: Source, plans: tuple[Plan, ...]) -> None:
    """Counts by class and split, and the files that are not there."""
    console = Console(markup=False, highlight=False)  # names may hold brackets
    for note in source.notes:
        print(note)
    table = Table("class", box=None, pad_edge=False)
    for plan in plans:
        table.add_column(plan.split or ("objects" if source.has_boxes else "images"), justify="right")
    counts: list[dict[float, int]] = [
        count_objects(plan.samples) if source.has_boxes else plan.class_counts() for plan in plans
    ]
    labels = sorted({label for count in counts for label in count})
    classes = source.classes or next(iter(source.label_classes or ()), None) or ()  # of the first label
    for label in labels:
        name = classes[int(label)] if label.is_integer() and 0 <= label < len(classes) else f"{label:g}"
        table.add_row(name, *(f"{count.get(label, 0):,}" for count in counts))
    table.add_row("all", *(f"{sum(count.values()):,}" for count in counts), style="bold")
    console.print(table)
    for plan in plans:
        missing = plan.missing_files()
        for sample in missing[:5]:
            print(f"missing: id {sample.key}: {sample.location}")
        more = f", {counted(len(missing), 'file')} missing" if missing else ""
        images, shards = counted(len(plan.samples), "image"), counted(len(plan.shards), "shard")
        print(f"{plan.name}: {images} in {shards}{more}")
