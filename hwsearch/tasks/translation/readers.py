"""Reader of sentence pairs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hwsearch.errors import DataError
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.vocabulary import UNK, Subwords, Vocabulary, _lines

#: a larger share of unknown tokens means that text and dictionary do not belong together
MAX_UNKNOWN = 0.05


def read_translation(
    text: str,
    preprocess: Subwords,
    *,
    limit: int,
    classes: tuple[str, ...] | None = None,
    vocabulary: Path | None = None,
) -> TranslationData:
    """Read sentence pairs as the configuration of a campaign names them.

    Parameters
    ----------
    text : str
        What both files' names start with: ``wmt14/test`` for wmt14/test.en and wmt14/test.de; other languages than those
        of `preprocess` stand after a colon, ``wmt14/test:en-de``.
    preprocess : Subwords
        Languages, and how words are split.
    limit : int
        Read at most this many pairs, from the start.
    classes : tuple of str, optional
        Must be None: translations have no classes.
    vocabulary : Path, optional
        The joined dictionary; ``dict.en.txt`` (of the source language) beside the text where none is given.

    Returns
    -------
    TranslationData
        The pairs.

    Raises
    ------
    DataError
        If a file is missing, numbers of lines differ, or the dictionary is of another text.
    """
    if classes is not None:
        raise DataError(f"translations have no classes, but {len(classes)} were given.")
    if named := re.fullmatch(r"(.+):([\w.]+)-([\w.]+)", text):
        text = named[1]
        preprocess = Subwords(named[2], named[3], preprocess.continued)
    paths = [Path(f"{text}.{language}") for language in (preprocess.source, preprocess.target)]
    sources, targets = (list(_lines(p)) for p in paths)
    if len(sources) != len(targets):
        raise DataError(f"{str(paths[0])!r} has {len(sources)} lines, but {str(paths[1])!r} has {len(targets)}.")
    sources, targets = sources[:limit], targets[:limit]
    known = Vocabulary.read(vocabulary or paths[0].with_name(f"dict.{preprocess.source}.txt"))
    data = TranslationData(
        [known.encode(line) for line in sources],
        [known.encode(line) for line in targets],
        tuple(preprocess.join(line) for line in targets),
        known,
        preprocess,
        Path(text).name,
    )
    ids = np.concatenate([*data.sources, *data.targets])
    unknown = float((ids == UNK).mean())
    if unknown > MAX_UNKNOWN:
        raise DataError(
            f"{unknown:.0%} of the tokens of {text!r} are not in its dictionary of {len(known)}.",
            hint="Split the text into the same byte pairs as the training data, or give the dictionary they came from.",
        )
    return data
