"""What is under the final names of a job: nothing, or a data set that is replaced or appended to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dali_rec._files import not_among
from dali_rec._work_folders import refuse_half_moved
from dali_rec.errors import DatasetError, OutputExistsError
from dali_rec.manifest import parse_manifest, replaceable_files
from dali_rec.packing.bad_images import rejections_file
from dali_rec.packing.begun import work_folder
from dali_rec.packing.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec.packing.job import Job
    from dali_rec.packing.store import Store


@dataclass(frozen=True, slots=True)
class Target:
    """The final names of a job in a store."""

    store: Store
    job: Job

    @property
    def names(self) -> list[str]:
        """The files that each data set has in any case, the manifest first."""
        names = []
        for plan in self.job.plans:
            names += [f"{plan.name}.json", f"{plan.name}.lst"]
            names += [f"{shard.name}{suffix}" for shard in plan.shards for suffix in (".rec", ".idx")]
        return names

    def protect(self, sources: Sequence[Path]) -> None:
        """Raise OutputExistsError if the job would write over a folder, or over these files, from which it packs.

        Raises DatasetError where another command is still to finish what has these names.
        """
        store = self.store
        if not isinstance(store, LocalStore):
            return
        names = {*self.names, *(rejections_file(plan.name) for plan in self.job.plans)}
        for plan in self.job.plans:
            refuse_half_moved(store.directory / plan.name, own=work_folder(self.job.name))
        for file in (store.directory / name for name in sorted(names)):
            if file.is_dir():
                raise OutputExistsError(f"{file} is a folder, and is not replaced; choose another name")
        for plan in self.job.plans:
            names |= replaceable_files(store.directory / f"{plan.name}.json")
        for file in (store.directory / name for name in sorted(names)):
            if file.exists() and any(file.samefile(source) for source in sources):
                raise OutputExistsError(f"{file} would be written over, and is what is being packed; name it otherwise")

    def check(self, *, may_replace: bool) -> None:
        """Raise OutputExistsError or DatasetError if what is there now stands in the way of the job.

        Or PermissionError, where a file is open that is to be replaced and cannot be for that.
        """
        if not may_replace:
            self._refuse_to_replace()
        self._refuse_other_bases()
        gone = {name for plan in self.job.plans for name in (rejections_file(plan.name), *self.replaced(plan.name))}
        self.store.refuse_open((*self.names, *sorted(gone)))

    def _refuse_to_replace(self) -> None:
        names = [f"{shard.name}.rec" for _, shard in self.job.tasks] if self.job.bases else self.names
        for name in names:
            # Also a link that leads nowhere: to a disk that is not mounted, say.
            if self.store.exists(name) or Path(self.store.path(name)).is_symlink():
                raise OutputExistsError(
                    f"{self.store.path(name)} exists already; choose another name, or say --overwrite to replace it "
                    "or --append to add to it"
                )

    def _refuse_other_bases(self) -> None:
        """Raise DatasetError if a data set that is appended to is not what it was when the job was planned."""
        for base in self.job.bases:
            name = f"{base.name}.json"
            path = self.store.path(name)
            if not self.store.exists(name) or parse_manifest(self.store.read(name), path) != base.manifest:
                raise DatasetError(
                    f"{path} has changed since this run read it: another one has added to it or replaced it. Say it "
                    "again, and these images follow what is there now"
                )

    def replaced(self, name: str) -> set[str]:
        """The shard files of the data set ``name`` that the job replaces, without those that it writes anew."""
        if self.job.bases or not self.store.exists(f"{name}.json"):
            return set()
        try:
            manifest = parse_manifest(self.store.read(f"{name}.json"), self.store.path(f"{name}.json"))
        except DatasetError:
            return set()
        return not_among(manifest.replaceable_files, self.names)
