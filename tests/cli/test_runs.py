"""The command that runs all steps, and with --reuse names the front of a new device."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from hwsearch.campaigns.reuse import Reused
from hwsearch.campaigns.steps.device_run import DeviceRun


def test_the_options_of_a_new_device_are_passed_on_and_both_fronts_are_told(command) -> None:
    front = pd.DataFrame([{"arch_id": "aaa", "accuracy": 70.25, "latency_ms": 1.5}])
    value = {"accuracy": 71.5, "accuracy_low": 71.0, "accuracy_high": 72.0, "accuracy_measured": False}
    named = pd.DataFrame([{"arch_id": "bbb", "genes": {"depth": 2}, **value}])
    reused = Reused("runs/old", 40, {"edge": 40})
    found = DeviceRun("phone", "runs/phone", reused, 30, 0, "30 latencies", front, named).to_dict()
    found |= {"measured": 30, "seconds": 1.0}
    seen = []
    verb = lambda *given, **more: seen.append((given, more)) or found  # noqa: E731
    args = ("run", "phone.toml", "--device", "phone", "--reuse", "runs/old", "--latencies", "30", "--evaluations", "0")
    code, out, _ = command(*args, run=verb)
    assert code == 0 and "aaa" in out and "bbb" in out and "predicted" in out
    given, more = seen[0]
    assert given == (Path("phone.toml"),) or str(given[0]) == "phone.toml"
    assert (more["device"], str(more["reuse"]), more["latencies"], more["evaluations"]) == ("phone", "runs/old", 30, 0)
    _, out, _ = command(*args, "--json", run=verb)
    told = json.loads(out)
    assert told["front"][0]["arch_id"] == "aaa" and told["named"][0]["accuracy_measured"] is False


def test_without_reuse_the_summary_is_told(command) -> None:
    seen = []
    summary = {
        "folder": "runs/x",
        "fronts": {},
        "picks": [],
        "measured": 3,
        "seconds": 1.0,
        "report": "runs/x/report.html",
    }
    verb = lambda *given, **more: seen.append(more) or summary  # noqa: E731
    code, out, _ = command("run", "x.toml", "--json", run=verb)
    assert code == 0 and json.loads(out)["measured"] == 3 and seen[0]["reuse"] is None and seen[0]["latencies"] is None
