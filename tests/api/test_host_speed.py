"""The speed of this host, recorded for a moment."""

from __future__ import annotations

from pathlib import Path

from hwsearch.api.host_speed import HOST_ADVICE, host_speed
from hwsearch.devices.traces import read_trace


def test_a_second_is_too_short_for_a_verdict_and_says_so(tmp_path: Path) -> None:
    told: list[float] = []
    found = host_speed(1.2, tmp_path / "host.csv", told.append)
    assert (
        found["verdict"] == "unknown" and found["advice"] == HOST_ADVICE["unknown"] and found["undisturbed_ms"] is None
    )
    assert set(found["another_campaign_percent"].values()) == {None}
    assert found["typical_ms"] > 0 and found["speeds"][0]["ms"] == found["typical_ms"]
    assert sum(s["share"] for s in found["speeds"]) <= 1.001
    assert len(read_trace(tmp_path / "host.csv")) >= 2 and found["trace"] == str(tmp_path / "host.csv") and told
