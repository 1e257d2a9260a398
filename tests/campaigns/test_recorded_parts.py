"""Stand-ins of a record: they know what was written down, and refuse or ask for the rest."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwsearch.campaigns.recorded_parts import (
    RecordedData,
    RecordedNetwork,
    RecordedRuntime,
    RecordedTask,
    describe_task,
    recorded_task,
)
from hwsearch.errors import CampaignError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.tasks.images import ImageTask, Preprocess

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (8, 16))])
ARCHS = SPACE.sample(4, np.random.default_rng(0))


class Network:
    """Knows the costs of all subnets, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def cost_features(self, rows):
        self.asked += 1
        return {"macs": 10.0 * rows[:, 0], "params": 1.0 + rows[:, 1]}


def test_costs_come_from_the_record_and_of_others_from_the_network() -> None:
    network = Network()
    kept = {a.id: float(i) for i, a in enumerate(ARCHS[:3])}

    def costs(ids):
        if not set(ids) <= kept.keys():
            return None
        return {name: np.array([kept[i] + k for i in ids]) for k, name in enumerate(("macs", "params"))}

    net = RecordedNetwork(SPACE, 10, costs, lambda: network)
    rows = SPACE.to_array(ARCHS[:3])
    assert list(net.macs_array(rows)) == [0, 1, 2] and list(net.params_array(rows)) == [1, 2, 3]
    assert (net.macs(ARCHS[1]), net.params(ARCHS[1]), net.classes) == (1, 2, 10) and network.asked == 0
    features, names = net.features_array(rows)
    assert names[-2:] == ["macs", "params"] and features[:, -2:].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert network.asked == 0
    assert net.macs(ARCHS[3]) == 10 * SPACE.to_array([ARCHS[3]])[0, 0] and network.asked == 1


def test_a_task_of_ones_own_is_described_and_asked_for_what_is_its_code() -> None:
    class Own(ImageTask):
        score_name = "mine"

        def unpack(self, record, n):
            return f"{n} of {len(record)}"

    registered = ImageTask(Preprocess(crop=0.5))
    again = recorded_task(json.loads(json.dumps(describe_task(registered))), lambda: registered)
    assert type(again) is ImageTask and again.preprocess.to_dict() == registered.preprocess.to_dict()
    own = Own()
    found = recorded_task(json.loads(json.dumps(describe_task(own))), lambda: own)
    assert isinstance(found, RecordedTask) and (found.score_name, found.score_field) == ("mine", own.score_field)
    assert found.unpack(b"abc", 2) == "2 of 3"
    with pytest.raises(CampaignError):
        found.read("x", limit=1)


def test_examples_and_devices_are_known_but_not_there() -> None:
    data = RecordedData("mine.parquet", "0123456789ab", ("cat", "dog"), 7)
    assert (len(data), data.digest, data.name, data.classes) == (7, "0123456789ab", "mine.parquet", ("cat", "dog"))
    runtime = RecordedRuntime("genes", {"board": 1})
    assert runtime.form == "genes" and runtime.facts() == {"board": 1}
    for refused in (lambda: data.head(2), lambda: data.key(0), lambda: data.batches(32, 2), lambda: runtime.load(None)):
        with pytest.raises(CampaignError, match="is not recorded in the campaign's store"):
            refused()
