from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

import hwsearch
import predictors
from hwsearch.accuracy import Accuracy
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs import accuracy
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.predictions import feature_matrix, predictor_path
from hwsearch.campaigns.running import record_coverage
from hwsearch.campaigns.score_table import encoded, numbers
from hwsearch.campaigns.split import Split
from hwsearch.devices.fleet.responses import validate_response
from hwsearch.spaces import Architecture
from hwsearch.tasks.images import ImageTask

SMALL = """
[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 60
validation_images = 80
test_images = 90
batch = 60

[[device]]
name = "one"

[[device]]
name = "four"
batch = 4

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[protocol]
processes = [2, 2]
loads = 1
visits = 2
block_ms = 0.2
warmup_ms = 1.0
block_runs = 2

[fleet]
isolation = false

[profile]
latency = 14
accuracy = 10
random = 3

[search]
rounds = 1
per_round = 4
inner_evaluations = 400

[validate]
candidates = 5
processes = [2, 2]
"""


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_other_campaigns(tmp_path_factory):
    """Measurements on one host take turns by a lock in the temporary folder; the tests have a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr("tempfile.tempdir", None)
        yield


@pytest.fixture(autouse=True)
def no_figures_written(quick_report: None) -> None:
    """For all but `finished`, which is made before."""


@pytest.fixture(scope="session")
def small_config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def finished(small_config, tmp_path_factory) -> tuple[Path, dict]:
    """A whole small campaign: (folder, result). It is run once and copied for each process that shares the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished-campaign"
    with FileLock(f"{shared}.lock"):
        if not (shared / "result.json").exists():
            result = hwsearch.run(small_config, folder=shared / "run")
            (shared / "result.json").write_text(json.dumps(result))
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(shared / "run", folder)
    return folder, json.loads((shared / "result.json").read_text())


@pytest.fixture
def with_processes(finished, tmp_path) -> Campaign:
    """A copy of the finished campaign in which each predictor is a Gaussian process, whichever `fit` had chosen."""
    shutil.copytree(finished[0], tmp_path / "processes")
    campaign = Campaign.open(tmp_path / "processes")
    known, schema = Known.read(campaign), campaign.loaded.net.schema()
    for metric, device in [("accuracy", None), *(("latency_ms", name) for name in campaign.targets)]:
        path = predictor_path(campaign, metric, device)
        card = predictors.read_card(path)
        ids = card["ids"]
        y = numbers(known.accuracy(Split.VALIDATION) if device is None else known.latency(device), "value", ids)
        X = feature_matrix(campaign, encoded(known.architectures, campaign.space, ids))
        predictors.save(predictors.GaussianProcessPredictor(schema).fit(X, y), path, card)
    record_coverage(campaign)
    return campaign


# ---------------------------------------------------------------------- campaigns with a known truth
BOARDS = """
[data]
calibration_images = 60
validation_images = 80
test_images = 400

[[device]]
name = "one"
runtime = "simulated"
options = { table = "amd-epyc-vm-t1-b1/cifar10-mbv3" }

[[device]]
name = "two"
runtime = "simulated"
batch = 16
options = { table = "amd-epyc-vm-t2-b16/cifar10-mbv3" }

[protocol]
processes = [2, 2]

[fleet]
isolation = false

[profile]
latency = 20
accuracy = 14
random = 3

[search]
rounds = 1
per_round = 4
inner_evaluations = 400

[validate]
candidates = 10
processes = [3, 3]
"""


def _bump(arch: Architecture, device: str) -> float:
    """What no feature tells of a subnet's latency: 0 to 0.05 ms."""
    return 0.05 * float(np.random.default_rng([int(arch.id, 16), len(device), *device.encode()]).random())


class Board:
    """Stands in for a device: each measuring process, a minute after the last, finds the truth times noise of its own.

    truth : architecture to milliseconds; noise : standard deviation of the logarithm, of a process
    """

    def __init__(self, campaign: Campaign, truth: Callable[[Architecture], float], noise: float, seed: int) -> None:
        self.campaign, self.truth, self.noise = campaign, truth, noise
        self.rng = np.random.default_rng(seed)
        self.asked: list[list[str]] = []

    def run(self, job, files, deadline_s, tick=None):
        space = self.campaign.space
        base = self.truth(space.architecture(job["reference"]["genes"]))
        rows = []
        for entry in job["workloads"]:
            ratio = self.truth(space.architecture(entry["genes"])) / base * np.exp(self.noise * self.rng.normal())
            found = {"ratio": [ratio, ratio], "raw": [ratio * base] * 2, "minima": [ratio * base] * 2}
            found |= {"runs": [ratio * base] * 6, "reference": base, "reference_error": 0.0, "levels": [base]}
            rows.append({"arch_id": entry["arch_id"], "sample": found | {"throttled": 0, "failure": None}})
        self.asked.append([e["arch_id"] for e in job["workloads"]])
        moment = (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=len(self.asked))).isoformat()
        return validate_response(job, {"rows": rows, "load": [0, 0], "started_at": moment, "ended_at": moment})


@pytest.fixture(scope="module")
def boards(tmp_path_factory) -> Iterator[Callable[..., Campaign]]:
    """Opens campaigns on two stand-in devices whose latencies are known functions of the subnet, with noise; so are the
    scores, without noise, and no network is run.
    """

    @cache
    def macs(arch: Architecture) -> int:
        return opened[0].loaded.net.macs(arch)

    def ready(campaign: Campaign, arch: Architecture) -> Architecture:
        return arch

    def scored(task: ImageTask, arch: Architecture, data, size, *, batch) -> Accuracy:
        chance = 0.9 - 0.3 * np.exp(-macs(arch) / 4e6)
        places = np.random.default_rng([int(arch.id, 16), len(data)]).permutation(len(data))
        return Accuracy(places < round(chance * len(data)))

    opened: list[Campaign] = []

    def make(folder: str | None = None, noise: float = 0.0, seed: int = 0, **changes) -> Campaign:
        """changes : by table, keys that replace those of `BOARDS`; a list replaces all of an array of tables

        folder : None for a fresh one
        """
        data = tomllib.loads(BOARDS)
        for table, keys in changes.items():
            data[table] = keys if isinstance(keys, list) else {**data.get(table, {}), **keys}
        campaign = Campaign.open(
            parse_config(data, "the test's configuration"), folder=place / (folder or f"c{len(opened)}")
        )
        if opened:  # one supernet for all
            campaign.loaded = opened[0].loaded
        opened.append(campaign)
        truths = {
            "one": cache(lambda a: 0.1 + (macs(a) / 1e6) ** 0.3 + _bump(a, "one")),
            "two": cache(lambda a: 0.3 + (campaign.loaded.net.params(a) / 2e5) ** 0.5 + _bump(a, "two")),
        }
        for i, (name, truth) in enumerate(truths.items()):
            campaign.target(name).executor = Board(campaign, truth, noise, seed + i)
        return campaign

    place = tmp_path_factory.mktemp("boards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accuracy, "ready_subnet", ready)
        patch.setattr(ImageTask, "evaluate", scored)
        yield make
