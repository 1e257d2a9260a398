"""The front of subnets of a supernet, by a race on its validation data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hwsearch._typing import BoolArray, IntArray
from hwsearch.accuracy.evaluate import calibrated_subnet
from hwsearch.accuracy.racing import RaceResult, race
from hwsearch.errors import DataError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data


def front_accuracy(
    task: Task,
    supernet: Supernet,
    archs: Sequence[Architecture],
    costs: ArrayLike,
    calibration: Data | None,
    validation: Data,
    *,
    rng: np.random.Generator,
    error: float = 0.05,
    tolerance: float = 0.0,
    batch: int = 250,
    known: Mapping[int, BoolArray] | None = None,
    answered: Callable[[int, IntArray, BoolArray], None] | None = None,
) -> RaceResult:
    """Race subnets of a supernet for the front of cost and accuracy on `validation`; see `race`.

    Batch norms, where there are some, are recalibrated once a subnet. Between rounds only their statistics are kept,
    some kilobytes a subnet, and the subnet is cut from the supernet again.

    Parameters
    ----------
    task : Task
        What the networks are for; its score must count right answers (`Task.counts_correct`).
    supernet : Supernet
        The supernet with its weights.
    archs : sequence of Architecture
        The n subnets that race.
    costs : array-like
        Known costs, shape ``(n,)`` or ``(n, k)``, smaller is better.
    calibration : Data or None
        Training examples for the batch norms; None where there are none.
    validation : Data
        The N examples that accuracies are measured on.
    rng : numpy.random.Generator
        Draws the order of the examples.
    error, tolerance : float
        As in `race`.
    batch : int
        Examples in each forward pass.
    known : mapping of int to BoolArray, optional
        Answers ``(N,)`` of subnets, by index, that were evaluated before and are not evaluated again.
    answered : callable, optional
        Called with (index of the subnet, indices of the examples, answers) after every evaluation.

    Returns
    -------
    RaceResult
        The front, and what was spent on it.

    Raises
    ------
    DataError
        If `costs` and `archs` do not match, or the task's score does not count right answers.
    MeasurementError
        If no subnet can be evaluated.
    """
    if not task.counts_correct:
        raise DataError(f"subnets cannot race: {task.score_name} of task {task.name!r} does not count right answers.")
    if len(archs) != len(np.atleast_1d(np.asarray(costs))):
        raise DataError(f"{len(archs)} architectures, but costs of shape {np.shape(costs)}.")
    statistics: dict[int, dict[str, Tensor]] = {}
    calibrations = 0

    def answers(i: int, index: IntArray) -> BoolArray:
        nonlocal calibrations
        if known is not None and i in known:
            return known[i][index]
        size = supernet.input_size(archs[i])
        if i in statistics:
            net = supernet.subnet(archs[i]).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
            net.load_state_dict(statistics[i], strict=False)
        else:
            net = calibrated_subnet(supernet, archs[i], calibration, batch=batch)
            calibrations += 1
            statistics[i] = {name: value.clone() for name, value in net.named_buffers()}
        validation.keep(size)
        correct = task.evaluate(net, validation.take(index), size, batch=batch).correct
        if answered is not None:
            answered(i, index, correct)
        return correct

    result = race(answers, costs, images=len(validation), rng=rng, error=error, tolerance=tolerance)
    return replace(result, calibration_images=calibrations * len(calibration or ()))
