"""Top-1 accuracy of a subnet with its standard error, image by image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.accuracy.recalibrate import recalibrate
from hwsearch.errors import MeasurementError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import extract_subnet
from hwsearch.supernets.families.hat.subnet import HatSubnet
from hwsearch.tasks.base import Data
from hwsearch.tasks.score import Accuracy, Score
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.score import evaluate_translation


@torch.no_grad()
def evaluate(net: nn.Module, data: Data, size: int, *, batch: int = 250) -> Accuracy:
    """Top-1 of a network in evaluation mode on all examples of `data`; size: pixels of a side, or tokens."""
    training = net.training
    net.eval()
    correct = []
    try:
        for x, y in data.batches(size, batch):
            logits = net(x) if isinstance(x, Tensor) else net(*x)
            if not torch.isfinite(logits).all():
                raise MeasurementError("the network's outputs are not finite.")
            correct.append((logits.argmax(1) == y).numpy())
    finally:
        net.train(training)
    return Accuracy(np.concatenate(correct))


def assess(net: nn.Module, data: Data, size: int, *, batch: int = 250) -> Score:
    """The score that belongs to these data: BLEU of translations, top-1 of labelled examples.

    batch : of labelled examples; translations are batched by their tokens
    """
    if isinstance(data, TranslationData):
        if not isinstance(net, HatSubnet):
            raise MeasurementError(f"{type(net).__name__} translates nothing, but {data.name!r} are translations.")
        return evaluate_translation(net, data)
    return evaluate(net, data, size, batch=batch)


def calibrated_subnet(
    supernet: Supernet, arch: Architecture, calibration: Data | None, *, batch: int = 250
) -> nn.Module:
    """The static subnet of `arch` in evaluation mode, batch norms recalibrated, channels last in memory.

    calibration : None where a family has no batch norms
    """
    net = extract_subnet(supernet, arch).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if calibration is not None:
        recalibrate(net, calibration, supernet.input_size(arch), batch=batch)
    return net.eval()  # type: ignore[no-any-return]


def subnet_accuracy(
    supernet: Supernet, arch: Architecture, calibration: Data | None, validation: Data, *, batch: int = 250
) -> Accuracy:
    """Recalibrate the subnet of `arch` and measure its top-1."""
    net = calibrated_subnet(supernet, arch, calibration, batch=batch)
    return evaluate(net, validation, supernet.input_size(arch), batch=batch)
