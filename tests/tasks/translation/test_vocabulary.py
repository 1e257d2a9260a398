"""Fairseq's dictionaries, and words of subwords."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsearch.errors import DataError
from hwsearch.tasks.translation.vocabulary import EOS, PAD, UNK, Subwords, Vocabulary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dict.en.txt").write_text("a 90\nb@@ 40\nc 30\nd 9\n# # 2\n")
    return tmp_path


def test_tokens_survive_a_round_trip(folder: Path) -> None:
    vocabulary = Vocabulary.read(folder / "dict.en.txt")
    ids = vocabulary.encode("b@@ c  what d")
    assert ids.dtype == np.int64 and ids.tolist() == [5, 6, UNK, 7, EOS]
    assert vocabulary.decode([PAD, *ids]) == "b@@ c <unk> d"


@pytest.mark.parametrize(
    ("text", "words"),
    [("ab@@ c@@ d e", "abcd e"), ("a@@", "a"), ("a @@b", "a @@b"), ("", ""), ("x @@ y", "x y")],
)
def test_subwords_are_joined_as_fairseq_joins_them(text: str, words: str) -> None:
    assert Subwords().join(text) == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb\n", "line 2: 'b' is not a token and its count"),
        ("a x\n", "'a x' is not"),
        ("a 1\nc 1\na 2\n", "'a' twice"),
    ],
)
def test_what_is_no_dictionary_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "dict.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        Vocabulary.read(tmp_path / "dict.txt")


def test_a_dictionary_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        Vocabulary.read(tmp_path / "none.txt")
    (tmp_path / "dict.txt").write_bytes(b"\xff 3\n")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        Vocabulary.read(tmp_path / "dict.txt")


def test_line_ends_of_windows_and_counts_behind_the_last_blank(tmp_path: Path) -> None:
    (tmp_path / "dict.txt").write_bytes(b"a b 7\r\nc 1\r\n")
    vocabulary = Vocabulary.read(tmp_path / "dict.txt")
    assert vocabulary.tokens[4:] == ("a b", "c") and len(vocabulary) == 6
    assert Subwords("fr", "en").to_dict()["languages"] == "fr-en"
