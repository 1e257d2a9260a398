"""Write numbers and names for readers: few digits, units, intervals."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from typing_extensions import TypeIs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MISSING = "–"
#: half width, in standard errors, of an interval that covers 95 % of a normal distribution
Z95 = 1.959964
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: endings of keys that are units
_UNITS = {"ms": "ms", "s": "s", "percent": "%", "pct": "%", "mib": "MiB", "mb": "MB", "bytes": "bytes", "px": "px"}
#: keys whose values are shares, shown as percentages
_SHARES = {"confidence", "half_width", "coverage", "coverage_low", "coverage_high", "nominal_coverage"}
_CAPITALS = {
    "macs": "MACs",
    "cpu": "CPU",
    "gpu": "GPU",
    "bn": "BN",
    "ram": "RAM",
    "os": "OS",
    "onnx": "ONNX",
    "sha256": "SHA-256",
}


class ScoreName(str):
    """The name of a task's score, which knows its unit and its label on an axis.

    Attributes
    ----------
    unit : str
        What stands behind a value; empty where the score is a number of its own.
    label : str
        The name on an axis; empty: the name.
    """

    unit: str
    label: str

    def __new__(cls, name: str, unit: str = "%", label: str = "") -> ScoreName:  # noqa: D102 - see the class
        self = super().__new__(cls, name)
        self.unit, self.label = unit, label or name
        return self


def percent(metric: str) -> str:
    """Get what stands behind a value of a score: a blank and its unit, or nothing.

    Parameters
    ----------
    metric : str
        Name of the score, as in ``ReportData.metric``; ``%`` is the unit of a plain text.

    Returns
    -------
    str
        The text to append.
    """
    unit = metric.unit if isinstance(metric, ScoreName) else "%"
    return f" {unit}" if unit else ""


def axis_label(metric: str) -> str:
    """Name a score as the label of an axis.

    Parameters
    ----------
    metric : str
        Name of the score.

    Returns
    -------
    str
        The label, with the unit where there is one.
    """
    label = metric.label if isinstance(metric, ScoreName) else metric
    unit = percent(metric).strip()
    return f"{label} ({unit})" if unit else label


def finite(value: object) -> TypeIs[float]:
    """Tell whether a value is a finite number.

    Parameters
    ----------
    value : object
        Anything; a bool is not a number here.

    Returns
    -------
    bool
        True for finite numbers of Python or numpy.
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(float(value))


def number(value: object, digits: int = 3, *, keep: bool = False) -> str:
    """Write a number with few significant digits, never in scientific notation between 1e-4 and 1e6.

    Parameters
    ----------
    value : object
        A number; anything else, and NaN, counts as missing.
    digits : int
        The most significant digits.
    keep : bool
        Whether trailing zeros stay, for columns.

    Returns
    -------
    str
        The text; a dash where the value is missing.

    Examples
    --------
    >>> from hwsearch.reporting.words import number
    >>> number(0.012345), number(3.0), number(float("nan"))
    ('0.0123', '3', '–')
    """
    if not finite(value):
        return MISSING
    x = float(value)
    if x == 0:
        return "0"
    if abs(x) >= 1e6 or abs(x) < 1e-4:
        mantissa, power = f"{x:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g} × 10{str(int(power)).translate(_SUPERSCRIPT)}"
    exponent = int(f"{x:.{digits - 1}e}".split("e")[1])  # of the rounded number: 999.9 is 1000 in three digits
    decimals = max(0, digits - 1 - exponent)
    text = f"{x:,.{decimals}f}".replace(",", "\u202f")
    return text.rstrip("0").rstrip(".") if "." in text and not keep else text


def scaled(value: object, unit: str = "") -> str:
    """Write a count of operations or weights with a prefix: ``4.1 M``, ``312 k``, ``1.2 G``.

    Parameters
    ----------
    value : object
        A number; anything else, and NaN, counts as missing.
    unit : str
        Unit behind the prefix.

    Returns
    -------
    str
        The text; a dash where the value is missing.
    """
    if not finite(value):
        return MISSING
    x = float(value)
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= 0.9995 * factor:
            return f"{number(x / factor, keep=True)} {letter}{unit}"
    return f"{x:.0f} {unit}".strip()


def size(value: object) -> str:
    """Write a number of bytes as kB or MB (powers of ten).

    Parameters
    ----------
    value : object
        A number; anything else, and NaN, counts as missing.

    Returns
    -------
    str
        The text; a dash where the value is missing.
    """
    return scaled(value, "B")


def seconds(value: object) -> str:
    """Write a duration: ``0.8 s``, ``1 min 12 s``, ``2 h 05 min``.

    Parameters
    ----------
    value : object
        Seconds; anything that is not a number counts as missing.

    Returns
    -------
    str
        The text; a dash where the value is missing.
    """
    if not finite(value):
        return MISSING
    x = float(value)
    if x < 59.5:
        return f"{number(x, 2)} s"
    total = round(x)
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def percent_of(share: object, digits: int = 0) -> str:
    """Write a share as a percentage.

    Parameters
    ----------
    share : object
        A share, 0 to 1; anything that is not a number counts as missing.
    digits : int
        Digits behind the point.

    Returns
    -------
    str
        The text; a dash where the share is missing.
    """
    return f"{100 * float(share):.{digits}f} %" if finite(share) else MISSING


def decimals(half_widths: ArrayLike, values: ArrayLike, most: int = 4) -> int:
    """Choose the decimals that show a column's typical uncertainty: its second digit never, its first one always.

    Parameters
    ----------
    half_widths : array_like of float, shape (n,)
        Half widths of the intervals, NaN where unknown.
    values : array_like of float, shape (m,)
        The values, used (three significant digits) when all half widths are unknown.
    most : int
        The most decimals.

    Returns
    -------
    int
        Number of decimals.
    """
    import numpy as np  # heavy beside what the command line needs of this file

    widths = np.asarray(half_widths, dtype=np.float64)
    widths = widths[np.isfinite(widths) & (widths > 0)]
    if widths.size:
        return int(np.clip(math.ceil(-math.log10(float(np.median(widths)))), 0, most))
    x = np.abs(np.asarray(values, dtype=np.float64))
    x = x[np.isfinite(x) & (x > 0)]
    return int(np.clip(2 - math.floor(math.log10(float(np.median(x)))), 0, most)) if x.size else 2


def plus_minus(value: object, error: object, places: int = 1) -> str:
    """Write a value with half of its 95 % interval: ``82.2 ± 1.0``.

    Parameters
    ----------
    value : object
        A number; anything else, and NaN, counts as missing.
    error : object
        Its standard error; left out where it is not a number.
    places : int
        Decimals.

    Returns
    -------
    str
        The text; a dash where the value is missing.
    """
    if not finite(value):
        return MISSING
    text = f"{float(value):.{places}f}"
    return f"{text} ± {Z95 * float(error):.{places}f}" if finite(error) else text


def interval(low: object, high: object, places: int = 2) -> str:
    """Write an interval: ``0.43–0.45``.

    Parameters
    ----------
    low, high : object
        The ends.
    places : int
        Decimals.

    Returns
    -------
    str
        The text; empty where an end is missing.
    """
    return f"{float(low):.{places}f}–{float(high):.{places}f}" if finite(low) and finite(high) else ""


def with_interval(value: object, low: object, high: object, places: int = 2) -> str:
    """Write a value with its interval: ``0.44 (0.43–0.45)``.

    Parameters
    ----------
    value : object
        A number; anything else, and NaN, counts as missing.
    low, high : object
        The ends of the interval.
    places : int
        Decimals.

    Returns
    -------
    str
        The text, without the interval where that is missing; a dash where the value is.
    """
    if not finite(value):
        return MISSING
    inside = interval(low, high, places)
    return f"{float(value):.{places}f} ({inside})" if inside else f"{float(value):.{places}f}"


def label(key: str) -> str:
    """Turn a key into words: ``warmup_ms`` becomes ``Warmup (ms)``, ``cpu`` becomes ``CPU``.

    Parameters
    ----------
    key : str
        A key of a dict.

    Returns
    -------
    str
        The words, with the unit in parentheses.
    """
    words = str(key).replace(".", " · ").split("_")
    unit = ""
    if len(words) > 1 and words[-1].lower() in _UNITS:
        unit = f" ({_UNITS[words.pop().lower()]})"
    text = " ".join(_CAPITALS.get(w.lower(), w) for w in words)
    return text[:1].upper() + text[1:] + unit


def value_text(value: object) -> str:
    """Write any plain value for a cell: floats short, booleans as words, sequences joined.

    Parameters
    ----------
    value : object
        A value of JSON.

    Returns
    -------
    str
        The text; a dash for None and for what is empty.
    """
    if value is None:
        return MISSING
    if hasattr(value, "dtype") and hasattr(value, "item"):  # numpy's scalar
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, int):
        return f"{int(value):,}".replace(",", "\u202f") if abs(int(value)) >= 10_000 else str(int(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {value_text(v)}" for k, v in value.items()) or MISSING
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return ", ".join(value_text(v) for v in value) or MISSING
    return str(value)


def facts(data: Mapping[str, object], skip: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Turn a dict into rows of a table.

    Parameters
    ----------
    data : mapping
        Keys and plain values; nested dicts become one row of text each.
    skip : sequence of str
        Keys to leave out.

    Returns
    -------
    list of (str, str)
        Label and text of each row.
    """
    return [(label(k), cell(k, v)) for k, v in data.items() if k not in skip]


def cell(key: str, value: object) -> str:
    """Write a value whose key says what it is: shares in percent, large counts short, ranges with "to".

    Parameters
    ----------
    key : str
        The key.
    value : object
        The value.

    Returns
    -------
    str
        The text.
    """
    if key in _SHARES and finite(value):
        return f"{number(100 * float(value))} %"
    if key.endswith(("_percent", "_pct")) and finite(value):
        return number(value, 2)
    if key == "subnets" and finite(value):
        return number(value)
    if key.endswith("_range") and isinstance(value, Sequence) and len(value) == 2 and all(map(finite, value)):
        return f"{scaled(value[0])} to {scaled(value[1])}"
    if key == "processes" and isinstance(value, Sequence) and len(value) == 2 and all(map(finite, value)):
        fewest, most = (number(v) for v in value)
        return f"{fewest} to {most}, until the interval is narrow enough" if fewest != most else fewest
    return value_text(value)


def moment(iso: str) -> str:
    """Write a time as ``2025-01-31 12:00 UTC``.

    Parameters
    ----------
    iso : str
        A time in ISO 8601.

    Returns
    -------
    str
        The time in UTC; the text itself if it is not a time.
    """
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return (when if when.tzinfo is None else when.astimezone(UTC)).strftime("%Y-%m-%d %H:%M UTC")
