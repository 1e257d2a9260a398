"""Values as plain JSON: what is stored is what is read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsearch.errors import StoreError


def plain(value: Any, where: str, *, nan_to_none: bool = False) -> Any:
    """`value` made of dict, list, str, int, float, bool and None only.

    numpy scalars and arrays become Python numbers and lists, tuples become lists. Raises `StoreError`
    for anything else and for keys that are not text, since JSON would silently change those.
    where : the name of the value in the message
    nan_to_none : write numbers that are not finite as None
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return None if nan_to_none and not math.isfinite(value) else float(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise StoreError(f"{where} has the key {key!r}, which is not text.", hint="Use str keys.")
        return {k: plain(v, f"{where}[{k!r}]", nan_to_none=nan_to_none) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, f"{where}[{i}]", nan_to_none=nan_to_none) for i, v in enumerate(value)]
    raise StoreError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold.",
        hint="Use numbers, text, lists and dicts.",
    )


def clean_text(text: str) -> str:
    """`text` without what databases refuse: NUL, and characters that UTF-8 cannot write."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
