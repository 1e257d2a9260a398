"""Searches that start from earlier campaigns: what is foretold against the functions that the stand-in devices follow."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch import campaigns
from hwsearch.campaigns.known import find_latency
from hwsearch.campaigns.steps import search
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.view import views
from hwsearch.campaigns.warm_start import Earlier
from hwsearch.errors import CampaignError


@pytest.fixture(scope="module")
def before(boards):
    """A campaign that has been profiled and evaluated."""
    campaign = boards("before", noise=0.01)
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    return campaign


def test_foretells_what_was_measured(boards, before) -> None:
    campaign = boards(search={"earlier": [str(before.folder)]})
    earlier = campaign.earlier
    assert sorted(earlier.names) == ["accuracy of before", "latency_ms on one of before", "latency_ms on two of before"]
    rows = campaign.space.sample_array(40, np.random.default_rng(7))
    archs = campaign.space.from_array(rows)
    found = campaigns.measuring.measure_latencies(campaign, campaign.targets.values(), archs)
    columns = earlier(rows)
    for name, device in (("latency_ms on one of before", "one"), ("latency_ms on two of before", "two")):
        measured = np.log([found[device][a.id].value for a in archs])
        assert np.corrcoef(columns[:, earlier.names.index(name)], measured)[0, 1] > 0.8
    assert find_latency(before, before.target("one"), "search").keys().isdisjoint({a.id for a in archs})


def test_of_another_supernet_by_the_costs_that_both_have(boards, before, monkeypatch) -> None:
    campaign = boards()
    names = Earlier(campaign, [before.folder])._shared(campaign.loaded)
    assert {"macs", "params", "log_macs"} <= set(names)
    monkeypatch.setattr(type(campaign.space), "__eq__", lambda self, other: False)
    earlier = Earlier(campaign, [before.folder])
    assert [columns for columns, _ in earlier._models] == [names] * 3
    rows = campaign.space.sample_array(40, np.random.default_rng(7))
    net = campaign.loaded.net
    follows = dict.fromkeys(earlier.names, net.macs_array(rows)) | {
        "latency_ms on two of before": net.params_array(rows)
    }
    for name, column in zip(earlier.names, earlier(rows).T, strict=True):
        assert np.corrcoef(column, np.log(follows[name]))[0, 1] > 0.8, name


def test_the_tactic_is_given_it_and_another_is_refused(boards, before, monkeypatch) -> None:
    campaign = boards(search={"earlier": [str(before.folder)]})
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    view = views(campaign)[0]
    given = {}
    monkeypatch.setattr(search, "create", lambda *args, **options: given.update(options))
    search._searcher(campaign, view, 0, view.frame())
    assert given["warm_start"] is campaign.earlier
    assert str(before.folder) in search._state_name(campaign)
    other = boards(search={"earlier": [str(before.folder)], "tactic": "nsga2"})
    with pytest.raises(CampaignError, match="'nsga2' cannot learn from earlier campaigns"):
        check_tactic(other)


def test_a_search_runs_on_it(boards, before) -> None:
    campaign = boards(search={"earlier": [str(before.folder)]})
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    assert campaigns.search(campaign)["measured"].all()


def test_bad_folders(boards, tmp_path) -> None:
    campaign = boards()
    with pytest.raises(CampaignError, match="is not a campaign"):
        Earlier(campaign, [tmp_path])
    empty = boards("empty")
    assert empty.measured() == 0
    with pytest.raises(CampaignError, match="nothing has been measured on 8 subnets"):
        Earlier(campaign, [empty.folder])
