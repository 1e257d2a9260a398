"""BLEU of translations with its standard error, kept sentence by sentence.

BLEU (Papineni, Roukos, Ward, Zhu, 2002) as sacrebleu (Post, 2018, arXiv 1804.08771) computes it, on text that is
tokenised already. Errors by the paired bootstrap (Koehn, 2004) over sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch.errors import MeasurementError
from hwsearch.spaces.space import FloatArray, IntArray
from hwsearch.supernets.beam import translate
from hwsearch.supernets.hat_subnet import HatSubnet
from hwsearch.translation import TranslationData, padded

ORDERS = 4
RESAMPLES = 1000
#: tokens that one batch of translations may hold at once: sources, and all hypotheses at their longest. In the largest
#: subnet of WMT'14 En-De the keys and values of one are 24 KiB (of a source token up to three times that), and while a
#: step copies them they are there twice
TOKENS = 12_288
#: columns of a record: matches and totals of n-grams by order, length of the translation and of its reference
COLUMNS = 2 * ORDERS + 2


@dataclass(frozen=True)
class Bleu:
    """BLEU of one subnet on one data set.

    statistics : (n, 10) int64, a row a sentence in the data set's order: n-grams that match the reference, for n = 1 … 4;
        n-grams in all, for n = 1 … 4; tokens of the translation; tokens of the reference
    """

    statistics: IntArray

    @classmethod
    def of(cls, translations: Sequence[str], references: Sequence[str]) -> Bleu:
        """Of tokenised sentences, one reference each; raises `MeasurementError` where sacrebleu is not installed."""
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

    @property
    def n(self) -> int:
        return len(self.statistics)

    @property
    def value(self) -> float:
        """BLEU of the corpus, 0 to 100."""
        return float(corpus_bleu(self.statistics.sum(0)[None])[0])

    @property
    def standard_error(self) -> float:
        """Standard error of `value` over the choice of sentences, by bootstrap with a fixed seed."""
        return float(self._resampled().std(ddof=1))

    def difference(self, other: Bleu) -> tuple[float, float]:
        """(mine − other's, standard error), paired over the sentences of both."""
        if self.n != other.n:
            raise MeasurementError(f"BLEU of {self.n} and of {other.n} sentences cannot be paired.")
        return self.value - other.value, float((self._resampled() - other._resampled()).std(ddof=1))

    def _resampled(self) -> FloatArray:
        """BLEU of `RESAMPLES` corpora drawn with replacement, the same draws for all records of n sentences."""
        draws = np.random.default_rng(0).multinomial(self.n, np.full(self.n, 1 / self.n), size=RESAMPLES)
        return corpus_bleu(draws @ self.statistics)

    def pack(self) -> bytes:
        """The per-sentence record as little-endian uint16, as sentences have fewer than 65,536 tokens."""
        return self.statistics.astype("<u2").tobytes()

    def head(self, n: int) -> Bleu:
        """That of the first n sentences."""
        return Bleu(self.statistics[:n])

    def joined(self, other: Bleu) -> Bleu:
        """That of these sentences and the other's after them."""
        return Bleu(np.concatenate([self.statistics, other.statistics]))

    @classmethod
    def unpack(cls, data: bytes, n: int) -> Bleu:
        """The record of n sentences; raises `MeasurementError` if `data` is not as long as that needs."""
        if len(data) != 2 * COLUMNS * n:
            raise MeasurementError(f"a record of {len(data)} bytes cannot be one of {n} sentences.")
        return cls(np.frombuffer(data, dtype="<u2").astype(np.int64).reshape(n, COLUMNS))


def corpus_bleu(sums: IntArray) -> FloatArray:
    """BLEU (k,) of k corpora from the sums (k, 10) of their sentences' statistics.

    An order without a match counts as half a match, the next such order as a quarter, and so on (sacrebleu's ``exp``
    smoothing); without any match, or without n-grams of an order, BLEU is 0.
    """
    sums = np.asarray(sums, dtype=np.float64)
    matches, totals, ours, theirs = sums[:, :ORDERS], sums[:, ORDERS : 2 * ORDERS], sums[:, -2], sums[:, -1]
    valid = matches.any(axis=1) & totals.all(axis=1)
    none = matches == 0
    smoothed = np.where(none, 0.5 ** np.cumsum(none, axis=1), matches)
    logs = np.log(100 * smoothed / np.maximum(totals, 1)).sum(axis=1) / ORDERS
    brevity = np.minimum(0, 1 - theirs / np.maximum(ours, 1))
    return np.where(valid, np.exp(brevity) * np.exp(logs), 0.0)


def evaluate_translation(
    net: HatSubnet,
    data: TranslationData,
    *,
    tokens: int = TOKENS,
    beam: int = 4,
    length_penalty: float = 0.6,
    max_length: int = 200,
) -> Bleu:
    """BLEU of a network's translations of all sentences of `data`, as the authors of HAT measure it.

    By beam search (`hwsearch.supernets.beam.translate`), with subwords joined and compounds split (`split_compounds`);
    sentences of similar length together, as many as `tokens` has room for, at least one.
    Raises `DataError` where data and network do not fit, `MeasurementError` where outputs are not finite.
    """
    data.check(net.vocabulary, net.positions)
    training = net.training
    net.eval()
    translations = [""] * len(data)
    try:
        kept = beam * min(max_length + 1, net.positions)
        for places in _batches([len(s) for s in data.sources], kept, tokens):
            source = padded([data.sources[i] for i in places], left=True)
            found = translate(net, source, beam, length_penalty=length_penalty, max_length=max_length)
            for i, best in zip(places, found, strict=True):
                translations[i] = data.preprocess.join(data.vocabulary.decode(best.tokens))
    finally:
        net.train(training)
    return Bleu.of([split_compounds(t) for t in translations], [split_compounds(r) for r in data.references])


def _batches(lengths: Sequence[int], more: int, tokens: int) -> Iterator[list[int]]:
    """Places of all sentences, the longest first, in batches of up to `tokens`: padded, and `more` for each sentence."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        n = max(1, tokens // (lengths[order[0]] + more))
        yield order[:n]
        order = order[n:]


def split_compounds(text: str) -> str:
    """Words around a hyphen taken apart, on both sides alike: published BLEU of WMT'14 En-De counts them so.

    The habit of Vaswani et al. (2017, arXiv 1706.03762), which adds some tenths to BLEU.
    """
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", text, flags=re.ASCII)
