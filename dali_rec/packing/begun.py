"""What a work folder says about the job that was begun in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dali_rec._work_folders import JOB, JOURNAL, PACKING
from dali_rec.manifest import parse_manifest
from dali_rec.packing.publication import Publication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dali_rec.manifest import Manifest
    from dali_rec.packing.job import Job
    from dali_rec.packing.store import Store

_OVERWRITES = "overwrites"


def work_folder(name: str) -> str:
    """The work folder of the job that makes data sets of this name."""
    return name + PACKING


@dataclass(frozen=True, slots=True)
class Begun:
    """A job that was begun.

    fingerprint: that of ``Job``; of one that cannot be read it is empty. overwrites: it may replace a data set.
    publication: what is left of it to do, from when all its shards are finished.
    """

    fingerprint: Mapping[str, Any]
    overwrites: bool
    publication: Publication | None = None

    @property
    def device(self) -> str | None:
        """The device that it packs on."""
        options = self.fingerprint.get("options")
        return str(options["device"]) if isinstance(options, dict) and "device" in options else None

    @property
    def bases(self) -> dict[str, Manifest]:
        """The data sets that it appends to, by name, as they were when it was begun."""
        saved = self.fingerprint.get("appended to")
        if not isinstance(saved, dict):
            return {}
        return {name: parse_manifest(json.dumps(one).encode(), f"{name}.json") for name, one in saved.items()}


def read_begun(store: Store, name: str) -> Begun | None:
    """The job that was begun under this name, None where there is none. Raises DatasetError for a damaged journal."""
    folder = work_folder(name)
    journal = _read(store, f"{folder}/{JOURNAL}")
    if journal is not None:
        publication = Publication.from_json(journal, store.path(f"{folder}/{JOURNAL}"))
        return Begun(publication.job, overwrites=True, publication=publication)
    text = _read(store, f"{folder}/{JOB}")
    if text is None:
        return None
    try:
        content = json.loads(text)
    except ValueError:
        content = {}
    if not isinstance(content, dict):
        content = {}
    return Begun(content, overwrites=bool(content.pop(_OVERWRITES, False)))


def format_begun(job: Job, *, overwrites: bool) -> bytes:
    """The text of job.json."""
    return json.dumps({**job.fingerprint, _OVERWRITES: overwrites}, indent=1).encode()


def _read(store: Store, name: str) -> bytes | None:
    try:
        return store.read(name)
    except FileNotFoundError:
        return None
