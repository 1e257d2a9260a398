"""Labelled sentences for classification: GLUE's files, and BERT's WordPiece tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsearch.errors import DataError, nearest
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.tokenizer import TextPreprocess, WordPiece, _lines


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
