"""Check a campaign before anything is measured: data, devices, tactic and limits."""

from __future__ import annotations

import logging

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.workloads import pack_workload, spec_head, workload
from hwsearch.campaigns.steps.check_limits import check_limits
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.jobs import WorkerJob

log = logging.getLogger("hwsearch")


def check(campaign: Campaign) -> None:
    """Check that the data fit the supernet, every device runs what it is asked to, and no limit is out of reach.

    Parameters
    ----------
    campaign : Campaign
        What is checked.

    Raises
    ------
    DataError
        If data are missing or do not fit.
    CampaignError
        If the tactic cannot do what the configuration says.
    DeviceError
        If a device does not run the reference subnet as asked.
    LimitError
        If no subnet can meet a limit.
    """
    log.info("data: %s", ", ".join(f"{split} {len(data):,}" for split, data in campaign.data.items()))
    check_tactic(campaign)
    check_devices(campaign)
    for target in campaign.targets.values():
        check_limits(campaign, target)


def check_devices(campaign: Campaign) -> list[str]:
    """Run one model on every device and check that the execution provider asked for runs all of it.

    Parameters
    ----------
    campaign : Campaign
        Whose devices.

    Returns
    -------
    list of str
        A remark a device: how many nodes of the graph ran where.

    Raises
    ------
    DeviceError
        If a device does not run the model as asked.
    """
    remarks = []
    with campaign.progress.task("check", len(campaign.targets), "devices") as task:
        for i, target in enumerate(campaign.targets.values()):
            counts = _verify(campaign, target)
            remarks.append(f"{target.name}: {sum(counts.values())} nodes on {', '.join(counts)}")
            task.update(i + 1)
        task.note(" · ".join(remarks))
    return remarks


def _verify(campaign: Campaign, target: Target) -> dict[str, int]:
    if not target.remote:
        return target.runtime.verify(workload(campaign, target, campaign.reference))
    files: dict[str, bytes] = {}
    reference = pack_workload(campaign, target, campaign.reference, 0, False, files)
    spec: WorkerJob = {**spec_head(campaign, target, "verify"), "reference": reference}
    return dict(target.executor.run(spec, files, 120.0)["counts"])
