"""FFCV's DatasetWriter: JPEG of quality 95, the shorter side scaled (its own option scales the longer)."""

import time

import cv2
import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.writer import DatasetWriter
from PIL import Image
from serve import Writing


class Images:
    """What the writer takes: an image and its label by number."""

    def __init__(self, task):
        self.files, self.side = task.files, task.resize

    def __len__(self):
        return len(self.files)

    def __getitem__(self, row):
        path, label = self.files[row]
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        height, width = pixels.shape[:2]
        scale = min(1, self.side / min(height, width))
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), label


if __name__ == "__main__":
    task = Writing()
    cv2.setNumThreads(1)
    images = Images(task)
    began = time.perf_counter()
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=95), "label": IntField()}
    DatasetWriter(str(task.out / "images.beton"), fields, num_workers=task.workers).from_indexed_dataset(images)
    task.done(began, len(images))
