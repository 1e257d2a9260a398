"""BLEU of translations with its standard error, kept sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import MeasurementError
from hwsearch.tasks.score import BootstrapScore

ORDERS = 4


#: columns of a record: matches and totals of n-grams by order, length of the translation and of its reference
COLUMNS = 2 * ORDERS + 2


@dataclass(frozen=True)
class Bleu(BootstrapScore):
    """BLEU of one network on one data set, 0 to 100 (Papineni et al., 2002).

    Parameters
    ----------
    statistics : IntArray
        One row a sentence, shape ``(n, 10)``: n-grams that match the reference, for n = 1 … 4; n-grams in all, for
        n = 1 … 4; tokens of the translation; tokens of the reference.
    """

    statistics: IntArray

    @classmethod
    @override
    def of_sums(cls, sums: FloatArray) -> FloatArray:
        return corpus_bleu(sums)

    @classmethod
    def of(cls, translations: Sequence[str], references: Sequence[str]) -> Bleu:
        """Compare translations with references.

        Parameters
        ----------
        translations, references : sequence of str
            Tokenised sentences, one reference each.

        Returns
        -------
        Bleu
            The statistics of each sentence.

        Raises
        ------
        MeasurementError
            If the package ``sacrebleu`` is not installed.
        """
        try:
            from sacrebleu.metrics.bleu import BLEU
        except ImportError as error:
            raise MeasurementError(
                "BLEU needs sacrebleu, which is not installed.", hint='pip install "hwsearch[translation]"'
            ) from error
        metric = BLEU(tokenize="none", effective_order=True)
        rows = []
        for translation, reference in zip(translations, references, strict=True):
            s = metric.sentence_score(translation, [reference])
            rows.append([*s.counts, *s.totals, s.sys_len, s.ref_len])
        return cls(np.array(rows, dtype=np.int64).reshape(-1, COLUMNS))

    @override
    def pack(self) -> bytes:
        """Serialise as little-endian uint16, as sentences have fewer than 65,536 tokens."""
        return self.statistics.astype("<u2").tobytes()

    @classmethod
    @override
    def unpack(cls, data: bytes, n: int) -> Bleu:
        """Read little-endian uint16."""
        if len(data) != 2 * COLUMNS * n:
            raise MeasurementError(f"a record of {len(data)} bytes cannot be one of {n} sentences.")
        return cls(np.frombuffer(data, dtype="<u2").astype(np.int64).reshape(n, COLUMNS))


def corpus_bleu(sums: IntArray | FloatArray) -> FloatArray:
    """Compute BLEU from sums of the sentences' statistics.

    An order without a match counts as half a match, the next such order as a quarter, and so on (sacrebleu's ``exp``
    smoothing); without any match, or without n-grams of an order, BLEU is 0.

    Parameters
    ----------
    sums : ndarray
        Statistics as in `Bleu`, summed over each corpus, shape ``(k, 10)``.

    Returns
    -------
    FloatArray
        BLEU of each corpus, shape ``(k,)``.

    Examples
    --------
    >>> corpus_bleu(np.array([[4, 3, 2, 1, 4, 3, 2, 1, 4, 4]])).round(1).tolist()
    [100.0]
    """
    sums = np.asarray(sums, dtype=np.float64)
    matches, totals, ours, theirs = sums[:, :ORDERS], sums[:, ORDERS : 2 * ORDERS], sums[:, -2], sums[:, -1]
    valid = matches.any(axis=1) & totals.all(axis=1)
    none = matches == 0
    smoothed = np.where(none, 0.5 ** np.cumsum(none, axis=1), matches)
    logs = np.log(100 * smoothed / np.maximum(totals, 1)).sum(axis=1) / ORDERS
    brevity = np.minimum(0, 1 - theirs / np.maximum(ours, 1))
    return np.where(valid, np.exp(brevity) * np.exp(logs), 0.0)
