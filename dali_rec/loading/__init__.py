"""The DALI graph and the loader over it."""

from dali_rec.loading.augmentation import Augmentation, BoxAugmentation
from dali_rec.loading.batch_mix import BatchMix
from dali_rec.loading.device import Device, choose_device
from dali_rec.loading.image_pipeline import image_pipeline
from dali_rec.loading.labels import PaddedLabels
from dali_rec.loading.loader import Loader
from dali_rec.loading.specs import IMAGENET_MEAN, IMAGENET_STD
from dali_rec.loading.tuned import Tuned

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Augmentation",
    "BatchMix",
    "BoxAugmentation",
    "Device",
    "Loader",
    "PaddedLabels",
    "Tuned",
    "choose_device",
    "image_pipeline",
]
