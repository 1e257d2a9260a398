"""Data sets with source and licence: what is known, and what is said of others."""

from __future__ import annotations

import pytest

from hwsearch.errors import DataError
from hwsearch.supernets.families.cifar10 import ENTRY
from hwsearch.tasks.sources import DATA_SOURCES, find_source


@pytest.mark.parametrize("name", DATA_SOURCES)
def test_every_data_set_says_all_that_a_card_needs(name: str) -> None:
    source = find_source(name)
    assert all((source.name, source.citation, source.files, source.licence))
    assert source.describe() == f"{source.name} ({source.citation}), as {source.files}"


def test_the_shipped_card_has_the_words_of_the_list() -> None:
    source = find_source("cifar10")
    assert ENTRY.card["data_source"] == source.describe()
    assert str(ENTRY.card["licence"]).endswith(f"images: {source.licence}")


def test_an_unknown_data_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"unknown data set 'cifar-10'\. Did you mean 'cifar10'"):
        find_source("cifar-10")
