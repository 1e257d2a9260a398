"""The command that plans a training: what it passes on, and what it prints."""

from __future__ import annotations

import json

import hwsearch


def test_a_plan_is_printed(command, tmp_path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        "[topology]\nleaves = 2\nranks_per_leaf = 2\nspines = 1\n[network]\nalpha_us = 20\nlink_gbps = 10\n"
    )
    plan = hwsearch.plan_training("cifar10-mbv3", path, examples=50_000, draws=5)
    plan["calibration"] = {
        "sizes": [4],
        "measured_s": [0.5],
        "predicted_s": [0.25],
        "held_out": [True],
        "mape_pct": 50.0,
    }
    plan["split"]["exchange"] *= 30
    seen = []

    def verb(recipe, cluster, **options):
        seen.append((recipe, str(cluster), options))
        return plan

    args = ("plan-training", "mine", "--cluster", "c.toml", "--examples", "9", "--calibrate", "3")
    code, out, _ = command(*args, plan_training=verb)
    text = " ".join(out.split())
    assert code == 0 and "9,360 steps of" in text and "3.49 MB" in text and "hours" in text
    assert "mean absolute error of the sizes held out: 50.0 %" in text and "more pieces" in text
    assert seen == [
        (
            "mine",
            "c.toml",
            {"supernet": None, "data": None, "examples": 9, "calibrate": 3, "draws": 200, "seed": 0},
        )
    ]
    _, out, _ = command(*args, "--json", plan_training=verb)
    assert json.loads(out)["ranks"] == 4
