"""To make Loaders of which a run makes so many batches, by so many pipelines, however little data there is."""

import contextlib
import dataclasses

import pytest

from dali_rec.loading import epoch, loader


@contextlib.contextmanager
def runs_of(batches, pipelines=1):
    with pytest.MonkeyPatch.context() as patch:
        chosen = {"at_once": batches, "pipelines": pipelines}
        patch.setattr(loader, "with_several_at_once", lambda ex, *_: dataclasses.replace(ex, **chosen))
        patch.setattr(epoch, "_MOST_PADDING", batches)
        yield
