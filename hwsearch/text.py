"""Labelled sentences for classification: GLUE's files, and BERT's WordPiece tokens.

Tokens as BERT makes them (Devlin, Chang, Lee, Toutanova, 2019, arXiv 1810.04805; WordPiece: Wu et al., 2016, arXiv
1609.08144). The tasks are those of GLUE (Wang et al., 2019, arXiv 1804.07461).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsearch.errors import DataError, nearest

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


@dataclass
class TextData:
    """Labelled sentences, or pairs of them, as token ids.

    first, second : ids of each example without special tokens; second is None where the task has one sentence
    labels : (N,) int64 class indices
    tokenizer : joins, cuts and pads them
    """

    first: Sequence[Sequence[int]]
    second: Sequence[Sequence[int]] | None
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    tokenizer: WordPiece
    name: str = "sentences"

    def __post_init__(self) -> None:
        self.labels = np.asarray(self.labels, dtype=np.int64)
        if not len(self.first):
            raise DataError(f"data set {self.name!r} has no sentences.")
        if len(self.first) != len(self.labels) or (self.second is not None and len(self.second) != len(self.labels)):
            raise DataError(f"data set {self.name!r} has not as many sentences as its {len(self.labels)} labels.")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            wrong = int(self.labels.min() if self.labels.min() < 0 else self.labels.max())
            raise DataError(f"data set {self.name!r} has label {wrong}, but {len(self.classes)} classes.")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def vocabulary_size(self) -> int:
        return self.tokenizer.size

    def check_vocabulary(self, rows: int) -> None:
        """Raise `DataError` where a network with `rows` word embeddings was made for another vocabulary.

        A network may have up to 127 rows more, which pad the matrix.
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

    def head(self, n: int) -> TextData:
        """The first n examples (all, if there are fewer)."""
        second = None if self.second is None else self.second[:n]
        return TextData(self.first[:n], second, self.labels[:n], self.classes, self.tokenizer, self.name)

    def take(self, indices: NDArray[np.int64]) -> TextData:
        """The examples at `indices`, in that order."""
        first = [self.first[i] for i in indices]
        second = None if self.second is None else [self.second[i] for i in indices]
        return TextData(first, second, self.labels[indices], self.classes, self.tokenizer, self.name)

    def without(self, others: Sequence[Any]) -> TextData:
        """The examples whose sentences are in none of the others."""
        known = {o._key(i) for o in others if isinstance(o, TextData) for i in range(len(o))}
        return self.take(np.array([i for i in range(len(self)) if self._key(i) not in known], np.int64))

    def _key(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return tuple(self.first[i]), () if self.second is None else tuple(self.second[i])

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when a token or a label does."""
        h = hashlib.sha256(self.labels.tobytes())
        for part in (self.first, self.second or ()):
            for ids in part:
                h.update(np.asarray([len(ids), *ids], np.int64).tobytes())
        return h.hexdigest()[:12]

    def batches(self, size: int, batch: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """((input_ids, attention_mask, token_type_ids), labels) in order, int64 (b, T) and (b,).

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


# ---------------------------------------------------------------------- GLUE
@dataclass(frozen=True)
class Columns:
    """Where a task's file has its sentences and its label; classes : names in the order of Hugging Face's labels."""

    first: str
    second: str | None
    label: str
    classes: tuple[str, ...] = ()


ENTAILMENT = ("entailment", "not_entailment")
#: tried in this order on a file's header: SST-2, MRPC, QNLI, QQP, MNLI and RTE
TASKS = (
    Columns("sentence", None, "label", ("negative", "positive")),
    Columns("#1 String", "#2 String", "Quality", ("not_equivalent", "equivalent")),
    Columns("question", "sentence", "label", ENTAILMENT),
    Columns("question1", "question2", "is_duplicate", ("not_duplicate", "duplicate")),
    Columns("sentence1", "sentence2", "gold_label", ("entailment", "neutral", "contradiction")),
    Columns("sentence1", "sentence2", "label", ENTAILMENT),
)
COLA = Columns("sentence", None, "label", ("unacceptable", "acceptable"))
COLA_HEADER = ["source", "label", "star", "sentence"]


def read_glue(
    text: str,
    preprocess: TextPreprocess,
    *,
    limit: int,
    classes: tuple[str, ...] | None = None,
    vocabulary: Path | None = None,
) -> TextData:
    """The first `limit` examples of a file of GLUE, as ``SST-2/dev.tsv``; its header tells the task.

    classes : names in the order of the network's outputs, where they are not those of Hugging Face's data sets
    vocabulary : a file of one token a line; ``vocab.txt`` beside the data where none is given

    Raises `DataError` for a missing file, columns that no task has, a broken row, an unknown label, and a vocabulary
    that is not BERT's or does not fit the sentences.
    """
    path = Path(text)
    rows = [line.split("\t") for line in _lines(path, "data file")]
    if not rows:
        raise DataError(f"{text!r} is empty.")
    header, columns, start = _task(rows[0], text)
    firsts, seconds, names = [], [], []
    tokenizer = WordPiece.read(vocabulary or path.parent / "vocab.txt", preprocess)
    for number, row in enumerate(rows[start : start + limit], start + 1):
        if len(row) != len(header):
            raise DataError(f"{text!r}, line {number}: {len(row)} columns, expected {len(header)}.")
        values = dict(zip(header, row, strict=True))
        firsts.append(tokenizer(values[columns.first]))
        if columns.second is not None:
            seconds.append(tokenizer(values[columns.second]))
        names.append((number, values[columns.label]))
    known = classes or columns.classes
    labels = np.array([_label(name, known, f"{text!r}, line {number}") for number, name in names], np.int64)
    data = TextData(
        firsts, seconds if columns.second else None, labels, known, tokenizer, f"{path.parent.name}/{path.name}"
    )
    if data.unknown_share > preprocess.max_unknown:
        raise DataError(
            f"{data.unknown_share:.0%} of the tokens of {text!r} are unknown.",
            hint="The vocabulary belongs to another language or another tokenizer.",
        )
    return data


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


def _task(first: list[str], text: str) -> tuple[list[str], Columns, int]:
    """(header, columns, number of the first row) of a file that begins with `first`."""
    for columns in TASKS:
        wanted = {columns.first, columns.label} | ({columns.second} if columns.second else set())
        if wanted <= set(first) and (columns.second or "question" not in first):
            return first, columns, 1
    if len(first) == 4 and first[1] in ("0", "1") and first[2] in ("", "*"):
        return COLA_HEADER, COLA, 0
    if "score" in first:
        raise DataError(f"{text!r} is a regression (STS-B); only classifications can be judged.")
    raise DataError(
        f"{text!r} has columns {', '.join(first)[:200]}; no task of GLUE with labels has these.",
        hint="Test files have no labels: use dev.tsv or a part of train.tsv.",
    )


def _label(name: str, classes: tuple[str, ...], place: str) -> int:
    """Index of a label that is a class's name or number."""
    if name in classes:
        return classes.index(name)
    if name.isascii() and name.isdigit() and int(name) < len(classes):
        return int(name)
    raise DataError(f"{place}: label {name!r} is none of {len(classes)} classes.", hint=nearest(name, classes))
