"""Packed data sets from object stores, web servers and other folders."""

from dali_rec.fetching.run import fetch

__all__ = ["fetch"]
