"""Searches that start from earlier campaigns: what is foretold against the functions that the stand-in devices follow."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch import campaigns
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.states import search_state
from hwsearch.campaigns.steps import propose
from hwsearch.campaigns.steps.propose import Proposer
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.views import views
from hwsearch.campaigns.warm_start import WarmStart, common_cost_features
from hwsearch.errors import CampaignError


def warm(campaign, folders) -> WarmStart:
    return WarmStart(campaign.loaded, campaign.config.supernet, folders)


@pytest.fixture(scope="module")
def before(boards):
    """A campaign that has been profiled and evaluated."""
    campaign = boards("before", noise=0.01)
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    return campaign


def test_foretells_what_was_measured(boards, before) -> None:
    campaign = boards(search={"warm_start": [str(before.folder)]})
    earlier = Proposer(campaign).warm_start
    assert sorted(earlier.names) == ["accuracy of before", "latency_ms on one of before", "latency_ms on two of before"]
    rows = campaign.space.sample_array(40, np.random.default_rng(7))
    archs = campaign.space.from_array(rows)
    found = measure_latencies(campaign, campaign.targets.values(), archs)
    columns = earlier(rows)
    for name, device in (("latency_ms on one of before", "one"), ("latency_ms on two of before", "two")):
        measured = np.log([found[device][a.id].value for a in archs])
        assert np.corrcoef(columns[:, earlier.names.index(name)], measured)[0, 1] > 0.8
    assert find_latency(before, before.target("one"), SEARCH).keys().isdisjoint({a.id for a in archs})


def test_of_another_supernet_by_the_costs_that_both_have(boards, before, monkeypatch) -> None:
    campaign = boards()
    names = common_cost_features(campaign.loaded.net, campaign.loaded.net)
    assert {"macs", "params", "log_macs"} <= set(names)
    monkeypatch.setattr(type(campaign.space), "__eq__", lambda self, other: False)
    earlier = warm(campaign, [before.folder])
    assert [columns for columns, _ in earlier._models] == [names] * 3
    rows = campaign.space.sample_array(40, np.random.default_rng(7))
    net = campaign.loaded.net
    follows = dict.fromkeys(earlier.names, net.macs_array(rows)) | {
        "latency_ms on two of before": net.params_array(rows)
    }
    for name, column in zip(earlier.names, earlier(rows).T, strict=True):
        assert np.corrcoef(column, np.log(follows[name]))[0, 1] > 0.8, name


def test_the_tactic_is_given_it_and_another_is_refused(boards, before, monkeypatch) -> None:
    campaign = boards(search={"warm_start": [str(before.folder)]})
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    view = views(campaign)[0]
    given = {}
    monkeypatch.setattr(propose, "create", lambda *args, **options: given.update(options))
    known, proposer = Known.read(campaign), Proposer(campaign)
    proposer.searcher(view, 0, view.measured(known), known)
    assert given["warm_start"] is proposer.warm_start
    assert str(before.folder) in search_state(campaign.config, list(campaign.targets.values()))
    other = boards(search={"warm_start": [str(before.folder)], "tactic": "nsga2"})
    with pytest.raises(CampaignError, match="'nsga2' cannot learn from earlier campaigns"):
        check_tactic(other)


def test_a_search_runs_on_it(boards, before) -> None:
    campaign = boards(search={"warm_start": [str(before.folder)]})
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    assert campaigns.search(campaign)["measured"].all()


def test_bad_folders(boards, tmp_path) -> None:
    campaign = boards()
    with pytest.raises(CampaignError, match="is not a campaign"):
        warm(campaign, [tmp_path])
    empty = boards("empty")
    assert empty.measured() == 0
    with pytest.raises(CampaignError, match="nothing has been measured on 8 subnets"):
        warm(campaign, [empty.folder])
