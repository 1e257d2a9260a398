"""Check a campaign before anything is measured: data, devices, tactic and limits."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd
from typing_extensions import override

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.verified import check_certified
from hwsearch.campaigns.jobs.workloads import pack_workload, spec_head
from hwsearch.campaigns.steps.check_limits import check_limits
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.jobs import WorkerJob
from hwsearch.errors import DeviceError, HwsearchError

log = logging.getLogger("hwsearch")

#: the longest that one device may take to load and run the reference subnet, seconds; compiling counts
DEADLINE_S = 300.0
#: seconds that a subnet's model takes to build, about
BUILD_S = 0.05


@dataclass(frozen=True)
class DeviceCheck:
    """Outcome of loading and running the reference subnet on one device.

    Parameters
    ----------
    device : str
        Its name.
    nodes : int
        Nodes of the graph that ran; 0 where it failed.
    ran_on : str
        The providers or kinds of device that ran them.
    run_ms : float or None
        The first run of a session as it is loaded for measuring, ms; no measurement, and None where it failed.
    error : str or None
        Why it cannot be measured on this device.
    """

    device: str
    nodes: int = 0
    ran_on: str = ""
    run_ms: float | None = None
    error: str | None = None


class DeviceCheckError(DeviceError):
    """One device or more cannot load or run the reference subnet as asked.

    Parameters
    ----------
    rows : sequence of DeviceCheck
        All devices, also those that passed.
    hint : str, optional
        What to do about it.

    Attributes
    ----------
    rows : list of DeviceCheck
        All devices.
    """

    def __init__(self, rows: Sequence[DeviceCheck], *, hint: str | None = None) -> None:
        self.rows = list(rows)
        failed = [r for r in self.rows if r.error is not None]
        which = f"{len(failed)} of {len(self.rows)} devices do not run the reference subnet: " if failed[1:] else ""
        super().__init__(which + " ".join(f"{r.device}: {r.error}" for r in failed), hint=hint)

    @override
    def to_dict(self) -> dict[str, object]:
        return {**super().to_dict(), "devices": [asdict(r) for r in self.rows]}


def check(campaign: Campaign) -> pd.DataFrame:
    """Check that the data fit the supernet, every device loads and runs the reference subnet, and limits can be met.

    Parameters
    ----------
    campaign : Campaign
        What is checked.

    Returns
    -------
    pandas.DataFrame
        A row a device: ``device``, ``nodes``, ``ran_on``, ``run_ms``.

    Raises
    ------
    DataError
        If data are missing or do not fit.
    CampaignError
        If the tactic cannot do what the configuration says.
    BoundError
        If verified accuracy is an objective and the supernet's operators are not covered.
    DeviceCheckError
        If a device cannot load the reference subnet, does not run it as asked, or its process crashes. All devices are
        tried first.
    LimitError
        If no subnet can meet a limit.
    """
    log.info("data: %s", ", ".join(f"{split} {len(data):,}" for split, data in campaign.data.items()))
    check_tactic(campaign)
    check_certified(campaign)
    rows = check_devices(campaign)
    for target in campaign.targets.values():
        check_limits(campaign, target)
    return pd.DataFrame([asdict(r) for r in rows]).drop(columns="error")


def check_devices(campaign: Campaign) -> list[DeviceCheck]:
    """Have every device load the reference subnet once, as it does for measuring, and tell where its nodes ran.

    It is done by the executor that measures: with ``[fleet] isolation`` in a process of its own, so that a crash is that
    device's error and nothing else's.

    Parameters
    ----------
    campaign : Campaign
        Whose devices.

    Returns
    -------
    list of DeviceCheck
        One a device.

    Raises
    ------
    DeviceCheckError
        If a device failed; all have been tried.
    """
    rows: list[DeviceCheck] = []
    hints: list[str] = []
    with campaign.progress.task("check", len(campaign.targets), "devices") as task:
        for i, target in enumerate(campaign.targets.values()):
            try:
                rows.append(_loaded(campaign, target))
            except HwsearchError as error:
                rows.append(DeviceCheck(target.name, error=error.message))
                hints += [error.hint] if error.hint else []
            task.update(i + 1)
        task.note(
            " · ".join(f"{r.device}: {f'{r.nodes} nodes on {r.ran_on}' if r.error is None else 'fails'}" for r in rows)
        )
    if any(r.error is not None for r in rows):
        raise DeviceCheckError(rows, hint=" ".join(dict.fromkeys(hints)) or None)
    return rows


def _loaded(campaign: Campaign, target: Target) -> DeviceCheck:
    files: dict[str, bytes] = {}
    reference = pack_workload(campaign, target, campaign.reference, 0, False, files)
    spec: WorkerJob = {**spec_head(campaign, target, "verify"), "reference": reference}
    started = time.monotonic()
    answer = target.executor.run(spec, files, DEADLINE_S)
    campaign.pace.note(f"start {target.name}", 1, time.monotonic() - started)
    campaign.pace.note(f"time {target.name}", 1, campaign.protocol.process_s(answer["run_ms"]) + BUILD_S)
    counts = answer["counts"]
    return DeviceCheck(target.name, sum(counts.values()), ", ".join(counts), answer["run_ms"])
