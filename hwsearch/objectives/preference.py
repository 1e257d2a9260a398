"""The part of a front that a user prefers: around its knee, or beyond a reference that is aspired to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.names import metric_name
from hwsearch.objectives.objective import Objective, signs

#: by how much of the front's range the region around the knee is worse than the knee
AROUND_KNEE = 0.25


def knee_index(values: FloatArray, objectives: Sequence[Objective]) -> int:
    """Find the knee: the point farthest from the chord between the ends of the front, on its better side.

    Each objective is scaled to 0 (best on the front) .. 1 (worst). With two objectives the chord then runs
    from (0, 1) to (1, 0); with m objectives it is the plane on which the scaled costs sum to one, and the
    distance is ``(1 - sum) / sqrt(m)``. With one or two points, where there is no bend, the first objective's best
    point is the knee.

    Parameters
    ----------
    values : ndarray of float, shape (n, m)
        Values of the front, in natural units.
    objectives : sequence of Objective
        The m objectives.

    Returns
    -------
    int
        Row of the knee, the first of equals.

    Raises
    ------
    SearchError
        If the front is empty.
    """
    if not len(values):
        raise SearchError("an empty front has no knee.", hint="Measure at least one architecture first.")
    costs = values * signs(objectives)
    if len(values) <= 2:
        return int(np.argmin(costs[:, 0]))
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    distance = (1.0 - scaled.sum(axis=1)) / math.sqrt(len(objectives))
    return int(np.argmax(distance))


def around_knee(values: FloatArray, objectives: Sequence[Objective]) -> dict[str, float]:
    """Compute the knee made worse by a quarter of the front's range in each objective, but no worse than the worst.

    Parameters
    ----------
    values : ndarray of float, shape (n, m)
        Values of the front, in natural units.
    objectives : sequence of Objective
        The m objectives.

    Returns
    -------
    dict of str to float
        The value of each objective, by its name, that a point near the knee reaches.

    Raises
    ------
    SearchError
        If the front is empty.

    References
    ----------
    Branke, Deb, Dierolf, Osswald, "Finding knees in multi-objective optimization", 2004,
    doi 10.1007/978-3-540-30217-9_73.
    """
    sign = signs(objectives)
    costs = values * sign
    point = values[knee_index(values, objectives)] * sign
    edge = np.minimum(point + AROUND_KNEE * np.ptp(costs, axis=0), costs.max(axis=0)) * sign
    return {o.name: float(v) for o, v in zip(objectives, edge, strict=True)}


def parse_reference(reference: Mapping[str, float], objectives: Sequence[Objective]) -> dict[str, float]:
    """Match a reference's names to objectives.

    Parameters
    ----------
    reference : mapping of str to float
        Values that are aspired to, by objective (``latency_ms@cpu``) or by metric (``latency``).
    objectives : sequence of Objective
        The objectives of the front.

    Returns
    -------
    dict of str to float
        The values by objective name.

    Raises
    ------
    SearchError
        If a name belongs to none or to several of the objectives.
    """
    found = {}
    names = [o.name for o in objectives]
    for given, value in reference.items():
        metric, at, device = given.partition("@")
        wanted = metric_name(metric) + at + device
        matching = [o.name for o in objectives if wanted in (o.name, o.metric)]
        if len(matching) != 1:
            raise SearchError(
                f"the reference names {given!r}, which is {len(matching)} of the objectives.",
                hint=nearest(wanted, names),
            )
        found[matching[0]] = float(value)
    return found


def aspiration(
    prefer: str, values: FloatArray, objectives: Sequence[Objective], reference: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Get the values that a point must reach to be preferred.

    Parameters
    ----------
    prefer : {"front", "knee", "reference"}
        The whole front, the region around its knee, or what reaches `reference`.
    values : ndarray of float, shape (n, m)
        Values of the front, in natural units.
    objectives : sequence of Objective
        The m objectives.
    reference : mapping of str to float, optional
        For ``"reference"``: values by objective or metric, at least one.

    Returns
    -------
    dict of str to float
        Values by objective name; empty when all of the front counts.

    Raises
    ------
    SearchError
        If `prefer` is not one of these, the reference is missing or does not fit the objectives, or the front has no
        knee.
    """
    if prefer == "front":
        return {}
    if prefer == "knee":
        return around_knee(values, objectives)
    if prefer != "reference" or not reference:
        raise SearchError(
            f"the preference {prefer!r} cannot be followed{' without a reference' if prefer == 'reference' else ''}.",
            hint="Say 'front', 'knee', or 'reference' with a value to be reached for one objective or more.",
        )
    return parse_reference(reference, objectives)


def shortfall(values: FloatArray, objectives: Sequence[Objective], wanted: Mapping[str, float]) -> FloatArray:
    """Compute by how much each point misses the wanted values.

    The achievement function of reference point methods: the largest shortfall over the objectives, each taken as a
    share of the front's range in that objective.

    Parameters
    ----------
    values : ndarray of float, shape (n, m)
        Values of the front, in natural units.
    objectives : sequence of Objective
        The m objectives.
    wanted : mapping of str to float
        Values to reach, by objective name.

    Returns
    -------
    ndarray of float, shape (n,)
        The shortfall; zero or negative where a point reaches all wanted values.

    References
    ----------
    Wierzbicki, "The use of reference objectives in multiobjective optimization", 1980,
    doi 10.1007/978-3-642-48782-8_32.
    """
    chosen = [j for j, o in enumerate(objectives) if o.name in wanted]
    sign = signs([objectives[j] for j in chosen])
    costs = values[:, chosen] * sign
    missing = costs - np.array([wanted[objectives[j].name] for j in chosen]) * sign
    span = np.ptp(costs, axis=0)
    return np.asarray((missing / np.where(span > 0, span, 1.0)).max(axis=1))
