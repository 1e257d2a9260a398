"""Operator tables: coverage against brute force, times against a made-up host, sums against exact ones."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.steps import operators
from hwsearch.cli.main import main
from hwsearch.devices.operators import Signature
from hwsearch.errors import DeviceError
from hwsearch.store import Store


# ---------------------------------------------------------------------- of a campaign
@pytest.fixture(scope="module")
def profiled(finished, tmp_path_factory):
    """A copy of the small campaign, then its operators, of which there are few: (folder, table)."""
    folder = tmp_path_factory.mktemp("operators") / "run"
    shutil.copytree(finished[0], folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"COVERING": 12, "DRAWN": 6, "ROUNDS": 1, "RUNS": 4}.items():
            patch.setattr(operators, name, value)
        yield folder, hwsearch.operators(folder, "one")


@pytest.fixture
def campaign(profiled, tmp_path):
    """A copy of it."""
    shutil.copytree(profiled[0], tmp_path / "campaign")
    return tmp_path / "campaign"


def test_a_campaign_gets_its_table_once(profiled, campaign):
    found = profiled[1]
    cover = found["coverage"]
    assert cover["measured_now"] == cover["signatures"] == len(found["operators"]) > 50 and cover["missing"] == []
    assert cover["drawn"] == 6 and cover["covering_set"] == 12
    kept = Store.open(campaign / "store.sqlite").find(metric="operator_ms")
    assert {m.arch_id for m in kept} == set(found["operators"]["signature"])
    for m in kept:
        assert Signature.from_dict(m.details["signature"]).id == m.arch_id and m.value >= 0
    wholes, kinds = found["wholes"], found["kinds"]
    assert len(wholes) == found["agreement"]["wholes"] >= 14
    np.testing.assert_allclose(kinds.drop(columns="arch_id").sum(axis=1), wholes["operator_sum_ms"])
    assert found["operators"]["share_pct"].sum() == pytest.approx(100)
    assert all((campaign / "plots" / f"operators-one.{e}").stat().st_size > 0 for e in ("png", "svg"))

    before = Store.open(campaign / "store.sqlite").frame()
    again = hwsearch.operators(campaign, "one")
    pd.testing.assert_frame_equal(before, Store.open(campaign / "store.sqlite").frame())
    assert again["coverage"]["measured_now"] == 0 and again["coverage"]["known_before"] == cover["signatures"]
    pd.testing.assert_frame_equal(found["operators"], again["operators"])


def test_the_command_prints_and_gives_json(campaign, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hwsearch", "operators", str(campaign), "--device", "one", "--json"])
    main()
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == "one" and {"signature", "operator_ms"} <= found["operators"][0].keys()
    monkeypatch.setattr(sys, "argv", ["hwsearch", "operators", str(campaign), "--device", "one", "--most", "3"])
    main()
    said = capsys.readouterr().out
    assert "costliest of" in said and "rank correlation" in said and "operators-one.png" in said.replace("\n", "")


def test_another_runtime_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        '[supernet]\nname = "cifar10-mbv3"\n[[device]]\nname = "t"\nruntime = "simulated"\noptions = {table = "pixel3/nas-bench-201"}\n'
        '[[objective]]\nmetric = "accuracy"\n[[objective]]\nmetric = "latency"\n'
    )
    with pytest.raises(DeviceError, match="'t' is of runtime 'simulated'"):
        hwsearch.operators(Campaign.open(path, folder=tmp_path / "c"))


def test_torch_on_the_processor_has_a_table_of_its_own(tmp_path, monkeypatch):
    for name, value in {"COVERING": 3, "DRAWN": 2, "ROUNDS": 1, "RUNS": 4}.items():
        monkeypatch.setattr(operators, name, value)
    path = tmp_path / "c.toml"
    path.write_text(
        '[supernet]\nname = "cifar10-mbv3"\n[[device]]\nname = "t"\nruntime = "torch-cpu"\n'
        '[[objective]]\nmetric = "accuracy"\n[[objective]]\nmetric = "latency"\n'
    )
    found = hwsearch.operators(Campaign.open(path, folder=tmp_path / "c"))
    frame, cover = found["operators"], found["coverage"]
    assert cover["measured_now"] == cover["signatures"] == len(frame) > 50 and cover["missing"] == []
    assert {"conv", "depthwise conv", "pointwise conv", "batch norm", "hardswish"} <= set(frame["kind"])
    assert (frame["operator_ms"] >= 0).all() and frame["operator_ms"].sum() > 0
    kept = Store.open(tmp_path / "c" / "store.sqlite").find(metric="operator_ms")
    assert {Signature.from_dict(m.details["signature"]).op.partition("::")[0] for m in kept} == {"aten"}
