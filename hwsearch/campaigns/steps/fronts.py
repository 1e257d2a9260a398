"""What a campaign hands over: the front of each device, picks under limits, ONNX files with cards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import measured_frame
from hwsearch.campaigns.known import find_accuracy, find_metric
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.view import View, device_view, joint_view
from hwsearch.errors import CampaignError, nearest
from hwsearch.exporters import write_atomic
from hwsearch.objectives.front import Front
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement, utc_now

#: the state that holds who is on which front how surely, and the columns that tell it
MEMBERSHIP = "membership"


SURE = ["front_probability", "front_probability_new_data"]


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


def find_arch(campaign: Campaign, arch_id: str) -> Architecture:
    """The architecture of an id that the campaign has seen, or one of its ends: ``smallest``, ``largest``."""
    ends = {"smallest": campaign.space.smallest, "largest": campaign.space.largest}
    return ends[arch_id]() if arch_id in ends else campaign.store.architecture(campaign.space, arch_id)
