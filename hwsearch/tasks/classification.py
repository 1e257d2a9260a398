"""Classification: cross-entropy, and the percentage of examples answered right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import BoolArray
from hwsearch.errors import MeasurementError
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data, forward
from hwsearch.tasks.score import ONE_SIDED_Z95, Score


@dataclass(frozen=True)
class Accuracy(Score):
    """Top-1 accuracy of one network on one data set, in percent.

    Parameters
    ----------
    answers : BoolArray
        Whether each example is answered right, shape ``(n,)``, in the order of the data set.

    Examples
    --------
    >>> score = Accuracy(np.array([True, True, True, False]))
    >>> score.value
    75.0
    >>> Accuracy.unpack(score.pack(), 4).value
    75.0
    """

    answers: BoolArray

    @classmethod
    def unpack(cls, record: bytes, n: int) -> Accuracy:
        """Read what `pack` wrote.

        Parameters
        ----------
        record : bytes
            One bit an example.
        n : int
            Number of examples.

        Returns
        -------
        Accuracy
            The score.

        Raises
        ------
        MeasurementError
            If the record has not the length that `n` examples need.
        """
        if len(record) != (n + 7) // 8:
            raise MeasurementError(f"a record of {len(record)} bytes cannot be one of {n} examples.")
        return cls(np.unpackbits(np.frombuffer(record, dtype=np.uint8), count=n).astype(bool))

    @property
    @override
    def n(self) -> int:
        return len(self.answers)

    @property
    @override
    def value(self) -> float:
        return 100.0 * float(self.answers.mean())

    @property
    @override
    def standard_error(self) -> float:
        p = float(self.answers.mean())
        # never below that of half an answer: all right on few examples is not certainty
        return 100.0 * math.sqrt(max(p * (1 - p), 0.25 / self.n) / self.n)

    @override
    def difference(self, other: Accuracy) -> tuple[float, float]:
        if self.n != other.n:
            raise MeasurementError(f"accuracies on {self.n} and {other.n} examples cannot be paired.")
        d = self.answers.astype(np.float64) - other.answers.astype(np.float64)
        return 100.0 * float(d.mean()), 100.0 * float(d.std(ddof=1)) / math.sqrt(self.n)

    @override
    def pack(self) -> bytes:
        return np.packbits(self.answers).tobytes()

    @override
    def head(self, n: int) -> Accuracy:
        return Accuracy(self.answers[:n])

    @override
    def joined(self, other: Accuracy) -> Accuracy:
        return Accuracy(np.concatenate([self.answers, other.answers]))

    @property
    @override
    def correct(self) -> BoolArray:
        return self.answers


class ClassificationTask(Task):
    """Common part of tasks whose outputs are logits ``(b, classes)`` and whose targets are class indices ``(b,)``."""

    score_name = "accuracy"
    score_unit = "%"
    standard_error_kind = "binomial"
    counts_correct: ClassVar[bool] = True

    @override
    @torch.no_grad()
    def evaluate(self, net: nn.Module, data: Data, size: int, *, batch: int = 250) -> Accuracy:
        training = net.training
        net.eval()
        correct = []
        try:
            for x, y in data.batches(size, batch):
                logits = forward(net, x)
                if not torch.isfinite(logits).all():
                    raise MeasurementError("the network's outputs are not finite.")
                correct.append((logits.argmax(1) == y).numpy())
        finally:
            net.train(training)
        return Accuracy(np.concatenate(correct))

    @override
    def unpack(self, record: bytes, n: int) -> Accuracy:
        return Accuracy.unpack(record, n)

    @override
    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    @override
    def distillation_loss(self, outputs: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, teacher.softmax(1))

    @override
    def no_better_than(self, value: float, standard_error: float, data: Data) -> str | None:
        classes = len(data.classes)
        if value - ONE_SIDED_Z95 * standard_error > 100 / classes:
            return None
        return f"guessing among {classes} classes: the order of the classes may differ, or"
