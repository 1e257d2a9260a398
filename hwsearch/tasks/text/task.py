"""The task ``text``: classification of sentences, or of pairs of them, by accuracy."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.glue import read_glue
from hwsearch.tasks.text.tokenizer import TextPreprocess


class TextTask(ClassificationTask):
    """Classification of sentences, or of pairs of them, judged by accuracy in percent.

    The input size is the most tokens that an example may have; longer ones are cut.

    Parameters
    ----------
    preprocess : TextPreprocess, optional
        Settings of the tokenizer.

    Examples
    --------
    >>> TextTask().describe_size(128)
    {'tokens': 128}
    """

    name = "text"
    examples = "sentences"

    def __init__(self, preprocess: TextPreprocess | None = None) -> None:
        self.preprocess: TextPreprocess = preprocess or TextPreprocess()

    @override
    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> TextData:
        """Read a table of GLUE, as ``SST-2/dev.tsv``; see `hwsearch.tasks.text.glue.read_glue`."""
        return read_glue(text, self.preprocess, limit=limit, classes=classes, vocabulary=vocabulary)

    @override
    def split(self, source: str, split: str) -> str:
        """Name ``source/split.tsv``."""
        return f"{source}/{split}.tsv"

    @override
    def describe_size(self, size: int) -> dict[str, int]:
        return {"tokens": size}
