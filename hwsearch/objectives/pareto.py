"""Pareto dominance, hypervolume, attainment, and the default reference point, on arrays of values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective, signs


def as_values(values: ArrayLike | Sequence[Sequence[float | None]], objectives: Sequence[Objective]) -> FloatArray:
    """Check the shape of measured values.

    Parameters
    ----------
    values : array_like of float, shape (n, m) or, with one objective, (n,)
        One row an architecture.
    objectives : sequence of Objective
        The m objectives.

    Returns
    -------
    ndarray of float, shape (n, m)
        The values.

    Raises
    ------
    SearchError
        If the shape is another.
    """
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


def non_dominated(values: ArrayLike, objectives: Sequence[Objective]) -> BoolArray:
    """Find the rows that no other row dominates; O(n log n) for two and three objectives.

    A row dominates another when it is at least as good in each objective and better in one.

    Parameters
    ----------
    values : array_like of float, shape (n, m)
        One row an architecture, in natural units; not changed.
    objectives : sequence of Objective
        The m objectives.

    Returns
    -------
    ndarray of bool, shape (n,)
        True on the front. Rows with NaN are never on it; of equal rows only the first is.

    Raises
    ------
    SearchError
        If the shape of the values does not fit the objectives.

    Examples
    --------
    >>> from hwsearch.objectives import Objective, non_dominated
    >>> objectives = [Objective("accuracy"), Objective("latency_ms")]
    >>> non_dominated([[70, 1], [80, 2], [75, 3]], objectives).tolist()
    [True, True, False]
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
    """Compute the hypervolume of costs, of which smaller are better.

    Parameters
    ----------
    costs : ndarray of float, shape (n, m)
        Costs without NaN; rows that are not better than the reference in every column count for nothing.
    reference : ndarray of float, shape (m,)
        The reference point.

    Returns
    -------
    float
        The volume; exact, for any m.
    """
    inside = costs[(costs < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if inside.shape[1] == 1:
        return float(reference[0] - inside.min())
    return float(moocore.hypervolume(np.ascontiguousarray(inside), ref=reference))


def hypervolume(values: ArrayLike, objectives: Sequence[Objective], reference: ArrayLike) -> float:
    """Compute the hypervolume: the volume that the rows dominate, up to a reference point.

    Parameters
    ----------
    values : array_like of float, shape (n, m)
        One row an architecture, in natural units. Rows that are not better than the reference in every objective,
        and rows with NaN, count for nothing.
    objectives : sequence of Objective
        The m objectives.
    reference : array_like of float, shape (m,)
        The reference point, in natural units.

    Returns
    -------
    float
        The volume, in the product of the objectives' units; exact.

    Raises
    ------
    SearchError
        If the values or the reference have another shape, or the reference is not finite.

    References
    ----------
    Fonseca, Paquete, López-Ibáñez, "An improved dimension-sweep algorithm for the hypervolume indicator", 2006,
    doi 10.1109/CEC.2006.1688440; computed by moocore.

    Examples
    --------
    >>> from hwsearch.objectives import Objective, hypervolume
    >>> objectives = [Objective("accuracy"), Objective("latency_ms")]
    >>> hypervolume([[70, 1], [80, 2]], objectives, reference=[60, 3])
    30.0
    """
    array = as_values(values, objectives)
    point = np.asarray(reference, dtype=np.float64)
    if point.shape != (len(objectives),) or not np.isfinite(point).all():
        raise SearchError(f"the reference point {reference!r} is not {len(objectives)} finite numbers.")
    sign = signs(objectives)
    return cost_hypervolume(array[~np.isnan(array).any(axis=1)] * sign, point * sign)


def attainment(runs: Sequence[ArrayLike], objectives: Sequence[Objective], share: float = 0.5) -> FloatArray:
    """Compute the attainment surface: the best points that at least a share of the runs attain.

    A run attains a point when it found one that is at least as good in every objective. The surface is the boundary
    of the empirical attainment function.

    Parameters
    ----------
    runs : sequence of array_like of float, shape (n_i, m)
        The values that each run found, dominated ones or not; rows with NaN are left out.
    objectives : sequence of Objective
        The m objectives, two or three.
    share : float
        Share of the runs in (0, 1]; 0.5 gives the median attainment surface.

    Returns
    -------
    ndarray of float, shape (k, m)
        The mutually non-dominated points; none if too few runs found anything.

    Raises
    ------
    SearchError
        If there are no runs, the share is out of range, or the number of objectives is not two or three.

    References
    ----------
    Grunert da Fonseca, Fonseca, Hall, "Inferential performance assessment of stochastic optimisers and the attainment
    function", 2001, doi 10.1007/3-540-44719-9_15.

    Examples
    --------
    >>> from hwsearch.objectives import Objective, attainment
    >>> objectives = [Objective("accuracy"), Objective("latency_ms")]
    >>> attainment([[[70, 1]], [[80, 2]]], objectives, share=1.0).tolist()
    [[70.0, 2.0]]
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
    """Compute the default reference point: each objective's worst value, made worse by a share of its range.

    To compare several runs compute it once from all their values together.

    Parameters
    ----------
    values : array_like of float, shape (n, m)
        Measured values, in natural units; rows that are not finite are left out.
    objectives : sequence of Objective
        The m objectives.
    margin : float
        Share of the range by which the worst value is made worse. Where all values are equal, it is a share of the
        value's size, or the margin itself at zero.

    Returns
    -------
    ndarray of float, shape (m,)
        The reference point, in natural units.

    Raises
    ------
    SearchError
        If no row is finite.

    Examples
    --------
    >>> from hwsearch.objectives import Objective, reference_point
    >>> objectives = [Objective("accuracy"), Objective("latency_ms")]
    >>> reference_point([[70, 1], [80, 3]], objectives, margin=0.1).tolist()
    [69.0, 3.2]
    """
    array = as_values(values, objectives)
    costs = array[np.isfinite(array).all(axis=1)] * signs(objectives)
    if len(costs) == 0:
        raise SearchError("a reference point needs at least one row without NaN.", hint="Give the point yourself.")
    worst, best = costs.max(axis=0), costs.min(axis=0)
    size = np.where(worst > best, worst - best, np.where(worst != 0, np.abs(worst), 1.0))
    return np.asarray((worst + margin * size) * signs(objectives), dtype=np.float64)
