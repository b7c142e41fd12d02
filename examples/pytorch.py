"""Train a small network in PyTorch, in one process or several.

    python examples/pytorch.py data/train
    torchrun --nproc-per-node 2 examples/pytorch.py data/train

The data set is split 80 to 20 in place; the loader finds rank and world size by itself, and a run that was stopped goes
on from CHECKPOINT in the middle of an epoch. Prints the accuracy on the 20 %: above 70 % in 12 epochs on three classes
of the drawn images of dali-rec's demo.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from torch import distributed, nn

import dali_rec

IMAGE_SIZE = 48


def make_network(classes: int) -> nn.Module:
    """Four convolutions and a mean over the image."""
    layers: list[nn.Module] = []
    for channels, following in ((3, 16), (16, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(channels, following, 3, stride=2, padding=1), nn.BatchNorm2d(following), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def train(data: str, epochs: int, checkpoint: Path | None) -> float:
    """Train for so many epochs; returns the accuracy on the 20 % that were held back."""
    torch.manual_seed(0)
    training, validation = dali_rec.open(data).split(0.8, 0.2)
    loader = dali_rec.Loader(training, 16, IMAGE_SIZE, shuffle="global", augment=CROPS, even=True, last_batch="drop")
    device = f"cuda:{loader.device.index}" if loader.device.is_gpu else "cpu"
    network = make_network(len(training.classes or ())).to(device)
    if distributed.is_initialized():
        network = nn.parallel.DistributedDataParallel(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.003)
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        loader.load_state_dict(saved["loader"])
    while loader.epoch < epochs:
        for images, labels in loader:
            loss = nn.functional.cross_entropy(network(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if checkpoint is not None and (not distributed.is_initialized() or distributed.get_rank() == 0):
            states = {"network": network, "optimiser": optimiser, "loader": loader}
            torch.save({name: part.state_dict() for name, part in states.items()}, checkpoint)
    return accuracy(network, validation)


CROPS = dali_rec.loading.Augmentation(area=(0.5, 1.0))


@torch.no_grad()
def accuracy(network: nn.Module, validation: dali_rec.Dataset) -> float:
    """The share of images, over all ranks, whose class the network finds."""
    network.eval()
    counts = torch.zeros(2)
    for images, labels in dali_rec.Loader(validation, 32, IMAGE_SIZE, augment="eval"):
        counts += torch.tensor([(network(images).argmax(1) == labels).sum().item(), len(labels)])
    if distributed.is_initialized():
        distributed.all_reduce(counts)
    return (counts[0] / counts[1]).item()


def main() -> None:
    """Read the arguments, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a packed data set")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--checkpoint", type=Path, help="save here after each epoch, and go on from here")
    arguments = parser.parse_args()
    if "RANK" in os.environ:  # started by torchrun
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    found = train(arguments.data, arguments.epochs, arguments.checkpoint)
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        print(f"accuracy {found:.3f}")
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
