"""The steps of a campaign: profile → evaluate → fit → search → validate. Each can be repeated; none measures twice."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.engine.campaign import Campaign, Target
from hwsearch.engine.measuring import (
    check_devices,
    doubts,
    find_accuracy,
    find_metric,
    measure_accuracy,
    measure_latencies,
    measure_latency,
)
from hwsearch.engine.racing import race_accuracy
from hwsearch.errors import CampaignError, LimitError, PredictorError
from hwsearch.front import non_dominated
from hwsearch.metrics import computed_metric, computed_metrics
from hwsearch.objective import DEVICE_METRICS, Objective
from hwsearch.report.text import number
from hwsearch.search import create
from hwsearch.search.guided import GuidedSearcher
from hwsearch.spaces import Architecture
from hwsearch.spaces.space import FloatArray, IntArray
from predictors import CrossValidatedPredictor, scores
from predictors import PredictorError as PredictorRefusal
from predictors import load as load_predictor
from predictors import save as save_predictor

log = logging.getLogger("hwsearch")


# ---------------------------------------------------------------------- which subnets
def profile_set(campaign: Campaign) -> tuple[list[Architecture], list[Architecture], list[Architecture]]:
    """(all to be timed, those also evaluated, those drawn at random); the same at every call."""
    c = campaign.config.profile
    space, rng = campaign.space, campaign.rng("profile")
    n_random = min(c.random, max(0, space.cardinality - 2))
    balanced = space.sample_balanced(c.latency - n_random, rng, campaign.loaded.balanced_cost)
    random = space.sample(n_random, rng, exclude=balanced)
    return balanced + random, balanced[: c.accuracy - len(random)] + random, random


def measured_frame(campaign: Campaign, target: Target, *, purpose: str = "search") -> pd.DataFrame:
    """Everything measured for one device: `arch_id` and one column an objective or metric (NaN where unmeasured)."""
    split = "test" if purpose == "validate" else "validation"
    accuracy = find_accuracy(campaign, split, purpose)
    on_device = {m: find_metric(campaign, target, m, purpose) for m in campaign.device_metrics(target.name)}
    ids = sorted(set(accuracy).union(*on_device.values()))
    archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
    ids = [i for i in ids if i in archs]
    frame = pd.DataFrame({"arch_id": ids})
    frame["accuracy"] = [accuracy[i].value if i in accuracy else np.nan for i in ids]
    for name, found in on_device.items():
        frame[name] = [found[i].value if i in found else np.nan for i in ids]
    rows = campaign.space.to_array([archs[i] for i in ids])
    for name, metric in computed_metrics().items():
        frame[name] = metric.compute(campaign.loaded.net, rows) if ids else []
    for objective in campaign.objectives(target.name):
        frame[objective.name] = frame[objective.metric]
    frame.attrs["archs"] = archs
    return frame


def archs_of(frame: pd.DataFrame) -> list[Architecture]:
    return [frame.attrs["archs"][i] for i in frame["arch_id"]]


# ---------------------------------------------------------------------- the steps
def check(campaign: Campaign) -> None:
    """See that the data fit the supernet, every device runs what it is asked to, and no limit is out of reach."""
    log.info("data: %s", ", ".join(f"{split} {len(data):,}" for split, data in campaign.data.items()))
    check_devices(campaign)
    for target in campaign.targets.values():
        for objective in campaign.objectives(target.name):
            if objective.limit is not None:
                _check_limit(campaign, target, objective)


def _check_limit(campaign: Campaign, target: Target, objective: Objective) -> None:
    space, limit = campaign.space, objective.limit
    assert limit is not None
    ends = [space.smallest(), space.largest()]
    if objective.metric in DEVICE_METRICS:
        measure_latency(campaign, target, ends, stage="check limit")
        found = find_metric(campaign, target, objective.metric, "search")
        values = [m.value for m in (found.get(a.id) for a in ends) if m is not None]
    elif objective.metric == "accuracy":
        found = measure_accuracy(campaign, ends, stage="check limit")
        values = [m.value for m in (found.get(a.id) for a in ends) if m is not None]
    else:
        values = list(computed_metric(objective.metric).compute(campaign.loaded.net, space.to_array(ends)))
    numbers = [float(v) for v in values if v is not None]
    if not numbers:
        return
    absolute = limit.resolve(numbers[-1])
    reachable = min(numbers) if absolute.op == "<=" else max(numbers)
    # measured extremes are not exact bounds: another subnet may be a little better than both
    slack = (0.95 if absolute.op == "<=" else 1.05) if objective.metric in DEVICE_METRICS else 1.0
    margin = 2.0 if objective.metric == "accuracy" else 0.0
    possible = (
        reachable * slack <= absolute.value if absolute.op == "<=" else reachable * slack + margin >= absolute.value
    )
    if not possible:
        kind = "smallest" if absolute.op == "<=" else "largest"
        better = f"<={reachable * 1.1:.3g}" if absolute.op == "<=" else f">={reachable * 0.98:.4g}"
        raise LimitError(
            f"no subnet of {space.name!r} meets {objective.metric} {limit} on {target.name!r}: "
            f"the {kind} subnet has {reachable:.4g}.",
            hint=f'Try "{objective.metric}{better}".',
        )


def profile(campaign: Campaign) -> pd.DataFrame:
    """Time the profile's subnets on every device. Returns one row a subnet and device."""
    every, _, _ = profile_set(campaign)
    frames = []
    for name, found in measure_latencies(campaign, campaign.targets.values(), every).items():
        rows = [
            {
                "device": name,
                "arch_id": k,
                "latency_ms": m.value,
                "low": m.low,
                "high": m.high,
                "repeats": m.repeats,
            }
            for k, m in found.items()
        ]
        frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)


def evaluate(campaign: Campaign) -> pd.DataFrame:
    """The score of the profile's evaluated subnets on the validation data; warns where there is nothing in it."""
    _, evaluated, _ = profile_set(campaign)
    found = measure_accuracy(campaign, evaluated)
    for text in doubts(campaign, found.values()):
        campaign.progress.warn(text)
    return pd.DataFrame([{"arch_id": k, "accuracy": m.value, "low": m.low, "high": m.high} for k, m in found.items()])


def feature_matrix(campaign: Campaign, rows: IntArray) -> FloatArray:
    """Features (n, columns) of rows (n, genes) for the predictors."""
    return campaign.loaded.net.features_array(rows)[0]


@contextmanager
def _predictor_errors(what: str, hint: str | None = None) -> Iterator[None]:
    """Refusals of the `predictors` package, which knows no `HwsearchError`, as one that names `what` was asked."""
    try:
        yield
    except PredictorRefusal as error:
        raise PredictorError(f"{what}: {error.message}", hint=hint or error.hint) from error


def fit(campaign: Campaign) -> pd.DataFrame:
    """Fit one predictor for accuracy and one a device on the profile's measurements; scored by cross-validation.

    Returns one row a metric with mae, mape, spearman, kendall on measurements that were not used for fitting.
    """
    every, _, _ = profile_set(campaign)
    wanted = {a.id: a for a in every}
    jobs: list[tuple[str, str | None, dict[str, float]]] = []
    known = find_accuracy(campaign, "validation", "search")
    jobs.append(
        ("accuracy", None, {k: float(m.value) for k, m in known.items() if k in wanted and m.value is not None})
    )
    for target in campaign.targets.values():
        for metric in campaign.device_metrics(target.name):
            found = find_metric(campaign, target, metric, "search")
            values = {k: float(m.value) for k, m in found.items() if k in wanted and m.value is not None}
            jobs.append((metric, target.name, values))
    out = []
    kind, unit = campaign.loaded.entry.score
    with campaign.progress.task("fit", len(jobs), "predictors") as task:
        notes = []
        for i, (metric, device, values) in enumerate(jobs):
            if len(values) < 8:
                raise CampaignError(
                    f"only {len(values)} measurements of {metric}{f' on {device}' if device else ''} are there; a predictor needs 8.",
                    hint="Run 'hwsearch profile' and 'hwsearch evaluate' first.",
                )
            ids = [k for k in wanted if k in values]
            X = feature_matrix(campaign, campaign.space.to_array([wanted[k] for k in ids]))
            y = np.array([values[k] for k in ids])
            with _predictor_errors(f"the predictor of {metric}{f' on {device}' if device else ''} cannot be fitted"):
                predictor = CrossValidatedPredictor(seed=campaign.config.search.seed).fit(X, y)
                save_predictor(predictor, predictor_path(campaign, metric, device))
            row = {
                "metric": metric,
                "device": device,
                "n": len(y),
                "model": predictor.best_,
                **scores(y, predictor.oof_predictions_),
            }
            out.append(row)
            notes.append(
                f"{kind} τ {number(row['kendall'], 2)} ±{row['mae']:.1f} {'pt' if unit else kind}"
                if metric == "accuracy"
                else f"{device}{'' if metric == 'latency_ms' else f' {metric}'} MAPE {row['mape']:.1f} %"
            )
            task.update(i + 1)
        task.note(" · ".join(notes))
    campaign.store.put_state("fit", {"scores": out})
    return pd.DataFrame(out)


def predictor_path(campaign: Campaign, metric: str, device: str | None) -> Any:
    folder = campaign.folder / "predictors"
    folder.mkdir(exist_ok=True)
    return folder / (f"{metric}@{device}.zip" if device else f"{metric}.zip")


def predict(
    campaign: Campaign, metric: str, device: str | None, archs: Sequence[Architecture], coverage: float = 0.9
) -> pd.DataFrame:
    """Predictions with intervals (columns value, low, high) of a fitted predictor."""
    path = predictor_path(campaign, metric, device)
    if not path.exists():
        raise CampaignError(f"there is no fitted predictor of {metric}.", hint="Run 'hwsearch fit' first.")
    X = feature_matrix(campaign, campaign.space.to_array(archs))
    with _predictor_errors(f"the predictor of {metric} cannot be used", hint="Run 'hwsearch fit' to fit it anew."):
        predictor = load_predictor(path)
        low, high = predictor.predict_interval(X, coverage)
        return pd.DataFrame({"value": predictor.predict(X), "low": low, "high": high})


# ---------------------------------------------------------------------- search
def _searcher(campaign: Campaign, target: Target, r: int) -> Any:
    """A fresh searcher for round r of one device; limits that are shares of the largest subnet are resolved."""
    c = campaign.config.search
    net = campaign.loaded.net
    objectives = campaign.objectives(target.name)
    frame = measured_frame(campaign, target)
    largest = frame[frame["arch_id"] == campaign.space.largest().id]
    resolved = []
    for o in objectives:
        value = float(largest[o.name].iloc[0]) if len(largest) else None
        resolved.append(o.with_limit(o.limit.resolve(value)) if o.limit else o)
    options: dict[str, Any] = {}
    if c.tactic in ("default", "guided"):
        measured = {"accuracy", *DEVICE_METRICS}
        options = {
            "features": lambda rows: feature_matrix(campaign, rows),
            "cost": campaign.loaded.balanced_cost,
            "inner_evaluations": c.inner_evaluations,
            "exact": {
                o.name: (lambda rows, m=computed_metric(o.metric): m.compute(net, rows))
                for o in resolved
                if o.metric not in measured
            },
        }
    seed = int(np.random.default_rng([c.seed, r, *target.name.encode()]).integers(2**31))
    return create(c.tactic, campaign.space, resolved, seed=seed, **options)


def _tell(campaign: Campaign, target: Target, searcher: Any) -> None:
    """Tell a fresh searcher everything measured on a device; the guided one also learns from incomplete rows."""
    frame = measured_frame(campaign, target)
    names = [o.name for o in campaign.objectives(target.name)]
    values = frame[names].to_numpy(dtype=np.float64)
    usable = ~np.isnan(values)
    rows = usable.any(axis=1) if isinstance(searcher, GuidedSearcher) else usable.all(axis=1)
    if rows.any():
        archs = archs_of(frame)
        searcher.tell([archs[i] for i in np.flatnonzero(rows)], values[rows])


def search(campaign: Campaign) -> pd.DataFrame:
    """Rounds of: fit on everything measured, propose for every device, measure on all, tell.

    The proposals of each round are kept before they are measured, so that an interrupted round is
    taken up where it stopped. Returns one row a round and device: proposals and expected gain.
    """
    c = campaign.config.search
    stamp = {"tactic": c.tactic, "seed": c.seed, "per_round": c.per_round, "supernet": campaign.loaded.digest}
    name = f"search:{c.tactic}:{c.seed}:{c.per_round}:{','.join(f'{t.name}={t.fingerprint}' for t in campaign.targets.values())}"
    if not find_accuracy(campaign, "validation", "search"):
        raise CampaignError(
            "nothing has been evaluated yet.", hint="Run 'hwsearch profile' and 'hwsearch evaluate' first."
        )
    state = campaign.store.get_state(name) or {**stamp, "rounds": []}
    for r in range(c.rounds):
        if r >= len(state["rounds"]):
            state["rounds"].append(_propose(campaign, r, c.per_round))
            campaign.store.put_state(name, state)
        proposals = state["rounds"][r]["devices"]
        archs = []
        for d in proposals.values():
            archs += [campaign.space.architecture(g) for g in d["archs"]]
        unique = list(dict.fromkeys(archs))
        measure_accuracy(campaign, unique, stage=f"search {r + 1} accuracy")
        measure_latencies(campaign, campaign.targets.values(), unique, stage=f"search {r + 1}")
    campaign.store.put_state("search", {"name": name, "rounds": c.rounds})
    rows = [
        {"round": r + 1, "device": d, "proposed": len(p["archs"]), "expected_gain": p["info"].get("expected_gain")}
        for r, s in enumerate(state["rounds"][: c.rounds])
        for d, p in s["devices"].items()
    ]
    return pd.DataFrame(rows, columns=["round", "device", "proposed", "expected_gain"])


def _propose(campaign: Campaign, r: int, per_round: int) -> dict[str, Any]:
    """One round's proposals a device: what a fresh searcher that is told everything asks for."""
    out: dict[str, Any] = {"devices": {}}
    taken: set[Architecture] = set()
    with campaign.progress.task(f"search {r + 1} propose", len(campaign.targets), "devices") as task:
        notes = []
        for i, target in enumerate(campaign.targets.values()):
            searcher = _searcher(campaign, target, r)
            _tell(campaign, target, searcher)
            share = per_round // len(campaign.targets) + (1 if i < per_round % len(campaign.targets) else 0)
            asked = [a for a in searcher.ask(share) if a not in taken]
            if len(asked) < share:  # another device proposed the same
                asked += [a for a in searcher.ask(share) if a not in taken][: share - len(asked)]
            taken.update(asked)
            info = dict(getattr(searcher, "info", None) or {})
            out["devices"][target.name] = {"archs": [a.to_dict() for a in asked], "info": _plain(info)}
            if info.get("expected_gain") is not None:
                notes.append(f"{target.name} expected gain {100 * info['expected_gain']:.1f} %")
            task.update(i + 1)
        task.note(" · ".join(notes))
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


# ---------------------------------------------------------------------- validate
def candidates(campaign: Campaign, target: Target) -> list[Architecture]:
    """What may belong to the front of one device: everything not clearly dominated in the search's measurements.

    A subnet is clearly dominated when another is better by more than the noise of both: half a point of accuracy and
    the half width of the protocol in what is measured on the device.
    """
    frame = measured_frame(campaign, target)
    objectives = campaign.objectives(target.name)
    names = [o.name for o in objectives]
    full = frame[frame[names].notna().all(axis=1)].reset_index(drop=True)
    if full.empty:
        raise CampaignError(
            f"no subnet has been measured on {target.name!r} in all objectives.", hint="Run 'hwsearch search' first."
        )
    largest = full[full["arch_id"] == campaign.space.largest().id]
    for o in objectives:
        if o.limit is not None:
            limit = o.limit.resolve(float(largest[o.name].iloc[0]) if len(largest) else None)
            wide = type(limit)(limit.op, limit.value * (1.05 if limit.op == "<=" else 0.98))
            full = full[wide.met(full[o.name].to_numpy())].reset_index(drop=True)
    if full.empty:
        raise LimitError(
            f"no measured subnet meets the limits on {target.name!r}.", hint="Loosen the limit, or search longer."
        )
    full.attrs = frame.attrs
    values = full[names].to_numpy(dtype=np.float64)
    archs = archs_of(full)
    strict = non_dominated(values, objectives)
    bonus = np.zeros_like(values)
    for j, o in enumerate(objectives):
        if o.metric == "accuracy":
            bonus[:, j] = 0.5
        elif o.metric in DEVICE_METRICS:
            bonus[:, j] = values[:, j] * campaign.protocol.half_width
    keep = [int(i) for i in np.flatnonzero(strict)]
    cost = values * np.array([o.sign for o in objectives])
    front, span = cost[strict], np.maximum(np.ptp(cost, axis=0), 1e-12)
    slack: list[tuple[int, float]] = []
    for i in np.flatnonzero(~strict):
        dominated = bool((front <= cost[i] - bonus[i]).all(axis=1).any())
        if not dominated:
            slack.append((int(i), float(((cost[i] - front) / span).min(axis=1).max())))
    for near, _ in sorted(slack, key=lambda s: s[1]):
        if len(keep) < campaign.config.validate_.candidates:
            keep.append(near)
    keep = keep[: max(campaign.config.validate_.candidates, int(strict.sum()))]
    return [archs[i] for i in keep]


def validate(campaign: Campaign) -> pd.DataFrame:
    """Measure every candidate for a front afresh: latency on every device, the score on data the search never saw."""
    wanted: dict[Architecture, None] = {}
    for target in campaign.targets.values():
        wanted |= dict.fromkeys(candidates(campaign, target))
    archs = list(wanted)
    campaign.store.put_state("validate", {"archs": [a.to_dict() for a in archs]})
    latencies = measure_latencies(campaign, campaign.targets.values(), archs, purpose="validate", stage="validate")
    if campaign.config.validate_.race_error is None:
        measure_accuracy(campaign, archs, split="test", purpose="validate", stage="validate accuracy")
    else:
        race_accuracy(campaign, archs, latencies)
    frames = []
    for target in campaign.targets.values():
        found = latencies[target.name]
        frames.append(
            pd.DataFrame(
                [
                    {"device": target.name, "arch_id": k, "latency_ms": m.value, "low": m.low, "high": m.high}
                    for k, m in found.items()
                ]
            )
        )
    return pd.concat(frames, ignore_index=True)
