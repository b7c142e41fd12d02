"""``fetch``: a packed data set behind a URL, brought to this machine or up to date there.

What comes lies in OUT.fetching/ until all is whole; a fetch that was killed goes on from there. OUT.fetching.lock is
held meanwhile. OUT.fetched says what was fetched.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING

from dali_rec._files import as_path, check_space, require_output_name
from dali_rec._locks import locked
from dali_rec._numbers import counted
from dali_rec._sizes import shown_size
from dali_rec._work_folders import FETCHING
from dali_rec.errors import DatasetError, DatasetNotFoundError, OutputExistsError
from dali_rec.fetching.download import CONNECTIONS, Part, download, wait_for
from dali_rec.fetching.target import Target
from dali_rec.fetching.wanted import File, Source, look
from dali_rec.opening import open_dataset
from dali_rec.sources.remote import shown
from dali_rec.sources.remote_file import RemoteFile, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dali_rec._locks import Claim
    from dali_rec.dataset import Dataset

logger = logging.getLogger("dali_rec")


def fetch(
    url: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Bring a packed data set to this machine, and open it; what is here already and whole is not fetched again.

    url: its prefix, manifest or .rec file, on whatever fsspec reads (``s3://``, ``gs://``, ``https://``, …), or a path.
    out: a folder that is there, or ends with a slash; or the prefix that the files get. overwrite: replace a data set
    of this name that was not fetched from there. progress: called with (bytes done, bytes in all) of what is fetched.

    All processes of a training job may call it: one fetches, the others wait. Files get their names when all have come
    and agree with the checksums in the manifest; without a manifest, sizes and times are compared.

    Raises DatasetNotFoundError, PermissionError, OSError for a transfer that failed or a full disk, DatasetError for
    files that are damaged or change while they are fetched, OutputExistsError, MissingDependencyError.
    """
    source = Source.of(url)
    is_folder = os.fspath(out).endswith(("/", os.sep)) or as_path(out).is_dir()
    prefix = require_output_name(as_path(out) / source.name if is_folder else as_path(out))
    target = Target(prefix, str(source))
    if not target.has(look(source, prefix.name)):
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with _alone(prefix) as claim:
            wanted = look(source, prefix.name)
            if not target.has(wanted):  # another process may have fetched it meanwhile
                missing = target.prepare(wanted, overwrite=overwrite)
                _bring(missing, target, progress)
                if look(source, prefix.name) != wanted:
                    raise DatasetError(f"{source} was changed while it was fetched: fetch what it is now")
                if claim.is_lost:
                    raise OutputExistsError(
                        f"{prefix}: another machine has begun to fetch it, too, and its file system has no locks "
                        "that keep one away: let one fetch it, and the others wait"
                    )
                target.publish(wanted, missing, overwrite=overwrite)
    return open_dataset(prefix)


@contextlib.contextmanager
def _alone(prefix: Path) -> Iterator[Claim]:
    """Hold the lock, having waited for it."""
    path = prefix.with_name(prefix.name + FETCHING)
    path.with_name(path.name + ".lock").touch()  # fails where no file can be made
    with locked(path, seconds=0) as claim:
        if claim:
            yield claim
            return
    logger.warning("%s: waiting for another process that fetches it", prefix)
    with locked(path, math.inf) as claim:
        yield claim


def _bring(missing: Sequence[File], target: Target, progress: Callable[[int, int], None] | None) -> None:
    """Fetch files to the work folder; those that the source has not, and that may be missing, are left out."""
    began = time.perf_counter()
    # Unlike an executor's, its threads do not hold up an interruption until a slow server has answered.
    with ThreadPool(CONNECTIONS) as pool:
        remotes = wait_for(pool.map_async(_look_up, missing))
        found = zip(missing, remotes, strict=True)
        parts = [Part(remote, target.work / file.name, file.sha256) for file, remote in found if remote is not None]
        for part in parts:
            if part.left.start > part.remote.size:
                part.path.unlink()
        total = sum(part.remote.size - part.left.start for part in parts)
        check_space(target.prefix, total)
        for done in download(pool, parts):
            if progress is not None:
                progress(done, total)
    rate = shown_size(total / (time.perf_counter() - began))
    logger.info("%s: fetched %s, %s, %s/s", target.prefix, counted(len(parts), "file"), shown_size(total), rate)


def _look_up(file: File) -> RemoteFile | None:
    remote = look_up(file.url, is_optional=file.is_optional)
    if remote is None and not file.is_optional:
        raise DatasetNotFoundError(f"{shown(file.url)}: not found, and the manifest names it")
    if remote is not None and file.size not in (None, remote.size):
        raise DatasetError(
            f"{shown(file.url)}: {remote.size} bytes, the manifest says {file.size}: it was cut short or replaced there"
        )
    return remote
