"""Typed errors of this package: each names the value and says what to do."""

from __future__ import annotations


class PredictorError(ValueError):
    """A predictor cannot be fitted, or cannot be used as asked.

    Parameters
    ----------
    message : str
        What is wrong, with the value that caused it.
    hint : str, optional
        What to do about it.

    Examples
    --------
    >>> str(PredictorError("alpha is -1.", hint="Use a positive number."))
    'alpha is -1. Use a positive number.'
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class TooFewRowsError(PredictorError):
    """There are not enough rows to fit the predictor; the message names how many it needs."""


class PredictorFileError(PredictorError):
    """A predictor cannot be saved, or a predictor file is missing, damaged, foreign or of a newer version."""
