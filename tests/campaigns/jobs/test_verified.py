"""Verified accuracy as an objective: measured once, stored with what it proves, and a limit like any other."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import hwsearch
from hwsearch.accuracy.certified import verified_score
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.verified import VERIFIED, check_certified, measure_verified
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.lookup import score_protocol
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.errors import BoundError, ConfigError
from hwsearch.objectives import parse_limit

#: so small that the bounds of the embedded supernet, which was not trained for them, prove something
TINY = 5e-10
CONFIG = """
[data]
calibration_images = 60
validation_images = 40
test_images = 50
batch = 50

[[device]]
name = "one"
runtime = "simulated"
options = { table = "amd-epyc-vm-t1-b1/cifar10-mbv3" }

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[[objective]]
metric = "verified_accuracy"
limit = ">= 1 %"

[certified]
epsilon = 5e-10
images = 30

[protocol]
processes = [2, 2]

[fleet]
isolation = false

[profile]
latency = 12
accuracy = 10
random = 3

[search]
rounds = 1
per_round = 3
inner_evaluations = 200

[validate]
candidates = 5
processes = [2, 2]
rounds = 0
"""


def opened(folder: Path, **certified) -> Campaign:
    data = tomllib.loads(CONFIG)
    data["certified"] |= certified
    return Campaign.open(parse_config(data, "the test's configuration"), folder=folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("verified")
    (folder / "c.toml").write_text(CONFIG)
    return folder / "run", hwsearch.run(folder / "c.toml", folder=folder / "run")


def test_a_campaign_searches_and_validates_by_it(run: tuple[Path, dict]) -> None:
    campaign = Campaign.open(run[0])
    known = Known.read(campaign)
    searched, final = known.score(VERIFIED, Split.VALIDATION), known.score(VERIFIED, Split.TEST, VALIDATE)
    assert len(searched) >= 12 and len(final) >= 1
    right = known.accuracy(Split.TEST, VALIDATE)
    for i, m in final.items():
        proved = campaign.loaded.task.unpack(m.record or b"", 30).correct
        answered = campaign.loaded.task.unpack(right[i].record or b"", 50).correct[:30]
        assert not (proved & ~answered).any(), "verified and wrong"
        p = proved.mean()
        assert m.value == pytest.approx(100 * p) and m.details["epsilon"] == TINY and m.details["images"] == 30
        assert m.details["standard_error"] == pytest.approx(100 * np.sqrt(max(p * (1 - p), 0.25 / 30) / 30))
        assert "epsilon 5e-10 of 30 images" in m.protocol and m.unit == "%"
    front = hwsearch.front(campaign).to_frame()
    assert {VERIFIED, f"{VERIFIED}_low", f"{VERIFIED}_high"} <= set(front.columns)
    assert set(front["arch_id"]) <= set(final)
    frame = hwsearch.fit(campaign)
    assert VERIFIED in set(frame["metric"])


def test_a_subnet_is_picked_by_what_is_proved_of_it_and_its_card_says_so(
    run: tuple[Path, dict], tmp_path: Path
) -> None:
    campaign = Campaign.open(run[0])
    table = hwsearch.front(campaign).to_frame()
    least = float(table[VERIFIED].median())
    assert least > 1
    found = hwsearch.pick(campaign, f"verified_accuracy >= {least} %", export=tmp_path / "best.onnx")
    assert found[VERIFIED] >= least
    card = json.loads((tmp_path / "best.json").read_text())
    told = card["verified_accuracy"]
    assert told["percent"] == pytest.approx(found[VERIFIED], abs=1e-3) and told["epsilon"] == TINY
    assert told["images"] == 30 and told["standard_error"] > 0
    assert card["difference_from_torch"] <= 1e-5


def test_what_is_known_is_not_measured_again_and_another_epsilon_is_another_measurement(
    run: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run[0], tmp_path / "run")
    campaign = Campaign.open(tmp_path / "run")
    archs = list(campaign.profile_set.evaluated)[:2]
    calls: list[float] = []

    def counted(task, net, data, size, epsilon, *, batch):
        calls.append(epsilon)
        assert len(data) == 30
        return verified_score(task, net, data, size, epsilon, batch=batch)

    monkeypatch.setattr("hwsearch.campaigns.jobs.verified.verified_score", counted)
    first = measure_verified(campaign, archs)
    assert set(first) == {a.id for a in archs} and not calls
    certified = campaign.config.certified.model_copy(update={"epsilon": 1e-10})
    campaign.asked = campaign.asked.model_copy(update={"certified": certified})
    assert score_protocol(campaign, VERIFIED) != next(iter(first.values())).protocol
    smaller = measure_verified(campaign, archs)
    assert calls == [1e-10, 1e-10]
    for a in archs:
        expected = verified_score(
            campaign.loaded.task, ready_subnet(campaign, a), campaign.data[Split.VALIDATION].head(30), campaign.loaded.net.input_size(a), 1e-10
        )  # fmt: skip
        assert smaller[a.id].value == expected.value >= (first[a.id].value or 0.0)
    assert measure_verified(campaign, archs).keys() == smaller.keys() and len(calls) == 2


def test_a_family_that_is_not_covered_is_refused_by_the_operators_name(
    run: tuple[Path, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import nn

    campaign = Campaign.open(run[0])
    check_certified(campaign)
    monkeypatch.setattr(type(campaign.loaded.net), "subnet", lambda self, arch: nn.Sequential(nn.Softmax(1)))
    with pytest.raises(BoundError, match="'softmax'"):
        check_certified(campaign)


def test_bad_configurations_are_refused() -> None:
    def parsed(text: str):
        return parse_config(tomllib.loads(CONFIG.replace("epsilon = 5e-10", text)), "c.toml")

    assert parsed('epsilon = "8/255"').certified.epsilon == 8 / 255
    with pytest.raises(ConfigError, match=r"beyond the pixel range.*'8/255'"):
        parsed("epsilon = 8")
    with pytest.raises(ConfigError, match="above 0"):
        parsed("epsilon = 0.0")
    data = tomllib.loads(CONFIG)
    data["validate"]["race_error"] = 0.05
    with pytest.raises(ConfigError, match="race_error"):
        parse_config(data, "c.toml")


def test_limits_are_percent_of_images() -> None:
    name, limit = parse_limit("certified_accuracy >= 60 %")
    assert (name, limit.op, limit.value, limit.relative) == (VERIFIED, ">=", 60.0, False)
    with pytest.raises(hwsearch.errors.LimitError, match="may mean"):
        parse_limit("verified_accuracy >= 0.6")
    with pytest.raises(hwsearch.errors.LimitError, match="only what is worse"):
        parse_limit("verified_accuracy <= 60")
