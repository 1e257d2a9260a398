"""A measurement: one value of one architecture, and all that makes it comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from hwsearch._json import is_number, to_json
from hwsearch.errors import StoreError
from hwsearch.store.text import clean_text

_COMPACT = json.JSONEncoder(separators=(",", ":"))


def utc_now() -> str:
    """Return the time as UTC text.

    Returns
    -------
    str
        ISO 8601 with microseconds, ``2025-01-31T12:00:00.000000Z``; sorts as text.
    """
    return _utc(datetime.now(UTC))


def _utc(moment: datetime) -> str:
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text + "Z"


def measurement_key(
    arch_id: str, metric: str, subject: str = "", protocol: str = "", purpose: str = "search", supernet: str = ""
) -> str:
    """Name a measurement by its content; two equal keys mean the same thing measured.

    Parameters
    ----------
    arch_id, metric, subject, protocol, purpose, supernet : str
        As in `Measurement`.

    Returns
    -------
    str
        32 hex digits.

    Examples
    --------
    >>> measurement_key("a", "macs") == measurement_key("a", "macs", purpose="search")
    True
    """
    text = _COMPACT.encode([arch_id, metric, subject, protocol, purpose, supernet])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Measurement:
    """One measured value of one architecture, or one failed attempt, and all that makes it comparable.

    Attributes
    ----------
    arch_id : str
        `Architecture.id`.
    metric : str
        ``accuracy`` (percent), ``latency_ms``, ``macs``, ...
    subject : str
        What else the value depends on: a device's fingerprint, a data set's digest, ``""`` if nothing.
    protocol : str
        A short text that names how it was measured.
    purpose : str
        ``search``, ``validate``, ...; the same thing measured again on purpose is another measurement.
    value : float or None
        In `unit`; None means the attempt failed, and `failure` says how.
    unit : str
        Of value, spread and interval.
    spread : float or None
        Half width of the interval: 95 % for an accuracy, the protocol's confidence for what is measured on a device.
    low, high : float or None
        Ends of the interval.
    repeats : int
        How many single runs or images the value rests on.
    failure : str or None
        Why there is no value.
    details : mapping
        More numbers (min, p50, p90, sd, drift, ...); numbers that are not finite become None.
    record : bytes or None
        Raw bytes behind the value, such as one correctness bit an image.
    started_at, ended_at : str
        ISO times with a time zone; kept as UTC.
    supernet : str
        Digest of the weights, ``""`` where they do not matter.
    run : int or None
        The id that `RunTable.begin_run` gave.

    Raises
    ------
    StoreError
        For numbers that are not finite, a value with a failure, or neither.

    Examples
    --------
    >>> m = Measurement("a1", "latency_ms", "device", "p", "search", 2.5, "ms")
    >>> m.failed, m.key == measurement_key("a1", "latency_ms", "device", "p")
    (False, True)
    """

    arch_id: str
    metric: str
    subject: str
    protocol: str
    purpose: str
    value: float | None
    unit: str
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    repeats: int = 1
    failure: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    record: bytes | None = None
    started_at: str = field(default_factory=utc_now)
    ended_at: str = field(default_factory=utc_now)
    supernet: str = ""
    run: int | None = None

    def __post_init__(self) -> None:
        for name in ("arch_id", "metric", "subject", "protocol", "purpose", "unit", "supernet"):
            text = getattr(self, name)
            if not isinstance(text, str) or text != clean_text(text) or (name in ("arch_id", "metric") and not text):
                raise StoreError(f"{self._what}: {name} is {text!r}, which is not a usable text.")
        for name in ("value", "spread", "low", "high"):
            object.__setattr__(self, name, self._finite(name))
        if self.failure is not None:
            object.__setattr__(self, "failure", clean_text(str(self.failure)) or "unknown failure")
        if (self.value is None) == (self.failure is None):
            raise StoreError(
                f"{self._what}: it has value={self.value!r} and failure={self.failure!r}.",
                hint="Give a value, or value=None and the failure's text.",
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise StoreError(f"{self._what}: low={self.low:g} is above high={self.high:g}.")
        if self.spread is not None and self.spread < 0:
            raise StoreError(f"{self._what}: spread={self.spread:g} is negative.")
        if (
            isinstance(self.repeats, bool)
            or not isinstance(self.repeats, (int, np.integer))
            or not 0 <= self.repeats < 2**31
        ):
            raise StoreError(f"{self._what}: repeats={self.repeats!r} is not a count.")
        if not isinstance(self.record, (bytes, type(None))):
            raise StoreError(f"{self._what}: record is a {type(self.record).__name__}.", hint="Give bytes.")
        object.__setattr__(self, "repeats", int(self.repeats))
        if not isinstance(self.details, Mapping):
            raise StoreError(f"{self._what}: details are {str(self.details)[:60]!r}.", hint="Give a mapping.")
        object.__setattr__(
            self, "details", to_json(self.details, f"{self._what}: details", error=StoreError, nan_to_none=True)
        )
        for name in ("started_at", "ended_at"):
            object.__setattr__(self, name, self._moment(name))

    @property
    def _what(self) -> str:
        return f"measurement of {self.metric!r} for architecture {self.arch_id!r}"

    def _finite(self, name: str) -> float | None:
        number = getattr(self, name)
        if number is None:
            return None
        if isinstance(number, np.generic):
            number = number.item()
        if not is_number(number):
            raise StoreError(
                f"{self._what}: {name}={number!r} is not a finite number.",
                hint="A failed measurement has value=None and the failure's text.",
            )
        return float(number)

    def _moment(self, name: str) -> str:
        text = getattr(self, name)
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            raise StoreError(f"{self._what}: {name}={text!r} is not an ISO time.", hint="Use utc_now().") from None
        if moment.tzinfo is None:
            raise StoreError(f"{self._what}: {name}={text!r} has no time zone.", hint="Use utc_now().")
        return _utc(moment)

    @cached_property
    def key(self) -> str:
        """The measurement's name by its content; see `measurement_key`."""
        return measurement_key(self.arch_id, self.metric, self.subject, self.protocol, self.purpose, self.supernet)

    @property
    def failed(self) -> bool:
        """Whether the attempt failed, so that there is no value."""
        return self.value is None
