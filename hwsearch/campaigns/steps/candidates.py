"""Choose the candidates for a front: everything not clearly dominated in the search's measurements."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.view import View
from hwsearch.errors import CampaignError, LimitError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS, SCORE_METRICS
from hwsearch.objectives.pareto import non_dominated
from hwsearch.spaces import Architecture

#: points of a score by which a subnet may be below another that dominates it
SCORE_NOISE = 0.5
#: by how much limits are widened for candidates, as their measurements are not final
WIDER_UPPER, WIDER_LOWER = 1.05, 0.98


class Candidates(NamedTuple):
    """Candidates for a front, which are measured afresh.

    Attributes
    ----------
    archs : list of Architecture
        First those that nothing dominates, then the nearest to them.
    undominated : int
        How many nothing dominates; they are measured whatever the number of candidates is limited to.
    """

    archs: list[Architecture]
    undominated: int

    def first(self, most: int) -> list[Architecture]:
        """Return those that are left when their number is limited: dominated ones go first.

        Parameters
        ----------
        most : int
            The limit.

        Returns
        -------
        list of Architecture
            At most so many, as far as not more are undominated.
        """
        return self.archs[: max(most, self.undominated)]


def candidates(view: View, known: Known) -> Candidates:
    """Choose what may belong to a front.

    A subnet is clearly dominated when another is better by more than the noise of both: half a point of accuracy and the
    half width of the protocol in what is measured on the device.

    Parameters
    ----------
    view : View
        The front.
    known : Known
        What the store holds.

    Returns
    -------
    Candidates
        All that are not dominated, then the nearest to them, up to ``[validate] candidates``.

    Raises
    ------
    CampaignError
        If nothing has been measured in all objectives.
    LimitError
        If nothing measured meets the limits.
    """
    measured = view.measured(known)
    full = measured.complete([o.name for o in view.objectives])
    if not len(full):
        raise CampaignError(
            f"no subnet has been measured on {view.name!r} in all objectives.", hint="Run 'hwsearch search' first."
        )
    for o in view.resolved(measured):
        if o.limit is not None:
            wider = WIDER_UPPER if o.limit.op == "<=" else WIDER_LOWER
            full = full.where(Limit(o.limit.op, o.limit.value * wider).met(full.values(o.name)))
    if not len(full):
        raise LimitError(
            f"no measured subnet meets the limits on {view.name!r}.", hint="Loosen the limit, or search longer."
        )
    objectives = view.front_objectives
    values = full.frame[[o.name for o in objectives]].to_numpy(dtype=np.float64)
    noise = np.zeros_like(values)
    for j, o in enumerate(objectives):
        if o.metric in SCORE_METRICS:
            noise[:, j] = SCORE_NOISE
        elif o.metric in DEVICE_METRICS or (view.joint and o.name.startswith("latency_share")):
            noise[:, j] = values[:, j] * view.campaign.protocol.half_width
    strict = np.asarray(non_dominated(values, tuple(objectives)))
    cost = values * np.array([o.sign for o in objectives])
    keep = not_clearly_dominated(cost, noise, strict, view.campaign.config.validate_.candidates)
    ids = full.ids
    return Candidates([full.by_id[ids[i]] for i in keep], int(strict.sum()))


def not_clearly_dominated(cost: FloatArray, noise: FloatArray, strict: BoolArray, most: int) -> list[int]:
    """Choose rows that are not dominated by more than the noise.

    Parameters
    ----------
    cost : FloatArray
        (n, objectives), smaller is better.
    noise : FloatArray
        (n, objectives), by how much each row may be better than measured.
    strict : BoolArray
        (n,) which rows are not dominated at all; they are all chosen.
    most : int
        At most that many, as far as `strict` has not more.

    Returns
    -------
    list of int
        Places of the rows: first those of `strict`, then the nearest to them.

    Examples
    --------
    >>> cost = np.array([[1.0, 5.0], [1.05, 5.0], [3.0, 6.0]])
    >>> not_clearly_dominated(cost, np.full((3, 2), 0.1), np.array([True, False, False]), 3)
    [0, 1]
    """
    keep = [int(i) for i in np.flatnonzero(strict)]
    front, span = cost[strict], np.maximum(np.ptp(cost, axis=0), 1e-12)
    near: list[tuple[int, float]] = []
    for i in map(int, np.flatnonzero(~strict)):
        if not (front <= cost[i] - noise[i]).all(axis=1).any():
            near.append((i, float(((cost[i] - front) / span).min(axis=1).max())))
    nearest = [i for i, _ in sorted(near, key=lambda s: s[1])]
    return keep + nearest[: max(0, most - len(keep))]
