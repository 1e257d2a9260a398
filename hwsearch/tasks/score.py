"""Top-1 accuracy of a subnet with its standard error, image by image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hwsearch.errors import MeasurementError
from hwsearch.tasks.translation.bleu import Bleu

#: half width, in standard errors, of an interval that covers 90 % of a normal distribution
Z90 = 1.645


class Score(Protocol):
    """How good a subnet is on one data set, with what each example contributed."""

    @property
    def n(self) -> int:
        """Examples."""
        ...

    @property
    def value(self) -> float:
        """Percent of top-1, or BLEU."""
        ...

    @property
    def standard_error(self) -> float:
        """Of `value`, in its unit."""
        ...

    def difference(self, other: Any) -> tuple[float, float]:
        """(mine − other's, standard error), paired over the examples of both."""
        ...

    def pack(self) -> bytes:
        """The per-example record."""
        ...

    def head(self, n: int) -> Score:
        """That of the first n examples."""
        ...

    def joined(self, other: Any) -> Score:
        """That of these examples and the other's, of the same kind, after them."""
        ...


@dataclass(frozen=True)
class Accuracy:
    """Top-1 of one subnet on one data set.

    correct : (n,) bool, one entry an example in the data set's order
    """

    correct: NDArray[np.bool_]

    @property
    def n(self) -> int:
        return len(self.correct)

    @property
    def top1(self) -> float:
        """Percent."""
        return 100.0 * float(self.correct.mean())

    @property
    def value(self) -> float:
        """`top1`."""
        return self.top1

    @property
    def standard_error(self) -> float:
        """Binomial standard error of `top1`, in points."""
        p = float(self.correct.mean())
        return 100.0 * math.sqrt(max(p * (1 - p), 0.25 / self.n) / self.n)

    def difference(self, other: Accuracy) -> tuple[float, float]:
        """(mine − other's, standard error) in points, paired over the images of both."""
        if self.n != other.n:
            raise MeasurementError(f"accuracies on {self.n} and {other.n} images cannot be paired.")
        d = self.correct.astype(np.float64) - other.correct.astype(np.float64)
        return 100.0 * float(d.mean()), 100.0 * float(d.std(ddof=1)) / math.sqrt(self.n)

    def pack(self) -> bytes:
        """The per-image record as bits."""
        return np.packbits(self.correct).tobytes()

    def head(self, n: int) -> Accuracy:
        """That on the first n images."""
        return Accuracy(self.correct[:n])

    def joined(self, other: Accuracy) -> Accuracy:
        """That on these images and the other's after them."""
        return Accuracy(np.concatenate([self.correct, other.correct]))

    @classmethod
    def unpack(cls, data: bytes, n: int) -> Accuracy:
        """The record of n images; raises `MeasurementError` if `data` is not as long as that needs."""
        if len(data) != (n + 7) // 8:
            raise MeasurementError(f"a record of {len(data)} bytes cannot be one of {n} images.")
        return cls(np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=n).astype(bool))


def unpack(kind: str, record: bytes, n: int) -> Score:
    """The score that `Score.pack` wrote; kind: as in a catalogue entry's ``score``."""
    return Bleu.unpack(record, n) if kind == "BLEU" else Accuracy.unpack(record, n)
