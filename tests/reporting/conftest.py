"""A report as a campaign of two CPU devices would give it, from a made-up but plausible law of cost and accuracy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.reporting import DeviceReport, ReportData

STAGES, DEEPEST = 4, 3


def _genes(rng: np.random.Generator, bias: float) -> dict[str, Any]:
    """One architecture; a larger bias (0 to 1) gives larger values."""

    def draw(values: tuple[int, ...]) -> int:
        return values[min(int(len(values) * np.clip(bias + rng.normal(0, 0.25), 0, 0.999)), len(values) - 1)]

    genes: dict[str, Any] = {"r": draw((20, 24, 28, 32))}
    for s in range(STAGES):
        genes[f"d[{s}]"] = draw((1, 2, 3))
    for kind, values in (("ks", (3, 5)), ("e", (2, 3, 4))):
        for s in range(STAGES):
            for j in range(genes[f"d[{s}]"]):
                genes[f"{kind}[{s * DEEPEST + j}]"] = draw(values)
    return genes


def _macs(genes: dict[str, Any]) -> float:
    cost = 0.0
    for s in range(STAGES):
        for j in range(genes[f"d[{s}]"]):
            i = s * DEEPEST + j
            cost += genes[f"e[{i}]"] * (1 + 0.12 * genes[f"ks[{i}]"] ** 2 / 9) * (0.5 + 0.25 * s)
    return 3.1e5 * cost * (genes["r"] / 32) ** 2 * 0.95 + 4e5


def _points(rng: np.random.Generator, scale: float, visible: int) -> pd.DataFrame:
    rows = []
    for k in range(130):
        role = "profile" if k < 90 else "search" if k < 108 else "validated"
        genes = _genes(rng, float(rng.uniform(0, 1)))
        macs = _macs(genes)
        latency = scale * (0.08 + 0.62 * (macs / 1e7) ** 0.8) * float(np.exp(rng.normal(0, 0.06)))
        true = 87.5 - 19 * np.exp(-macs / 2.3e6) + rng.normal(0, 0.7) - (0.9 if role == "profile" else 0.0)
        seen = role != "profile" or (k % 2 == 0 and k < 2 * visible)
        found = role != "profile"
        width = latency * float(rng.uniform(0.008, 0.02))
        rows.append(
            {
                "arch_id": hashlib.sha256(str(genes).encode()).hexdigest()[:12],
                "role": role,
                "genes": genes,
                "macs": macs,
                "params": 0.09 * macs + 2e5,
                "accuracy": true + rng.normal(0, 0.4) if seen else np.nan,
                "accuracy_se": 100 * np.sqrt(true / 100 * (1 - true / 100) / 2000) if seen else np.nan,
                "latency_ms": latency,
                "latency_low": latency - width,
                "latency_high": latency + width,
                "predicted_accuracy": true + rng.normal(0, 0.5) if found else np.nan,
                "predicted_latency_ms": latency * float(np.exp(rng.normal(0, 0.025))) if found else np.nan,
                "on_front": False,
                "evaluation": k,
            }
        )
    frame = pd.DataFrame(rows).drop_duplicates("arch_id", ignore_index=True)
    both = frame[frame["accuracy"].notna()].sort_values(["latency_ms", "accuracy"], ascending=[True, False])
    best = both["accuracy"].cummax()
    front = both[both["accuracy"] >= best].drop_duplicates("accuracy").index
    frame.loc[front, "on_front"] = True
    frame.loc[front, "role"] = "validated"
    frame.loc[both["macs"].idxmax(), "role"] = "validated"
    return frame


def _picks(front: pd.DataFrame, limit: float) -> list[dict[str, Any]]:
    front = front.sort_values("latency_ms")
    best = front.iloc[-1]
    near = front[front["accuracy"] >= best["accuracy"] - 1].iloc[0]
    middle = front.iloc[len(front) // 2]
    within = front[front["latency_ms"] <= limit]
    chosen = [("fastest within 1 pt of the largest", near), ("knee", middle)]
    if len(within):
        chosen.append((f"latency_ms <= {limit:g}", within.iloc[-1]))
    keys = ["arch_id", "genes", "accuracy", "accuracy_se", "latency_ms"]
    keys += ["latency_low", "latency_high", "macs", "params"]
    return [
        {
            "label": label,
            "file": f"models/{row['arch_id']}.onnx",
            "sha256": hashlib.sha256(label.encode()).hexdigest(),
            "size_bytes": int(4 * row["params"] + 21_000),
        }
        | {k: row[k] for k in keys}
        for label, row in chosen
    ]


def _device(name: str, seed: int, scale: float, limit: float, batch: int, threads: int) -> DeviceReport:
    rng = np.random.default_rng(seed)
    points = _points(rng, scale, visible=22)
    front = points[points["on_front"]]
    steps = np.arange(10, 111, 5)
    search = 1 - 0.16 * np.exp(-steps / 22)
    random = 0.97 - 0.2 * np.exp(-steps / 40)
    seen = points[points["accuracy"].notna() & (points["role"] == "profile")].tail(20)
    return DeviceReport(
        name=name,
        description={
            "runtime": "onnxruntime", "provider": "CPUExecutionProvider", "provider_verified": True, "threads": threads,
            "batch": batch, "precision": "fp32", "cpu": "Example Xeon Platinum 8481C @ 2.70 GHz",
            "versions": {"onnxruntime": "1.32.0", "numpy": "2.4.6"}, "fingerprint": "9f3a61c0b2de",
        },
        protocol={"visits": [12, 24], "block_runs": 5, "block_ms": 4.0, "confidence": 0.9, "half_width": 0.02, "group": 40},
        noise={"noise_percent": 3.1234567, "drift_percent": 2.4000001, "visits_median": 18, "repeated": 7, "throttled": False},
        points=points,
        front=front,
        picks=_picks(front, limit),
        hypervolume=pd.DataFrame({
            "evaluations": steps, "search": search, "random_median": random, "random_low": random - 0.03,
            "random_high": random + 0.02,
        }),
        random_points=seen[["accuracy", "latency_ms"]],
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportData]:
    """make_report(devices=2): a fresh report with that many devices (at most 4)."""

    def make(devices: int = 2) -> ReportData:
        settings = [
            ("cpu-b1-t1", 1, 1.0, 0.4, 1, 1),
            ("cpu-b16-t2", 2, 11.0, 4.0, 16, 2),
            ("edge-box", 3, 4.0, 1.5, 1, 4),
            ("Phone (big cores)", 4, 2.0, 0.8, 1, 2),
        ][:devices]
        built = [_device(*s) for s in settings]
        for i, device in enumerate(built):
            device.cross = {d.name: 0.983 - 0.02 * abs(i - j) for j, d in enumerate(built) if j != i}
        predictors = [
            {"metric": "accuracy", "device": None, "model": "ridge + gradient boosting", "n_train": 48, "n_test": 40,
             "mae": 0.4123456, "mape": 0.5071, "spearman": 0.971234, "kendall": 0.8812, "coverage": 0.925, "nominal_coverage": 0.9}
        ]  # fmt: skip
        predictors += [
            {"metric": "latency_ms", "device": d.name, "model": "operator table, corrected", "n_train": 90, "n_test": 40,
             "mae": 0.0112345, "mape": 2.13456, "spearman": 0.9912, "kendall": 0.9312, "coverage": 0.875, "nominal_coverage": 0.9}
            for d in built
        ]  # fmt: skip
        objectives = [Objective("accuracy"), *(Objective("latency_ms", device=d.name) for d in built)]
        if built:
            objectives[1] = objectives[1].with_limit(Limit("<=", settings[0][3]))
        return ReportData(
            title="Subnets of cifar10-mbv3",
            campaign="demo",
            created="2025-01-31T12:00:00Z",
            supernet={
                "name": "cifar10-mbv3", "subnets": 322_486_272_000, "macs_range": [1.0e6, 10.4e6], "classes": 10,
                "licence": "Apache-2.0", "training": {"strategy": "sandwich rule, in-place distillation", "epochs": 60},
                "preprocess": {"resize": "Pillow bilinear", "crop": 1.0, "scale": "pixel / 255",
                               "mean": [0.4914, 0.4822, 0.4465], "std": [0.247, 0.2435, 0.2616], "layout": "NCHW, RGB"},
            },
            objectives=objectives,
            devices=built,
            accuracy_protocol={"metric": "top-1", "validation_images": 2000, "test_images": 3000, "calibration_images": 1000,
                               "bn_recalibration": True},
            provenance={"versions": {"hwsearch": "0.1.0", "python": "3.12.4", "torch": "2.8.0"}, "seed": 0,
                        "host": "Linux 6.1, 2 cores, 8 GiB", "commands": ["hwsearch run campaign.toml --seed 0",
                                                                         "hwsearch report runs/demo"]},
            warnings=["The host is shared: its noise of 3.1 % is above 2 %, so intervals rest on 24 visits instead of 12."],
            predictors=predictors,
            timings={"profile": 72.4, "evaluate": 80.1, "fit": 3.2, "search": 41.0, "validate": 35.5},
        )  # fmt: skip

    return make


@pytest.fixture
def assessment() -> dict[str, Any]:
    """What `hwsearch.assess_supernet` gives: six subnets in two bands, four of them trained by themselves."""

    def estimate(value: float, half: float = 0.5) -> dict[str, Any]:
        return {"value": value, "low": value - half, "high": value + half, "n": 4}

    subnets = [
        {
            "arch_id": f"s{i}", "band": i // 3, "macs": (i + 1) * 10**6, "params": 1000 * (i + 1),
            "score": 60.0 + i, "score_se": 0.5, "loss": 1.0 - 0.1 * i, "excess_loss": 0.0,
            "standalone": 62.0 + i if i % 3 != 1 else None, "standalone_se": 0.5 if i % 3 != 1 else None,
            "gap": 2.0 if i % 3 != 1 else None, "gap_se": 0.51 if i % 3 != 1 else None,
        }
        for i in range(6)
    ]  # fmt: skip
    bands = [
        {
            "band": k, "macs_low": (3 * k + 1) * 1e6, "macs_high": (3 * k + 3) * 1e6, "subnets": 3,
            "score": estimate(61.0 + 3 * k), "worst": 60.0 + 3 * k, "best": 62.0 + 3 * k,
            "excess_loss": estimate(0.02 + 0.03 * k, 0.01),
        }
        for k in range(2)
    ]  # fmt: skip
    rules = [
        {"rule": "conflict", "figure": "cosine", "estimate": estimate(-0.3, 0.1), "side": "below", "limit": 0.0, "unit": "",
         "holds": True, "strategy": "few-shot", "why": "they pull apart"},
        {"rule": "order", "figure": "tau", "estimate": None, "side": "below", "limit": 0.5, "unit": "",
         "holds": None, "strategy": "few-shot", "why": "badly ordered"},
    ]  # fmt: skip
    sentence = (
        "Try the strategy 'few-shot' next: they pull apart (cosine: -0.30, 95 % interval -0.40 to -0.20, all below 0)."
    )
    return {
        "assessment": "toy", "digest": "abc", "score": {"name": "top-1", "unit": "%", "label": "top-1 accuracy"},
        "difference_unit": "pt", "data": "images", "examples": 2000, "examples_name": "images", "training_examples": 9000,
        "trained_by": ["sandwich", "deps"],
        "seed": 0, "bands": bands, "passes": 1000, "gap": estimate(2.0), "gap_large_over_small": estimate(0.0),
        "rank_correlation": estimate(0.6, 0.3), "subnets": subnets, "version": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00", "seconds": 61.0, "files": {"assessment.html": "a.html"},
        "advice": {"strategy": "few-shot", "sentence": sentence, "rules": rules},
        "conflict": {
            "batches": 8, "macs": [1e6, 6e6], "smallest_largest": estimate(-0.3, 0.1), "all_pairs": estimate(-0.3, 0.1),
            "negative_share": 1.0, "mean_cosines": [[1.0, -0.3], [-0.3, 1.0]],
            "parts": [{"part": "stem", "common_weights": 20, "cosine": estimate(0.2, 0.1)},
                      {"part": "blocks.0", "common_weights": 90, "cosine": estimate(-0.4, 0.1)}],
        },
    }  # fmt: skip
