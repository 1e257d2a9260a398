"""The vocabulary that tests of text share."""

from __future__ import annotations

import pytest

from hwsearch.tasks.text.tokenizer import WordPiece
from tests.tasks.text.vocabulary import VOCABULARY


@pytest.fixture(scope="session")
def tokenizer() -> WordPiece:
    return WordPiece(VOCABULARY)
