"""Whether the latencies of a finished campaign hold on another day: its fronts are timed again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.campaigns.steps.fronts import find_arch, front

#: seconds between rounds, in which a campaign evaluates
PAUSE_S = 8.0


def tomorrow(folder: Path, place: Path, say: Callable[[str], None]) -> tuple[dict, pd.DataFrame]:
    """Time the fronts of a finished campaign again, in a store of their own; figures, and a row a device and subnet."""
    old = Campaign.open(folder)
    config = old.config.model_copy(update={"store": None})
    new = Campaign.open(config, folder=place / f"again-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    fewest = config.validate_.processes[0]
    fronts = {name: front(old, name).to_frame() for name in old.targets}
    for r in range(1, fewest + 1):
        for name, frame in fronts.items():
            archs = [find_arch(old, i) for i in frame["arch_id"]]
            measure_latency(new, new.targets[name], archs, purpose=Purpose.final(r), stage=f"again {r}/{fewest}")
        if r < fewest:
            time.sleep(PAUSE_S)
    rows = []
    for name, frame in fronts.items():
        found = find_latency(new, new.targets[name], VALIDATE)
        then = find_latency(old, old.targets[name], VALIDATE)
        for i in frame["arch_id"]:
            if i in found:
                scale = then[i].details["typical_ms"] / found[i].details["typical_ms"]
                rows.append(
                    {
                        "device": name,
                        "arch_id": i,
                        "latency_ms": then[i].value,
                        "low": then[i].low,
                        "high": then[i].high,
                        "again_ms": found[i].value,
                        "held": then[i].low <= found[i].value <= then[i].high,
                        "ratio_held": then[i].details["ratio_low"]
                        <= found[i].value * scale
                        <= then[i].details["ratio_high"],
                    }
                )
    table = pd.DataFrame(rows)
    apart = (table["again_ms"] / table["latency_ms"] - 1).abs()
    say(f"{len(table)} latencies measured again")
    return {
        "tomorrow_held": float(table["held"].mean()),
        "tomorrow_ratio_held": float(table["ratio_held"].mean()),
        "tomorrow_difference_pct": float(100 * apart.median()),
        "tomorrow_days": round((datetime.now(UTC) - _measured_at(old)).total_seconds() / 86400, 2),
    }, table


def _measured_at(campaign: Campaign) -> datetime:
    rows = campaign.store.find(metric="latency_ms", purpose=str(VALIDATE))
    return datetime.fromisoformat(max(m.ended_at for m in rows))
