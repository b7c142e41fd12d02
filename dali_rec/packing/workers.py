"""What makes images ready for their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dali_rec._workers import Threads, begin_workers
from dali_rec.packing.reading import Origin, ReadImage, Stamp, read_image
from dali_rec.packing.transform import Outcome, transform_or_reject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dali_rec._workers import Workers
    from dali_rec.packing.options import ImageOptions, PackOptions
    from dali_rec.sources import FetchOptions

# To begin a process takes about as long as to pack some hundreds of images.
_IMAGES_A_PROCESS = 1000


class Ready(NamedTuple):
    """An image made ready, or the reason why it was rejected, and the stamp of its file."""

    stamp: Stamp
    outcome: Outcome


class Preparation(NamedTuple):
    """Makes images ready; a request is an Origin and locations, its answer a list of Ready. See Work."""

    image: ImageOptions
    fetching: FetchOptions
    remedy: str = "if it is memory that was short, take fewer --workers"

    def read(self, request: tuple[Origin, Sequence[str]]) -> list[ReadImage]:
        """Read the encoded images."""
        origin, locations = request
        return [read_image(origin, location, self.fetching) for location in locations]

    def do(self, found: list[ReadImage]) -> list[Ready]:
        """Decode, resize and encode as the options say."""
        return [Ready(stamp, transform_or_reject(data, self.image)) for stamp, data in found]


def begin_packing(options: PackOptions, images: int, *, stay_here: bool) -> Workers:
    """Workers for so many images, in as many processes as those are worth.

    stay_here: whether this process alone can read some: those behind URLs, for which the network is waited for too, and
    those that it holds.
    """
    preparation = Preparation(options.image, options.fetch)
    if stay_here:
        return Threads(preparation, options.worker_count, options.fetch.connections)
    return begin_workers(preparation, options.worker_count, images // _IMAGES_A_PROCESS)
