"""Names of the data splits of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hwsearch.tasks.data import Data


class Split(StrEnum):
    """One of the data splits of a campaign; each member equals its text in configurations and in the store.

    Attributes
    ----------
    CALIBRATION
        Examples from which batch-norm statistics are recalibrated.
    VALIDATION
        Examples on which subnets are scored during the search.
    TEST
        Examples on which the candidates for a front are scored at the end; the search never sees them.
    SCREEN
        The first validation examples, on which many candidates are screened (``[search] screening_images``).

    Examples
    --------
    >>> Split("test") is Split.TEST, f"{Split.VALIDATION} accuracy"
    (True, 'validation accuracy')
    """

    CALIBRATION = "calibration"
    VALIDATION = "validation"
    TEST = "test"
    SCREEN = "screen"


def first_examples(count: int) -> str:
    """Name the split of the first so many validation examples (``[search] fidelities``).

    Parameters
    ----------
    count : int
        Examples.

    Returns
    -------
    str
        A key of a campaign's data.

    Examples
    --------
    >>> first_examples(500)
    'first 500'
    """
    return f"first {count}"


def partial_splits(data: Mapping[str, Data]) -> list[str]:
    """List the splits that hold only the first validation examples.

    Parameters
    ----------
    data : mapping of str to Data
        Of a campaign.

    Returns
    -------
    list of str
        Those with the fewest examples first.
    """
    return sorted(
        (name for name in data if name == Split.SCREEN or name.startswith("first ")), key=lambda name: len(data[name])
    )
