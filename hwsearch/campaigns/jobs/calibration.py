"""Calibrate a device: the speed to which all its latencies are brought."""

from __future__ import annotations

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.job import process_seconds
from hwsearch.campaigns.jobs.workloads import BUILDING, pack_workload, spec_head
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import SEARCH, VALIDATE, Purpose
from hwsearch.campaigns.states import calibration_state
from hwsearch.campaigns.target import Target
from hwsearch.devices import Calibration, Sample, calibrate
from hwsearch.devices.fleet.jobs import WorkerJob
from hwsearch.errors import DeviceError, MeasurementError


def calibration(campaign: Campaign, target: Target, purpose: Purpose) -> Calibration:
    """Return what latencies on a device are brought to, measured when first needed.

    Several processes time the same few models. For final measurements it is made anew: from as many processes again and
    from every group timed before, which makes it better known; all final latencies share it.

    Parameters
    ----------
    campaign : Campaign
        Whose store keeps it.
    target : Target
        The device.
    purpose : Purpose
        Of the measurements that are brought to it.

    Returns
    -------
    Calibration
        The same at every call.

    Raises
    ------
    DeviceError
        If fewer than half of the processes could time the models.
    """
    purpose = VALIDATE if purpose.is_final else purpose
    place = calibration_state(target.fingerprint, campaign.loaded.digest, purpose)
    found = campaign.store.get_state(place, 1)
    if found is None:
        made = _calibrate(campaign, target, purpose)
        if purpose == VALIDATE:
            rows = find_latency(campaign, target, SEARCH).values()
            made = made.extended(sorted({float(m.details["quiet_ms"]) for m in rows if "quiet_ms" in m.details}))
        campaign.store.put_state(place, made.to_dict())
        found = campaign.store.get_state(place, 1)  # another worker may have been faster
        assert found is not None
    return Calibration.from_dict(found)


def _calibrate(campaign: Campaign, target: Target, purpose: Purpose) -> Calibration:
    protocol = campaign.protocol
    short = protocol.model_copy(update={"visits": 4})
    probes = campaign.space.sample_balanced(4, np.random.default_rng(0), campaign.loaded.balanced_cost)
    files: dict[str, bytes] = {}
    with BUILDING:
        entries = [pack_workload(campaign, target, a, i, False, files) for i, a in enumerate(probes)]
        reference = pack_workload(campaign, target, campaign.reference, len(probes), False, files)
    spec: WorkerJob = {
        **spec_head(campaign, target, "measure"),
        "protocol": short.model_dump(mode="json"),
        "metrics": [],
        "workloads": entries,
        "reference": reference,
    }
    found: list[list[Sample]] = []
    failure, tried = "nothing was timed.", 0
    deadline_s = campaign.config.fleet.deadline_s or process_seconds(protocol, len(probes))
    wanted = -(-protocol.calibrate // 2)  # all that is measured later rests on it, so not on a few of many
    with campaign.progress.task(f"calibrate {target.name}", protocol.calibrate, "processes") as task:
        for k in range(protocol.calibrate):
            if k - len(found) > protocol.calibrate - wanted or (not found and k == 3):
                break
            tried = k + 1
            seed = [campaign.config.search.seed, k, *str(purpose).encode()]
            try:
                answer = target.executor.run({**spec, "seed": seed}, files, deadline_s)
            except (DeviceError, MeasurementError) as error:
                failure = str(error)
                continue
            samples = [Sample.from_dict(r["sample"]) for r in answer["rows"]]
            failed = [s.failure for s in samples if s.failure is not None]
            if failed:
                failure = failed[0]
            else:
                found.append(samples)
            task.update(k + 1)
        if len(found) < wanted:
            raise DeviceError(
                f"device {target.name!r} cannot be calibrated; {len(found)} of {tried} processes could: {failure}",
                hint="Put the device right, and give the same command again.",
            )
        made = calibrate(found)
        task.note(f"reference {made.baseline_ms:.4g} ms ±{100 * 2 * made.baseline_sd:.1f} %")
    return made
