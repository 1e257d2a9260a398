"""Typed errors: each names the value, the place it came from and what to do.

Everything `hwsearch` raises on purpose derives from `HwsearchError`; the command line turns those
into one sentence and exit code 1, so a user never meets a stack trace for something they typed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class HwsearchError(Exception):
    """Base of all errors that are raised on purpose.

    Parameters
    ----------
    message : str
        What is wrong: the value, and where it came from.
    hint : str, optional
        What to do about it.

    Examples
    --------
    >>> from hwsearch import spaces
    >>> try:
    ...     spaces.load("nas-bench-2001")
    ... except HwsearchError as error:
    ...     print(error.hint)
    Did you mean 'nas-bench-201'?
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, object]:
        """Describe the error for ``--json``.

        Returns
        -------
        dict
            ``error``, the name of the class; ``message``; ``hint``; and what else a kind of error tells.
        """
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint}


class PluginError(HwsearchError):
    """A plug-in's name is taken twice, or what its entry point names cannot be imported or is not of its kind."""


class ConfigError(HwsearchError):
    """A configuration file is not readable, has an unknown key, or a value of the wrong kind."""


class SpaceError(HwsearchError):
    """A search space is inconsistent, or is used with an architecture of another space."""


class UnknownArchitectureGene(SpaceError, KeyError):
    """A gene's name or value does not exist in the search space."""


class SupernetError(HwsearchError):
    """A supernet is unknown, or cannot be built as asked."""


class CheckpointError(SupernetError):
    """A weight file is missing, truncated, of another family, or holds values that are not numbers."""


class DataError(HwsearchError):
    """A data set is missing, empty, or not in the form that was announced."""


class DeviceError(HwsearchError):
    """A device is unknown, or cannot run what it was asked to run."""


class ProviderError(DeviceError):
    """The execution provider that was asked for is missing or did not run the whole graph."""


class MeasurementError(HwsearchError):
    """One measurement failed; the campaign goes on and the failure is recorded as such."""


class BoundError(HwsearchError):
    """A network's outputs cannot be bounded: an operator is not covered, or pixels are to leave their range."""


class ExportError(HwsearchError):
    """A model cannot be lowered to ONNX, or the ONNX file disagrees with torch."""


class OutputError(HwsearchError):
    """A file cannot be written where it was asked for: there is a link, or something that this tool did not write."""


class StoreError(HwsearchError):
    """The store cannot be opened, read or written."""


class PredictorError(HwsearchError):
    """A predictor cannot be fitted, loaded, or used on the features given."""


class SearchError(HwsearchError):
    """A search tactic is unknown or is used against its protocol."""


class LimitError(SearchError):
    """A limit is malformed, or no subnet can meet it."""


class CampaignError(HwsearchError):
    """A campaign folder is missing, is another campaign's, or lacks an earlier step."""


class TrustError(CampaignError):
    """A campaign of another user would execute what its configuration names, and was not trusted."""


class TrainingError(HwsearchError):
    """A training run cannot start, resume or go on."""


@contextmanager
def foreign_code(explain: Callable[[BaseException], HwsearchError]) -> Iterator[None]:
    """Run code that somebody else wrote: whatever it raises, ``sys.exit`` included, becomes a typed error.

    Parameters
    ----------
    explain : callable
        Makes the error of what was raised; may give back a `HwsearchError` as it is.

    Yields
    ------
    None

    Raises
    ------
    HwsearchError
        What `explain` made. Ctrl-C stays a `KeyboardInterrupt`.

    Examples
    --------
    >>> import sys
    >>> try:
    ...     with foreign_code(lambda error: SupernetError(f"net.py: {describe(error)}.")):
    ...         sys.exit(3)
    ... except SupernetError as error:
    ...     print(error)
    net.py: SystemExit: 3.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        made = explain(error)
        if made is error:
            raise
        raise made from error


def describe(error: BaseException) -> str:
    r"""Describe an exception of somebody else's code in one line.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    str
        Its kind and message, without a stop at the end.

    Examples
    --------
    >>> describe(ValueError("not\na number.")), describe(KeyError())
    ('ValueError: not a number', 'KeyError: no message')
    """
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.') or 'no message'}"


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Suggest what a mistyped word may have meant.

    Parameters
    ----------
    word : str
        As it was typed.
    candidates : iterable of str
        What is known.

    Returns
    -------
    str
        "Did you mean ...?" with the closest candidate, or the list of candidates when none is close.

    Examples
    --------
    >>> nearest("nsga3", ["nsga2", "random"])
    "Did you mean 'nsga2'?"
    >>> nearest("weaknas", ["nsga2", "random"])
    'Known: nsga2, random.'
    """
    names = [str(c) for c in candidates]
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"Known: {shown or 'none'}."
