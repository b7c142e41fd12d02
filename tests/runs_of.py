"""To make Loaders of which a run makes so many batches, however little data there is."""

import contextlib
import dataclasses

import pytest

from dali_rec.loading import epoch, loader


@contextlib.contextmanager
def runs_of(batches):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "with_several_at_once", lambda ex, *_: dataclasses.replace(ex, at_once=batches))
        patch.setattr(epoch, "_MOST_PADDING", batches)
        yield
