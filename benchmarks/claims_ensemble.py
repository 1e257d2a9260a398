"""Claim about late fusion of subnets."""

from __future__ import annotations

import numpy as np
import pandas as pd

import hwsearch
from benchmarks.claim import Figure, claim
from benchmarks.frame import Run
from hwsearch.campaigns import Campaign

#: settings of the campaign whose members are chosen from
CAMPAIGN = """[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 500
validation_images = {validation}
test_images = {test}

[[device]]
name = "cpu"
batch = 1
threads = 1

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[profile]
latency = 60
accuracy = 30
random = 10

[search]
rounds = {rounds}
per_round = 6

[protocol]
half_width = 0.05
processes = [1, 1]

[validate]
half_width = 0.03
candidates = {candidates}
processes = [2, 2]
rounds = 0
"""
#: limits as shares of the largest subnet's latency, in %
LIMITS = (60, 80, 100, 150)


@claim("ensemble.gain", "ensemble.gains_shown")
def fusion(given: Run) -> dict[str, Figure]:
    """Gain of ensembles of the embedded supernet's subnets, really measured, under several limits."""
    path = given.folder / "ensemble.toml"
    sizes = {"validation": 600, "test": 1500, "rounds": 1, "candidates": 12} if given.quick else {
        "validation": 2000, "test": 5000, "rounds": 3, "candidates": 30}  # fmt: skip
    path.write_text(CAMPAIGN.format(**sizes), encoding="utf-8")
    folder = given.folder / "ensemble"
    hwsearch.run(path, folder=folder)
    campaign = Campaign.open(folder)  # once, so that batch norms are recalibrated once
    found = [
        hwsearch.ensemble(campaign, f"latency_ms<={limit} %", output=folder / f"ensemble-{limit}.onnx")
        for limit in LIMITS
    ]
    gains = [one["gain"] for one in found]
    told = "; ".join(
        f"{limit} %: {one['rows'][1]['members']} members {one['gain']:+.2f} ({one['gain_low']:+.2f} to {one['gain_high']:+.2f})"
        for limit, one in zip(LIMITS, found, strict=True)
    )
    given.say(told)
    shown = sum(one["verdict"] == "gain" for one in found)
    rows = pd.DataFrame({"limit": [f"{limit} %" for limit in LIMITS], "points gained": gains})
    return {
        "ensemble.gain": Figure(float(np.mean(gains)), float(np.std(gains, ddof=1)), len(gains), note=told, rows=rows),
        "ensemble.gains_shown": Figure(float(shown), n=len(gains), note=f"of {len(gains)} limits"),
    }
