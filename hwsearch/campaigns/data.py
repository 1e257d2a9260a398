"""The examples of a campaign: read, checked against the supernet, and compared for leakage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.split import Split, first_examples
from hwsearch.errors import DataError
from hwsearch.supernets.entry import LoadedSupernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data


def load_data(config: CampaignConfig, loaded: LoadedSupernet) -> dict[str, Data]:
    """Read the examples that a configuration names, or that the supernet ships.

    Parameters
    ----------
    config : CampaignConfig
        ``[data]``, and ``[search] screening_images``.
    loaded : LoadedSupernet
        The supernet that the examples must fit.

    Returns
    -------
    dict of str to Data
        By `Split`: ``validation`` and ``test``; ``calibration`` where the family has batch norms; ``screen``, the first
        validation examples, where some are screened on; and `first_examples` of each of ``fidelities`` that is fewer than all.

    Raises
    ------
    DataError
        If data are missing, unreadable, or do not fit the supernet, or ``screening_images`` or all ``fidelities`` are too many.
    """
    c, entry = config.data, loaded.entry
    shipped = entry.examples()
    classes = shipped[Split.TEST].classes if shipped else None
    vocabulary = Path(c.vocabulary) if c.vocabulary else None
    found: dict[str, Data] = {}
    calibrated = (Split.CALIBRATION,) if entry.calibrated else ()
    for split in (*calibrated, Split.VALIDATION, Split.TEST):
        limit = int(getattr(c, f"{split}_images"))
        path = getattr(c, split)
        if path:
            found[split] = loaded.task.read(path, limit=limit, classes=classes, vocabulary=vocabulary)
        elif split in shipped:
            found[split] = shipped[split].head(limit)
        else:
            raise DataError(
                f"supernet {entry.name!r} ships no {split} data.",
                hint=f"Set data.{split} in the configuration.",
            )
        try:
            loaded.net.check_data(found[split], split)
        except DataError as error:
            raise DataError(f"{path or entry.name}: {error.message}", hint=error.hint) from error
        classes = classes or found[split].classes or None
    few, every = config.search.screening_images, len(found[Split.VALIDATION])
    if config.search.screening_factor > 1 and few:
        if few >= every:
            raise DataError(
                f"[search] screening_images = {few:,}, but there are {every:,} validation examples.",
                hint="Screen with fewer, or with latency alone.",
            )
        found[Split.SCREEN] = found[Split.VALIDATION].head(few)
    asked = config.search.fidelities
    if asked and min(asked) >= every:
        raise DataError(
            f"[search] fidelities = {asked}, but there are {every:,} validation examples.",
            hint="Name fewer examples than that, or 0 for latency alone.",
        )
    for count in asked:
        if 0 < count < every:
            found[first_examples(count)] = found[Split.VALIDATION].head(count)
    return found


def prepared_digest(task: Task, data: Data) -> str:
    """Digest the order of classes and the preprocessing, on which a score depends besides the examples.

    Parameters
    ----------
    task : Task
        Which prepares the examples.
    data : Data
        The examples.

    Returns
    -------
    str
        Eight hex digits.
    """
    prepared = [task.preprocess.to_dict(), list(data.classes)]
    return hashlib.sha256(json.dumps(prepared, sort_keys=True).encode()).hexdigest()[:8]


def leakage_warnings(data: Mapping[str, Data]) -> list[str]:
    """Return warnings about test examples that also occur in the validation or calibration split (data leakage).

    Parameters
    ----------
    data : mapping of str to Data
        By `Split`.

    Returns
    -------
    list of str
        A sentence a split that shares examples with the test data.
    """
    found = []
    test = data[Split.TEST]
    for other in (Split.VALIDATION, Split.CALIBRATION):
        if other in data:
            try:
                n = len(test) - len(test.without([data[other]]))
            except DataError:  # none is left
                n = len(test)
            if n:
                found.append(
                    f"{n:,} of {len(test):,} test examples are also {other} data: the report's accuracies are "
                    "not independent of the search."
                )
    return found
