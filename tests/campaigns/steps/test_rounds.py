"""Further rounds of final measurements: they settle the front, go on where they stopped, and end at their budget."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.membership import dominance, membership
from hwsearch.campaigns.noise import draws
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps import rounds as rounds_step
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.fronts import final_set
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.steps.validate import validate
from hwsearch.campaigns.views import views


def prepared(boards, **options):
    campaign = boards(noise=0.008, seed=3, search={"rounds": 0}, **options)
    for step in (profile, evaluate):
        step(campaign)
    return campaign


@pytest.fixture(scope="module")
def settled(boards):
    """A campaign measured to the end, and what `validate` gave."""
    campaign = prepared(boards, validate={"rounds": 4})
    return campaign, validate(campaign)


def sure_of(campaign, view):
    """The memberships of a view, by what the store of a campaign holds now."""
    known = Known.read(campaign)
    own = next(v for v in views(campaign) if v.name == view.name)
    return membership(campaign, own, final_set(own, known), known)


def true_front(campaign, device: str) -> set[str]:
    found = final_set(next(v for v in views(campaign) if v.name == device), Known.read(campaign))
    latency = np.array([campaign.target(device).executor.truth(a) for a in found.archs])
    costs = np.stack([-found.values("accuracy"), latency], axis=1)
    beaten = [any((c <= own).all() and (c < own).any() for c in costs) for own in costs]
    return {i for i, b in zip(found.ids, beaten, strict=True) if not b}


def test_further_rounds_settle_the_front_on_that_of_the_truth(boards, settled) -> None:
    before = prepared(boards, validate={"rounds": 0})
    validate(before)
    campaign, table = settled
    more = table[table["measurements"] > 3]  # of which each has three
    assert len(more) and len(more) < len(table)  # some were in doubt, and only those cost anything
    open_before = open_after = 0
    for view in views(campaign):
        sure = sure_of(campaign, view)
        open_after += int(sure.unsettled(0.95).sum())
        open_before += int(sure_of(before, view).unsettled(0.95).sum())
        settled = {i: p for i, p in zip(sure.ids, sure.probability, strict=True) if max(p, 1 - p) >= 0.95}
        wrong = [i for i, p in settled.items() if (p > 0.5) != (i in true_front(campaign, view.name))]
        assert len(wrong) <= 1, wrong  # each with 5 %
        assert set(table[table["device"] == view.name]["arch_id"]) == set(sure.ids)
    assert open_after < open_before


def test_scores_are_not_repeated_and_their_sampling_error_is_told(settled) -> None:
    campaign, _ = settled
    view = views(campaign)[0]
    stored = Known.read(campaign)
    measured = final_set(view, stored)
    frame = measured.frame
    assert (campaign.store.frame(metric="accuracy", purpose="validate").groupby("arch_id").size() == 1).all()
    found = membership(campaign, view, measured, stored)
    # the probability on new data, by resampling images with replacement, as a reference
    from hwsearch.accuracy import Accuracy
    from hwsearch.campaigns.lookup import find_accuracy

    known = find_accuracy(campaign, Split.TEST, VALIDATE)
    bits = np.stack([Accuracy.unpack(known[i].record, 400).correct for i in frame["arch_id"]])
    rng = np.random.default_rng(0)
    costs = draws(view, measured, 1500, rng).copy()
    for s in range(len(costs)):
        costs[s, :, 0] = -100 * bits[:, rng.integers(400, size=400)].mean(axis=1)
    np.testing.assert_allclose(found.elsewhere, dominance(costs)[0], atol=0.08)
    assert (frame["front_probability"].to_numpy() == np.round(found.probability, 4)).all()


def test_stopped_in_a_further_round_it_goes_on_there(boards, settled, monkeypatch) -> None:
    whole, _ = settled
    campaign = prepared(boards, validate={"rounds": 4})
    real, calls = rounds_step.measure_latencies, []

    def stop(*args, **kwargs):
        calls.append(kwargs["purpose"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(rounds_step, "measure_latencies", stop)
    with pytest.raises(KeyboardInterrupt):
        validate(campaign)
    monkeypatch.undo()
    kept = campaign.store.frame(metric="latency_ms")
    validate(campaign)
    after = campaign.store.frame(metric="latency_ms")
    pd.testing.assert_frame_equal(after.iloc[: len(kept)], kept)
    assert not after.duplicated(["arch_id", "subject", "protocol", "purpose"]).any()
    purposes = whole.store.frame(metric="latency_ms").groupby("purpose").size()
    assert set(after["purpose"]) == set(purposes.index) and str(Purpose.final(2)) in purposes
    again = len(after)
    validate(campaign)
    assert len(campaign.store.frame(metric="latency_ms")) == again


def test_a_budget_ends_the_rounds(boards) -> None:
    campaign = prepared(boards, validate={"rounds": 9, "rounds_s": 0})
    table = validate(campaign)
    assert table["measurements"].max() <= 4
    pooled = find_latency(campaign, campaign.target("one"), VALIDATE)
    assert {m.details.get("rounds", 1) for m in pooled.values()} <= {3, 4}


def test_with_room_for_few_a_round_repeats_what_changes_the_front_most(boards) -> None:
    campaign = prepared(boards, validate={"rounds": 1, "per_round": 2})
    validate(campaign)
    latencies = campaign.store.frame(metric="latency_ms")
    again = latencies[latencies["purpose"] == str(Purpose.final(4))]  # each was measured three times
    assert len(again) > 0 and (again.groupby("subject").size() <= 2).all()
    view = views(campaign)[0]
    measured = final_set(view, Known.read(campaign))
    doubtful = sure_of(campaign, view).to_measure(0.95)
    chosen = rounds_step.most_telling(campaign, view, measured, doubtful, 2)
    assert chosen == rounds_step.most_telling(campaign, view, measured, doubtful, len(doubtful))[:2]
    assert set(chosen) <= set(doubtful)
