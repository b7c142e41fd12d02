"""FFCV's DatasetWriter: scale to 256, JPEG of quality 95."""

import sys
import time
from pathlib import Path

from ffcv.fields import IntField, RGBImageField
from ffcv.writer import DatasetWriter
from PIL import Image

folder, threads, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Images:
    paths = sorted(folder.rglob("*.jpg"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        return Image.open(self.paths[row]).convert("RGB"), 0


began = time.perf_counter()
fields = {"image": RGBImageField(write_mode="jpg", max_resolution=256, jpeg_quality=95), "label": IntField()}
DatasetWriter(out, fields, num_workers=threads).from_indexed_dataset(Images())
print(time.perf_counter() - began)
