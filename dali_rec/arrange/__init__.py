"""Packed data sets put together, parted and put in another order, record by record and without decoding."""

from dali_rec.arrange.classes import LabelChoice
from dali_rec.arrange.merge import merge
from dali_rec.arrange.report import ArrangeReport
from dali_rec.arrange.shuffle import shuffle
from dali_rec.arrange.split import split
from dali_rec.packing.arranged import ArrangedSet

__all__ = ["ArrangeReport", "ArrangedSet", "LabelChoice", "merge", "shuffle", "split"]
