"""What a run that is resumed may find: that all is done already, and whole under its names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from dali_rec._shard_names import appending_of
from dali_rec.errors import DatasetError, OutputExistsError
from dali_rec.manifest import parse_manifest
from dali_rec.packing.bad_images import rejections_file
from dali_rec.packing.finish import PackedSet, list_of
from dali_rec.packing.job import changes
from dali_rec.packing.report import Rejection

if TYPE_CHECKING:
    from dali_rec.manifest import Manifest
    from dali_rec.packing.append import Base
    from dali_rec.packing.job import Job
    from dali_rec.packing.plan import Plan
    from dali_rec.packing.store import Store


def find_published(job: Job, store: Store) -> tuple[PackedSet, ...] | None:
    """The data sets of a job, if an earlier run has made all of them; None otherwise.

    They are known by their manifests, lists and lengths: no image is read, and no .rec file.
    """
    pixels = job.source.pixels
    if pixels is not None and pixels.stays_here:  # of an object only its labels are known
        return None
    if job.bases:
        appended = tuple(_appended(base, store) for base in job.bases if base.has_them)
        return appended if len(appended) == len(job.bases) else None
    packed = [_packed(plan, job, store) for plan in job.plans]
    found = tuple(one for one in packed if one is not None)
    return found if len(found) == len(packed) else None


def _appended(base: Base, store: Store) -> PackedSet:
    manifest = base.manifest
    last = [shard for shard in manifest.shards if appending_of(PurePath(shard.rec).stem) == base.number - 1]
    added = sum(shard.records for shard in last)
    return PackedSet(manifest.split, store.path(f"{base.name}.json"), manifest, added, (), None)


def _packed(plan: Plan, job: Job, store: Store) -> PackedSet | None:
    name = plan.name
    if not all(map(store.exists, (f"{name}.json", f"{name}.lst"))):
        return None
    path = store.path(f"{name}.json")
    try:
        manifest = parse_manifest(store.read(f"{name}.json"), path)
        rejections = _read_rejections(plan, store)
    except (DatasetError, ValueError, TypeError, KeyError):  # which is no reason to take it for this job's
        return None
    rejected = frozenset(rejection.sample.key for rejection in rejections)
    kept = (sample for sample in plan.samples if sample.key not in rejected)
    is_whole = (
        _is_described(manifest, plan, job)
        and all(store.size(one.rec) == one.bytes and store.exists(one.idx) for one in manifest.shards)
        and store.read(f"{name}.lst") == list_of(plan, kept)
    )
    listed = store.path(rejections_file(name)) if rejections else None
    return PackedSet(plan.split, path, manifest, manifest.records, rejections, listed) if is_whole else None


def refuse_published_otherwise(job: Job, store: Store) -> None:
    """Raise OutputExistsError if a data set of the job is there, and was made with other options, which it names."""
    for plan in job.plans:
        path = store.path(f"{plan.name}.json")
        try:
            made_with = parse_manifest(store.read(f"{plan.name}.json"), path).options
        except (FileNotFoundError, DatasetError):
            continue
        if differences := changes(made_with, _recorded(plan, job)):
            raise OutputExistsError(
                f"{path} is finished, and was packed with other options: {'; '.join(differences)}. Choose another "
                "name, or say --overwrite to replace it"
            )


def _recorded(plan: Plan, job: Job) -> dict[str, Any]:
    """The options as a manifest gives them back."""
    options: dict[str, Any] = json.loads(json.dumps({**job.recorded_options, "shards": len(plan.shards)}))
    return options


def _is_described(manifest: Manifest, plan: Plan, job: Job) -> bool:
    """Whether the manifest says what that of this plan would say, as far as that is known beforehand."""
    source = job.source
    expected = replace(
        manifest,
        label_kind=source.label_kind,
        classes=source.classes,
        label_classes=source.label_classes,
        split=plan.split,
        options=_recorded(plan, job),
    )
    return manifest == expected and [one.rec for one in manifest.shards] == [f"{one.name}.rec" for one in plan.shards]


def _read_rejections(plan: Plan, store: Store) -> tuple[Rejection, ...]:
    name = rejections_file(plan.name)
    lines = store.read(name).splitlines() if store.exists(name) else []
    reasons = {int(one["id"]): str(one["reason"]) for one in map(json.loads, lines)}
    return tuple(Rejection(plan.named(sample), reasons[sample.key]) for sample in plan.samples if sample.key in reasons)
