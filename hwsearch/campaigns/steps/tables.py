"""Write the fronts and all measurements of a campaign as tables."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from hwsearch._files import check_place, containing, json_with, write_file
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.steps.fronts import device_final_set
from hwsearch.objectives.front import Front
from hwsearch.store import utc_now


def write_front(campaign: Campaign, known: Known) -> list[Path]:
    """Write ``front.csv``, ``front.json`` (all devices) and ``measurements.csv`` in the campaign's folder.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    known : Known
        What the store holds.

    Returns
    -------
    list of pathlib.Path
        The three files.

    Raises
    ------
    CampaignError
        If nothing has been validated.
    """
    frames = []
    for target in campaign.targets.values():
        objectives = campaign.objectives(target.name)
        frame = Front.of(device_final_set(campaign, known, target).frame, objectives).to_frame()
        frame = frame.drop(columns=[o.name for o in objectives if o.device])
        frame.insert(0, "device", target.name)
        frame["device_fingerprint"] = target.fingerprint
        frame["protocol"] = campaign.final_protocol.key
        frame["genes"] = [json.dumps(known.architectures[i].to_dict()) for i in frame["arch_id"]]
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    csv, js = campaign.folder / "front.csv", campaign.folder / "front.json"
    write_file(csv, table.to_csv(index=False).encode(), containing(b"device_fingerprint"))
    records = json.loads(table.to_json(orient="records"))
    for r in records:
        r["genes"] = json.loads(r["genes"])
    document = {"supernet": campaign.loaded.entry.name, "written_at": utc_now(), "points": records}
    write_file(js, (json.dumps(document, indent=1) + "\n").encode(), json_with("supernet", "written_at", "points"))
    measurements = campaign.folder / "measurements.csv"
    check_place(measurements, containing(b"arch_id,"))
    campaign.store.export_csv(measurements)
    return [csv, js, measurements]
