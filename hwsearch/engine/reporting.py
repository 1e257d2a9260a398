"""From the store to the report: gathers what was measured into `ReportData` and writes page, plots and tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

import hwsearch
from hwsearch.accuracy import Z90
from hwsearch.devices import host_facts, versions
from hwsearch.engine.campaign import Campaign, Target
from hwsearch.engine.measuring import accuracy_protocol, calibration, doubts, find_accuracy, find_latency, recorded
from hwsearch.engine.results import MEMBERSHIP, example_word, export, front_frame, latencies_of, picks, write_front
from hwsearch.engine.searching import how_it_ended
from hwsearch.engine.steps import predict, profile_set
from hwsearch.engine.views import WEIGHTED, WORST, archs_of, joint_view, latency_limit, measured_frame, timed, views
from hwsearch.errors import CampaignError
from hwsearch.export import write_atomic
from hwsearch.front import Front, hypervolume, reference_point
from hwsearch.objective import Objective
from hwsearch.report import DeviceReport, ReportData, save_all, write_page
from hwsearch.store import Measurement, utc_now
from predictors import scores

#: orders in which the random baseline could have been drawn
SHUFFLES = 50


def build_report(campaign: Campaign, cards: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Write ``front.csv|json``, ``measurements.csv``, ``plots/`` and ``report.html``; returns their paths and the headline.

    cards : what `export` returned for this campaign; without them the picks are exported first
    """
    cards = export(campaign) if cards is None else cards
    with campaign.progress.task("report", 3, "parts") as task:
        tables = write_front(campaign)
        task.update(1)
        data = report_data(campaign, cards)
        write_atomic(campaign.folder / "report.json", data.to_json().encode())
        plots = save_all(data, campaign.folder / "plots")
        task.update(2)
        page = campaign.folder / "report.html"
        write_page(data, page)
        task.update(3)
    summary = []
    for device in data.devices:
        f = device.front
        summary.append(
            {
                "device": device.name,
                "front_points": len(f),
                "latency_span": float(f["latency_ms"].max() / f["latency_ms"].min()) if len(f) else math.nan,
                "picks": [
                    {
                        k: p[k]
                        for k in (
                            "label",
                            "arch_id",
                            "accuracy",
                            "accuracy_se",
                            "latency_ms",
                            "latency_low",
                            "latency_high",
                            "macs",
                            "file",
                            "further_files",
                        )
                    }
                    for p in device.picks
                ],
            }
        )
    return {
        "report": str(page),
        "front": str(tables[0]),
        "score": campaign.loaded.entry.score[0],
        "score_unit": campaign.loaded.entry.score[1],
        "confidence": campaign.final_protocol.confidence,
        "models": [c["path"] for c in cards],
        "plots": [str(p) for p in plots],
        "devices": summary,
        "serving": data.serving,
        "search": how_it_ended(campaign),
    }


def report_data(campaign: Campaign, cards: list[dict[str, Any]]) -> ReportData:
    """Everything the page and the figures show."""
    entry = campaign.loaded.entry
    net, space, classes = campaign.loaded.net, campaign.space, campaign.data["test"].classes
    macs = net.macs_array(space.to_array([space.smallest(), space.largest()]))
    devices = [_device(campaign, t, [c for c in cards if c["device"] == t.name]) for t in campaign.targets.values()]
    for device in devices:
        device.cross = _cross(campaign, device.name)
    objectives = [o for t in campaign.targets for o in campaign.objectives(t)]
    examples = example_word(campaign)
    source = campaign.folder.as_posix()
    return ReportData(
        title=f"Pareto-optimal subnets of {entry.name}",
        campaign=campaign.folder.name,
        created=utc_now(),
        supernet={
            "name": entry.name,
            "subnets": space.cardinality,
            "macs_range": [int(m) for m in macs],
            **({"classes": len(classes)} if classes else {}),
            "licence": entry.card.get("licence", entry.card.get("weights_licence")),
            "training": entry.card.get("training_summary"),
            "preprocess": entry.preprocess.to_dict(),
        },
        objectives=list(dict.fromkeys(objectives)),
        devices=devices,
        accuracy_protocol={
            "metric": entry.score[0],
            "unit": entry.score[1],
            "search": f"{len(campaign.data['validation']):,} validation {examples}",
            "final": f"{len(campaign.data['test']):,} test {examples} that the search never saw",
            "calibration": f"{len(campaign.data['calibration']):,} training {examples}, {accuracy_protocol(campaign)}"
            if "calibration" in campaign.data
            else "none: the family has no batch norms",
            "spread": f"± is one {'bootstrap' if entry.score[0] == 'BLEU' else 'binomial'} standard error",
        },
        provenance={
            "versions": {
                "hwsearch": hwsearch.__version__,
                **versions("torch", "onnxruntime", "onnx", "numpy", "pymoo", "xgboost-cpu", "xgboost", "scikit-learn"),
            },
            "seeds": {"search": campaign.config.search.seed},
            **({"search": ended} if (ended := how_it_ended(campaign)) else {}),
            "supernet weights": campaign.loaded.digest,
            "host": host_facts(),
            "commands": [f"hwsearch run {source}/campaign.toml --folder {source}"],
        },
        warnings=_warnings(campaign),
        predictors=_predictors(campaign),
        timings=campaign.seconds(),
        serving=serving(campaign),
        serving_words=_serving_words(campaign),
    )


def serving(campaign: Campaign) -> list[dict[str, Any]]:
    """The picks of one subnet for all devices, where there are several; see `ReportData.serving`."""
    if len(timed(campaign)) < 2:
        return []
    view = joint_view(campaign, serving_form(campaign))
    test = find_accuracy(campaign, "test", "validate")
    share = next(o.name for o in view.objectives if o.name in (WORST, WEIGHTED))
    try:
        chosen = picks(campaign, view)
    except CampaignError:  # no subnet could be measured on all devices
        return []
    return [
        {
            "label": p.label,
            "arch_id": p.arch.id,
            "accuracy": float(p.row["accuracy"]),
            "accuracy_se": _se(test.get(p.arch.id)),
            "share": float(p.row[share]),
            "latency": latencies_of(view, p.row),
        }
        for p in chosen
    ]


def serving_form(campaign: Campaign) -> str:
    """How one subnet for all devices is judged: as the search does, or else by the worst device."""
    form = campaign.config.search.serve
    return "worst" if form == "each" else form


def _serving_words(campaign: Campaign) -> str:
    what = (
        "The share is that of the worst device"
        if serving_form(campaign) == "worst"
        else "The share is the devices' weighted mean"
    )
    limits = [latency_limit(campaign, t) for t in timed(campaign)]
    of = "its limit" if all(limits) else "the largest subnet's latency there" if not any(limits) else (
        "its limit or else of the largest subnet's latency there"
    )  # fmt: skip
    searched = "" if campaign.config.search.serve != "each" else " The search was for each device by itself."
    return f"{what}: its latency as a share of {of}.{searched}"


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
        protocol={**campaign.final_protocol.to_dict(), "reference": campaign.reference.id},
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


def _cross(campaign: Campaign, device: str) -> dict[str, float]:
    """Share of this device's hypervolume that is kept when the front of another device runs here."""
    two = [Objective("accuracy"), Objective("latency_ms")]
    here = front_frame(campaign, campaign.target(device))
    values = here[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    reference = reference_point(values, two)
    own = hypervolume(values, two, reference)
    kept = {}
    for other in campaign.targets:
        if other != device and own > 0:
            theirs = set(
                Front.of(front_frame(campaign, campaign.target(other)), campaign.objectives(other)).to_frame()[
                    "arch_id"
                ]
            )
            kept[other] = hypervolume(values[here["arch_id"].isin(theirs).to_numpy()], two, reference) / own
    return kept


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


def _unsettled(campaign: Campaign) -> list[str]:
    """What is said of fronts whose members are not all sure, after all rounds."""
    known = campaign.store.get_state(MEMBERSHIP)
    if known is None:
        return []
    wanted, found = float(known["confidence"]), []
    for view in views(campaign):
        open_ = {
            i: p for i, (p, _) in known["views"].get(view.key, {}).items() if max(p, 1 - p) < wanted
        }  # fmt: skip
        if open_:
            some = ", ".join(f"{i} ({p:.2f})" for i, p in sorted(open_.items(), key=lambda kv: -kv[1])[:5])
            found.append(
                f"{view.name}: whether {len(open_)} subnet{'s belong' if len(open_) > 1 else ' belongs'} to the front is not "
                f"settled with {100 * wanted:g} %; probability: {some}{', …' if len(open_) > 5 else ''}."
            )
    return found


def _warnings(campaign: Campaign) -> list[str]:
    found = [*campaign.data_warnings, *doubts(campaign, find_accuracy(campaign, "validation", "search").values())]
    for target in campaign.targets.values():
        if target.facts.get("simulated"):
            fit = target.facts.get("interpolator")
            error = f", between its rows by a fit with {fit['mape_percent']} % error" if fit else ""
            found.append(
                f"{target.name} is simulated from the latency table {target.facts['table']}{error}: its latencies are "
                "no measurements of this campaign."
            )
        rows = list(find_latency(campaign, target, "validate").values())
        loose = [m for m in rows if not m.details["converged"]]
        if loose:
            half = 100 * campaign.final_protocol.half_width
            worst = max(float(m.details["precision_pct"]) for m in loose)
            found.append(
                f"{target.name}: {len(loose)} of {len(rows)} final latencies did not reach ±{half:g} % within their processes; the widest is ±{worst:.1f} %."
            )
        moved = sum(bool(m.details.get("moved")) for m in rows)
        if moved:
            found.append(
                f"{target.name}: the host was never near its calibrated speed while {moved} of {len(rows)} final latencies "
                "were measured, twice; they are corrected, and less sure than they say."
            )
        cut = sum(int(m.details.get("throttled") or 0) for m in rows)
        if cut:
            found.append(
                f"{target.name}: the container's CPU quota throttled the process while the final latencies were measured."
            )
        failures = campaign.store.failures(subject=target.fingerprint, supernet=campaign.loaded.digest)
        if failures:
            found.append(f"{target.name}: {len(failures)} measurements failed; see measurements.csv.")
    found += _unsettled(campaign)
    best = [m for m in find_accuracy(campaign, "test", "validate").values() if m.record]
    if len(best) >= 2:
        ranked = sorted(best, key=lambda m: -(m.value or 0))[:2]
        pair = [recorded(campaign, m) for m in ranked]
        gap, se = pair[0].difference(pair[1])
        if gap < Z90 * se:
            found.append(
                f"The two most accurate subnets ({ranked[0].arch_id}, {ranked[1].arch_id}) cannot be told apart: {gap:.2f} ± {Z90 * se:.2f} points on the same {example_word(campaign)}."
            )
    return found


def write_studies(campaign: Campaign, storage: str) -> dict[str, int]:
    """Add what the search measured, each front's to a study of its own, to an Optuna storage; trials added, by study."""
    from hwsearch.search.optuna_storage import write_measured

    added = {}
    for view in views(campaign):
        frame = view.frame()
        whole = frame[[o.name for o in view.objectives]].notna().all(axis=1).to_numpy()
        archs = [arch for arch, keep in zip(archs_of(frame), whole, strict=True) if keep]
        values = frame.loc[whole, [o.name for o in view.objectives]].to_numpy(dtype=np.float64)
        study = f"{campaign.folder.name}/{view.key}"
        added[study] = write_measured(campaign.space, view.objectives, archs, values, storage, study)
    return added
