"""Commands of single steps: what they print of a step's result, and of a check that fails."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd
import pytest

from hwsearch.campaigns.steps.check import DeviceCheck, DeviceCheckError
from hwsearch.errors import LimitError

CHECKED = pd.DataFrame({"device": ["one"], "nodes": [57], "ran_on": ["CPUExecutionProvider"], "run_ms": [0.8071]})


def test_a_check_that_passes_shows_what_each_device_ran(command) -> None:
    code, out, _ = command("check", "c.toml", check=lambda campaign: CHECKED)
    assert code == 0 and "57" in out and "CPUExecutionProvider" in out and "0.807" in out and out.endswith("passed\n")
    _, out, _ = command("check", "c.toml", "--json", check=lambda campaign: CHECKED)
    assert json.loads(out) == {"check": "passed", "devices": CHECKED.to_dict("records")}


def test_a_check_records_the_host_where_it_is_told_to(command) -> None:
    told: list[float] = []

    def recorded(campaign: object, seconds: float, tick: Callable[[float], None]) -> pd.DataFrame:
        tick(1.0)
        told.append(seconds)
        frame = CHECKED.copy()
        frame.attrs["host_speed"] = {"verdict": "wandering", "speeds": [{"ms": 0.2, "share": 1.0}]}
        return frame

    code, out, _ = command("check", "c.toml", "--seconds", "90", "--json", check=recorded)
    assert code == 0 and json.loads(out)["host_speed"]["verdict"] == "wandering" and told == [90.0]
    _, out, _ = command("check", "c.toml", "--seconds", "90", check=recorded)
    assert "verdict: wandering" in out


def fails(campaign: object) -> None:
    rows = [DeviceCheck("one", 57, "cuda", 0.5), DeviceCheck("two", error="it was ended by SIGSEGV.")]
    raise DeviceCheckError(rows, hint="Update its driver.")


def test_a_device_that_cannot_load_is_a_row_beside_the_others_and_an_error(command) -> None:
    code, out, err = command("check", "c.toml", check=fails)
    assert code == 1 and "cuda" in out and "it was ended by SIGSEGV." in out
    assert "error: two: it was ended by SIGSEGV. Update its driver." in " ".join(err.split())
    code, out, _ = command("check", "c.toml", "--json", check=fails)
    said = json.loads(out)
    assert code == 1 and (said["error"], said["hint"]) == ("DeviceCheckError", "Update its driver.")
    assert [(r["device"], r["error"]) for r in said["devices"]] == [("one", None), ("two", "it was ended by SIGSEGV.")]


def test_another_error_has_no_rows(command) -> None:
    def unreachable(campaign: object) -> None:
        raise LimitError("no subnet is that fast.")

    code, out, err = command("check", "c.toml", check=unreachable)
    assert code == 1 and out == "" and "no subnet is that fast." in err


@pytest.mark.parametrize("name", ["profile", "evaluate", "fit", "search", "validate"])
def test_a_step_prints_its_frame_as_a_table_or_as_json(command, name: str) -> None:
    seen = []

    def verb(campaign: str) -> pd.DataFrame:
        seen.append(campaign)
        return pd.DataFrame({"arch_id": ["a"], "value": [1.23456789]})

    code, out, _ = command(name, "c.toml", "--folder", "here", **{name: verb})
    assert code == 0 and "1.235" in out and "arch_id" in out and seen == ["c.toml in here"]
    _, out, _ = command(name, "c.toml", "--json", **{name: verb})
    assert json.loads(out) == {name: [{"arch_id": "a", "value": 1.23456789}]}


def operators(fitted: int):
    frame = pd.DataFrame(
        {"operator": ["Conv", "Relu"], "operator_ms": [0.5, 0.1], "share_pct": [83.3, 16.7], "signature": ["a", "b"]}
    )
    coverage = {"signatures": 9, "measured_now": 2, "missing": ["x"], "with_unknown": 3, "drawn": 50, "covering_set": 7}
    agreement = {"fitted": fitted, "wholes": 12, "rank": 0.98765, "mape_pct": 4.321}
    return lambda campaign, device: {
        "operators": frame,
        "coverage": {**coverage, "share_high": 0.1234},
        "agreement": agreement,
        "device": device,
        "plots": ["p.svg", "p.png"],
    }


def test_operators_tell_coverage_and_how_well_their_sum_agrees(command) -> None:
    code, out, _ = command("operators", "c.toml", "--device", "one", "--most", "1", operators=operators(8))
    text = " ".join(out.split())
    assert code == 0 and "costliest of 2 operators on one" in text and "Conv" in text and "Relu" not in text
    assert "9 signatures, 2 measured now, 1 missing; 3 of 50 random subnets" in text and "at most 12.3 % do" in text
    assert "rank correlation 0.9877, error 4.3 % after a linear correction fitted on 8" in text and "→ p.png" in text
    _, out, _ = command("operators", "c.toml", operators=operators(0))
    assert "too few measured latencies" in out
