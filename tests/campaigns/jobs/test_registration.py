"""A name that stands for another device than before."""

from __future__ import annotations

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.registration import enter_device, fact_changes


def test_a_virtual_machine_that_moved_is_another_device_and_that_is_said_once(small_config, tmp_path, caplog) -> None:
    campaign = Campaign.open(small_config, folder=tmp_path / "c")
    target = campaign.target("one")
    enter_device(campaign, target)
    enter_device(campaign, target)
    assert not caplog.records
    target.facts = {**target.facts, "host": {**target.facts["host"], "cpu": "Another CPU"}, "batch": 7}
    target.fingerprint = "0123456789ab"
    for _ in range(2):
        enter_device(campaign, target)
    (said,) = [r.message for r in caplog.records]
    assert said.startswith("one is another device than before: batch was 1 and is 7; host.cpu was ")
    assert "is 'Another CPU'" in said and "kept and not mixed in" in said
    assert len(campaign.store.devices()) == 2


def test_what_is_missing_on_either_side_is_a_change() -> None:
    found = list(fact_changes({"a": 1, "b": {"x": 1}}, {"b": {"x": 1, "y": 2}, "c": [3]}))
    assert found == [("a", 1, None), ("b.y", None, 2), ("c", None, [3])]
    assert list(fact_changes({"a": {"x": 1}}, {"a": {"x": 1}})) == []
