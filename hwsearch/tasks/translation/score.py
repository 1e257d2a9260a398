"""BLEU of translations with its standard error, kept sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hwsearch.tasks.translation.beam import Translator, translate
from hwsearch.tasks.translation.bleu import Bleu
from hwsearch.tasks.translation.data import TranslationData, padded

#: tokens that one batch of translations may hold at once: sources, and all hypotheses at their longest. In the largest
#: subnet of WMT'14 En-De the keys and values of one are 24 KiB (of a source token up to three times that), and while a
#: step copies them they are there twice
TOKENS = 12_288


def evaluate_translation(
    net: Translator,
    data: TranslationData,
    *,
    tokens: int = TOKENS,
    beam: int = 4,
    length_penalty: float = 0.6,
    max_length: int = 200,
) -> Bleu:
    """Translate all sentences by beam search and compute BLEU, as the authors of HAT measure it.

    Subwords are joined and compounds split (`split_compounds`). Sentences of similar length go together, as many as
    `tokens` has room for, at least one.

    Parameters
    ----------
    net : Translator
        The network, in evaluation mode.
    data : TranslationData
        Sentence pairs.
    tokens : int
        Tokens that one batch may hold at once: sources, and all hypotheses at their longest.
    beam, length_penalty, max_length
        As in `hwsearch.tasks.translation.beam.translate`.

    Returns
    -------
    Bleu
        The score, in the order of `data`.

    Raises
    ------
    DataError
        If data and network do not fit.
    MeasurementError
        If outputs are not finite.

    References
    ----------
    Wang et al., "HAT: hardware-aware transformers for efficient natural language processing", 2020, arXiv 2005.14187.
    """
    data.check(net.vocabulary, net.positions)
    translations = [""] * len(data)
    kept = beam * min(max_length + 1, net.positions)
    for places in _batches([len(s) for s in data.sources], kept, tokens):
        source = padded([data.sources[i] for i in places], left=True)
        found = translate(net, source, beam, length_penalty=length_penalty, max_length=max_length)
        for i, best in zip(places, found, strict=True):
            translations[i] = data.preprocess.join(data.vocabulary.decode(best.tokens))
    return Bleu.of([split_compounds(t) for t in translations], [split_compounds(r) for r in data.references])


def _batches(lengths: Sequence[int], more: int, tokens: int) -> Iterator[list[int]]:
    """Place all sentences, the longest first, in batches of up to `tokens`: padded, and `more` for each sentence."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        n = max(1, tokens // (lengths[order[0]] + more))
        yield order[:n]
        order = order[n:]


def split_compounds(text: str) -> str:
    """Split words around a hyphen, as published BLEU of WMT'14 En-De counts them; this adds some tenths to BLEU.

    Parameters
    ----------
    text : str
        A translation or a reference; both are treated alike.

    Returns
    -------
    str
        The text with ``a-b`` as ``a ##AT##-##AT## b``.

    References
    ----------
    Vaswani et al., "Attention is all you need", 2017, arXiv 1706.03762.

    Examples
    --------
    >>> split_compounds("a well-known word")
    'a well ##AT##-##AT## known word'
    """
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", text, flags=re.ASCII)
