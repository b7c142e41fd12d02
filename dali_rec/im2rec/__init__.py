"""MXNet's im2rec and rec2idx: the same options, file names and records. See docs/from-im2rec.md."""

from dali_rec.im2rec.arguments import main

__all__ = ["main"]
