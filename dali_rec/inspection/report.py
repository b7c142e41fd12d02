"""``write_report``: one self-contained HTML page that shows what is in a data set."""

from __future__ import annotations

import base64
import html
import io
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali_rec._files import as_path, write_text_atomically
from dali_rec._sizes import shown_size
from dali_rec.errors import ImageRejectedError, RecordError
from dali_rec.images import inspect_image
from dali_rec.inspection.info import QUANTILES, info
from dali_rec.inspection.pictured import Pictured
from dali_rec.inspection.plots import histogram, scatter
from dali_rec.inspection.sheet import choose_records
from dali_rec.opening import open_dataset

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dali_rec.dataset import Dataset
    from dali_rec.inspection.info import DatasetInfo
    from dali_rec.recordio import Record

_MOST_SAMPLES = 500
_THUMBNAIL = 176
_THUMBNAIL_QUALITY = 72
_RECORDS_MEASURED = 2000
_CLASSES_SHOWN = 200
_ASPECT_EDGES = np.array([0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.6, 1.9, 2.5, np.inf])


class _Sample(NamedTuple):
    key: int
    class_name: str
    size: str
    picture: str
    fault: str


def write_report(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    count: int = 120,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a page about the data set at ``path`` (a prefix, manifest or .rec) to the HTML file ``out``.

    It has ``count`` samples (500 at most), evenly over the classes, counts by class, sizes and aspects of up to 2,000
    images, formats, and what of these cannot be decoded. Everything is in the one file, which asks for nothing else.
    progress: called with (headers read, records in all).
    """
    found = info(path, progress=progress)
    with open_dataset(path) as dataset:
        pictured = Pictured(dataset)
        samples = [_sample(pictured, record) for record in choose_records(dataset, min(count, _MOST_SAMPLES), seed)]
        sizes = _sizes(dataset)
    page = Template(files("dali_rec.inspection").joinpath("report.html").read_text("utf-8"))
    name = as_path(path).name
    text = page.substitute(
        title=html.escape(name),
        facts="".join(_facts(found)),
        classes="".join(_classes(found)),
        counted="objects of each" if found.boxes is not None else "records of each",
        samples="".join(map(_figure, samples)),
        scatter=scatter(sizes, "width in pixels", "height in pixels"),
        aspects=histogram(sizes[:, 0] / sizes[:, 1], "width by height", _ASPECT_EDGES) if len(sizes) else "",
        quantiles="".join(_quantiles(found)),
        kinds="".join(_kinds(found)),
        faults="".join(_faults(found, samples)),
        measured=f"{len(sizes):,}",
        sampled=f"{len(samples):,}",
    )
    write_text_atomically(as_path(out), text)


def _sample(pictured: Pictured, record: Record) -> _Sample:
    name = pictured.title(record)
    try:
        shown = inspect_image(record.image)
    except ImageRejectedError as error:
        return _Sample(record.key, name, "", "", str(error))
    picture = pictured.thumbnail(record, _THUMBNAIL)
    size = f"{shown.width} × {shown.height}"
    if picture is None:
        return _Sample(record.key, name, size, "", "it cannot be decoded")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_THUMBNAIL_QUALITY)
    return _Sample(record.key, name, size, base64.b64encode(file.getvalue()).decode("ascii"), "")


def _sizes(dataset: Dataset) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Width and height of images spread evenly over the data set, shape (N, 2)."""
    rows = np.unique(np.linspace(0, len(dataset) - 1, _RECORDS_MEASURED).round().astype(np.int64))
    found = [size for row in rows.tolist() if len(dataset) and (size := _size(dataset, row)) is not None]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _size(dataset: Dataset, row: int) -> tuple[int, int] | None:
    try:
        shown = inspect_image(dataset[row].image)
    except (ImageRejectedError, RecordError):
        return None
    return shown.width, shown.height


def _facts(found: DatasetInfo) -> Iterable[str]:
    classes = _counts(found)
    facts = [
        (f"{found.records:,}", "records"),
        *([(f"{found.boxes.objects:,}", "objects")] if found.boxes is not None else []),
        (f"{len(classes):,}" if classes else "none", "classes"),
        (shown_size(found.bytes), "in all"),
        (f"{len(found.shards):,}", "shard" if len(found.shards) == 1 else "shards"),
    ]
    if found.identities is not None:
        facts.append((f"{found.identities:,}", "identities"))
    if found.width:
        middle = QUANTILES.index(0.5)
        facts.append((f"{found.width[middle]:.0f} × {found.height[middle]:.0f}", "pixels, medians"))
    return (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for value, name in facts)


def _counts(found: DatasetInfo) -> list[tuple[str, int]]:
    """The name of each class, and how many records or objects have it."""
    if found.boxes is not None:
        counted = [(one.name, one.index, one.objects) for one in found.boxes.classes]
    else:
        counted = [(one.name, one.index, one.records) for one in found.classes or ()]
    return [(name if name is not None else str(index), count) for name, index, count in counted]


def _classes(found: DatasetInfo) -> Iterable[str]:
    classes = _counts(found)
    if not classes:
        yield '<p class="quiet">Its labels are not classes.</p>'
        return
    shown = sorted(classes, key=lambda one: -one[1])[:_CLASSES_SHOWN]
    most = shown[0][1] or 1
    yield "<ol>"
    for plain, count in shown:
        name = html.escape(plain, quote=True)
        yield (
            f'<li data-class="{name}"><span class="name">{name}</span><span class="bar">'
            f'<i style="width:{100 * count / most:.2f}%"></i></span><b>{count:,}</b></li>'
        )
    yield "</ol>"
    if len(classes) > len(shown):
        yield f'<p class="quiet">and {len(classes) - len(shown):,} smaller classes</p>'


def _figure(sample: _Sample) -> str:
    name = html.escape(sample.class_name, quote=True)
    caption = f"<figcaption><b>{name or '—'}</b><span>id {sample.key} · {html.escape(sample.size)}</span></figcaption>"
    if sample.fault:
        return f'<figure data-class="{name}"><div class="broken">cannot be decoded</div>{caption}</figure>'
    source = f"data:image/jpeg;base64,{sample.picture}"
    return (
        f'<figure data-class="{name}"><div><img src="{source}" alt="{name}, id {sample.key}"></div>{caption}</figure>'
    )


def _quantiles(found: DatasetInfo) -> Iterable[str]:
    if not found.width:
        return
    yield "<thead><tr><th></th>" + "".join(_share(share) for share in QUANTILES) + "</tr></thead><tbody>"
    rows: Sequence[tuple[str, tuple[float, ...], str]] = (
        ("width", found.width, ",.0f"),
        ("height", found.height, ",.0f"),
        ("width by height", found.aspect, ".2f"),
        ("bytes", found.image_bytes, ",.0f"),
    )
    for name, values, form in rows:
        yield f"<tr><th>{name}</th>" + "".join(f"<td>{value:{form}}</td>" for value in values) + "</tr>"
    yield "</tbody>"


def _share(share: float) -> str:
    names = {0.0: "least", 0.5: "median", 1.0: "most"}
    return f"<th>{names.get(share, f'{share:.0%}')}</th>"


def _kinds(found: DatasetInfo) -> Iterable[str]:
    kinds: Sequence[tuple[str, Mapping[str, int]]] = (
        ("format", found.formats),
        ("colour", found.modes),
        ("JPEG", found.jpeg),
        ("chroma", found.sampling),
        ("misses the GPU’s JPEG engine", found.engine_missed),
    )
    for name, counts in kinds:
        for kind, count in sorted(counts.items(), key=lambda pair: -pair[1]):
            yield f"<tr><th>{name}</th><td>{html.escape(kind)}</td><td>{count:,}</td></tr>"


def _faults(found: DatasetInfo, samples: Sequence[_Sample]) -> Iterable[str]:
    for reason, count in found.not_images.items():
        yield f"<li>{count:,} records: {html.escape(reason)}</li>"
    for sample in samples:
        if sample.fault:
            yield f"<li>id {sample.key}: {html.escape(sample.fault)}</li>"
    if not found.not_images and not any(sample.fault for sample in samples):
        yield "<li class=quiet>None among the headers of all records and the samples on this page.</li>"
