"""The DALI graph and the loader over it."""

from dali_rec.loading.device import Device, choose_device
from dali_rec.loading.graph import IMAGENET_MEAN, IMAGENET_STD
from dali_rec.loading.loader import Loader, image_pipeline

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Device", "Loader", "choose_device", "image_pipeline"]
