"""Sentences as tokens, against Hugging Face's BertTokenizer.

The golden ids are those of transformers 4.37.2 (``BertTokenizer``, ``prepare_for_model`` with longest_first).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hwsearch.errors import DataError
from hwsearch.tasks.text.tokenizer import WordPiece
from tests.tasks.text.vocabulary import VOCABULARY


# ---------------------------------------------------------------------- tokens
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("the film is good .", [33, 36, 37, 66, 14]),
        ("The FILM is unaffable!", [33, 36, 37, 38, 39, 40, 6]),
        ("unaffables unaffabled", [38, 39, 40, 41, 2]),
        ("don't — it's “great”…", [74, 9, 73, 85, 70, 9, 29, 88, 69, 2, 86]),
        ("naïve CAFÉ, İstanbul", [47, 48, 12, 49]),
        ("Straße STRASSEN ß ẞ", [2, 50, 52, 54, 54]),
        ("中国film中", [55, 56, 36, 55]),
        ("한 x", [57, 58, 59, 32]),
        ("ΟΔΟΣ σ ς", [63, 65, 64, 61, 60, 2]),
        ("a\u0301b e\u0301", [21, 44, 25]),
        ("a\tb\nc\r\nd", [21, 22, 23, 24]),
        ("a\xa0b\u3000c\u2028d\u2029e", [21, 22, 23, 24, 25]),
        ("a\u200bb\xadc\ufeffd", [2]),
        ("x\x00\x07\ufffdy", [2]),
        (
            "$10.01 (a-b) [sep] `a/b:c?`",
            [8, 77, 78, 14, 2, 10, 21, 13, 22, 11, 18, 83, 19, 20, 21, 15, 22, 16, 23, 17, 20],
        ),
        ("a" * 100, [21] + [43] * 99),
        ("a" * 101, [2]),
        ("", []),
        ("   ", []),
        ("ﬁlm film", [81, 82, 36]),
        ("€ ’ \" '", [89, 87, 7, 9]),
        ("not\u0301\u0327 good", [68, 66]),
        ("a_b~c", [21, 2, 22, 2, 23]),
        ("(!!)", [10, 6, 6, 11]),
        ("1² ①", [2, 2]),
    ],
)
def test_tokens_are_those_of_hugging_face(tokenizer: WordPiece, text: str, ids: list[int]) -> None:
    assert tokenizer(text) == ids


LONG, SHORT = [6, 7, 8, 9, 10, 11, 12], [20, 21, 22, 23, 24]


@pytest.mark.parametrize(
    ("first", "second", "size", "ids", "ones"),
    [
        ([6, 7, 8], None, 8, [3, 6, 7, 8, 4], 0),
        ([6, 7, 8, 9, 10], None, 5, [3, 6, 7, 8, 4], 0),
        (LONG, SHORT, 20, [3, 6, 7, 8, 9, 10, 11, 12, 4, 20, 21, 22, 23, 24, 4], 6),
        (LONG, SHORT, 10, [3, 6, 7, 8, 9, 4, 20, 21, 22, 4], 4),
        (SHORT, LONG, 10, [3, 20, 21, 22, 23, 4, 6, 7, 8, 4], 4),
        (LONG, SHORT, 9, [3, 6, 7, 8, 4, 20, 21, 22, 4], 4),
        ([], SHORT, 6, [3, 4, 20, 21, 22, 4], 4),
        ([6], [7], 5, [3, 6, 4, 7, 4], 2),
    ],
)
def test_pairs_are_cut_as_hugging_face_does(
    tokenizer: WordPiece, first: list[int], second: list[int] | None, size: int, ids: list[int], ones: int
) -> None:
    assert tokenizer.join(first, second, size) == (ids, [0] * (len(ids) - ones) + [1] * ones)


def test_without_the_package_text_is_refused_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"not installed.*hwsearch\[transformers\]"):
        WordPiece(VOCABULARY)


def test_a_cased_vocabulary_keeps_case_and_accents() -> None:
    cased = WordPiece([*VOCABULARY, "The", "É"])
    assert [cased("The"), cased("É"), cased("the"), cased("THE")] == [[90], [91], [33], [2]]


def test_a_repeated_token_has_its_last_id() -> None:
    assert WordPiece([*VOCABULARY, "film"])("film") == [90]


def test_vocabularies_without_special_tokens_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks \[CLS\], \[SEP\]\."):
        WordPiece([t for t in VOCABULARY if t not in ("[CLS]", "[SEP]")])
    with pytest.raises(DataError, match="no vocabulary"):
        WordPiece.read(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(DataError, match="not UTF-8"):
        WordPiece.read(tmp_path / "vocab.txt")
