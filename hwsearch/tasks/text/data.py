"""Labelled sentences, or pairs of them, as token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import DataError
from hwsearch.tasks.data import Data, check_classes, class_labels
from hwsearch.tasks.text.tokenizer import WordPiece


@dataclass
class TextData(Data):
    """Labelled sentences, or pairs of them, as token ids.

    Parameters
    ----------
    first, second : sequence of sequence of int
        Ids of each example without special tokens; `second` is None where the task has one sentence.
    labels : IntArray
        Class indices, shape ``(N,)``.
    classes : tuple of str
        Names of the classes.
    tokenizer : WordPiece
        Joins, cuts and pads the sentences.
    name : str
        For messages.

    Raises
    ------
    DataError
        If there is no sentence, or sentences, labels and classes do not match.
    """

    first: Sequence[Sequence[int]]
    second: Sequence[Sequence[int]] | None
    labels: IntArray
    classes: tuple[str, ...]
    tokenizer: WordPiece
    name: str = "sentences"

    def __post_init__(self) -> None:
        self.labels = class_labels(self.labels, self.name)
        if not len(self.first):
            raise DataError(f"data set {self.name!r} has no sentences.")
        if len(self.first) != len(self.labels) or (self.second is not None and len(self.second) != len(self.labels)):
            raise DataError(f"data set {self.name!r} has not as many sentences as its {len(self.labels)} labels.")
        check_classes(self.labels, self.classes, self.name)

    def __len__(self) -> int:
        return len(self.first)

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens in the vocabulary."""
        return self.tokenizer.size

    def check_vocabulary(self, rows: int) -> None:
        """Check that a network was made for this vocabulary.

        Parameters
        ----------
        rows : int
            Word embeddings of the network; up to 127 more than tokens are padding.

        Raises
        ------
        DataError
            If the vocabulary has another size.
        """
        if not self.vocabulary_size <= rows < self.vocabulary_size + 128:
            raise DataError(
                f"data set {self.name!r} has a vocabulary of {self.vocabulary_size} tokens, "
                f"the network has embeddings of {rows}.",
                hint="Use the vocab.txt that belongs to the weights.",
            )

    @cached_property
    def unknown_share(self) -> float:
        """Share of [UNK] among the tokens of all sentences."""
        tokens = np.concatenate([np.asarray(s, np.int64) for s in (*self.first, *(self.second or ()))])
        return float(np.mean(tokens == self.tokenizer.unknown)) if len(tokens) else 0.0

    @override
    def head(self, n: int) -> TextData:
        """Select the first n examples."""
        second = None if self.second is None else self.second[:n]
        return TextData(self.first[:n], second, self.labels[:n], self.classes, self.tokenizer, self.name)

    @override
    def take(self, indices: IntArray) -> TextData:
        """Select examples."""
        first = [self.first[i] for i in indices]
        second = None if self.second is None else [self.second[i] for i in indices]
        return TextData(first, second, self.labels[indices], self.classes, self.tokenizer, self.name)

    @override
    def key(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return tuple(self.first[i]), () if self.second is None else tuple(self.second[i])

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when a token or a label does."""
        h = hashlib.sha256(self.labels.tobytes())
        for part in (self.first, self.second or ()):
            for ids in part:
                h.update(np.asarray([len(ids), *ids], np.int64).tobytes())
        return h.hexdigest()[:12]

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """Yield ((input_ids, attention_mask, token_type_ids), labels) in order, int64 (b, T) and (b,).

        T is the longest example of the batch, at most `size` tokens; shorter ones are padded.
        """
        for start in range(0, len(self), batch):
            part = range(start, min(start + batch, len(self)))
            joined = [
                self.tokenizer.join(self.first[i], None if self.second is None else self.second[i], size) for i in part
            ]
            longest = max(len(ids) for ids, _ in joined)
            inputs = torch.zeros(3, len(joined), longest, dtype=torch.int64)
            inputs[0] = self.tokenizer.pad
            for k, (ids, types) in enumerate(joined):
                inputs[:, k, : len(ids)] = torch.tensor([ids, [1] * len(ids), types])
            yield (inputs[0], inputs[1], inputs[2]), torch.from_numpy(self.labels[part.start : part.stop])
