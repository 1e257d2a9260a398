"""Workloads of a device: the form that its runtime takes, the files of a job, and when batch norms are recalibrated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.campaigns.jobs import workloads
from hwsearch.campaigns.jobs.workloads import job_spec, needed_files, pack_workload, ready_subnet, spec_head, workload
from hwsearch.campaigns.subnet_cache import SubnetCache
from hwsearch.devices import Device
from hwsearch.store import Job


@pytest.fixture
def campaign(small_supernet):
    config = SimpleNamespace(
        data=SimpleNamespace(batch=2),
        search=SimpleNamespace(seed=11),
        supernet=SimpleNamespace(name="small", checkpoint=None, sort=True),
    )
    return SimpleNamespace(
        loaded=SimpleNamespace(net=small_supernet, digest="weights"),
        subnets=SubnetCache(),
        space=small_supernet.space,
        data={},
        config=config,
    )


def target(form):
    return SimpleNamespace(form=form, device=Device("board"))


def test_a_form_of_genes_needs_no_model(campaign) -> None:
    arch = campaign.space.smallest()
    found = workload(campaign, target("genes"), arch)
    assert (found.parts, found.arch_id, found.genes) == ((), arch.id, arch.to_dict())


def test_a_form_of_torch_is_the_subnet_itself_and_onnx_is_its_model_kept_for_the_next_device(campaign) -> None:
    arch = campaign.space.smallest()
    (part,) = workload(campaign, target("torch"), arch).parts
    assert isinstance(part.module, nn.Module)
    first = workload(campaign, target("onnx"), arch)
    assert first.parts[0].module is None and len(first.parts[0].onnx) > 1000
    assert workload(campaign, target("onnx"), arch) is first


def test_statistics_that_are_kept_give_the_same_subnet_without_the_data(campaign, monkeypatch) -> None:
    asked = []
    real = workloads.calibrated_subnet

    def calibrated(net, arch, data, **options):
        asked.append(data)
        return real(net, arch, None)

    monkeypatch.setattr(workloads, "calibrated_subnet", calibrated)
    campaign.data["calibration"] = "the examples"
    arch = campaign.space.largest()
    first = ready_subnet(campaign, arch)
    with torch.no_grad():
        for module in first.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(9.0)  # the kept copy must not change with it
    again = ready_subnet(campaign, arch)
    assert asked == ["the examples", None]
    means = [m.running_mean for m in again.modules() if isinstance(m, nn.BatchNorm2d)]
    assert means and not any(bool((m == 9.0).any()) for m in means)


def test_weights_of_its_own_go_along_only_where_they_differ_from_the_supernets(campaign) -> None:
    files: dict[str, bytes] = {}
    arch = campaign.space.smallest()
    plain = pack_workload(campaign, target("torch"), arch, 4, False, files)
    assert "weights" not in plain and plain["parts"] == [] and files == {}
    own = pack_workload(campaign, target("torch"), arch, 4, True, files)
    assert own["weights"] == "4.safetensors" and list(files) == ["4.safetensors"]


def test_a_process_gets_the_files_of_its_workloads_and_of_the_reference_alone() -> None:
    entries = [
        {"arch_id": "a", "parts": [{"file": "0-0"}, {"file": "0-1"}]},
        {"arch_id": "b", "parts": [], "weights": "1.safetensors"},
    ]
    spec = {"workloads": entries, "reference": {"arch_id": "r", "parts": [{"file": "2-0"}]}}
    files = dict.fromkeys(("0-0", "0-1", "1.safetensors", "2-0", "3-0"), b"")
    assert set(needed_files(spec, files)) == {"0-0", "0-1", "1.safetensors", "2-0"}
    assert set(needed_files({**spec, "workloads": entries[1:]}, files)) == {"1.safetensors", "2-0"}


@pytest.mark.parametrize("purpose, calibrated", [("search", False), ("validate", True), ("validate:2", True)])
def test_final_measurements_are_of_recalibrated_subnets_and_the_reference_never_is(
    campaign, monkeypatch, purpose, calibrated
) -> None:
    packed = []

    def pack(campaign, target, arch, number, calibrated, files):
        packed.append((arch.id, number, calibrated))
        return {"arch_id": arch.id, "genes": {}, "parts": []}

    monkeypatch.setattr(workloads, "pack_workload", pack)
    one, two = campaign.space.sample(2, np.random.default_rng(0))
    reference = campaign.space.smallest()
    payload = {"purpose": purpose, "reference": reference.to_dict(), "protocol": {}, "metrics": ["energy_mj"]}
    job = Job(5, "k", "latency:weights", "d", payload, 60.0, 3, "leased", 2, None, None)
    spec, files = job_spec(campaign, target("onnx"), job, [one.to_dict(), two.to_dict()])
    assert packed == [(one.id, 0, calibrated), (two.id, 1, calibrated), (reference.id, 2, False)]
    assert spec["seed"] == [11, 5, 2] and spec["metrics"] == ["energy_mj"] and files == {}
    assert [w["arch_id"] for w in spec["workloads"]] == [one.id, two.id]


def test_every_task_of_a_process_names_the_supernets_weights(campaign) -> None:
    head = spec_head(campaign, target("torch"), "verify")
    assert (head["do"], head["form"], head["device"]["name"]) == ("verify", "torch", "board")
    assert head["supernet"] == {"name": "small", "checkpoint": None, "sort": True, "digest": "weights"}
