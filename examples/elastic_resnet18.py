"""A network of your own as a supernet: declare what may vary, train it with shared weights, cut subnets from it.

    python examples/elastic_resnet18.py

A small ResNet-18 for 32×32 images, written as anyone would, is declared elastic in a few lines and trained for about a
minute on the 3,000 CIFAR-10 images that the package ships for calibration and validation. Then the smallest, some
random and the largest subnets are judged on 3,000 others, each after batch-norm recalibration.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hwsearch.accuracy import subnet_score
from hwsearch.supernets.declared import Depth, ElasticModule, Width, elastic
from hwsearch.supernets.families.cifar10 import images
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Sandwich, Trainer, TrainingConfig


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    def __init__(self, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(Block(width, width, 1), Block(width, width, 1))
        self.layer2 = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width, 1))
        self.layer3 = nn.Sequential(Block(2 * width, 4 * width, 2), Block(4 * width, 4 * width, 1))
        self.layer4 = nn.Sequential(Block(4 * width, 8 * width, 2), Block(8 * width, 8 * width, 1))
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


DECLARATION = {
    "layer*.*.conv1": Width((0.25, 0.5, 1.0)),
    "layer[1-4]": Depth((1, 2)),
}


def training_images() -> ImageData:
    """Return the shipped images but for those of the test."""
    parts = [images()[split] for split in ("calibration", "validation")]
    pixels = [image for part in parts for image in part.images]
    labels = np.concatenate([part.labels for part in parts])
    return ImageData(pixels, labels, parts[0].classes, parts[0].preprocess, "train")


def train(net: ElasticModule, epochs: int) -> ElasticModule:
    """Train by the sandwich rule with in-place distillation, the largest subnet alone at first."""
    config = TrainingConfig(epochs=epochs, batch=64, lr=0.05)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            net,
            Sandwich(random=1, label_smoothing=0.0, alone=0.3),
            ImageTask(),
            training_images(),
            config,
            Path(folder),
        ).run()
    return net.eval()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=14)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = elastic(ResNet18(), DECLARATION, input_shape=(3, 32, 32), resolutions=(24, 32), name="my-resnet18")
    smallest, largest = net.space.smallest(), net.space.largest()
    print(f"{net.space.cardinality:,} subnets, {net.macs(smallest) / 1e6:.1f} to {net.macs(largest) / 1e6:.1f} M MACs")
    started = time.monotonic()
    train(net, args.epochs)
    print(f"trained for {time.monotonic() - started:.0f} s")
    middle = sorted(net.space.sample(3, np.random.default_rng(0)), key=net.macs)
    for arch in (smallest, *middle, largest):
        accuracy = subnet_score(ImageTask(), net, arch, images()["calibration"], images()["test"])
        print(
            f"{net.macs(arch) / 1e6:5.1f} M MACs, {net.params(arch) / 1e3:5.0f} k weights: "
            f"top-1 {accuracy.value:.1f} ± {accuracy.standard_error:.1f} %"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
