"""Dictionaries as fairseq writes them, and text split into subwords."""

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
    """Preprocessing of text to a network's input: tokenised, split into byte pairs, one sentence a line.

    Parameters
    ----------
    source, target : str
        Languages, which are the suffixes of the text files.
    continued : str
        What a subword ends in that does not end its word.

    Examples
    --------
    >>> Subwords().join("a new@@ s@@ paper")
    'a newspaper'
    """

    source: str = "en"
    target: str = "de"
    continued: str = "@@"

    def join(self, text: str) -> str:
        """Join the subwords of a sentence.

        Parameters
        ----------
        text : str
            Subwords, with blanks between them.

        Returns
        -------
        str
            Words.
        """
        return f"{text} ".replace(f"{self.continued} ", "").rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Describe the preprocessing for the card of a model.

        Returns
        -------
        dict of str to object
            Languages, text, end mark and padding.
        """
        return {
            "languages": f"{self.source}-{self.target}",
            "text": f"tokenised, split into byte pairs (subwords continue after {self.continued})",
            "end": SPECIALS[EOS],
            "padding": "source left, target right",
        }


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, the four special ones first.

    Parameters
    ----------
    tokens : tuple of str
        The tokens in the order of ids.
    """

    tokens: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read a dictionary as fairseq writes it (``dict.txt``): a line a token, with its count after the last space.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        Vocabulary
            The special tokens and those of the file.

        Raises
        ------
        DataError
            If the file is missing or malformed, or lists a token twice.
        """
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
        """Turn a sentence of tokens into ids; a token that is not in the dictionary is ``<unk>``.

        Parameters
        ----------
        text : str
            Tokens, with blanks between them.

        Returns
        -------
        IntArray
            Ids, shape ``(T,)``, ``</s>`` at the end.
        """
        return np.array([*(self._ids.get(t, UNK) for t in text.split()), EOS], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """Turn ids into tokens, without padding and ``</s>``.

        Parameters
        ----------
        ids : iterable of int
            Ids of a sentence.

        Returns
        -------
        str
            Tokens, with blanks between them.
        """
        return " ".join(self.tokens[i] for i in ids if i not in (PAD, EOS))


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, without their ends."""
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text: {error}.") from error
