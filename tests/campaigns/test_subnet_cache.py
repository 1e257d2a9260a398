"""What is kept of subnets: the same network again, and never more than the bounds."""

from __future__ import annotations

import torch

from hwsearch.accuracy import calibrated_subnet
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.workloads import ready_subnet, workload
from hwsearch.campaigns.subnet_cache import SubnetCache
from hwsearch.devices import Model, Workload


def test_a_subnet_that_is_kept_is_the_recalibrated_one(small_config, tmp_path, monkeypatch) -> None:
    """Its state is that of a network recalibrated anew, and the forward passes for it are run once."""
    campaign = Campaign.open(small_config, folder=tmp_path)
    arch = campaign.space.smallest()
    fresh = calibrated_subnet(campaign.loaded.net, arch, campaign.data["calibration"], batch=60).state_dict()
    first = ready_subnet(campaign, arch)
    for p in first.parameters():
        p.data.zero_()  # what a caller does to its network stays with it
    passes = []
    monkeypatch.setattr("hwsearch.accuracy.evaluate.recalibrate", lambda *a, **k: passes.append(a))
    again = ready_subnet(campaign, arch).state_dict()
    assert not passes and again.keys() == fresh.keys()
    assert all(torch.equal(again[k], fresh[k]) for k in fresh)
    target = campaign.target("one")
    assert workload(campaign, target, arch) is workload(campaign, target, arch)
    plain, calibrated = (workload(campaign, target, arch, calibrated=c) for c in (False, True))
    assert plain.parts[0].onnx != calibrated.parts[0].onnx


def test_the_least_recently_used_models_go_first() -> None:
    """Room for three models of 10 bytes: of a, b, c, then a again, d drops b."""
    cache = SubnetCache(model_bytes=30)
    built: list[str] = []

    def ask(name: str) -> None:
        def build() -> Workload:
            built.append(name)
            return Workload((Model((), bytes(10)),), name)

        assert cache.workload(("weights", name), False, build).arch_id == name

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        ask(name)
    assert built == ["a", "b", "c", "d", "b"]
    too_large = cache.workload(("weights", "e"), False, lambda: Workload((Model((), bytes(99)),), "e"))
    assert too_large.arch_id == "e"
    ask("b")
    assert built[-1] == "b" and built.count("b") == 3


def test_statistics_are_bounded() -> None:
    cache = SubnetCache(statistics=2)
    for name in "abc":
        cache.keep_recalibrated(("weights", name), torch.nn.Sequential(torch.nn.BatchNorm2d(3)))
    assert cache.recalibrated(("weights", "a")) is None
    kept = cache.recalibrated(("weights", "c"))
    assert kept is not None and set(kept) == {"0.running_mean", "0.running_var", "0.num_batches_tracked"}
