"""GLUE's files as data sets, their batches, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hwsearch.errors import DataError
from hwsearch.tasks.data import Data
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.glue import read_glue
from hwsearch.tasks.text.tokenizer import TextPreprocess, WordPiece
from tests.tasks.text.vocabulary import VOCABULARY


# ---------------------------------------------------------------------- GLUE
@pytest.fixture
def write(tmp_path: Path):
    """Writes a task's file beside a vocabulary and gives its path."""
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")

    def write(*rows: str, encoding: str = "utf-8", end: str = "\n") -> str:
        path = tmp_path / "task" / "dev.tsv"
        path.write_bytes("".join(r + end for r in rows).encode(encoding))
        return str(path)

    return write


def read(text: str, limit: int = 100, **options) -> TextData:
    return read_glue(text, TextPreprocess(), limit=limit, **options)


def test_a_file_of_sst_2(write) -> None:
    text = write("sentence\tlabel", "the film is good\t1", 'it was not " good\u2028the film\t0', "bad film\t0")
    data = read(text)
    assert isinstance(data, TextData) and len(data) == 3 and data.classes == ("negative", "positive")
    assert data.labels.tolist() == [1, 0, 0] and data.second is None and data.name == "task/dev.tsv"
    assert list(data.first) == [[33, 36, 37, 66], [70, 71, 68, 7, 66, 33, 36], [67, 36]]
    assert len(read(text, limit=2)) == 2 == len(data.head(2))
    typed: Data = data
    assert typed.digest == read(text).digest
    others = {
        data.head(2).digest,
        read(write("sentence\tlabel", "the film is good\t0")).digest,
        read(write("sentence\tlabel", "the film is good\t1")).digest,
        read(write("sentence\tlabel", "the film is bad\t1")).digest,
    }
    assert len(others | {data.digest}) == 5


@pytest.mark.parametrize(
    ("rows", "labels", "classes"),
    [
        (
            ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t7\t8\tgood film\tbad film", "0\t7\t8\tgood\tbad film"],
            [1, 0],
            2,
        ),
        (
            [
                "index\tquestion\tsentence\tlabel",
                "0\tgood film\tbad film\tentailment",
                "1\tgood\tbad film\tnot_entailment",
            ],
            [0, 1],
            2,
        ),
        (
            [
                "index\tsentence1\tsentence2\tlabel",
                "0\tgood film\tbad film\tnot_entailment",
                "1\tgood\tbad film\tentailment",
            ],
            [1, 0],
            2,
        ),
        (
            [
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
                "0\t1\t2\tgood film\tbad film\t1",
                "1\t1\t2\tgood\tbad film\t0",
            ],
            [1, 0],
            2,
        ),
        (
            [
                "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
                "0\tx\tgood film\tbad film\tneutral\tcontradiction",
                "1\tx\tgood\tbad film\tneutral\tneutral",
            ],
            [2, 1],
            3,
        ),
    ],
    ids=["MRPC", "QNLI", "RTE", "QQP", "MNLI"],
)
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
def test_files_of_pairs(write, rows: list[str], labels: list[int], classes: int, encoding: str, end: str) -> None:
    data = read(write(*rows, encoding=encoding, end=end))
    assert list(data.first) == [[66, 36], [66]] and data.second is not None
    assert list(data.second) == [[67, 36]] * 2
    assert data.labels.tolist() == labels and len(data.classes) == classes


def test_a_file_of_cola_has_no_header(write) -> None:
    data = read(write("gj04\t1\t\tthe film is good .", "gj04\t0\t*\tthe the good .", "bc01\t1\t\tgood"))
    assert data.labels.tolist() == [1, 0, 1] and data.classes == ("unacceptable", "acceptable")
    assert data.first[0] == [33, 36, 37, 66, 14] and data.second is None


def test_classes_may_have_another_order(write) -> None:
    rows = ("index\tsentence1\tsentence2\tgold_label", "0\tgood\tbad\tneutral", "1\tgood\tbad\tentailment")
    order = ("contradiction", "entailment", "neutral")
    assert read(write(*rows), classes=order).labels.tolist() == [2, 1]
    assert read(write(*rows), classes=order).classes == order


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        (["sentence\tlabel"], "has no sentences"),
        (["index\tsentence", "0\tgood"], r"columns index, sentence; no task .* Test files have no labels"),
        (["index\tsentence1\tsentence2\tscore", "0\tgood\tbad\t3.2"], r"is a regression \(STS-B\)"),
        (["sentence\tlabel", "good\t1", "bad film"], "line 3: 1 columns, expected 2"),
        (["sentence\tlabel", "good\t1", "bad\tfilm\t1"], "line 3: 3 columns, expected 2"),
        (["sentence\tlabel", "good\t1", "", "bad\t0"], "line 3: 1 columns, expected 2"),
        (["sentence\tlabel", "good\t2"], "line 2: label '2' is none of 2 classes"),
        (["sentence\tlabel", "good\t-1"], "label '-1' is none of 2"),
        (["sentence\tlabel", "good\tpositve"], r"label 'positve' .* Did you mean 'positive'\?"),
        (["sentence\tlabel", "ein guter film\t1", "kein guter film\t0"], "67% of the tokens of .*dev.tsv' are unknown"),
    ],
)
def test_broken_files_are_refused(write, rows: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(*rows))


def test_missing_files_are_refused(tmp_path: Path, write) -> None:
    with pytest.raises(DataError, match=r"no data file '.*nowhere\.tsv'"):
        read(str(tmp_path / "nowhere.tsv"))
    text = write("sentence\tlabel", "good film\t1")
    with pytest.raises(DataError, match=r"no vocabulary '.*other\.txt'"):
        read(text, vocabulary=tmp_path / "other.txt")
    (tmp_path / "other.txt").write_text("\n".join([*VOCABULARY[:6], "film", "good"]), encoding="utf-8")
    assert list(read(text, vocabulary=tmp_path / "other.txt").first) == [[7, 6]]


# ---------------------------------------------------------------------- batches
def test_batches_are_padded_to_the_longest(write) -> None:
    data = read(write("sentence\tlabel", "good\t1", "the film is good\t0", "bad film\t0"))
    (inputs, labels), (last, _) = data.batches(128, 2)
    ids, mask, types = inputs
    assert ids.tolist() == [[3, 66, 4, 0, 0, 0], [3, 33, 36, 37, 66, 4]]
    assert mask.tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6] and not types.any()
    assert labels.tolist() == [1, 0] and all(x.dtype == torch.int64 for x in (*inputs, labels))
    assert [x.shape for x in last] == [(1, 4)] * 3
    ((cut, _, _), _), _ = data.batches(4, 2)
    assert cut.tolist() == [[3, 66, 4, 0], [3, 33, 36, 4]]
    with pytest.raises(DataError, match="2 tokens leave no room"):
        next(data.batches(2, 2))


def test_padding_is_that_of_the_vocabulary() -> None:
    tokenizer = WordPiece(VOCABULARY[::-1])
    data = TextData([[6], [7, 8]], None, np.zeros(2, np.int64), ("a",), tokenizer)
    (((ids, mask, _), _),) = data.batches(8, 2)
    assert ids.tolist() == [[86, 6, 85, 89], [86, 7, 8, 85]] and mask.tolist() == [[1, 1, 1, 0], [1] * 4]


def test_batches_of_pairs_have_two_types(write) -> None:
    data = read(write("index\tquestion\tsentence\tlabel", "0\tgood film\tbad\tentailment", "1\tbad\tbad\tentailment"))
    (((ids, mask, types), _),) = data.batches(16, 8)
    assert ids.tolist() == [[3, 66, 36, 4, 67, 4], [3, 67, 4, 67, 4, 0]]
    assert types.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]]
    assert mask.tolist() == [[1] * 6, [1] * 5 + [0]]


def test_a_vocabulary_must_be_the_networks(write) -> None:
    data = read(write("sentence\tlabel", "good\t1"))
    assert data.vocabulary_size == len(VOCABULARY) == 90
    for rows in (90, 96, 128):
        data.check_vocabulary(rows)
    for rows in (89, 218, 30522):
        with pytest.raises(DataError, match=f"vocabulary of 90 tokens, the network has embeddings of {rows}"):
            data.check_vocabulary(rows)


def test_labels_and_sentences_must_match(tokenizer: WordPiece) -> None:
    labels = np.zeros(2, np.int64)
    with pytest.raises(DataError, match="not as many sentences as its 2 labels"):
        TextData([[6]], None, labels, ("a",), tokenizer)
    with pytest.raises(DataError, match="not as many"):
        TextData([[6], [7]], [[6]], labels, ("a",), tokenizer)
    with pytest.raises(DataError, match="label 1, but 1 classes"):
        TextData([[6], [7]], None, labels + 1, ("a",), tokenizer)
