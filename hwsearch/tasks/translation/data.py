"""Sentence pairs of one split, and their padded batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import DataError
from hwsearch.tasks.data import Data
from hwsearch.tasks.translation.vocabulary import PAD, Subwords, Vocabulary


@dataclass
class TranslationData(Data):
    """Sentence pairs of one split.

    Parameters
    ----------
    sources, targets : sequence of IntArray
        Ids of each sentence, ``</s>`` at the end.
    references : tuple of str
        The targets as words, for BLEU.
    vocabulary : Vocabulary
        The joined dictionary of both languages.
    preprocess : Subwords
        Languages, and how words are split.
    name : str
        For messages.
    classes : tuple of str
        Empty: outputs are tokens of the vocabulary.

    Raises
    ------
    DataError
        If there is no pair, or numbers of sentences differ.
    """

    sources: Sequence[IntArray]
    targets: Sequence[IntArray]
    references: tuple[str, ...]
    vocabulary: Vocabulary
    preprocess: Subwords = field(default_factory=Subwords)
    name: str = "sentences"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.sources):
            raise DataError(f"data set {self.name!r} has no sentences.")
        if not len(self.sources) == len(self.targets) == len(self.references):
            raise DataError(
                f"data set {self.name!r} has {len(self.sources)} sources, {len(self.targets)} targets "
                f"and {len(self.references)} references."
            )

    def __len__(self) -> int:
        return len(self.sources)

    @override
    def head(self, n: int) -> TranslationData:
        """Select the first n pairs."""
        return TranslationData(
            self.sources[:n], self.targets[:n], self.references[:n], self.vocabulary, self.preprocess, self.name
        )

    @override
    def take(self, indices: IntArray) -> TranslationData:
        """Select pairs."""
        sources, targets = ([part[i] for i in indices] for part in (self.sources, self.targets))
        references = tuple(self.references[i] for i in indices)
        return TranslationData(sources, targets, references, self.vocabulary, self.preprocess, self.name)

    @override
    def key(self, i: int) -> bytes:
        """Identify a pair by its source sentence."""
        return self.sources[i].tobytes()

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when a sentence does."""
        h = hashlib.sha256("\n".join(self.references).encode())
        for ids in (*self.sources, *self.targets):
            h.update(ids.tobytes())
        return h.hexdigest()[:12]

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
        """Yield ((source (n, S), previous (n, T)), target (n, T)), int64, in order, the last batch maybe smaller.

        Each batch is as long as its longest sentences; nothing is cut, whatever `size` is. `previous` is `target`
        with ``</s>`` moved to the front.
        """
        for start in range(0, len(self), batch):
            sources, targets = self.sources[start : start + batch], self.targets[start : start + batch]
            previous = [np.roll(ids, 1) for ids in targets]
            yield (padded(sources, left=True), padded(previous)), padded(targets)

    def check(self, tokens: int, positions: int) -> None:
        """Check that a network can take these sentences.

        Parameters
        ----------
        tokens : int
            Tokens of the network's embedding.
        positions : int
            The most tokens of a sentence that the network takes.

        Raises
        ------
        DataError
            If the dictionary has another size, or a sentence is too long.
        """
        if len(self.vocabulary) != tokens:
            raise DataError(
                f"the dictionary of {self.name!r} has {len(self.vocabulary)} tokens, "
                f"but the network's embedding has {tokens}.",
                hint="Give the dict.txt that the network was trained with.",
            )
        for side, sentences in (("source", self.sources), ("target", self.targets)):
            long = [len(ids) for ids in sentences if len(ids) > positions]
            if long:
                raise DataError(
                    f"the longest {side} of {self.name!r} has {max(long)} tokens, but the network has {positions} "
                    f"positions: {len(long)} of {len(sentences)} sentences do not fit.",
                    hint="Leave these pairs out.",
                )


def padded(sentences: Sequence[IntArray], *, left: bool = False) -> Tensor:
    """Pad sentences to the longest one.

    Parameters
    ----------
    sentences : sequence of IntArray
        Ids of each sentence.
    left : bool
        Pad on the left instead of the right.

    Returns
    -------
    Tensor
        int64 ``(n, longest)``.
    """
    longest = max(len(ids) for ids in sentences)
    out = torch.full((len(sentences), longest), PAD)
    for row, ids in zip(out, sentences, strict=True):
        row[longest - len(ids) if left else 0 :][: len(ids)] = torch.from_numpy(ids)
    return out
