"""Latencies of architectures that a latency table lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwsearch._json import JsonObject
from hwsearch.errors import MeasurementError


class TableInterpolator:
    """Ridge on one-hot genes, on latency or its logarithm, whichever has the smaller cross-validated error.

    Parameters
    ----------
    genes : pandas.DataFrame
        Shape (n, genes): architectures of the table.
    latency : numpy.ndarray
        Shape (n,), ms.
    """

    def __init__(self, genes: pd.DataFrame, latency: NDArray[np.float64]) -> None:
        from predictors import CrossValidatedPredictor, RidgePredictor

        self._values = [sorted(genes[c].dropna().unique()) for c in genes]
        candidates = {n: RidgePredictor(log_target=n == "ridge-log", refit_alpha=False) for n in ("ridge", "ridge-log")}
        rows = [row_key(r) for r in genes.itertuples(index=False)]
        # each measuring process fits it anew, and `facts` tell devices apart: so it is quick, and the same on every machine
        self._predictor = CrossValidatedPredictor(candidates, repeats=1).fit(self._encode(rows), latency)

    def _encode(self, rows: list[tuple[Any, ...]]) -> NDArray[np.float64]:
        """Encode rows with one column a value of each gene: (n, values)."""
        columns = list(zip(*rows, strict=True))
        hot = [[[v == u for u in values] for v in c] for c, values in zip(columns, self._values, strict=True)]
        return np.concatenate([np.array(h, dtype=np.float64).reshape(len(rows), -1) for h in hot], axis=1)

    def __call__(self, row: tuple[Any, ...]) -> float:
        """Predict the latency of an architecture, ms; `row` is a `row_key`."""
        value = float(self._predictor.predict(self._encode([row]))[0])
        if not value > 0:
            raise MeasurementError(f"the table's interpolator gives {value:g} ms for an architecture.")
        return value

    def facts(self) -> JsonObject:
        """Describe the fit.

        Returns
        -------
        dict
            Which of both was chosen, and its cross-validated errors.
        """
        best = self._predictor.best_
        errors = self._predictor.scores_[best]
        return {"kind": best, "mape_percent": round(errors["mape"], 3), "spearman": round(errors["spearman"], 4)}


def row_key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make a key of an architecture's row.

    Parameters
    ----------
    row : tuple
        Values of genes, missing ones as pandas has them.

    Returns
    -------
    tuple
        With None for missing values.
    """
    return tuple(None if pd.isna(v) else v for v in row)
