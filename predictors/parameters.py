"""Checks of the parameters of a Gaussian process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from predictors._typing import FloatArray
from predictors.errors import PredictorError
from predictors.rows import check_names
from predictors.schema import Schema


class Parameters(Protocol):
    """Attributes that `check_parameters` looks at."""

    schema: Schema | None
    warp: str
    noise: str
    prior: Mapping[str, float] | None
    interval_folds: int


def check_parameters(model: Parameters, y: FloatArray) -> None:
    """Check the parameters of a Gaussian process, and that the columns are those of its schema.

    Parameters
    ----------
    model : GaussianProcessPredictor
        Whose parameters; X has been validated.
    y : ndarray (n,)
        Targets.

    Raises
    ------
    PredictorError
        For a parameter that is not valid; the error names it.
    """
    for name, values in (("warp", ("auto", "plain", "log")), ("noise", ("learned", "scaled", "given"))):
        if getattr(model, name) not in values:
            raise PredictorError(f"{name} is {getattr(model, name)!r}.", hint=f"Use one of {', '.join(values)}.")
    if model.interval_folds != 0 and model.interval_folds < 2:
        raise PredictorError(f"interval_folds {model.interval_folds!r} is not 0 or at least 2.", hint="Use 5.")
    if model.warp == "log" and y.min() <= 0:
        raise PredictorError(
            f"warp 'log' needs positive targets, but the smallest is {y.min():g}.",
            hint="Use warp='auto' or drop failed measurements.",
        )
    for part, share in (model.prior or {}).items():
        if not 0 < share < np.inf:
            raise PredictorError(f"prior has {part!r}: {share!r}.", hint="Shares are positive numbers.")
    names = getattr(model, "feature_names_in_", None)
    if model.schema is not None and names is not None:
        check_names(names.tolist(), model.schema.names)
