"""Models that are no subnets, timed beside the campaign's reference."""

from __future__ import annotations

import pytest

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.ensembles.timing import time_models
from hwsearch.campaigns.ensembles.writing import ensemble_file
from hwsearch.campaigns.jobs.workloads import workload
from hwsearch.devices import Model, Workload
from hwsearch.errors import MeasurementError
from hwsearch.exporters import serialise


def test_models_are_timed_together_and_failures_named(finished) -> None:
    campaign = Campaign.open(finished[0])
    target, space = campaign.target("one"), campaign.space
    file = ensemble_file(campaign, [space.largest(), space.largest(), space.largest()], "logits")
    three = Workload((Model(tuple(file.part.inputs), serialise(file.model)),))
    small = workload(campaign, target, space.smallest(), calibrated=True)
    found = time_models(campaign, target, {"three": three, "small": small})
    assert list(found) == ["three", "small"] and all(t.low <= t.value <= t.high for t in found.values())
    broken = Workload((Model(tuple(file.part.inputs), b"no model"),))
    with pytest.raises(MeasurementError, match="'broken' cannot be measured on 'one'"):
        time_models(campaign, target, {"broken": broken})
