"""The job: all that a run of packing will do, and how a later run knows that it would do the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import PIL

from dali_rec._hardware import gpus
from dali_rec._version import __version__
from dali_rec.packing.plan import shuffles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dali_rec.packing.append import Base
    from dali_rec.packing.options import PackOptions
    from dali_rec.packing.plan import Plan, ShardPlan
    from dali_rec.sources import Source


class Task(NamedTuple):
    """One shard to pack."""

    plan: Plan
    shard: ShardPlan


@dataclass(frozen=True)
class Job:
    """What is packed: the source, a plan for each data set that it becomes, and the options that shape them.

    ``name``: of the prefix. ``bases``: the data set that each plan is appended to, or nothing.
    """

    name: str
    source: Source
    plans: tuple[Plan, ...]
    options: PackOptions
    bases: tuple[Base, ...] = ()

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The shards of all plans."""
        return tuple(Task(plan, shard) for plan in self.plans for shard in plan.shards)

    @property
    def images(self) -> int:
        """Images in all plans."""
        return sum(len(plan.samples) for plan in self.plans)

    @cached_property
    def recorded_options(self) -> dict[str, Any]:
        """The options as the manifest has them: what was left to the source is said."""
        return replace(self.options, shuffle=shuffles(self.source, self.options)).recorded()

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """What tells that another run would make the same shards, as JSON has it."""
        content = {
            "options": self.recorded_options,
            "classes": self.source.classes,
            "images": {plan.name: len(plan.samples) for plan in self.plans},
            "samples": {plan.name: plan.samples.digest for plan in self.plans},
            "shards": [[shard.name, shard.start, shard.stop] for _, shard in self.tasks],
            "appended to": {base.name: json.loads(base.manifest.to_json()) for base in self.bases},
            "made by": {"dali-rec": __version__, **self._libraries()},
        }
        jsonable: dict[str, Any] = json.loads(json.dumps(content))
        return jsonable

    def _libraries(self) -> dict[str, str]:
        """Versions of what decides about the bytes of an image that is encoded anew."""
        if self.options.image.keeps_bytes:
            return {}
        found = {"simplejpeg": version("simplejpeg"), "opencv": cv2.__version__, "pillow": PIL.__version__}
        if self.options.image.device == "gpu":
            from dali_rec._dali import import_dali
            from dali_rec.packing.batches import import_nvimgcodec

            found |= {
                "DALI": import_dali("packing on a GPU").__version__,
                "nvImageCodec": import_nvimgcodec().__version__,
            }
            found["GPU"] = ", ".join(sorted({gpu.name for gpu in gpus()}))
        return found

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """In words, where this job is not the one that has the fingerprint ``other``; empty if it is."""
        if other == self.fingerprint:
            return []
        mine = self.fingerprint
        reasons = changes(other.get("options"), mine["options"])
        if (other.get("appended to") or {}) != mine["appended to"]:
            reasons.append(_other_bases(began=bool(other.get("appended to")), now=bool(self.bases)))
        else:
            reasons += self._other_images(other.get("images") or {}, other.get("samples") or {})
        reasons += changes(other.get("made by"), mine["made by"])
        if not reasons and other.get("classes") != mine["classes"]:
            reasons.append("the names of the classes are others")
        return reasons or ["the files that it packs have other sizes, so that other images go into each shard"]

    def _other_images(self, images: Mapping[str, Any], samples: Mapping[str, Any]) -> list[str]:
        reasons = []
        for name, count in self.fingerprint["images"].items():
            before = images.get(name)
            if before != count:
                reasons.append(f"{name} was to have {before} images and now has {count}")
            elif samples.get(name) != self.fingerprint["samples"][name]:
                reasons.append(f"{name} has as many images as before, but other names, labels, ids or another order")
        return reasons


def _other_bases(*, began: bool, now: bool) -> str:
    if began and now:
        return "the data set that it appends to has changed"
    return f"it was begun {'with' if began else 'without'} --append"


def changes(before: object, now: Mapping[str, Any]) -> list[str]:
    """In words, what was otherwise when something was begun, of which only ``before`` is known."""
    if not isinstance(before, dict):
        return ["it was begun by another version of dali-rec"]
    names = [*now, *(name for name in before if name not in now)]
    return [
        f"{name} was {before.get(name)} and is {now.get(name)}" for name in names if before.get(name) != now.get(name)
    ]
