"""BERT's WordPiece tokens, by the package ``tokenizers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsearch.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: padding, unknown, begin and end: what every vocabulary of BERT has
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@dataclass(frozen=True)
class TextPreprocess:
    """Preprocessing of sentences to tokens.

    Parameters
    ----------
    max_word : int
        Longer words, in characters, are unknown.
    max_unknown : float
        Share of unknown tokens above which the vocabulary is taken for another model's.

    Examples
    --------
    >>> TextPreprocess().to_dict()["max_word"]
    100
    """

    max_word: int = 100
    max_unknown: float = 0.2

    def to_dict(self) -> dict[str, Any]:
        """Describe the preprocessing for the card of a model.

        Returns
        -------
        dict of str to object
            Tokenizer, layout of the tokens and truncation, in words.
        """
        return {
            "tokenizer": "BERT WordPiece; lower case without accents, unless the vocabulary has capital letters",
            "layout": "[CLS] sentence [SEP], or [CLS] first [SEP] second [SEP] of types 0 and 1; padded with [PAD]",
            "truncation": "the end of the longer sentence",
            "max_word": self.max_word,
        }


class WordPiece:
    """BERT's tokenizer: sentences to ids of the longest pieces of the vocabulary, word by word, from the left.

    The vocabulary's capital letters decide whether sentences are lower-cased and lose their accents. Names of special
    tokens in a sentence are plain text, as in BERT's own code (Devlin et al., 2019, arXiv 1810.04805).

    Parameters
    ----------
    tokens : sequence of str
        The vocabulary in the order of ids; of a token that stands twice the last id counts.
    preprocess : TextPreprocess, optional
        Settings; the defaults where none are given.
    source : str
        Where the vocabulary comes from, for messages.

    Attributes
    ----------
    ids : mapping of str to int
        Id of each token.
    size : int
        Number of tokens in the vocabulary.
    lower : bool
        Whether sentences are lower-cased and lose their accents.
    pad, unknown, cls, sep : int
        Ids of the special tokens.

    Raises
    ------
    DataError
        If a special token is missing, or the package ``tokenizers`` is not installed.

    Examples
    --------
    >>> tokenizer = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "film", "##s", "!"])
    >>> tokenizer("Films!")
    [4, 5, 6]
    >>> tokenizer.join([4, 5], None, size=8)
    ([2, 4, 5, 3], [0, 0, 0, 0])
    """

    def __init__(self, tokens: Sequence[str], preprocess: TextPreprocess | None = None, source: str = "vocabulary"):
        self.ids: Mapping[str, int] = {token: i for i, token in enumerate(tokens)}
        self.size = len(tokens)
        missing = [s for s in SPECIAL if s not in self.ids]
        if missing:
            raise DataError(f"{source} lacks {', '.join(missing)}.", hint="It is not the vocabulary of a BERT model.")
        self.lower = not any(t != t.lower() for t in self.ids if not t.startswith("["))
        self.pad, self.unknown, self.cls, self.sep = (self.ids[s] for s in SPECIAL)
        self._tokenizer = _tokenizer(self.ids, (preprocess or TextPreprocess()).max_word, self.lower)

    @classmethod
    def read(cls, path: Path, preprocess: TextPreprocess | None = None) -> WordPiece:
        """Read a vocabulary file.

        Parameters
        ----------
        path : Path
            A UTF-8 file of one token a line (``vocab.txt``).
        preprocess : TextPreprocess, optional
            Settings.

        Returns
        -------
        WordPiece
            The tokenizer.

        Raises
        ------
        DataError
            If the file is missing, is not UTF-8, or lacks a special token.
        """
        return cls(_lines(path, "vocabulary"), preprocess, repr(str(path)))

    def __call__(self, text: str) -> list[int]:
        """Tokenise a sentence; the ids without [CLS] and [SEP]."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def join(self, first: Sequence[int], second: Sequence[int] | None, size: int) -> tuple[list[int], list[int]]:
        """Join one or two sentences with special tokens; the longer one loses its end where they do not fit.

        Parameters
        ----------
        first, second : sequence of int
            Ids of the sentences; `second` is None where there is one sentence.
        size : int
            The most tokens of the result.

        Returns
        -------
        ids, types : list of int
            ``[CLS] first [SEP]`` or ``[CLS] first [SEP] second [SEP]``, and the type, 0 or 1, of each token.

        Raises
        ------
        DataError
            If there is no room for a sentence.
        """
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


def _tokenizer(ids: Mapping[str, int], max_word: int, lower: bool) -> Tokenizer:
    """Make a tokenizer of the package, which is needed only where text is read."""
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    except ImportError as error:
        raise DataError(
            "text needs the package tokenizers, which is not installed.", hint="pip install 'hwsearch[transformers]'"
        ) from error
    found = Tokenizer(models.WordPiece(dict(ids), unk_token="[UNK]", max_input_chars_per_word=max_word))
    found.normalizer = normalizers.BertNormalizer(lowercase=lower)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return found


def _lines(path: Path, what: str) -> list[str]:
    """Read the lines of a UTF-8 file, broken at line feeds alone: other Unicode breaks may stand in a sentence."""
    if not path.is_file():
        raise DataError(f"there is no {what} {str(path)!r}.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text: {error}.") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
