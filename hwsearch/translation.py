"""Sentence pairs for translation: fairseq's dictionaries, text split into subwords, padded batches.

Conventions of fairseq (Ott et al., 2019, arXiv 1904.01038): a sentence ends in ``</s>``; sources are padded on the
left and targets on the right; the decoder is fed the target with its ``</s>`` moved to the front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsearch.errors import DataError

#: the tokens that stand before those of a dictionary file, and their ids
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
BOS, PAD, EOS, UNK = range(4)
#: a larger share of unknown tokens means that text and dictionary do not belong together
MAX_UNKNOWN = 0.05


@dataclass(frozen=True)
class Subwords:
    """How text becomes a network's input: tokenised, split into byte pairs, one sentence a line.

    source, target : languages, which are the suffixes of the text files
    continued : what a subword ends in that does not end its word
    """

    source: str = "en"
    target: str = "de"
    continued: str = "@@"

    def join(self, text: str) -> str:
        """The words of a sentence of subwords."""
        return f"{text} ".replace(f"{self.continued} ", "").rstrip()

    def to_dict(self) -> dict[str, Any]:
        return {
            "languages": f"{self.source}-{self.target}",
            "text": f"tokenised, split into byte pairs (subwords continue after {self.continued})",
            "end": SPECIALS[EOS],
            "padding": "source left, target right",
        }


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, the four special ones first."""

    tokens: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """A dictionary as fairseq writes it (``dict.txt``): a line a token, with its count after the last space."""
        tokens = list(SPECIALS)
        for number, line in enumerate(_lines(path), 1):
            token, space, count = line.rpartition(" ")
            if not space or not re.fullmatch(r"\d+", count):
                raise DataError(
                    f"{str(path)!r}, line {number}: {line[:40]!r} is not a token and its count.",
                    hint="Give the dict.txt that fairseq wrote with the training data.",
                )
            tokens.append(token)
        vocabulary = cls(tuple(tokens))
        if len(vocabulary._ids) != len(tokens):
            twice = next(t for i, t in enumerate(tokens) if vocabulary._ids[t] != i)
            raise DataError(f"{str(path)!r} lists the token {twice!r} twice.")
        return vocabulary

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Ids (T,) of a sentence of tokens, ``</s>`` at the end; what is not in the dictionary is ``<unk>``."""
        return np.array([*(self._ids.get(t, UNK) for t in text.split()), EOS], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """Tokens of a sentence, without padding and ``</s>``."""
        return " ".join(self.tokens[i] for i in ids if i not in (PAD, EOS))


@dataclass
class TranslationData:
    """Sentence pairs of one split.

    sources, targets : ids of each sentence, ``</s>`` at the end
    references : the targets as words, for BLEU
    classes : none, as outputs are tokens of the vocabulary
    """

    sources: Sequence[NDArray[np.int64]]
    targets: Sequence[NDArray[np.int64]]
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

    def head(self, n: int) -> TranslationData:
        """The first n pairs (all, if there are fewer)."""
        return TranslationData(
            self.sources[:n], self.targets[:n], self.references[:n], self.vocabulary, self.preprocess, self.name
        )

    def take(self, indices: NDArray[np.int64]) -> TranslationData:
        """The pairs at `indices`, in that order."""
        sources, targets = ([part[i] for i in indices] for part in (self.sources, self.targets))
        references = tuple(self.references[i] for i in indices)
        return TranslationData(sources, targets, references, self.vocabulary, self.preprocess, self.name)

    def without(self, others: Sequence[Any]) -> TranslationData:
        """The pairs whose source is in none of the others."""
        known = {s.tobytes() for o in others if isinstance(o, TranslationData) for s in o.sources}
        return self.take(np.array([i for i, s in enumerate(self.sources) if s.tobytes() not in known], np.int64))

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when a sentence does."""
        h = hashlib.sha256("\n".join(self.references).encode())
        for ids in (*self.sources, *self.targets):
            h.update(ids.tobytes())
        return h.hexdigest()[:12]

    def batches(self, size: int, batch: int) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
        """((source (n, S), previous (n, T)), target (n, T)), int64, in order, the last batch maybe smaller.

        Each batch is as long as its longest sentences; nothing is cut, whatever `size` is. `previous` is `target`
        with ``</s>`` moved to the front.
        """
        for start in range(0, len(self), batch):
            sources, targets = self.sources[start : start + batch], self.targets[start : start + batch]
            previous = [np.roll(ids, 1) for ids in targets]
            yield (padded(sources, left=True), padded(previous)), padded(targets)

    def check(self, tokens: int, positions: int) -> None:
        """Raises `DataError` unless a network of that many tokens and positions can take these sentences."""
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


def padded(sentences: Sequence[NDArray[np.int64]], *, left: bool = False) -> Tensor:
    """Sentences as one int64 tensor (n, longest), padded on the right, or on the left."""
    longest = max(len(ids) for ids in sentences)
    out = torch.full((len(sentences), longest), PAD)
    for row, ids in zip(out, sentences, strict=True):
        row[longest - len(ids) if left else 0 :][: len(ids)] = torch.from_numpy(ids)
    return out


def read_translation(
    text: str,
    preprocess: Subwords,
    *,
    limit: int,
    classes: tuple[str, ...] | None = None,
    vocabulary: Path | None = None,
) -> TranslationData:
    """Sentence pairs as a configuration names them.

    text : what both files' names start with: ``wmt14/test`` for wmt14/test.en and wmt14/test.de; other languages than
        those of `preprocess` stand after a colon, ``wmt14/test:en-de``
    limit : most pairs, from the start
    vocabulary : the joined dictionary; without one, ``dict.en.txt`` (of the source language) beside the text

    Raises `DataError` for a missing file, unequal numbers of lines, or a dictionary of another text.
    """
    if classes is not None:
        raise DataError(f"translations have no classes, but {len(classes)} were given.")
    if named := re.fullmatch(r"(.+):([\w.]+)-([\w.]+)", text):
        text = named[1]
        preprocess = Subwords(named[2], named[3], preprocess.continued)
    paths = [Path(f"{text}.{language}") for language in (preprocess.source, preprocess.target)]
    sources, targets = (list(_lines(p)) for p in paths)
    if len(sources) != len(targets):
        raise DataError(f"{str(paths[0])!r} has {len(sources)} lines, but {str(paths[1])!r} has {len(targets)}.")
    sources, targets = sources[:limit], targets[:limit]
    known = Vocabulary.read(vocabulary or paths[0].with_name(f"dict.{preprocess.source}.txt"))
    data = TranslationData(
        [known.encode(line) for line in sources],
        [known.encode(line) for line in targets],
        tuple(preprocess.join(line) for line in targets),
        known,
        preprocess,
        Path(text).name,
    )
    ids = np.concatenate([*data.sources, *data.targets])
    unknown = float((ids == UNK).mean())
    if unknown > MAX_UNKNOWN:
        raise DataError(
            f"{unknown:.0%} of the tokens of {text!r} are not in its dictionary of {len(known)}.",
            hint="Split the text into the same byte pairs as the training data, or give the dictionary they came from.",
        )
    return data


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file, without their ends."""
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text: {error}.") from error
