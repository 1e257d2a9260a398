"""The columns of a report's frames, and frames that have exactly these."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.errors import DataError

ROLES = ("profile", "search", "random", "validated")

#: columns of `DeviceReport.points` and `.front`, with their kind; the first five must be given
POINT_COLUMNS: dict[str, str] = {
    "arch_id": "text",
    "role": "text",
    "genes": "object",
    "accuracy": "number",
    "latency_ms": "number",
    "accuracy_se": "number",
    "latency_low": "number",
    "latency_high": "number",
    "latency_ratio_low": "number",
    "latency_ratio_high": "number",
    "macs": "number",
    "params": "number",
    "predicted_accuracy": "number",
    "predicted_latency_ms": "number",
    "on_front": "flag",
    "evaluation": "number",
    "front_probability": "number",
}
REQUIRED = ("arch_id", "role", "genes", "accuracy", "latency_ms")
HYPERVOLUME_COLUMNS = ("evaluations", "search", "random_median", "random_low", "random_high")
RANDOM_COLUMNS = ("accuracy", "latency_ms")


def conform_points(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Copy a frame of points, with exactly the columns `POINT_COLUMNS` in their order.

    Parameters
    ----------
    frame : pandas.DataFrame
        The points; optional columns that are missing become NaN or False.
    where : str
        What the frame is, for messages.

    Returns
    -------
    pandas.DataFrame
        The copy, with numbers as float64.

    Raises
    ------
    DataError
        If a required column is missing, a number is not one, or a role is unknown.
    """
    if len(frame.columns) == 0:
        frame = pd.DataFrame({c: [] for c in REQUIRED})
    missing = [c for c in REQUIRED if c not in frame.columns]
    if missing:
        raise DataError(f"{where} lacks the column {missing[0]!r}.", hint=f"Needed: {', '.join(REQUIRED)}.")
    out: dict[str, FloatArray | BoolArray | pd.Series] = {}
    for name, kind in POINT_COLUMNS.items():
        given = list(frame[name]) if name in frame.columns else [None] * len(frame)
        if kind == "number":
            out[name] = np.array([_float(v, f"{where}, column {name!r}") for v in given], dtype=np.float64)
        elif kind == "flag":
            out[name] = np.array([False if v is None or v is pd.NA or v != v else bool(v) for v in given], dtype=bool)
        elif kind == "text":
            out[name] = pd.Series([str(v) for v in given], dtype=object)
        else:
            out[name] = pd.Series([dict(v) if isinstance(v, Mapping) else {} for v in given], dtype=object)
    unknown = sorted(set(out["role"]) - set(ROLES))
    if unknown:
        raise DataError(f"{where}: unknown role {unknown[0]!r}.", hint=f"Known: {', '.join(ROLES)}.")
    for end in ("low", "high"):  # where only one interval is known, it compares subnets as well
        own = out[f"latency_ratio_{end}"]
        out[f"latency_ratio_{end}"] = np.where(np.isnan(own), out[f"latency_{end}"], own)
    return pd.DataFrame(out)


def conform_numbers(frame: pd.DataFrame, columns: tuple[str, ...], where: str) -> pd.DataFrame:
    """Copy a frame of numbers, with exactly some columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        The numbers; an empty frame may come without columns.
    columns : tuple of str
        The columns.
    where : str
        What the frame is, for messages.

    Returns
    -------
    pandas.DataFrame
        The copy, as float64.

    Raises
    ------
    DataError
        If a column is missing, or a number is not one.
    """
    missing = [c for c in columns if c not in frame.columns]
    if missing and len(frame):
        raise DataError(f"{where} lacks the column {missing[0]!r}.", hint=f"Needed: {', '.join(columns)}.")
    return pd.DataFrame(
        {
            c: np.array(
                [_float(v, f"{where}, column {c!r}") for v in (frame[c] if c in frame.columns else [])],
                dtype=np.float64,
            )
            for c in columns
        }
    )


def _float(value: object, where: str) -> float:
    if value is None or value is pd.NA:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: {str(value)[:60]!r} is not a number.") from None
