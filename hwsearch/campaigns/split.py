"""Names of the data splits of a campaign."""

from __future__ import annotations

from enum import StrEnum


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
