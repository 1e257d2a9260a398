"""From the store to the report: gathers what was measured into `ReportData` and writes page, plots and tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import archs_of, measured_frame
from hwsearch.campaigns.jobs.calibration import calibration
from hwsearch.campaigns.known import find_accuracy, find_latency
from hwsearch.campaigns.steps.fit import predict
from hwsearch.campaigns.steps.fronts import front_frame
from hwsearch.campaigns.steps.profile import profile_set
from hwsearch.campaigns.target import Target
from hwsearch.devices import versions
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point
from hwsearch.reporting import DeviceReport
from hwsearch.store import Measurement
from predictors import scores

#: orders in which the random baseline could have been drawn
SHUFFLES = 50


# ---------------------------------------------------------------------- one device
def _device(campaign: Campaign, target: Target, cards: list[dict[str, Any]]) -> DeviceReport:
    objectives = campaign.objectives(target.name)
    points = _points(campaign, target)
    fresh = front_frame(campaign, target)
    on_front = set(Front.of(fresh, objectives).to_frame()["arch_id"])
    validated = _validated(campaign, target, fresh, on_front)
    random = points[points["role"] == "random"]
    latency = list(find_latency(campaign, target, "validate").values())
    drifts = [abs(float(m.details["drift_pct"])) for m in latency]
    widths = [100 * (m.spread or 0) / m.value for m in latency if m.value]
    picks = [_pick(c, validated) for c in cards]
    return DeviceReport(
        name=target.name,
        description={
            "runtime": target.device.runtime,
            "provider": target.device.provider,
            "provider_verified": _verified(target),
            "threads": target.device.threads,
            "batch": target.device.batch,
            "precision": target.device.precision,
            "cpu": target.facts.get("hardware") or target.facts.get("gpu") or target.facts.get("host", {}).get("cpu"),
            "versions": versions("onnxruntime"),
            "fingerprint": target.fingerprint,
        },
        protocol={**campaign.final_protocol.describe(), "reference": campaign.reference.id},
        noise={
            "half_interval_percent": round(float(np.median(widths)), 2) if widths else None,
            "largest_drift_percent": round(max(drifts), 2) if drifts else None,
            "scale_percent": round(200 * calibration(campaign, target, "validate").baseline_sd, 2) if latency else None,
            "not_converged": sum(not m.details["converged"] for m in latency),
            "measured_again": len(latency),
        },
        points=pd.concat([points, validated], ignore_index=True),
        front=validated[validated["on_front"]],
        picks=picks,
        hypervolume=_hypervolume(points, objectives),
        random_points=random[["accuracy", "latency_ms"]].dropna(),
    )


def _verified(target: Target) -> str:
    """What is known of where the models ran."""
    if target.facts.get("simulated"):
        return f"simulated from table {target.facts['table']}: nothing ran"
    if target.facts.get("allow_cpu_nodes"):
        return "some nodes may run on the CPU, as the configuration allows"
    return "as the program says" if target.device.runtime == "command" else "every node of the graph ran on it"


def _points(campaign: Campaign, target: Target) -> pd.DataFrame:
    """Everything the search measured on one device, in the order of its measuring, with predictions of the profile's fit."""
    frame = measured_frame(campaign, target)
    archs = archs_of(frame)
    every, _, random = profile_set(campaign)
    in_profile, in_random = {a.id for a in every}, {a.id for a in random}
    accuracy, latency = find_accuracy(campaign, "validation", "search"), find_latency(campaign, target, "search")
    order = {k: i for i, k in enumerate(accuracy)}
    rows = pd.DataFrame(
        {
            "arch_id": frame["arch_id"],
            "role": [
                "random" if i in in_random else "profile" if i in in_profile else "search" for i in frame["arch_id"]
            ],
            "genes": [a.to_dict() for a in archs],
            "accuracy": frame["accuracy"],
            "latency_ms": frame["latency_ms"],
            "accuracy_se": [_se(accuracy.get(i)) for i in frame["arch_id"]],
            "latency_low": [latency[i].low if i in latency else math.nan for i in frame["arch_id"]],
            "latency_high": [latency[i].high if i in latency else math.nan for i in frame["arch_id"]],
            "macs": frame["macs"],
            "params": frame["params"],
            "evaluation": [order.get(i, math.nan) for i in frame["arch_id"]],
        }
    )
    unseen = (rows["role"] == "search").to_numpy()
    for column, metric, device in (
        ("predicted_accuracy", "accuracy", None),
        ("predicted_latency_ms", "latency_ms", target.name),
    ):
        rows[column] = np.nan
        if unseen.any():
            found = predict(campaign, metric, device, [a for a, u in zip(archs, unseen, strict=True) if u])
            rows.loc[unseen, column] = found["value"].to_numpy()
    return rows


def _validated(campaign: Campaign, target: Target, fresh: pd.DataFrame, on_front: set[str]) -> pd.DataFrame:
    """The fresh measurements as report points: accuracy is that on the test data."""
    archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
    test = find_accuracy(campaign, "test", "validate")
    ids = list(fresh["arch_id"])
    every, _, _ = profile_set(campaign)
    seen = {a.id for a in every}
    rows = pd.DataFrame(
        {
            "arch_id": ids,
            "role": "validated",
            "genes": [archs[i].to_dict() for i in ids],
            "accuracy": fresh["accuracy"],
            "latency_ms": fresh["latency_ms"],
            "accuracy_se": [_se(test.get(i)) for i in ids],
            "latency_low": fresh["latency_ms_low"],
            "latency_high": fresh["latency_ms_high"],
            "macs": fresh["macs"],
            "params": fresh["params"],
            "on_front": [i in on_front for i in ids],
            "front_probability": fresh["front_probability"],
        }
    )
    for column, metric, device in (
        ("predicted_accuracy", "accuracy", None),
        ("predicted_latency_ms", "latency_ms", target.name),
    ):
        found = predict(campaign, metric, device, [archs[i] for i in ids])["value"].to_numpy()
        rows[column] = np.where([i in seen for i in ids], np.nan, found)
    return rows


def _pick(card: dict[str, Any], validated: pd.DataFrame) -> dict[str, Any]:
    row = validated[validated["arch_id"] == card["architecture"]["id"]].iloc[0]
    return {
        "label": card["label"],
        "arch_id": row["arch_id"],
        "file": f"models/{card['device']}/{card['file']}",
        "sha256": card["sha256"],
        "size_bytes": card["bytes"],
        "further_files": [
            {"file": f"models/{card['device']}/{f['file']}", "sha256": f["sha256"]} for f in card["files"][1:]
        ],
        "genes": row["genes"],
        **{
            k: float(row[k])
            for k in ("accuracy", "accuracy_se", "latency_ms", "latency_low", "latency_high", "macs", "params")
        },
    }


def _se(m: Measurement | None) -> float:
    return float(m.details["standard_error"]) if m is not None else math.nan


def _hypervolume(points: pd.DataFrame, objectives: list[Objective]) -> pd.DataFrame:
    """Hypervolume of the search's measurements after each evaluation, as share of the last; random subnets beside it.

    The profile is measured as one batch, in no order of merit, so the search's curve starts at its end (NaN before).
    The random band: median and quartile range over orders of the random subnets that were measured.
    """
    full = points.dropna(subset=["accuracy", "latency_ms"]).sort_values("evaluation")
    two = [Objective("accuracy"), Objective("latency_ms")]
    values = full[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    columns = ["evaluations", "search", "random_median", "random_low", "random_high"]
    if len(values) < 3:
        return pd.DataFrame(columns=columns)
    reference = reference_point(values, two)
    best = hypervolume(values, two, reference)
    start = int((full["role"] == "profile").sum())
    guided = np.concatenate([values[(full["role"] == role).to_numpy()] for role in ("profile", "search")])
    random = values[(full["role"] == "random").to_numpy()]
    rng = np.random.default_rng(0)
    orders = [random[rng.permutation(len(random))] for _ in range(SHUFFLES)]
    rows = []
    for n in range(1, len(guided) + 1):
        row = {"evaluations": n, "search": hypervolume(guided[:n], two, reference) / best if n >= start else math.nan}
        if n <= len(random):
            shares = [hypervolume(o[:n], two, reference) / best for o in orders]
            row |= dict(
                zip(
                    columns[2:], (float(np.median(shares)), *map(float, np.quantile(shares, [0.25, 0.75]))), strict=True
                )
            )
        rows.append(row)
    return pd.DataFrame(rows, columns=columns)


# ---------------------------------------------------------------------- how sure
def _predictors(campaign: Campaign) -> list[dict[str, Any]]:
    """Scores of the profile's predictors on subnets measured later, which they never saw."""
    fitted = (campaign.store.get_state("fit") or {}).get("scores", [])
    every, _, _ = profile_set(campaign)
    seen = {a.id for a in every}
    archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
    out = []
    for row in fitted:
        metric, device = row["metric"], row["device"]
        found = (
            find_accuracy(campaign, "validation", "search")
            if metric == "accuracy"
            else find_latency(campaign, campaign.target(device), "search")
        )
        ids = [i for i in found if i not in seen and i in archs]
        entry = {
            "metric": metric,
            "device": device,
            "model": row["model"],
            "n_train": row["n"],
            "nominal_coverage": 0.9,
        }
        if len(ids) >= 3:
            y = np.array([float(found[i].value or 0.0) for i in ids])
            p = predict(campaign, metric, device, [archs[i] for i in ids])
            inside = (p["low"].to_numpy() <= y) & (y <= p["high"].to_numpy())
            entry |= {"n_test": len(ids), "coverage": float(inside.mean()), **scores(y, p["value"].to_numpy())}
        else:
            entry |= {"n_test": f"{row['n']} (5-fold)", **{k: row[k] for k in ("mae", "mape", "spearman", "kendall")}}
        out.append(entry)
    return out
