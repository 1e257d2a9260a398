"""What a campaign hands over: the front of each device, picks under limits, ONNX files with cards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from onnx import ModelProto
from torch import Tensor, nn

from hwsearch.accuracy import Score, assess
from hwsearch.engine.campaign import Campaign, Target
from hwsearch.engine.limits import asked_probability, bounds, chance, surely_met
from hwsearch.engine.measuring import find_accuracy, find_latency, find_metric, models, ready_subnet, recorded
from hwsearch.engine.views import WEIGHTED, WORST, View, device_view, joint_view, largest_values, measured_frame
from hwsearch.errors import CampaignError, LimitError, nearest
from hwsearch.export import verify, write_atomic, write_bundle
from hwsearch.export.lower import OPSET
from hwsearch.front import Front, LimitLike, unreachable
from hwsearch.images import ImageData
from hwsearch.inputs import Data
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement, utc_now
from hwsearch.supernets.base import Part
from hwsearch.translation import TranslationData

#: the state that holds who is on which front how surely, and the columns that tell it
MEMBERSHIP = "membership"
SURE = ["front_probability", "front_probability_new_data"]
#: a pick that loses at most this many points (of BLEU, where that is the score) against the most accurate subnet
NEAR_LARGEST = 1.0


@dataclass(frozen=True)
class Pick:
    """One subnet worth shipping: why, and its row of the front."""

    label: str
    arch: Architecture
    row: dict[str, Any]


def front(campaign: Campaign, device: str | None = None, *, serve: str | None = None) -> Front:
    """The measured front of one device: fresh latency, and the score on data the search never saw.

    Columns: arch_id, one an objective, for accuracy and what is measured on the device the low and high end of the
    interval, repeats and time of measuring, and how sure it is that the subnet belongs there (see `front_frame`).
    serve : ``worst`` or ``weighted``: the front of one subnet for all devices, with the latency on each of them
        (``latency_ms@DEVICE``, ``latency_ms_low@DEVICE``, …)
    """
    view = _view(campaign, device, serve)
    return Front.of(final_frame(campaign, view), view.front_objectives)


def _view(campaign: Campaign, device: str | None, serve: str | None) -> View:
    if serve is None:
        return device_view(campaign, campaign.target(device))
    if serve not in ("worst", "weighted"):
        raise CampaignError(f"{serve!r} is no way to serve all devices.", hint=nearest(serve, ["worst", "weighted"]))
    if device is not None:
        raise CampaignError(f"one subnet is to serve all devices, and only {device!r} is named.", hint="Leave one out.")
    return joint_view(campaign, serve)


def final_frame(campaign: Campaign, view: View) -> pd.DataFrame:
    """All freshly measured candidates of a view that are complete in its objectives, on the front or not."""
    frames = [front_frame(campaign, t) for t in view.targets]
    if not view.joint:
        return frames[0]
    frame = view.join([f.drop(columns=SURE) for f in frames])
    names = [o.name for o in view.objectives]
    frame = frame[frame[names].notna().all(axis=1)].reset_index(drop=True)
    if frame.empty:
        raise CampaignError(
            "no subnet has been measured afresh on all devices.",
            hint="Run 'hwsearch validate', and see why some failed.",
        )
    return _with_membership(campaign, view, frame)


def front_frame(campaign: Campaign, target: Target) -> pd.DataFrame:
    """All freshly measured candidates of one device, on the front or not.

    front_probability : of being on the device's front, by the intervals of what was measured there, given the scores on the
        test data; front_probability_new_data : on other test data as many; NaN before `validate` has told
    """
    frame = measured_frame(campaign, target, purpose="validate")
    names = [o.name for o in campaign.objectives(target.name)]
    frame = frame[frame[names].notna().all(axis=1)].reset_index(drop=True)
    if frame.empty:
        raise CampaignError(
            f"no subnet has been measured afresh on {target.name!r}.", hint="Run 'hwsearch validate' first."
        )
    accuracy = find_accuracy(campaign, "test", "validate")
    on_device = {m: find_metric(campaign, target, m, "validate") for m in campaign.device_metrics(target.name)}
    for name, found in {"accuracy": accuracy, **on_device}.items():
        rows: list[Measurement | None] = [found.get(i) for i in frame["arch_id"]]
        for field in ("low", "high", "repeats", "ended_at"):
            frame[f"{name}_{field}"] = [getattr(m, field) if m else None for m in rows]
    return _with_membership(campaign, device_view(campaign, target), frame)


def _with_membership(campaign: Campaign, view: View, frame: pd.DataFrame) -> pd.DataFrame:
    known = (campaign.store.get_state(MEMBERSHIP) or {"views": {}})["views"].get(view.key, {})
    for k, column in enumerate(SURE):
        frame[column] = [known[i][k] if i in known else np.nan for i in frame["arch_id"]]
    return frame


def write_front(campaign: Campaign) -> list[Path]:
    """``front.csv``, ``front.json`` (all devices) and ``measurements.csv`` in the campaign's folder."""
    frames = []
    for target in campaign.targets.values():
        frame = front(campaign, target.name).to_frame()
        frame = frame.drop(columns=[o.name for o in campaign.objectives(target.name) if o.device])
        frame.insert(0, "device", target.name)
        archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
        frame["device_fingerprint"] = target.fingerprint
        frame["protocol"] = campaign.final_protocol.key
        frame["genes"] = [json.dumps(archs[i].to_dict()) for i in frame["arch_id"]]
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    csv, js = campaign.folder / "front.csv", campaign.folder / "front.json"
    write_atomic(csv, table.to_csv(index=False).encode())
    records = json.loads(table.to_json(orient="records"))
    for r in records:
        r["genes"] = json.loads(r["genes"])
    write_atomic(
        js,
        (
            json.dumps({"supernet": campaign.loaded.entry.name, "written_at": utc_now(), "points": records}, indent=1)
            + "\n"
        ).encode(),
    )
    measurements = campaign.folder / "measurements.csv"
    campaign.store.export_csv(measurements)
    return [csv, js, measurements]


# ---------------------------------------------------------------------- picks
def pick(
    campaign: Campaign,
    limits: Sequence[str],
    device: str | None = None,
    *,
    probability: float | None = None,
    serve: str | None = None,
    export: Path | None = None,
) -> dict[str, Any]:
    """The best measured subnet of a front under limits such as ``latency_ms<=0.5``; exported, if asked.

    probability : with which each limit must be met, by the measured intervals; None: what the configuration asks for the
        objective, or else that the measured value meets it
    serve : ``worst`` or ``weighted``: one subnet for all devices; without limits of its own those of the configuration hold

    Raises `LimitError` with the nearest reachable value when no subnet meets them.
    """
    view = _view(campaign, device, serve)
    wanted = list(limits)
    if view.joint and not wanted:
        wanted = [f"{o.metric}{o.limit}" for o in joint_view(campaign, "worst").objectives if o.limit is not None]
    row, chances = choose(campaign, view, wanted, probability)
    arch = find_arch(campaign, str(row["arch_id"]))
    result = {
        "device": view.name,
        "limits": wanted,
        "met_with": chances,
        "arch_id": arch.id,
        "genes": arch.to_dict(),
        "score": campaign.loaded.entry.score[0],
        "score_unit": campaign.loaded.entry.score[1],
        "confidence": campaign.final_protocol.confidence,
        **_numbers(row),
    }
    result["devices"] = latencies_of(view, row)
    if export is not None:
        result["export"] = export_model(campaign, arch, Path(export))
    return result


def choose(
    campaign: Campaign, view: View, limits: Sequence[LimitLike], probability: float | None = None
) -> tuple[dict[str, Any], dict[str, float]]:
    """(row of the best final measurement under limits, probability that each limit is met, by column); see `pick`."""
    frame = final_frame(campaign, view)
    searched = view.frame()
    whole = Front(frame, view.front_objectives)
    largest = largest_values(campaign, searched)
    parsed = [whole.limit(limit, largest) for limit in limits]
    met: list[str] = []
    left = np.ones(len(frame), dtype=bool)
    for column, limit in parsed:
        wanted = probability if probability is not None else asked_probability(campaign, view, column)
        if wanted is None:
            continue
        bounded = bounds(view, frame, column, limit, wanted)
        value = frame[column].to_numpy(dtype=np.float64)
        before = frame["arch_id"].map(searched.set_index("arch_id")[column]).to_numpy(dtype=np.float64)
        kept = left & surely_met(bounded, limit, before + (bounded - value))
        said = f"{column} {limit} with probability {wanted:g}"
        if not kept.any():
            raise unreachable(said, limit, bounded[left], met, f"{column} {limit.op}", "bound")
        left = kept
        met.append(said)
    found = Front.of(frame[left].reset_index(drop=True), view.front_objectives)
    row = dict(found.pick(parsed))
    one = frame[frame["arch_id"] == row["arch_id"]]
    return row, {f"{c} {limit}": chance(view, one, c, limit) for c, limit in parsed}


def latencies_of(view: View, row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """A row's latency on each device of its view, with its interval; in a joint one also as the share it counts as."""
    found = {}
    for i, target in enumerate(view.targets):
        at = f"@{target.name}" if view.joint else ""
        found[target.name] = {
            "latency_ms": float(row[f"latency_ms{at}"]),
            "low": float(row[f"latency_ms_low{at}"]),
            "high": float(row[f"latency_ms_high{at}"]),
        }
        if view.joint:
            found[target.name]["share"] = found[target.name]["latency_ms"] / float(view.scales()[i])
    return found


def picks(campaign: Campaign, view: View) -> list[Pick]:
    """The subnets worth showing: under each configured limit, near the reference and the largest, the knee, the fastest
    good one.
    """
    found = Front.of(final_frame(campaign, view), view.front_objectives)
    frame = found.to_frame()
    chosen: list[Pick] = []

    def add(label: str, row: dict[str, Any]) -> None:
        arch = find_arch(campaign, str(row["arch_id"]))
        for i, p in enumerate(chosen):
            if p.arch == arch:
                chosen[i] = Pick(f"{p.label}; {label}", arch, p.row)
                return
        chosen.append(Pick(label, arch, row))

    for o in view.objectives:
        if o.limit is not None:
            label = "within every device's limit" if o.name == WORST else f"{o.metric} {o.limit}"
            if o.probability is not None:
                label += f" with probability {o.probability:g}"
            try:
                add(label, choose(campaign, view, [(o.name, o.limit)])[0])
            except LimitError as error:
                campaign.progress.warn(str(error))
    search = campaign.config.search
    if search.prefer == "reference" and view.reference:
        add("nearest to the reference", dict(found.nearest_to(view.reference)))
    cost = next((o.name for o in found.objectives if o.name in (WORST, WEIGHTED)), "latency_ms")
    if "accuracy" in frame and cost in frame:
        best = frame["accuracy"].max()
        near = frame[frame["accuracy"] >= best - NEAR_LARGEST].sort_values(cost)
        add("most accurate", dict(frame.sort_values("accuracy").iloc[-1]))
        kind, unit = campaign.loaded.entry.score
        add(f"fastest within {NEAR_LARGEST:g} {'pt' if unit else kind} of the most accurate", dict(near.iloc[0]))
    add("knee", dict(found.knee()))
    return chosen


def find_arch(campaign: Campaign, arch_id: str) -> Architecture:
    """The architecture of an id that the campaign has seen, or one of its ends: ``smallest``, ``largest``."""
    ends = {"smallest": campaign.space.smallest, "largest": campaign.space.largest}
    return ends[arch_id]() if arch_id in ends else campaign.store.architecture(campaign.space, arch_id)


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    keep = {}
    for key, value in row.items():
        if key == "arch_id" or "@" in key:
            continue
        keep[key] = value.item() if isinstance(value, np.generic) else value
    return keep


# ---------------------------------------------------------------------- export
def export_model(
    campaign: Campaign,
    arch: Architecture,
    path: Path,
    *,
    batch: int | None = None,
    trained: tuple[nn.Module, Score, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write the ONNX file of a subnet and its card; checked against torch on real data. Returns the card.

    trained : the subnet with weights of its own, its score on the test data, and what the card says of the training
    """
    entry = campaign.loaded.entry
    net = trained[0] if trained else ready_subnet(campaign, arch)
    size = campaign.loaded.net.input_size(arch)
    parts = models(campaign, arch, net, batch=batch)
    difference = max(
        verify(model, part.net, *_sample(campaign, part, len(parts), size, batch)) for part, model in parts
    )
    test = find_accuracy(campaign, "test", "validate").get(arch.id)
    if trained:
        accuracy = trained[1]
    elif test is not None and test.record is not None:
        accuracy = recorded(campaign, test)
    else:
        accuracy = assess(net, campaign.data["test"], size, batch=campaign.config.data.batch)
    latencies = {}
    for target in campaign.targets.values():
        m = find_latency(campaign, target, "validate").get(arch.id) or find_latency(campaign, target, "search").get(
            arch.id
        )
        if m is not None:
            latencies[target.name] = {
                "latency_ms_p50": m.value,
                "low": m.low,
                "high": m.high,
                "confidence": campaign.final_protocol.confidence,
                "latency_ms_p90": m.details.get("p90"),
                "runs": m.repeats,
                "loads": m.details.get("loads"),
                "batch": target.device.batch,
                "threads": target.device.threads,
                "provider": target.device.provider,
                "fingerprint": target.fingerprint,
                "measured_at": m.ended_at,
            }
    examples = example_word(campaign)
    card = {
        "architecture": {"id": arch.id, "space": campaign.space.name, "genes": arch.to_dict()},
        "supernet": {"name": entry.name, "weights": campaign.loaded.digest},
        **({"finetuned": trained[2]} if trained else {}),
        "accuracy": {
            "top1_percent" if entry.score[0] == "top-1" else entry.score[0].lower(): round(accuracy.value, 3),
            "standard_error": round(accuracy.standard_error, 3),
            examples: accuracy.n,
            "data": campaign.data["test"].name,
            "subject": campaign.example_subject("test"),
        },
        "latency": latencies,
        "macs": campaign.loaded.net.macs(arch),
        "params": campaign.loaded.net.params(arch),
        "input": {
            **_only_input(parts, batch),
            "preprocess": {**_size(campaign.data["test"], size), **entry.preprocess.to_dict()},
        },
        "output": {"name": parts[0][0].outputs[0], "classes": list(campaign.data["test"].classes)},
        "opset": OPSET,
        "difference_from_torch": difference,
        "written_at": utc_now(),
    }
    return write_bundle(path, parts, card)


def example_word(campaign: Campaign) -> str:
    """What an example of the campaign's data is called, in the plural."""
    return "images" if isinstance(campaign.data["test"], ImageData) else "sentences"


def _size(data: Data, size: int) -> dict[str, int]:
    """The size that inputs are brought to; sentences to translate stay as long as they are."""
    if isinstance(data, ImageData):
        return {"side": size}
    return {} if isinstance(data, TranslationData) else {"tokens": size}


def _only_input(parts: list[tuple[Part, ModelProto]], batch: int | None) -> dict[str, Any]:
    """Name, shape and type of the input, where there is one; ``files`` of the card tells those of all."""
    if len(parts) > 1 or len(parts[0][0].inputs) > 1:
        return {}
    (only,) = parts[0][0].inputs
    return {"name": only.name, "shape": [batch or "batch", *only.shape], "dtype": "int64" if only.high else "float32"}


def _sample(campaign: Campaign, part: Part, parts: int, size: int, batch: int | None) -> tuple[Tensor, ...]:
    """What a model is compared with torch on: real data, where it takes them as they are."""
    if parts > 1:
        rng = np.random.default_rng(0)
        return tuple(torch.from_numpy(np.asarray(i.sample(batch or 2, rng))) for i in part.inputs)
    x = next(iter(campaign.data["test"].head(batch or 32).batches(size, batch or 32)))[0]
    return (x,) if isinstance(x, Tensor) else x


def export(
    campaign: Campaign,
    arch_id: str | None = None,
    device: str | None = None,
    *,
    output: Path | None = None,
    batch: int | None = None,
) -> list[dict[str, Any]]:
    """ONNX files with cards: of one subnet, or of every pick of one or all devices, under ``models/<device>/``."""
    if arch_id is not None:
        arch = find_arch(campaign, arch_id)
        path = output or campaign.folder / "models" / f"{arch.id}.onnx"
        return [export_model(campaign, arch, path, batch=batch) | {"path": str(path)}]
    targets = [campaign.target(device)] if device else list(campaign.targets.values())
    chosen = [(t, p) for t in targets for p in picks(campaign, device_view(campaign, t))]
    cards = []
    with campaign.progress.task("export", len(chosen), "models") as task:
        for i, (target, p) in enumerate(chosen):
            path = campaign.folder / "models" / target.name / f"{p.arch.id}.onnx"
            card_path = path.with_suffix(".json")
            if batch is None and card_path.exists() and _card_is_current(campaign, card_path):
                card = json.loads(card_path.read_text(encoding="utf-8"))
            else:
                card = export_model(campaign, p.arch, path, batch=batch)
            cards.append(card | {"path": str(path), "device": target.name, "label": p.label})
            task.update(i + 1)
        task.note(
            f"{len(cards)} ONNX files, equal to torch to {max(c['difference_from_torch'] for c in cards):.0e}"
            if cards
            else "no picks"
        )
    return cards


def _card_is_current(campaign: Campaign, card_path: Path) -> bool:
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        whole = [(card_path.with_name(f["file"])).stat().st_size == f["bytes"] for f in card["files"]]
    except (OSError, json.JSONDecodeError, KeyError):
        return False
    same = card.get("supernet", {}).get("weights") == campaign.loaded.digest and all(whole)
    return bool(same and set(card.get("latency", {})) == set(campaign.targets))


__all__ = [
    "Pick",
    "choose",
    "export",
    "export_model",
    "final_frame",
    "front",
    "front_frame",
    "pick",
    "picks",
    "write_front",
]
