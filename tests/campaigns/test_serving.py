"""One subnet for several devices, preferences, and when the search stops: against loops over all measured subnets."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import ClassVar

import numpy as np
import pytest

import hwsearch
from hwsearch import campaigns
from hwsearch.campaigns import tactic
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.measured import shares
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.campaigns.search_config import SHARES
from hwsearch.campaigns.steps import propose
from hwsearch.campaigns.steps.fronts import final_set
from hwsearch.campaigns.steps.propose import Proposer
from hwsearch.campaigns.steps.search import how_it_ended
from hwsearch.campaigns.views import ALL, joint_view, views
from hwsearch.cli.main import main
from hwsearch.errors import CampaignError, ConfigError, LimitError
from hwsearch.objectives.front import Front
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.random import RandomSearcher

ACCURACY, LATENCY = {"metric": "accuracy"}, {"metric": "latency"}
BEFORE = (campaigns.profile, campaigns.evaluate)


def test_shares_by_hand() -> None:
    found = shares(np.array([[2.0, 9.0], [4.0, 3.0]]), np.array([4.0, 6.0]), np.array([1.0, 3.0]))
    np.testing.assert_allclose(found["latency_share_worst"], [1.5, 1.0])
    np.testing.assert_allclose(found["latency_share_weighted"], [0.25 * 0.5 + 0.75 * 1.5, 0.25 * 1 + 0.75 * 0.5])


def everything(campaign):
    """(id, accuracy, {device: ms}) of every subnet measured afresh, by what the store says of each."""
    rows = campaign.store.frame(purpose="validate")
    accuracy = rows[rows["metric"] == "accuracy"].set_index("arch_id")["value"]
    latency = {t.name: find_latency(campaign, t, VALIDATE) for t in campaign.targets.values()}
    for i in sorted(set().union(*latency.values())):
        yield str(i), float(accuracy[i]), {name: float(found[i].value) for name, found in latency.items() if i in found}


@pytest.fixture(scope="module")
def measured(boards):
    """Campaigns measured to the end, by objectives."""
    known = {}

    def make(**options):
        key = json.dumps(options)
        if key not in known:
            known[key] = boards(noise=0.01, search={"rounds": 0}, validate={"rounds": 0, "candidates": 20}, **options)
            for step in (*BEFORE, campaigns.validate):
                step(known[key])
        return known[key]

    return make


@pytest.mark.parametrize("form", ["worst-case", "weighted"])
@pytest.mark.parametrize("limited", [True, False])
def test_the_front_for_all_devices_is_that_of_brute_force(measured, form, limited) -> None:
    limits = [{"limit": "<= 2 ms"}, {"limit": "<= 80 %"}] if limited else [{}, {}]
    objectives = [ACCURACY, *(LATENCY | {"device": d} | x for d, x in zip(("one", "two"), limits, strict=True))]
    campaign = measured(objective=objectives)
    # a limit that is a share is one of the search's; without limits, final latencies are shares of the largest's final one
    which = SEARCH if limited else VALIDATE
    largest = {
        t.name: find_latency(campaign, t, which)[campaign.space.largest().id].value for t in campaign.targets.values()
    }
    scale = {"one": 2.0, "two": 0.8 * largest["two"]} if limited else largest
    weight = {d.name: d.weight for d in campaign.config.device}
    points = []
    for i, accuracy, latency in everything(campaign):
        each = {d: ms / scale[d] for d, ms in latency.items()}
        mean = sum(weight[d] * s for d, s in each.items()) / sum(weight.values())
        points.append((i, accuracy, max(each.values()), mean, latency))
    column = 2 if form == "worst-case" else 3
    expected = {
        p[0]
        for p in points
        if not any(q[1] >= p[1] and q[column] <= p[column] and (q[1], q[column]) != (p[1], p[column]) for q in points)
    }
    frame = hwsearch.front(campaign, deployment=form).to_frame()
    assert set(frame["arch_id"]) == expected and len(expected) > 2
    by_id = {p[0]: p for p in points}
    for row in frame.to_dict("records"):
        p = by_id[row["arch_id"]]
        assert row[SHARES[form]] == pytest.approx(p[column])
        assert {d: row[f"latency_ms@{d}"] for d in ("one", "two")} == pytest.approx(p[4])
        assert row["latency_ms_low@one"] < row["latency_ms@one"] < row["latency_ms_high@one"]
    if limited:  # without a limit of its own, a pick is within every device's
        best = max((p for p in points if p[2] <= 1), key=lambda p: p[1])
        picked = hwsearch.pick(campaign, deployment=form)
        assert picked["accuracy"] == pytest.approx(best[1]) and all(d["share"] <= 1 for d in picked["devices"].values())
    at = sorted(p[4]["two"] for p in points)[len(points) // 2]
    picked = hwsearch.pick(campaign, f"latency_ms@two<={at}", deployment=form)
    assert picked["accuracy"] == pytest.approx(max(p[1] for p in points if p[4]["two"] <= at))


def test_weights_chances_and_wrong_ways_to_serve(measured) -> None:
    limited = LATENCY | {"limit": "<= 90 %", "probability": 0.9}
    campaign = measured(objective=[ACCURACY, limited])
    picked = hwsearch.pick(campaign, deployment="worst-case")
    assert min(picked["met_with"].values()) >= 0.9
    assert all(d["high"] / d["latency_ms"] * d["share"] < 1.05 for d in picked["devices"].values())
    with pytest.raises(CampaignError, match="unknown deployment 'wurst'"):
        hwsearch.front(campaign, deployment="wurst")
    with pytest.raises(CampaignError, match="only 'one' is named"):
        hwsearch.front(campaign, "one", deployment="worst-case")
    with pytest.raises(LimitError, match=r"latency_share_worst <= 0\.001"):
        hwsearch.pick(campaign, "latency_share_worst<=0.001", deployment="worst-case")


def test_what_one_subnet_for_all_cannot_weigh_is_refused(boards) -> None:
    for objective, says in (
        ([ACCURACY, LATENCY, {"metric": "energy"}], "cannot take objective 'energy_mj'"),
        ([ACCURACY, LATENCY | {"limit": ">= 1 ms"}], "would keep only what is worse: of latency_ms less is better"),
    ):
        with pytest.raises(ConfigError, match=says):
            boards(objective=objective, search={"deployment": "worst-case"})


# ---------------------------------------------------------------------- the search
class Recorder(RandomSearcher):
    """Random search that says what it is told, and a gain that gets smaller."""

    name = "recorder"
    capabilities = Capabilities(confidence=True, reference=True)
    made: ClassVar[list[Recorder]] = []
    gains: ClassVar[list[float]] = []

    def __init__(self, space, objectives, seed=0, *, confidence=None, reference=None):
        super().__init__(space, objectives, seed)
        self.confidence, self.aspired = confidence, reference
        Recorder.made.append(self)

    def _propose(self, n):
        rows = super()._propose(n)
        self.info = AskInfo(expected_gain=Recorder.gains[len(Recorder.made) - 1] if Recorder.gains else None)
        return rows


@pytest.fixture
def recorded(monkeypatch):
    Recorder.made, Recorder.gains = [], []
    monkeypatch.setattr(tactic, "find", lambda name: Recorder)
    monkeypatch.setattr(propose, "create", lambda name, *a, **k: Recorder(*a, **k))
    return Recorder


def ready(boards, **options):
    campaign = boards(noise=0.01, **options)
    for step in BEFORE:
        step(campaign)
    return campaign


@pytest.mark.parametrize("form", ["worst-case", "weighted"])
def test_the_search_for_all_devices_is_told_the_scalarised_objective(boards, recorded, form) -> None:
    search = {"rounds": 2, "per_round": 3, "deployment": form}
    devices = json.loads(json.dumps([d.model_dump() for d in boards().config.device]))
    devices[1]["weight"] = 3.0
    objectives = [ACCURACY, LATENCY | {"limit": "<= 90 %", "probability": 0.8}, {"metric": "macs"}]
    campaign = ready(boards, objective=objectives, search=search, device=devices)
    table = campaigns.search(campaign)
    assert table["device"].tolist() == [ALL] * 2 and table["proposed"].tolist() == [3, 3]
    names = {"worst-case": ["latency_share_worst"], "weighted": ["latency_share_weighted", "latency_share_worst"]}[form]
    for searcher in recorded.made:
        assert [o.name for o in searcher.objectives] == ["accuracy", *names, "macs"]
        assert searcher.confidence == {"latency_share_worst": 0.8}
    limits = {o.name: o.limit for o in recorded.made[0].objectives}
    assert limits["latency_share_worst"].value == 1.0
    archs, values = recorded.made[1].evaluated
    frame = joint_view(campaign, form).measured(Known.read(campaign)).frame.set_index("arch_id")
    latest = campaign.store.frame(metric="latency_ms", purpose="search").set_index(["subject", "arch_id"])["value"]
    prints = [t.fingerprint for t in campaign.targets.values()]
    scale = [0.9 * latest[p, campaign.space.largest().id] for p in prints]
    for arch, value in zip(archs, values, strict=True):
        one, two = (latest[p, arch.id] / s for p, s in zip(prints, scale, strict=True))
        assert value[1] == pytest.approx(max(one, two) if form == "worst-case" else (one + 3 * two) / 4)
        assert frame.loc[arch.id, "macs"] == value[-1]
    campaigns.validate(campaign)
    assert len(hwsearch.front(campaign, deployment=form)) > 1 and len(hwsearch.front(campaign, "one")) > 1


def test_the_search_ends_when_no_front_gains_enough(boards, recorded) -> None:
    recorded.gains = [0.5, 0.001, 0.001, 0.001, 0.0, 0.0]
    campaign = ready(boards, folder="stop", search={"rounds": 4, "per_round": 4, "stop_gain": 0.01})
    table = campaigns.search(campaign)
    assert table["round"].tolist() == [1, 1, 2, 2] and table["measured"].tolist() == [True, True, False, False]
    assert table["expected_gain"].tolist() == [0.5, 0.001, 0.001, 0.001]
    assert "after 1 of 4 rounds" in how_it_ended(campaign)
    assert "one 0.1 %, two 0.1 %" in how_it_ended(campaign)
    count = len(campaign.store.frame())
    assert len(campaigns.search(campaign)) == 4 and len(campaign.store.frame()) == count and len(recorded.made) == 4
    # with a smaller bound the same proposals are measured, and it goes on
    finer = boards("stop", noise=0.01, search={"rounds": 4, "per_round": 4, "stop_gain": 0.0005})
    table = campaigns.search(finer)
    assert table["measured"].tolist() == [True] * 4 + [False] * 2 and len(recorded.made) == 6


def test_without_an_estimate_or_with_stop_gain_0_all_rounds_are_made(boards, recorded) -> None:
    campaign = ready(boards, search={"rounds": 2, "per_round": 2})
    assert campaigns.search(campaign)["measured"].all()
    recorded.gains = [0.0] * 9
    campaign = ready(boards, search={"rounds": 2, "per_round": 2, "stop_gain": 0})
    assert campaigns.search(campaign)["measured"].tolist() == [True] * 4
    assert how_it_ended(campaign) == "all 2 rounds"


def test_a_reference_and_the_knee_bound_the_search(boards, recorded, monkeypatch) -> None:
    reference = {"accuracy": 75.0, "latency_ms@one": 1.4}
    search = {"rounds": 1, "per_round": 2, "prefer": "reference", "reference": reference}
    campaign = ready(boards, search=search)
    with pytest.raises(ConfigError, match=r"no objective. Did you mean 'latency_ms@one'"):
        boards(search=search | {"reference": {"latency_ms@onne": 1.4}})
    with pytest.raises(ConfigError, match="needs reference"):
        boards(search=search | {"reference": None})
    campaigns.search(campaign)
    assert [s.aspired for s in recorded.made] == [{"accuracy": 75.0, "latency_ms@one": 1.4}, {"accuracy": 75.0}]

    class Plain(Recorder):
        capabilities = Capabilities()

        def __init__(self, space, objectives, seed=0):
            super().__init__(space, objectives, seed)

    monkeypatch.setattr(tactic, "find", lambda name: Plain)
    monkeypatch.setattr(propose, "create", lambda name, *a, **k: Plain(*a, **k))
    view, known = views(campaign)[0], Known.read(campaign)
    measured = view.measured(known)
    Proposer(campaign).searcher(view, 0, measured, known)
    assert {o.name: str(o.limit) for o in recorded.made[-1].objectives} == {
        "accuracy": ">= 75",
        "latency_ms@one": "<= 1.4",
    }
    preferred = campaign.config.search.model_copy(update={"prefer": "knee", "reference": None})
    campaign.asked = campaign.config.model_copy(update={"search": preferred})
    Proposer(campaign).searcher(view, 0, measured, known)
    expected = Front.of(measured.frame, list(view.objectives)).aspiration("knee")
    assert {o.name: o.limit.value for o in recorded.made[-1].objectives} == expected


def test_the_whole_line_for_all_devices_shows_them_in_the_report(measured, monkeypatch) -> None:
    campaign = measured()
    campaigns.fit(campaign)
    from hwsearch.campaigns.steps.report_data import report_data
    from hwsearch.reporting import render

    known = Known.read(campaign)
    data = report_data(campaign, known, [])
    assert {row["label"] for row in data.serving} and all(set(row["latency"]) == {"one", "two"} for row in data.serving)
    frame = final_set(joint_view(campaign, "worst-case"), known).frame.set_index("arch_id")
    for row in data.serving:
        assert row["share"] == pytest.approx(frame.loc[row["arch_id"], "latency_share_worst"])
        assert row["latency"]["two"]["latency_ms"] == frame.loc[row["arch_id"], "latency_ms@two"]
    page = render(type(data).from_json(data.to_json()), {}, {})
    assert "One subnet for all devices" in page and "largest subnet&#39;s latency there" in page
    assert "on the front with probability" in page


def test_the_command_line_asks_for_all_devices(measured, monkeypatch, capsys) -> None:
    folder = str(measured().folder)

    def said(*args: str) -> str:
        monkeypatch.setattr(sys, "argv", ["hwsearch", *args])
        with contextlib.suppress(SystemExit):
            main()
        return capsys.readouterr().out

    found = json.loads(said("pick", folder, "--deployment", "worst-case", "--limit", "accuracy>=80", "--json"))
    assert found["arch_id"] == hwsearch.pick(folder, "accuracy>=80", deployment="worst-case")["arch_id"]
    text = said("pick", folder, "--deployment", "worst-case", "--limit", "accuracy>=80", "--probability", "0.9")
    assert " ms (" in text and "on one, latency" in text and "meets accuracy >= 80 with probability" in text
    front = json.loads(said("front", folder, "--deployment", "weighted", "--json"))["front"]
    assert {"latency_ms@one", "latency_ms@two", "latency_share_weighted", "front_probability"} <= set(front[0])
    assert "on one: top-1" in said("pick", folder, "--device", "one", "--limit", "accuracy>=80")


@pytest.mark.parametrize("form", ["per-device", "worst-case", "weighted"])
def test_the_tactic_is_told_how_well_each_value_is_known(boards, form, monkeypatch) -> None:
    """The told noise against draws of latencies within the intervals that the store holds."""
    campaign = boards(
        noise=0.02, objective=[ACCURACY, LATENCY], search={"rounds": 1, "per_round": 2, "deployment": form}
    )
    for step in BEFORE:
        step(campaign)
    told = []
    monkeypatch.setattr(
        RandomSearcher, "tell", lambda self, archs, values, noise=None: told.append((self, archs, noise))
    )
    monkeypatch.setattr(tactic, "find", lambda name: RandomSearcher)
    monkeypatch.setattr(propose, "create", lambda name, *args, **options: RandomSearcher(*args, **options))
    proposed = Proposer(campaign).propose(0, 2)
    known = Known.read(campaign)
    assert set(proposed) == ({"one", "two"} if form == "per-device" else {ALL})
    rng = np.random.default_rng(0)
    for (_, archs, noise), view in zip(told, views(campaign), strict=True):
        names = [o.name for o in view.objectives]
        assert noise.shape == (len(archs), len(names)) and np.isnan(noise[:, names.index("accuracy")]).all()
        for arch, own in zip(archs[:5], noise[:, 1 - names.index("accuracy")], strict=False):
            drawn = []
            for target in view.targets:
                m = known.latency(target.name)[arch.id]  # the host's level moves all alike, and is no noise of a subnet
                half = np.log(m.details["ratio_high"] / m.details["ratio_low"]) / 2 / 1.96 / np.sqrt(2)
                drawn.append(m.value * np.exp(half * rng.standard_normal(40_000)))
            value = np.stack(drawn, axis=1)
            if form != "per-device":
                value = view.shares(value, view.scales(known))[SHARES[form]][:, None]
            if form == "worst-case":  # the worst of two near ones varies less than each
                assert own >= 0.9 * value.std()
            else:
                assert own == pytest.approx(value.std(), rel=0.06)
