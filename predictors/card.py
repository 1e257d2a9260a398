"""Card of a predictor: what it was learnt from, how good it is, and what it warns of."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Iterable, Sequence

from predictors.base import BasePredictor
from predictors.fidelity import FidelityPredictor
from predictors.operators import OperatorPredictor
from predictors.schema import FACT, Schema
from predictors.select import CrossValidatedPredictor, process_of

#: packages whose versions can change a prediction; of two names, the one that is installed
PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost", "xgboost-cpu")
#: rows whose ids a card holds, at most
MOST_IDS = 100_000


def card_of(
    predictor: BasePredictor,
    *,
    metric: str,
    unit: str,
    device: str | None = None,
    space: str | None = None,
    schema: Schema | None = None,
    rows: Sequence[tuple[str, float, float | None]] = (),
    warnings: Iterable[str] = (),
) -> dict[str, object]:
    """Make the card of a fitted predictor, which `predictors.save` puts into its file.

    Parameters
    ----------
    predictor : BasePredictor
        Fitted.
    metric, unit : str
        What it predicts, and in which unit.
    device : str, optional
        Fingerprint of the device on which it was measured.
    space : str, optional
        Name of the search space.
    schema : Schema, optional
        What the columns say.
    rows : sequence of (str, float, float or None)
        Id, value and known noise of each architecture that it was fitted on.
    warnings : iterable of str
        Sentences beside the predictor's own.

    Returns
    -------
    dict
        Values that JSON knows: ``metric``, ``unit``, ``device``, ``space``, ``schema_sha256``, ``rows_sha256`` of the sorted
        rows, their ``ids``, ``n``, ``model``, ``scores`` of the procedure with the standard error of ``mae``, ``candidates`` with theirs,
        ``parts``, ``noise_sd`` and ``noise_scale`` (the factor that known noise was multiplied by) of a Gaussian process, the shares of its ``fidelities`` or ``operators``, ``coverage`` (None until something has been measured after the fit),
        ``warnings``, and ``versions``.
    """
    process = process_of(predictor)
    operators = process.operators_ if isinstance(process, OperatorPredictor) else None
    said = [*warnings, *(process.notes_ if process else ())]
    if schema is not None and not any(column.block == FACT for column in schema.columns):
        said.append("No cost features: expect to need several times as many measurements.")
    card: dict[str, object] = {
        "metric": metric,
        "unit": unit,
        "device": device,
        "space": space,
        "schema_sha256": schema.digest if schema is not None else None,
        "rows_sha256": rows_digest(rows),
        "ids": sorted(i for i, _, _ in rows) if len(rows) <= MOST_IDS else None,
        "n": len(predictor.residuals_),
        "model": predictor.best_ if isinstance(predictor, CrossValidatedPredictor) else type(predictor).__name__,
        "scores": None,
        "candidates": None,
        "parts": None,
        "noise_sd": None,
        "noise_scale": None,
        "fidelities": process.fidelities_ if isinstance(process, FidelityPredictor) and not operators else None,
        "operators": operators,
        "coverage": None,
        "warnings": said,
        "versions": _versions(),
    }
    if isinstance(predictor, CrossValidatedPredictor):
        card["scores"] = predictor.procedure_scores_ | {"mae_standard_error": predictor.mae_error_}
        card["candidates"] = predictor.scores_
    if process is not None:
        card["parts"] = {name: share for name, share in process.parts_.items() if share >= 1e-3}
        card["noise_sd"], card["noise_scale"] = process.noise_sd, process.noise_scale_
    return card


def rows_digest(rows: Iterable[tuple[str, float, float | None]]) -> str:
    """Hash what a predictor was fitted on, whatever its order.

    Parameters
    ----------
    rows : iterable of (str, float, float or None)
        Id, value and known noise of each architecture; NaN and None are the same.

    Returns
    -------
    str
        SHA-256 in hexadecimal.

    Examples
    --------
    >>> rows_digest([("a", 1.0, None), ("b", 2.0, 0.1)]) == rows_digest([("b", 2.0, 0.1), ("a", 1.0, float("nan"))])
    True
    """
    plain = sorted((i, float(v), 0.0 if s is None or math.isnan(s) else float(s)) for i, v, s in rows)
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
