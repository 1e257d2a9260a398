"""Dominance, hypervolume, and the Pareto front of measured architectures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective, signs


def as_values(values: ArrayLike, objectives: Sequence[Objective]) -> FloatArray:
    """`values` as a float array (n, m); a vector (n,) is taken as (n, 1). Raises SearchError for another shape."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, len(objectives)))
    if array.ndim == 1 and len(objectives) == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != len(objectives):
        names = ", ".join(o.name for o in objectives)
        raise SearchError(
            f"values of shape {array.shape} do not fit the {len(objectives)} objectives ({names}).",
            hint="Give one row an architecture and one column an objective.",
        )
    return array


def non_dominated(values: ArrayLike, objectives: Sequence[Objective]) -> NDArray[np.bool_]:
    """Mask (n,) of the rows that no other row dominates; O(n log n) for two and three objectives.

    A row dominates another when it is at least as good in each objective and better in one. Rows that hold
    NaN are never on the front. Of equal rows only the first is kept.
    """
    array = as_values(values, objectives)
    mask = np.zeros(len(array), dtype=bool)
    whole = np.flatnonzero(~np.isnan(array).any(axis=1))
    if len(whole) == 0:
        return mask
    costs, first = np.unique(array[whole] * signs(objectives), axis=0, return_index=True)
    mask[whole[first[np.asarray(moocore.is_nondominated(costs), dtype=bool)]]] = True
    return mask


def cost_hypervolume(costs: FloatArray, reference: FloatArray) -> float:
    """Hypervolume of costs (n, m), smaller is better, against `reference` (m,); for any number of objectives."""
    inside = costs[(costs < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if inside.shape[1] == 1:
        return float(reference[0] - inside.min())
    return float(moocore.hypervolume(np.ascontiguousarray(inside), ref=reference))


def hypervolume(values: ArrayLike, objectives: Sequence[Objective], reference: ArrayLike) -> float:
    """The volume between the rows of `values` and the point `reference` (m,), all in natural units.

    Rows that are not better than the reference in every objective, and rows with NaN, count for nothing.
    Computed by moocore (Fonseca, Paquete, López-Ibáñez 2006 and later algorithms); exact.
    Raises SearchError when the reference has another length or is not finite.
    """
    array = as_values(values, objectives)
    point = np.asarray(reference, dtype=np.float64)
    if point.shape != (len(objectives),) or not np.isfinite(point).all():
        raise SearchError(f"the reference point {reference!r} is not {len(objectives)} finite numbers.")
    sign = signs(objectives)
    return cost_hypervolume(array[~np.isnan(array).any(axis=1)] * sign, point * sign)


def attainment(runs: Sequence[ArrayLike], objectives: Sequence[Objective], share: float = 0.5) -> FloatArray:
    """The points (k, m) that at least this share of the runs attain, and that no other such point dominates.

    runs : each the values (n, m) that one run found, dominated ones or not; a run attains a point when it found one that
        is at least as good in every objective
    share : 0.5: the median attainment surface

    The boundary of the empirical attainment function (Grunert da Fonseca, Fonseca, Hall 2001, doi
    10.1007/3-540-44719-9_15), for two or three objectives. Raises SearchError for another number, for a share that
    is not in 0..1, 0 excluded, and for no runs.
    """
    sets = [as_values(run, objectives) for run in runs]
    if len(objectives) not in (2, 3):
        raise SearchError(
            f"attainment is of two or three objectives, not of {len(objectives)}.",
            hint="Compare the hypervolumes.",
        )
    if not sets or not 0.0 < share <= 1.0:
        raise SearchError(f"attainment by a share of {share!r} of {len(sets)} runs is not defined.")
    sets = [s[~np.isnan(s).any(axis=1)] for s in sets]
    needed = math.ceil(share * len(sets) - 1e-9)
    found = [s for s in sets if len(s)]
    if needed > len(found):
        return np.empty((0, len(objectives)))
    points = np.concatenate(found) * signs(objectives)
    numbers = np.repeat(np.arange(1, len(found) + 1), [len(s) for s in found])
    surface = moocore.eaf(points, numbers, percentiles=[100.0 * needed / len(found)])
    return np.asarray(surface[:, :-1] * signs(objectives))


def reference_point(values: ArrayLike, objectives: Sequence[Objective], margin: float = 0.05) -> FloatArray:
    """The default reference point (m,): each objective's worst measured value, made worse by `margin` of its range.

    Where all values are equal, `margin` of the value's size is taken, or `margin` itself at zero. To compare
    several runs compute it once from all their values together. Raises SearchError when no row is without NaN.
    """
    array = as_values(values, objectives)
    costs = array[np.isfinite(array).all(axis=1)] * signs(objectives)
    if len(costs) == 0:
        raise SearchError("a reference point needs at least one row without NaN.", hint="Give the point yourself.")
    worst, best = costs.max(axis=0), costs.min(axis=0)
    size = np.where(worst > best, worst - best, np.where(worst != 0, np.abs(worst), 1.0))
    return np.asarray((worst + margin * size) * signs(objectives), dtype=np.float64)
