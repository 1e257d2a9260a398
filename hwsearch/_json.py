"""JSON, once: the type of what it can hold, and values brought to it.

Two questions are asked of a value. What is *kept* (measurements, states) must come back as it was, so `to_json` refuses what
JSON would change. What is *shown* (the ``--json`` of a command, a page's data) must never fail, so `shown_as_json` writes what
JSON lacks as its nearest form.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

#: what JSON holds
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
#: how deep an answer of somebody else's program may be nested
MOST_LEVELS = 50
#: an object whose values are looked at one by one by whoever knows its keys
JsonObject: TypeAlias = dict[str, Any]


def finite_or_none(value: float | None, places: int | None = None) -> float | None:
    """Return a number for JSON, which has none for what is not known.

    Parameters
    ----------
    value : float or None
        A figure; NaN, infinite or None where it is not known.
    places : int, optional
        Decimal places to round to; by default it is not rounded.

    Returns
    -------
    float or None
        None for what is not finite.

    Examples
    --------
    >>> finite_or_none(1.23456, 2), finite_or_none(float("nan"), 2), finite_or_none(None)
    (1.23, None, None)
    """
    if value is None or not math.isfinite(value):
        return None
    return float(value) if places is None else round(float(value), places)


def to_json(value: object, where: str, *, error: type[Exception] = TypeError, nan_to_none: bool = False) -> Any:
    """Return `value` made of what JSON holds, or refuse what would not come back equal.

    Parameters
    ----------
    value : object
        Numbers (numpy's too), texts, lists, tuples, arrays and mappings with text keys, nested as they like.
    where : str
        Name of the value, for the message.
    error : type of Exception, default TypeError
        Raised with one text.
    nan_to_none : bool, default False
        Write numbers that are not finite as None.

    Returns
    -------
    None, bool, int, float, str, list or dict
        numpy scalars and arrays become Python numbers and lists, tuples become lists.

    Raises
    ------
    error
        For a value of another type, and for keys that are not text, which JSON would change without a word.

    Examples
    --------
    >>> import numpy as np
    >>> to_json({"kernel": np.int64(5), "shape": (3, 32)}, "facts")
    {'kernel': 5, 'shape': [3, 32]}
    """
    value = _of_python(value)
    if isinstance(value, float):
        return finite_or_none(value) if nan_to_none else float(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise error(f"{where} has the key {key!r}, which is not text. Use str keys.")
        return {k: to_json(v, f"{where}[{k!r}]", error=error, nan_to_none=nan_to_none) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v, f"{where}[{i}]", error=error, nan_to_none=nan_to_none) for i, v in enumerate(value)]
    raise error(f"{where} is a {type(value).__name__}, which JSON cannot hold. Use numbers, text, lists and dicts.")


def _of_python(value: Any) -> Any:
    """Return numpy's scalars and arrays as Python's; numpy is not imported for it, as there are none before it is."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return value.tolist()
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a JSON value is a finite number.

    Parameters
    ----------
    value : object
        Any JSON value.

    Returns
    -------
    bool
        False also for true and false, which Python counts among the integers.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def is_shallow(value: object, levels: int = MOST_LEVELS) -> bool:
    """Tell whether a JSON value is nested no deeper than anything that is meant to be read.

    Parameters
    ----------
    value : object
        Any JSON value, as somebody else's program printed it.
    levels : int
        How deep it may be.

    Returns
    -------
    bool
        False for what might exhaust the stack of whoever walks through it.

    Examples
    --------
    >>> is_shallow({"host": {"cpu": [1]}}), is_shallow([[[1]]], levels=2)
    (True, False)
    """
    level = [value]
    for _ in range(levels + 1):
        level = [
            item
            for held in level
            if isinstance(held, (dict, list))
            for item in (held.values() if isinstance(held, dict) else held)
        ]
        if not level:
            return True
    return False


def shown_as_json(value: object) -> Any:
    """Return `value` as JSON that shows it, whatever it is.

    Parameters
    ----------
    value : object
        Anything; a pandas DataFrame becomes a list of its rows.

    Returns
    -------
    None, bool, int, float, str, list or dict
        Numbers that are not finite become None, keys and values of other types their text.

    Examples
    --------
    >>> import numpy as np
    >>> shown_as_json({"front": [np.float64(1.5), float("nan")], 3: None})
    {'front': [1.5, None], '3': None}
    """
    if isinstance(value, Mapping):
        return {str(k): shown_as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [shown_as_json(v) for v in value]
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [shown_as_json(r) for r in value.to_dict(orient="records")]
    plain = _of_python(value)
    if plain is not value:
        return shown_as_json(plain)
    if isinstance(value, float):
        return finite_or_none(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
