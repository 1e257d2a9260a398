"""Labelled sentences for classification: GLUE's files, and BERT's WordPiece tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwsearch.errors import DataError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


#: ranges of ideographs, each of which is a word
CJK = (
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF)),
    *((0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F)),
)


@dataclass(frozen=True)
class TextPreprocess:
    """How sentences become tokens.

    max_word : longer words are unknown
    max_unknown : share of unknown tokens above which the vocabulary is taken for another model's
    """

    max_word: int = 100
    max_unknown: float = 0.2

    def to_dict(self) -> dict[str, Any]:
        return {
            "tokenizer": "BERT WordPiece; lower case without accents, unless the vocabulary has capital letters",
            "layout": "[CLS] sentence [SEP], or [CLS] first [SEP] second [SEP] of types 0 and 1; padded with [PAD]",
            "truncation": "the end of the longer sentence",
            "max_word": self.max_word,
        }


class WordPiece:
    """BERT's tokenizer: sentence → ids of the longest pieces of the vocabulary, from the left, word by word.

    The vocabulary's capital letters decide whether sentences are lower-cased and lose their accents. Names of special
    tokens in a sentence are plain text, as in BERT's own code.

    tokens : the vocabulary in the order of ids; of a token that stands twice the last id counts
    """

    def __init__(self, tokens: Sequence[str], preprocess: TextPreprocess | None = None, source: str = "vocabulary"):
        self.ids: Mapping[str, int] = {token: i for i, token in enumerate(tokens)}
        self.size = len(tokens)
        self.max_word = (preprocess or TextPreprocess()).max_word
        missing = [s for s in SPECIAL if s not in self.ids]
        if missing:
            raise DataError(f"{source} lacks {', '.join(missing)}.", hint="It is not the vocabulary of a BERT model.")
        self.lower = not any(t != t.lower() for t in self.ids if not t.startswith("["))
        self.pad, self.unknown, self.cls, self.sep = (self.ids[s] for s in SPECIAL)

    @classmethod
    def read(cls, path: Path, preprocess: TextPreprocess | None = None) -> WordPiece:
        """A vocabulary file, one token a line; raises `DataError` where it is missing or lacks a special token."""
        lines = _lines(path, "vocabulary")
        return cls(lines, preprocess, repr(str(path)))

    def words(self, text: str) -> list[str]:
        """Words, punctuation marks and ideographs; control characters are dropped."""
        spaced = "".join(map(_spaced, text))
        if self.lower:
            spaced = "".join(c for c in unicodedata.normalize("NFD", spaced) if unicodedata.category(c) != "Mn")
            spaced = "".join(c.lower() for c in spaced)
        return "".join(f" {c} " if _is_punctuation(c) else c for c in spaced).split()

    def pieces(self, word: str) -> list[int]:
        """Ids of one word, that of [UNK] where some part of it is no piece of the vocabulary."""
        if len(word) > self.max_word:
            return [self.unknown]
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            found = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in self.ids), None)
            if found is None:
                return [self.unknown]
            ids.append(self.ids[prefix + word[start:found]])
            start = found
        return ids

    def __call__(self, text: str) -> list[int]:
        """Ids of a sentence, without [CLS] and [SEP]."""
        return [i for word in self.words(text) for i in self.pieces(word)]

    def join(self, first: Sequence[int], second: Sequence[int] | None, size: int) -> tuple[list[int], list[int]]:
        """(ids, types) of [CLS] first [SEP] (second [SEP]), of at most `size` tokens: the longer one loses its end."""
        a, b = len(first), len(second or ())
        budget = size - (2 if second is None else 3)
        if budget < 1:
            raise DataError(f"{size} tokens leave no room for a sentence between [CLS] and [SEP].")
        while a + b > budget:
            a, b = (a - 1, b) if a > b else (a, b - 1)
        ids = [self.cls, *first[:a], self.sep]
        types = [0] * len(ids)
        if second is not None:
            ids += [*second[:b], self.sep]
            types += [1] * (b + 1)
        return ids, types


@lru_cache(maxsize=65536)
def _spaced(c: str) -> str:
    """A character with spaces around ideographs and for white space; nothing for control characters."""
    if c in "\t\n\r":
        return " "
    if c == "\ufffd" or unicodedata.category(c).startswith("C"):
        return ""
    if unicodedata.category(c) in ("Zs", "Zl", "Zp"):
        return " "
    return f" {c} " if any(low <= ord(c) <= high for low, high in CJK) else c


@lru_cache(maxsize=65536)
def _is_punctuation(c: str) -> bool:
    """Unicode's punctuation, and every ASCII character that is no letter, digit or space."""
    return (33 <= ord(c) <= 126 and not c.isalnum()) or unicodedata.category(c).startswith("P")


def _lines(path: Path, what: str) -> list[str]:
    """Lines of a UTF-8 file, broken at line feeds alone: other Unicode breaks may stand in a sentence."""
    if not path.is_file():
        raise DataError(f"there is no {what} {str(path)!r}.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text: {error}.") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
