"""Expected change of a delivered front when one of its candidates is measured again."""

from __future__ import annotations

import moocore
import numpy as np

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.objectives.pareto import cost_hypervolume

#: drawn truths: each costs a front and a hypervolume a candidate
DRAWS = 64


def expected_changes(costs: FloatArray, measured: FloatArray) -> FloatArray:
    """Estimate by how much knowing each candidate exactly would enlarge the true hypervolume of the front.

    The front is what is non-dominated as measured. In each draw of the truth, one candidate's measured values are replaced by
    its true ones, the front is chosen anew, and judged by the truth of that draw: a member that was lucky leaves it, and what
    it hid comes back; one that was unlucky enters. What is surely on the front, or surely off it, changes nothing, however
    wide its interval, and little is gained where another member is nearly as good.

    Parameters
    ----------
    costs : ndarray (draws, n, m)
        Drawn truths of the n candidates, smaller is better; the first `DRAWS` are used.
    measured : ndarray (n, m)
        Costs as measured.

    Returns
    -------
    ndarray (n,)
        Mean gains in hypervolume, as a share of that of the front as measured; 0 where nothing would change.

    References
    ----------
    Frazier, Powell, Dayanik 2009, "The knowledge-gradient policy for correlated normal beliefs", of which this is the form for
    fronts and exact measurements.

    Examples
    --------
    The second was measured by luck better than it is, and hides the third:

    >>> measured = np.array([[1.0, 4.0], [2.0, 1.0], [2.5, 1.5]])
    >>> truth = np.array([[[1.0, 4.0], [3.0, 3.0], [2.5, 1.5]]])
    >>> (expected_changes(truth, measured) > 0).tolist()
    [False, True, False]
    """
    n = len(measured)
    out = np.zeros(n)
    drawn = costs[:DRAWS]
    worst = np.maximum(measured.max(axis=0), drawn.max(axis=(0, 1)))
    best = np.minimum(measured.min(axis=0), drawn.min(axis=(0, 1)))
    reference = worst + 0.05 * np.maximum(worst - best, 1e-12)
    front = _front(measured)
    whole = cost_hypervolume(measured[front], reference)
    for truth in drawn:
        before = cost_hypervolume(truth[front], reference)
        for i in range(n):
            known = measured.copy()
            known[i] = truth[i]
            after = _front(known)
            if (after != front).any():
                out[i] += cost_hypervolume(truth[after], reference) - before
    return np.maximum(out / len(drawn), 0.0) / max(whole, 1e-300)


def _front(costs: FloatArray) -> BoolArray:
    """Tell which rows (n, m) no other dominates, equal ones kept (n,)."""
    return np.asarray(moocore.is_nondominated(costs, keep_weakly=True), dtype=bool)
