"""Score of one network on one data set: a value with its standard error, and what each example contributed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import MeasurementError

#: half width, in standard errors, of an interval that covers 95 % of a normal distribution
Z95 = 1.959964
#: a normal variable exceeds this many standard deviations with 5 %, for tests with one side
ONE_SIDED_Z95 = 1.644854

#: bootstrap samples that a standard error rests on
RESAMPLES = 1000


class Score(ABC):
    """Score of one network on one data set; higher is better.

    Campaigns maximise scores, so a loss must be turned round: R² or a negative error instead of an error. What counts
    as one point is up to the task; see `hwsearch.tasks.base.Task.score_unit`.
    """

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of examples."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The score of all examples, in the task's unit."""

    @property
    @abstractmethod
    def standard_error(self) -> float:
        """Standard error of `value` over the choice of examples, in the same unit."""

    @abstractmethod
    def difference(self, other: Self) -> tuple[float, float]:
        """Compare with another network's score on the same examples.

        Parameters
        ----------
        other : Self
            The other network's score.

        Returns
        -------
        difference, standard_error : float
            This value minus the other's, and its standard error, paired over the examples.

        Raises
        ------
        MeasurementError
            If the two have not the same number of examples.
        """

    @abstractmethod
    def pack(self) -> bytes:
        """Serialise what each example contributed.

        Returns
        -------
        bytes
            A record that `hwsearch.tasks.base.Task.unpack` reads again.
        """

    @abstractmethod
    def head(self, n: int) -> Self:
        """Restrict the score to the first examples.

        Parameters
        ----------
        n : int
            Number of examples.

        Returns
        -------
        Self
            The score of the first `n` examples.
        """

    @abstractmethod
    def joined(self, other: Self) -> Self:
        """Join the scores of two disjoint parts of a data set.

        Parameters
        ----------
        other : Self
            The same network's score on further examples.

        Returns
        -------
        Self
            The score of these examples followed by the other's.
        """

    @property
    def correct(self) -> BoolArray:
        """Whether each example is answered right, shape ``(n,)``.

        Only scores that are a share of right answers have it (`hwsearch.tasks.base.Task.counts_correct`).

        Raises
        ------
        MeasurementError
            If the score is none of these.
        """
        raise MeasurementError(f"{type(self).__name__} does not count right answers.")


@dataclass(frozen=True)
class BootstrapScore(Score):
    """A score that follows from sums over the examples, with a standard error by bootstrap.

    A subclass implements `of_sums`. R², BLEU, F1 and the perplexity of a corpus are of this kind.

    Parameters
    ----------
    statistics : ndarray
        One row an example, shape ``(n, k)``, in the order of the data set.
    """

    statistics: IntArray | FloatArray

    @classmethod
    @abstractmethod
    def of_sums(cls, sums: FloatArray) -> FloatArray:
        """Compute the scores of several corpora.

        Parameters
        ----------
        sums : FloatArray
            Statistics summed over the examples of each corpus, shape ``(corpora, k)``.

        Returns
        -------
        FloatArray
            Scores, shape ``(corpora,)``.
        """

    @classmethod
    def unpack(cls, record: bytes, n: int) -> Self:
        """Read what `pack` wrote.

        Parameters
        ----------
        record : bytes
            The record.
        n : int
            Number of examples.

        Returns
        -------
        Self
            The score.

        Raises
        ------
        MeasurementError
            If the record cannot be one of `n` examples.
        """
        if not n or not record or len(record) % (8 * n):
            raise MeasurementError(f"a record of {len(record)} bytes cannot be one of {n} examples.")
        return cls(np.frombuffer(record, dtype="<f8").astype(np.float64).reshape(n, -1))

    @property
    @override
    def n(self) -> int:
        return len(self.statistics)

    @property
    @override
    def value(self) -> float:
        return float(self.of_sums(np.asarray(self.statistics.sum(0)[None], np.float64))[0])

    @property
    @override
    def standard_error(self) -> float:
        return float(self._resampled().std(ddof=1))

    @override
    def difference(self, other: Self) -> tuple[float, float]:
        if self.n != other.n:
            raise MeasurementError(f"scores of {self.n} and of {other.n} examples cannot be paired.")
        return self.value - other.value, float((self._resampled() - other._resampled()).std(ddof=1))

    def _resampled(self) -> FloatArray:
        """Score corpora drawn with replacement ``(RESAMPLES,)``, the same draws for all scores of n examples."""
        draws = np.random.default_rng(0).multinomial(self.n, np.full(self.n, 1 / self.n), size=RESAMPLES)
        return self.of_sums(np.asarray(draws @ self.statistics, np.float64))

    @override
    def pack(self) -> bytes:
        return np.asarray(self.statistics, "<f8").tobytes()

    @override
    def head(self, n: int) -> Self:
        return type(self)(self.statistics[:n])

    @override
    def joined(self, other: Self) -> Self:
        return type(self)(np.concatenate([self.statistics, other.statistics]))
