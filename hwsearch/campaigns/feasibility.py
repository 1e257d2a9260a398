"""Whether any subnet seems to meet all limits together, told before a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsearch._typing import BoolArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.measured import WORST, MeasuredSet
from hwsearch.campaigns.running import predicted_interval
from hwsearch.campaigns.view import View
from hwsearch.objectives.computed import computed_metric
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS, SCORE_METRICS
from hwsearch.objectives.objective import Objective

#: subnets for which limits are predicted before a search
DRAWN = 2000


def infeasibility_warning(campaign: Campaign, view: View, measured: MeasuredSet) -> str | None:
    """Return a warning if no measured or predicted subnet satisfies all limits, else None.

    Predicted are `DRAWN` subnets spread over cost, and taken at the better end of the predictors' 99 % intervals. It is a
    warning and no error: a prediction proves nothing.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    view : View
        Whose limits.
    measured : MeasuredSet
        The view's, of the search.

    Returns
    -------
    str or None
        None also where nothing has been measured, or nothing can be predicted.
    """
    limited = [(o, o.limit) for o in view.resolved(measured) if o.limit is not None]
    full = measured.complete([o.name for o, _ in limited])
    met = [limit.met(full.values(o.name)) for o, limit in limited]
    if not limited or not len(full) or np.all(met, axis=0).any():
        return None
    drawn = _predicted_feasible(campaign, view, limited)
    if drawn is None or drawn.any():
        return None
    return (
        f"no subnet of {len(full)} measured on {view.name} meets {' and '.join(f'{o.metric} {limit}' for o, limit in limited)}"
        f"{' together' if len(limited) > 1 else ''}, and none of {len(drawn):,} others is predicted to: the search may be in "
        "vain. Loosen a limit, or stop here."
    )


def _predicted_feasible(campaign: Campaign, view: View, limited: Sequence[tuple[Objective, Limit]]) -> BoolArray | None:
    """Return which of `DRAWN` subnets may meet the limits, by prediction; None where nothing can be predicted."""
    archs = campaign.space.sample_balanced(DRAWN, campaign.rng("limits"), campaign.loaded.balanced_cost)
    may = np.ones(len(archs), dtype=bool)
    for o, limit in limited:
        device = view.name if o.metric in DEVICE_METRICS else None
        if o.name == WORST:
            return None
        if o.metric in DEVICE_METRICS or o.metric in SCORE_METRICS:
            found = predicted_interval(campaign, o.metric, device, archs, 0.99)
            if found is None:
                return None
            values = found[0] - found[1] if limit.op == "<=" else found[0] + found[1]
        else:
            values = computed_metric(o.metric).values(campaign.loaded.net, campaign.space.to_array(archs))
        may &= limit.met(values)
    return may
