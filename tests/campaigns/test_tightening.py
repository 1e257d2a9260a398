"""Limits with a probability, for tactics that know no confidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WORST
from hwsearch.campaigns.predictions import predict
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.fit import fit
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.tightening import NEAREST, tightened
from hwsearch.campaigns.views import views

ACCURACY, LATENCY = {"metric": "accuracy"}, {"metric": "latency"}


@pytest.mark.parametrize("fitted", [True, False])
def test_a_tactic_that_knows_no_confidence_gets_a_tighter_limit(boards, fitted) -> None:
    objectives = [ACCURACY, LATENCY | {"limit": "<= 1.5 ms", "probability": 0.9}]
    campaign = boards(noise=0.02, search={"rounds": 0}, objective=objectives)
    profile(campaign), evaluate(campaign)
    if fitted:
        fit(campaign)
    view = views(campaign)[0]
    known = Known.read(campaign)
    measured = view.measured(known)
    frame = measured.frame
    (tight,) = [tightened(campaign, view, measured, known, o) for o in view.resolved(measured) if o.limit]
    near = frame.iloc[np.argsort(np.abs(frame["latency_ms"] - 1.5).to_numpy())[:NEAREST]]
    if fitted:
        archs = [a for i in near["arch_id"] for a in campaign.store.architectures(campaign.space) if a.id == i]
        wide = predict(campaign, "latency_ms", "one", archs, 0.8)
        expected = np.median(wide["high"] - wide["low"]) / 2
    else:
        rows = campaign.store.frame(metric="latency_ms", subject=campaign.target("one").fingerprint)
        half = ((rows["high"] - rows["low"]) / 2)[rows["arch_id"].isin(near["arch_id"])]
        expected = half.median() / stats.norm.ppf(0.975) * stats.norm.ppf(0.9)
    assert math.isfinite(expected) and expected > 0
    assert tight.limit.value == pytest.approx(1.5 - expected)


def test_the_limit_on_the_worst_device_is_tightened_by_the_widest_margin(boards) -> None:
    """Each device's margin near its own limit, as a share of that limit; the largest counts."""
    limits = {"one": 1.5, "two": 2.0}
    latencies = [LATENCY | {"device": d, "limit": f"<= {v} ms", "probability": 0.9} for d, v in limits.items()]
    campaign = boards(noise=0.02, search={"rounds": 0, "deployment": "worst-case"}, objective=[ACCURACY, *latencies])
    profile(campaign), evaluate(campaign)
    view = views(campaign)[-1]
    known = Known.read(campaign)
    measured = view.measured(known)
    assert view.joint and measured.scales is not None and sorted(measured.scales) == [1.5, 2.0]
    (worst,) = [o for o in view.resolved(measured) if o.name == WORST]
    shares = []
    for name, limit in limits.items():
        rows = campaign.store.frame(metric="latency_ms", subject=campaign.target(name).fingerprint).set_index("arch_id")
        there = rows.loc[[i for i in measured.ids if i in rows.index]]
        near = there.iloc[np.argsort(np.abs(there["value"] - limit).to_numpy(), kind="stable")[:NEAREST]]
        half = ((near["high"] - near["low"]) / 2).median()
        shares.append(half / stats.norm.ppf(0.975) * stats.norm.ppf(0.9) / limit)
    assert worst.limit is not None and min(shares) < max(shares)
    tight = tightened(campaign, view, measured, known, worst)
    assert tight.limit is not None and tight.limit.value == pytest.approx(worst.limit.value - max(shares), rel=1e-6)
