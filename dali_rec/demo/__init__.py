"""The whole way on a small data set: pack, verify, load, measure."""

from dali_rec.demo.demo import DemoReport, run_demo
from dali_rec.demo.synthetic import write_images

__all__ = ["DemoReport", "run_demo", "write_images"]
