"""Sentence pairs: fairseq's dictionaries and padding, subwords, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hwsearch.errors import DataError
from hwsearch.supernets.families.hat import HatConfig, HatTransformer
from hwsearch.tasks.data import Data
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.readers import read_translation
from hwsearch.tasks.translation.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Subwords

DICTIONARY = "a 90\nb@@ 40\nc 30\nd 9\n# # 2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dict.en.txt").write_text(DICTIONARY)
    (tmp_path / "test.en").write_text("a c\nb@@ c d a\nd\n")
    (tmp_path / "test.de").write_text("b@@ c a\nc\nb@@ b@@ a d\n")
    return tmp_path


def read(folder: Path, name: str = "test", **more: object) -> TranslationData:
    return read_translation(str(folder / name), Subwords(), **({"limit": 100} | more))  # type: ignore[arg-type]


def test_pairs_are_read_with_the_dictionary_beside_them(folder: Path) -> None:
    data = read(folder)
    assert (BOS, PAD, EOS, UNK) == (0, 1, 2, 3)
    assert data.vocabulary.tokens == (*SPECIALS, "a", "b@@", "c", "d", "# #")
    assert [s.tolist() for s in data.sources] == [[4, 6, 2], [5, 6, 7, 4, 2], [7, 2]]
    assert data.references == ("bc a", "c", "bba d")
    assert data.name == "test" and data.classes == () and len(data) == 3


def test_batches_are_padded_as_fairseq_pads(folder: Path) -> None:
    """Its ``collate``: sources on the left, targets on the right, previous tokens with the end moved to the front."""
    (pair, target), ((source, previous), _) = read(folder).batches(30, 2)
    assert pair[0].tolist() == [[1, 1, 4, 6, 2], [5, 6, 7, 4, 2]]
    assert pair[1].tolist() == [[2, 5, 6, 4], [2, 6, 1, 1]]
    assert target.tolist() == [[5, 6, 4, 2], [6, 2, 1, 1]]
    assert source.tolist() == [[7, 2]] and previous.tolist() == [[2, 5, 5, 4, 7]]
    assert pair[0].dtype == target.dtype == torch.int64


def test_data_satisfies_the_protocol(folder: Path) -> None:
    data: Data = read(folder)
    assert len(data.head(2)) == 2 and len(data.head(9)) == 3
    assert data.digest == read(folder).digest and data.digest != data.head(2).digest
    (folder / "test.en").write_text("a c\nb@@ c d c\nd\n")
    assert read(folder).digest != data.digest


def test_other_languages_and_another_dictionary(folder: Path) -> None:
    (folder / "test.fr").write_text("a\nc\nd\n")
    (folder / "joined.txt").write_text("d 1\nc 1\na 1\nb@@ 1\n")
    data = read(folder, "test:en-fr", vocabulary=folder / "joined.txt")
    assert data.references == ("a", "c", "d") and data.targets[0].tolist() == [6, 2]
    assert data.preprocess.to_dict()["languages"] == "en-fr"


def test_the_limit_is_that_of_the_pairs(folder: Path) -> None:
    assert read(folder, limit=2).references == ("bc a", "c")


def test_a_line_separator_inside_a_sentence_is_no_new_sentence(folder: Path) -> None:
    (folder / "test.en").write_text("a\u2028c\nb@@ c\x85 d a\nd\r\n", encoding="utf-8")
    assert len(read(folder)) == 3


def test_files_that_do_not_fit_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no file '.*valid\.en'"):
        read(folder, "valid")
    with pytest.raises(DataError, match=r"no file '.*test\.fr'"):
        read(folder, "test:en-fr")
    with pytest.raises(DataError, match="no classes, but 2"):
        read(folder, classes=("a", "b"))
    (folder / "test.de").write_text("a\n" * 4)
    with pytest.raises(DataError, match=r"test\.en' has 3 lines, but '.*test\.de' has 4"):
        read(folder)
    for name in ("test.en", "test.de"):
        (folder / name).write_text("")
    with pytest.raises(DataError, match="no sentences"):
        read(folder)
    (folder / "test.en").write_bytes(b"\xff\xfe a\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read(folder)


def test_a_dictionary_of_another_text_is_refused(folder: Path) -> None:
    (folder / "other.txt").write_text("x 3\nc 2\n")
    with pytest.raises(DataError, match=r"52% of the tokens of '.*test' are not in its dictionary of 6"):
        read(folder, vocabulary=folder / "other.txt")


def test_data_and_network_must_fit(folder: Path) -> None:
    data = read(folder)
    data.check(9, 5)
    with pytest.raises(DataError, match="dictionary of 'test' has 9 tokens, but the network's embedding has 32768"):
        data.check(32768, 1024)
    with pytest.raises(DataError, match=r"longest source of 'test' has 5 tokens, but the network has 4 .* 1 of 3 sent"):
        data.check(9, 4)


def test_targets_must_fit_as_well_as_sources(folder: Path) -> None:
    """The decoder is fed them: a network with fewer positions has no row for the last ones."""
    data = read(folder)
    data = TranslationData(
        data.sources, [np.append(np.full(n, 4), 2) for n in (5, 6, 4)], data.references, data.vocabulary, name="long"
    )
    data.check(9, 7)
    with pytest.raises(DataError, match=r"longest target of 'long' has 7 tokens, but the network has 5 .* 2 of 3 sent"):
        data.check(9, 5)
    config = HatConfig("s", 9, (8,), 8, 3, (1,), (16,), (2,), positions=7)
    net = HatTransformer(config)
    (pair, _) = next(data.batches(0, 3))
    assert net(*pair).shape == (3, 7, 9)
    with pytest.raises(DataError, match=r"longest target .* 6 positions: 1 of 3"):
        HatTransformer(replace(config, positions=6)).check_data(data, "training")


def test_lists_of_unequal_length_are_refused(folder: Path) -> None:
    data = read(folder)
    with pytest.raises(DataError, match="3 sources, 2 targets and 3 references"):
        TranslationData(data.sources, data.targets[:2], data.references, data.vocabulary)
