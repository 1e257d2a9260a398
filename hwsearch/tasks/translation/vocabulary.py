"""Sentence pairs for translation: fairseq's dictionaries, text split into subwords, padded batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsearch.errors import DataError

#: the tokens that stand before those of a dictionary file, and their ids
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")


BOS, PAD, EOS, UNK = range(4)


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
