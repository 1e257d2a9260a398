"""Limits that must be met with a probability, judged on a Gaussian-process posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective, signs
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior

#: values (k, m) in natural units to violations of the limits (k,), 0 is none
Violation = Callable[[FloatArray], FloatArray]


class ChanceLimits:
    """Limits with a safety margin of as many posterior deviations as their probabilities ask for.

    A limit ``latency_ms <= 10`` with confidence 0.95 is met where the posterior mean lies 1.645 deviations below 10;
    ``accuracy >= 75`` where it lies as many above 75. Limits without a confidence are judged by the mean.

    Parameters
    ----------
    objectives : sequence of Objective
        The m objectives.
    confidence : mapping of str to float
        Objective name to the probability, in [0.5, 1), with which its limit must be met.
    violation : callable
        Values (k, m) in natural units to violations of the limits (k,).

    Attributes
    ----------
    deviations : ndarray (m,) or None
        By how many deviations a cost (smaller is better) is moved before it is judged: upwards where the cost must stay
        below the limit, downwards where it must stay above. None where no confidence is asked for.

    Raises
    ------
    SearchError
        If `confidence` names what is not an objective, or an objective without a limit.

    Examples
    --------
    >>> objectives = [Objective.parse("max accuracy"), Objective.parse("latency_ms <= 10")]
    >>> ChanceLimits(objectives, {"latency_ms": 0.95}, lambda values: np.zeros(len(values))).deviations.round(3).tolist()
    [0.0, 1.645]
    """

    def __init__(self, objectives: Sequence[Objective], confidence: Mapping[str, float], violation: Violation) -> None:
        names = [o.name for o in objectives]
        out = np.zeros(len(names))
        for name, probability in confidence.items():
            if name not in names:
                raise SearchError(f"'confidence' names {name!r}, which is not an objective.", hint=nearest(name, names))
            objective = objectives[names.index(name)]
            if objective.limit is None:
                raise SearchError(f"'confidence' is about {name!r}, which has no limit.", hint="Give it a limit.")
            above = (objective.limit.op == "<=") == (objective.sign > 0)
            out[names.index(name)] = NormalDist().inv_cdf(probability) * (1.0 if above else -1.0)
        self.deviations: FloatArray | None = out if out.any() else None
        self._signs = signs(objectives)
        self._violation = violation

    def violation(self, posterior: MultiObjectivePosterior, rows: EncodedRows, costs: FloatArray) -> FloatArray:
        """Judge predicted architectures, margins included.

        Parameters
        ----------
        posterior : MultiObjectivePosterior
            Where the deviations come from.
        rows : EncodedRows
            The k architectures.
        costs : ndarray (k, m)
            Their predicted costs, which are judged where no confidence is asked for.

        Returns
        -------
        ndarray (k,)
            Violations of the limits, 0 where all are met with the probabilities asked for.
        """
        judged = costs if self.deviations is None else posterior.bound(rows, self.deviations)
        return self._violation(judged * self._signs)

    def met(self, posterior: MultiObjectivePosterior, rows: EncodedRows) -> BoolArray:
        """Tell which architectures meet their limits with the probabilities asked for.

        Parameters
        ----------
        posterior : MultiObjectivePosterior
            Where means and deviations come from.
        rows : EncodedRows
            The k architectures.

        Returns
        -------
        ndarray of bool (k,)
            All true where no confidence is asked for.
        """
        if self.deviations is None or not len(rows.rows):
            return np.ones(len(rows.rows), dtype=bool)
        return np.asarray(self._violation(posterior.bound(rows, self.deviations) * self._signs) == 0)
