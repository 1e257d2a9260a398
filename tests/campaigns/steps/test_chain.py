"""Chains of measured subnets: the best one against all chains, nested members within their limits, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from pymoo.indicators.hv import HV

import hwsearch
from hwsearch.campaigns.steps.chain import best_chain
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.steps.validate import validate
from hwsearch.errors import CampaignError, LimitError, OutputError


@pytest.mark.parametrize("seed", range(6))
def test_the_best_chain_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    genes = rng.integers(0, 3, (9, 3))
    within = (genes[:, None] <= genes[None]).all(axis=2)
    score, cost = genes.sum(axis=1) + rng.normal(0, 1, 9), genes.sum(axis=1) + rng.normal(0, 1, 9)
    worst, least = cost.max() + 0.05 * np.ptp(cost), score.min() - 0.05 * np.ptp(score)

    def volume(chain: tuple[int, ...]) -> float:
        return float(HV(ref_point=np.array([worst, -least]))(np.stack([cost, -score], axis=1)[list(chain)]))

    def is_chain(chain: tuple[int, ...]) -> bool:
        return all(within[a, b] and score[a] < score[b] and cost[a] < cost[b] for a, b in itertools.pairwise(chain))

    for members in (2, 3, 4):
        found = best_chain(within, score, cost, members)
        every = [c for n in range(1, members + 1) for c in itertools.permutations(range(9), n) if is_chain(c)]
        assert is_chain(tuple(found)) and len(found) <= members
        assert volume(tuple(found)) == pytest.approx(max(volume(c) for c in every))


@pytest.fixture(scope="module")
def campaign(boards):
    found = boards(noise=0.01, search={"rounds": 0}, validate={"rounds": 0, "candidates": 24})
    profile(found), evaluate(found), validate(found)
    return found


def test_members_are_nested_and_meet_the_limits(campaign) -> None:
    whole = hwsearch.pick(campaign, chain=6, device="one")
    members = whole["members"]
    assert 2 <= len(members) <= 6
    rows = campaign.space.to_array([campaign.space.architecture(m["genes"]) for m in members])
    inside = campaign.space.contained_array(rows)
    assert inside[np.triu_indices(len(rows))].all() and not inside[np.tril_indices(len(rows), -1)].any()
    for low, high in itertools.pairwise(members):
        assert low["accuracy"] < high["accuracy"] and low["latency_ms"] < high["latency_ms"]
    params = [4 * campaign.loaded.net.params(campaign.space.architecture(m["genes"])) / 2**20 for m in members]
    assert whole["weights_mib"] == pytest.approx(max(params)) and whole["apart_mib"] == pytest.approx(sum(params))
    bound = members[-2]["latency_ms"]
    less = hwsearch.pick(campaign, f"latency_ms<={bound}", "one", chain=6)
    assert max(m["latency_ms"] for m in less["members"]) <= bound
    with pytest.raises(LimitError):
        hwsearch.pick(campaign, "latency_ms<=1e-9", "one", chain=2)


def test_files_go_into_a_folder(finished, tmp_path) -> None:
    folder, _ = finished
    found = hwsearch.pick(folder, device="one", chain=2, export=tmp_path / "switch")
    files = sorted((tmp_path / "switch").glob("*.onnx"))
    assert [f.stem for f in files] == [f"{k:02d}-{m['arch_id']}" for k, m in enumerate(found["members"], 1)]
    for file in files:
        onnx.checker.check_model(onnx.load(file))
    with pytest.raises(OutputError, match="no folder"):
        hwsearch.pick(folder, device="one", chain=2, export=tmp_path / "chain.onnx")


@pytest.mark.parametrize("members", [0, 1, 65, 2.5, True])
def test_a_chain_of_one_is_none(campaign, members) -> None:
    with pytest.raises(CampaignError, match=f"a chain of {members!r} members is none"):
        hwsearch.pick(campaign, device="one", chain=members)


def test_without_nested_subnets_it_is_said_what_to_do(campaign) -> None:
    fastest = hwsearch.front(campaign, "one").to_frame()["latency_ms"].min()
    with pytest.raises(CampaignError, match=r"no two are nested.*sorted"):
        hwsearch.pick(campaign, f"latency_ms<={1.000001 * fastest}", "one", chain=2)
