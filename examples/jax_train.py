"""Train a small network in JAX, without any library on top of it.

    python examples/jax_train.py data/train

Prints the accuracy on the 20 % held back: above 60 % in 24 epochs on three classes of dali-rec's drawn demo images.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

import dali_rec

IMAGE_SIZE = 48
CHANNELS = (3, 16, 32, 64, 64)


def make_parameters(classes: int, seed: int = 0) -> list[Any]:
    """Kernels of the convolutions with a scale and a shift each, and the last layer."""
    keys = jax.random.split(jax.random.key(seed), len(CHANNELS))
    shapes = [(following, before, 3, 3) for before, following in itertools.pairwise(CHANNELS)]
    layers = [
        (jax.random.normal(key, shape) * (2 / (9 * shape[1])) ** 0.5, jnp.ones(shape[0]), jnp.zeros(shape[0]))
        for key, shape in zip(keys, shapes, strict=False)
    ]
    return [*layers, jax.random.normal(keys[-1], (CHANNELS[-1], classes)) * 0.1]


def predict(parameters: list[Any], images: jax.Array) -> jax.Array:
    """Four convolutions, each normalised within its image, and a mean over the image."""
    for kernel, scale, shift in parameters[:-1]:
        images = jax.lax.conv_general_dilated(images, kernel, (2, 2), "SAME")
        mean, variance = images.mean((2, 3), keepdims=True), images.var((2, 3), keepdims=True)
        images = (images - mean) * jax.lax.rsqrt(variance + 1e-5) * scale[:, None, None] + shift[:, None, None]
        images = jax.nn.relu(images)
    return images.mean((2, 3)) @ parameters[-1]


def loss(parameters: list[Any], images: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy."""
    return -jnp.take_along_axis(jax.nn.log_softmax(predict(parameters, images)), labels[:, None], 1).mean()


@partial(jax.jit, static_argnames="rate")
def step(
    parameters: list[Any], moments: tuple[Any, Any], images: jax.Array, labels: jax.Array, rate: float
) -> tuple[list[Any], tuple[Any, Any]]:
    """One step of Adam, without its correction of the first steps."""
    slopes = jax.grad(loss)(parameters, images, labels)
    first = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, moments[0], slopes)
    second = jax.tree.map(lambda old, new: 0.99 * old + 0.01 * new**2, moments[1], slopes)
    change = jax.tree.map(lambda one, two: rate * one / (jnp.sqrt(two) + 1e-6), first, second)
    return jax.tree.map(jnp.subtract, parameters, change), (first, second)


def train(data: str, epochs: int) -> float:
    """Train for so many epochs; returns the accuracy on the images held back."""
    training, validation = dali_rec.open(data).split(0.8, 0.2)
    crops = dali_rec.loading.Augmentation(area=(0.5, 1.0))
    # One shape for all batches, so that JAX compiles once.
    loader = dali_rec.Loader(
        training, 16, IMAGE_SIZE, augment=crops, shuffle="global", last_batch="drop", framework="jax"
    )
    parameters = make_parameters(len(training.classes or ()))
    moments = (jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters))
    for _ in range(epochs):
        for images, labels in loader:
            parameters, moments = step(parameters, moments, images, labels, rate=0.003)
    held_back = dali_rec.Loader(validation, 32, IMAGE_SIZE, augment="eval", framework="jax")
    right = [(predict(parameters, images).argmax(1) == labels).sum() for images, labels in held_back]
    return float(sum(right)) / len(validation)


def main() -> None:
    """Read the arguments, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a packed data set")
    parser.add_argument("--epochs", type=int, default=24)
    arguments = parser.parse_args()
    print(f"accuracy {train(arguments.data, arguments.epochs):.3f}")


if __name__ == "__main__":
    main()
