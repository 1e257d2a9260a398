"""Scores of subnets, after their batch norms were recalibrated."""

from __future__ import annotations

import torch
from torch import nn

from hwsearch.accuracy.recalibrate import recalibrate
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import extract_subnet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data
from hwsearch.tasks.score import Score


def calibrated_subnet(
    supernet: Supernet, arch: Architecture, calibration: Data | None, *, batch: int = 250
) -> nn.Module:
    """Cut a subnet from its supernet and recalibrate its batch norms.

    Parameters
    ----------
    supernet : Supernet
        The supernet with its weights; it is not changed.
    arch : Architecture
        An architecture of its space.
    calibration : Data or None
        Training examples; None where the family has no batch norms.
    batch : int
        Examples in each forward pass.

    Returns
    -------
    torch.nn.Module
        The static subnet with weights of its own, in evaluation mode, channels last in memory.
    """
    net = extract_subnet(supernet, arch).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if calibration is not None:
        recalibrate(net, calibration, supernet.input_size(arch), batch=batch)
    return net.eval()  # type: ignore[no-any-return]


def subnet_score(
    task: Task,
    supernet: Supernet,
    arch: Architecture,
    calibration: Data | None,
    validation: Data,
    *,
    batch: int = 250,
) -> Score:
    """Recalibrate a subnet and score it.

    Parameters
    ----------
    task : Task
        What the network is for.
    supernet : Supernet
        The supernet with its weights; it is not changed.
    arch : Architecture
        An architecture of its space.
    calibration : Data or None
        Training examples for the batch norms; None where the family has none.
    validation : Data
        Examples to judge it by.
    batch : int
        Examples in each forward pass.

    Returns
    -------
    Score
        The task's score on `validation`.

    Raises
    ------
    MeasurementError
        If the network's outputs are not finite.
    """
    net = calibrated_subnet(supernet, arch, calibration, batch=batch)
    return task.evaluate(net, validation, supernet.input_size(arch), batch=batch)
