"""Records of an assessment: all that it has measured, kept in one file as soon as it is known."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from hwsearch._files import json_with, write_file
from hwsearch._json import JsonObject, is_number
from hwsearch.errors import DataError, MeasurementError
from hwsearch.tasks.base import Task
from hwsearch.tasks.score import Score

#: recognises files of records
RECORDS = json_with("assessed")


@dataclass(frozen=True)
class Judged:
    """Result of one network on the examples.

    Attributes
    ----------
    score : Score
        The task's score.
    loss : float
        Mean loss on the first examples.
    """

    score: Score
    loss: float


class Records:
    """The networks judged so far, by everything that decides the result; each is written at once.

    Parameters
    ----------
    path : Path
        The JSON file; its folder exists.

    Raises
    ------
    DataError
        If the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: JsonObject = {}
        if path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))["assessed"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{str(path)!r} cannot be read as the record of an assessment: {type(error).__name__}.",
                    hint="Remove it to measure anew, or name another folder.",
                ) from error
            self._known = found if isinstance(found, dict) else {}

    def find(self, key: str, task: Task, n: int) -> Judged | None:
        """Look up a network.

        Parameters
        ----------
        key : str
            As `key_of` makes it.
        task : Task
            Reads the score.
        n : int
            Number of examples.

        Returns
        -------
        Judged or None
            None where it was not judged yet.

        Raises
        ------
        DataError
            If what stands there cannot be such a record.
        """
        if key not in self._known:
            return None
        try:
            held = self._known[key]
            if not is_number(held["loss"]):
                raise ValueError("loss")
            return Judged(task.unpack(base64.b64decode(held["score"], validate=True), n), float(held["loss"]))
        except (KeyError, TypeError, ValueError, binascii.Error, MeasurementError) as error:
            raise DataError(
                f"{str(self.path)!r}: the record {key!r} is damaged: {error}.", hint="Remove the file to measure anew."
            ) from error

    def keep(self, key: str, judged: Judged) -> None:
        """Add a network, and write the file.

        Parameters
        ----------
        key : str
            As `key_of` makes it.
        judged : Judged
            How it did.

        Raises
        ------
        OutputError
            If the file is not one of these, or a link.
        """
        packed = base64.b64encode(judged.score.pack()).decode()
        self._known[key] = {"score": packed, "loss": judged.loss}
        text = json.dumps({"assessed": self._known}, indent=0) + "\n"
        write_file(self.path, text.encode(), RECORDS)


def key_of(arch_id: str, **facts: object) -> str:
    """Name a network by its architecture and by everything else that decides how it does.

    Parameters
    ----------
    arch_id : str
        The architecture.
    **facts
        Plain values: digests of weights and data, settings.

    Returns
    -------
    str
        The architecture's id and a digest of the facts.

    Examples
    --------
    >>> key_of("a1", seed=0) == key_of("a1", seed=0), key_of("a1", seed=0) == key_of("a1", seed=1)
    (True, False)
    """
    text = json.dumps(facts, sort_keys=True)
    return f"{arch_id}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
