"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

import logging

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.workloads import _packed, job_head, workload
from hwsearch.campaigns.steps.check_limits import check_limits
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.jobs import WorkerJob

log = logging.getLogger("hwsearch")


def _check(campaign: Campaign, target: Target) -> dict[str, int]:
    if not target.remote:
        return target.runtime.verify(workload(campaign, target, campaign.reference))
    files: dict[str, bytes] = {}
    reference = _packed(campaign, target, campaign.reference, 0, False, files)
    spec: WorkerJob = {**job_head(campaign, target, "verify"), "reference": reference}
    return dict(target.executor.run(spec, files, 120.0)["counts"])


def check_devices(campaign: Campaign) -> list[str]:
    """Run one model on every device and see that the provider asked for runs all of it; returns remarks."""
    remarks = []
    with campaign.progress.task("check", len(campaign.targets), "devices") as task:
        for i, target in enumerate(campaign.targets.values()):
            counts = _check(campaign, target)
            remarks.append(f"{target.name}: {sum(counts.values())} nodes on {', '.join(counts)}")
            task.update(i + 1)
        task.note(" · ".join(remarks))
    return remarks


# ---------------------------------------------------------------------- the steps
def check(campaign: Campaign) -> None:
    """See that the data fit the supernet, every device runs what it is asked to, and no limit is out of reach."""
    log.info("data: %s", ", ".join(f"{split} {len(data):,}" for split, data in campaign.data.items()))
    check_tactic(campaign)
    check_devices(campaign)
    for target in campaign.targets.values():
        check_limits(campaign, target)
