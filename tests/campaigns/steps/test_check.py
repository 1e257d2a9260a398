"""Every device loads the reference subnet before anything is measured; one that cannot is named, and so are the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwsearch.campaigns import Campaign, check
from hwsearch.campaigns.budget.pace import Pace
from hwsearch.campaigns.steps import check as module
from hwsearch.campaigns.steps.check import DEADLINE_S, DeviceCheckError, check_devices
from hwsearch.devices.fleet.executors import IsolatedExecutor
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import DeviceError, ProviderError
from hwsearch.registry import entry_points


class Bench:
    """A campaign of devices, each of which answers with what is given or raises it."""

    def __init__(self, monkeypatch, **answers) -> None:
        self.asked: list[tuple] = []
        self.noted: list[str] = []
        line = SimpleNamespace(update=lambda n: None, note=self.noted.append)
        self.campaign = SimpleNamespace(
            targets={n: SimpleNamespace(name=n, executor=self.executor(n, a)) for n, a in answers.items()},
            reference="reference",
            progress=SimpleNamespace(task=lambda *_: contextlib.nullcontext(line)),
            pace=Pace(),
            protocol=TimingProtocol(),
        )
        monkeypatch.setattr(module, "pack_workload", lambda c, t, arch, *_: {"arch_id": arch})
        monkeypatch.setattr(module, "spec_head", lambda c, t, do: {"do": do})

    def executor(self, name, answer):
        def run(job, files, deadline_s):
            self.asked.append((name, job, deadline_s))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return SimpleNamespace(run=run)


GOOD = {"counts": {"CPUExecutionProvider": 40, "Other": 2}, "run_ms": 1.5}


def test_each_device_loads_the_reference_by_the_executor_that_measures(monkeypatch) -> None:
    bench = Bench(monkeypatch, one=GOOD, two={"counts": {"cuda": 7}, "run_ms": 0.5})
    rows = check_devices(bench.campaign)
    assert [(r.device, r.nodes, r.ran_on, r.run_ms, r.error) for r in rows] == [
        ("one", 42, "CPUExecutionProvider, Other", 1.5, None),
        ("two", 7, "cuda", 0.5, None),
    ]
    assert bench.asked[0] == ("one", {"do": "verify", "reference": {"arch_id": "reference"}}, DEADLINE_S)
    assert bench.noted == ["one: 42 nodes on CPUExecutionProvider, Other · two: 7 nodes on cuda"]


def test_all_devices_are_tried_and_those_that_fail_are_named(monkeypatch) -> None:
    bench = Bench(
        monkeypatch,
        one=WorkerError("the measuring process was ended by SIGSEGV."),
        two=GOOD,
        three=ProviderError("12 nodes ran on the CPU.", hint="Set allow_cpu_nodes."),
    )
    with pytest.raises(DeviceError) as caught:
        check_devices(bench.campaign)
    error = caught.value
    assert isinstance(error, DeviceCheckError) and [n for n, *_ in bench.asked] == ["one", "two", "three"]
    assert str(error) == (
        "2 of 3 devices do not run the reference subnet: one: the measuring process was ended by SIGSEGV. "
        "three: 12 nodes ran on the CPU. Set allow_cpu_nodes."
    )
    assert [r.error is None for r in error.rows] == [False, True, False] and error.rows[1].run_ms == 1.5
    assert error.to_dict()["devices"] == [asdict(r) for r in error.rows]
    assert bench.noted == ["one: fails · two: 42 nodes on CPUExecutionProvider, Other · three: fails"]


def test_one_that_fails_is_one_sentence(monkeypatch) -> None:
    bench = Bench(monkeypatch, one=DeviceError("no route to the board."), two=GOOD)
    with pytest.raises(DeviceCheckError, match=r"^one: no route to the board\.$"):
        check_devices(bench.campaign)


# ---------------------------------------------------------------------- with real devices
def test_a_small_campaign_passes(small_config: Path, tmp_path: Path) -> None:
    frame = check(Campaign.open(small_config, folder=tmp_path / "c"))
    assert list(frame.columns) == ["device", "nodes", "ran_on", "run_ms"] and list(frame["device"]) == ["one", "four"]
    assert (frame["nodes"] > 10).all() and (frame["run_ms"] > 0).all()
    assert set(frame["ran_on"]) == {"CPUExecutionProvider"}


#: a runtime whose sessions end the process that loads them where they are told to: verifying alone would not show it
FRAGILE = """
import os
import signal


class Session:
    def time(self, runs):
        return [1.0] * runs

    def close(self):
        pass


class Fragile:
    form = "genes"

    def __init__(self, device):
        self.device = device

    def facts(self):
        return {"name": self.device.name, **self.device.settings}

    def verify(self, workload):
        return {"here": 3}

    def load(self, workload):
        if self.device.options["crashes"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return Session()
"""

CONFIG = """
[supernet]
name = "cifar10-mbv3"

[[device]]
name = "sound"
runtime = "fragile"
options = { crashes = false }

[[device]]
name = "crashes"
runtime = "fragile"
options = { crashes = true }
"""


@pytest.fixture
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration with a device whose runtime, a plug-in, crashes when it loads."""
    (tmp_path / "fragile_runtime.py").write_text(FRAGILE)
    info = tmp_path / "fragile-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hwsearch.runtimes]\nfragile = fragile_runtime:Fragile\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    entry_points.cache_clear()
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    yield path
    entry_points.cache_clear()


def test_a_crash_while_loading_is_an_error_of_its_device_alone(crashing: Path, tmp_path: Path) -> None:
    campaign = Campaign.open(crashing, folder=tmp_path / "c")
    assert isinstance(campaign.target("crashes").executor, IsolatedExecutor)
    with pytest.raises(DeviceCheckError, match="crashes: the measuring process was ended by SIGKILL") as caught:
        check_devices(campaign)
    sound, crashed = caught.value.rows
    assert (sound.error, sound.nodes, sound.ran_on, sound.run_ms) == (None, 3, "here", 1.0)
    assert crashed.nodes == 0 and crashed.run_ms is None
