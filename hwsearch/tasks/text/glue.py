"""Reader of the files of GLUE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsearch.errors import DataError, nearest
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.tokenizer import TextPreprocess, WordPiece, _lines


@dataclass(frozen=True)
class Columns:
    """Where a task's file has its sentences and its label.

    Parameters
    ----------
    first, second, label : str
        Names of the columns; `second` is None where the task has one sentence.
    classes : tuple of str
        Names of the classes in the order of Hugging Face's labels.
    """

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
    """Read the first examples of a file of GLUE (Wang et al., 2018, arXiv 1804.07461); its header tells the task.

    Parameters
    ----------
    text : str
        The file, as ``SST-2/dev.tsv``.
    preprocess : TextPreprocess
        Settings of the tokenizer.
    limit : int
        Read at most this many examples.
    classes : tuple of str, optional
        Names in the order of the network's outputs, where they are not those of Hugging Face's data sets.
    vocabulary : Path, optional
        A file of one token a line; ``vocab.txt`` beside the data where none is given.

    Returns
    -------
    TextData
        The examples.

    Raises
    ------
    DataError
        If the file is missing, has columns of no task, a broken row or an unknown label, or if the vocabulary is not
        BERT's or does not fit the sentences.
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
    """Tell (header, columns, number of the first row) of a file that begins with `first`."""
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
    if name.isascii() and name.isdigit() and len(name) < 10 and int(name) < len(classes):
        return int(name)
    raise DataError(f"{place}: label {name!r} is none of {len(classes)} classes.", hint=nearest(name, classes))
