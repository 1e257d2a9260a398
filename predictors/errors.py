"""Typed errors of this package: each names the value and says what to do."""

from __future__ import annotations


class PredictorError(ValueError):
    """A predictor cannot be fitted, or cannot be used as asked. `hint` says what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class TooFewRowsError(PredictorError):
    """There are not enough rows to fit the predictor."""


class PredictorFileError(PredictorError):
    """A predictor cannot be saved, or a file is missing, damaged, foreign or of a newer version."""
