"""Measurements as the store keeps them, from what a group's timing found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hwsearch.campaigns.jobs.group import GroupTiming
from hwsearch.campaigns.jobs.job import payload_of
from hwsearch.devices import Timing
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.store import Job, Measurement


@dataclass(frozen=True)
class RowMaker:
    """Makes the measurements of one latency job.

    Parameters
    ----------
    job : Job
        The job.
    weights : str
        Digest of the supernet.
    """

    job: Job
    weights: str

    def failed(self, arch_id: str, failure: str) -> Measurement:
        """Make a failed latency.

        Parameters
        ----------
        arch_id : str
            The subnet.
        failure : str
            What happened.

        Returns
        -------
        Measurement
            Without a value.
        """
        return Measurement(value=None, failure=failure, **self._latency(arch_id))

    def measured(self, found: GroupTiming, ids: Iterable[str]) -> list[Measurement]:
        """Make latencies and further metrics, or their failures.

        Parameters
        ----------
        found : GroupTiming
            What the group's processes found.
        ids : iterable of str
            The subnets whose results are kept.

        Returns
        -------
        list of Measurement
            One a subnet and metric; a failed latency has no further metrics.
        """
        times = {"started_at": found.started_at, "ended_at": found.ended_at}
        rows = []
        for arch_id in ids:
            timing, latency = found.timings[arch_id], self._latency(arch_id) | times
            if timing.failure is not None:
                rows.append(Measurement(value=None, failure=timing.failure, **latency))
                continue
            rows.append(self._timed(timing, found, latency))
            answer = found.answers[arch_id]
            for name in payload_of(self.job)["metrics"]:
                value = (answer.get("metrics") or {}).get(name)
                failure = answer.get("metrics_failure") or f"this device does not measure {name}"
                metric = latency | {"metric": name, "unit": DEVICE_METRICS[name], "details": found.details}
                rows.append(Measurement(value=value, failure=None if value is not None else failure, **metric))
        return rows

    def _timed(self, timing: Timing, found: GroupTiming, latency: dict[str, Any]) -> Measurement:
        details = {
            **timing.summary(float(payload_of(self.job)["protocol"]["half_width"])),
            **found.details,
            "load_ms": [round(float(v), 6) for v in timing.loads],
            "block_ms": [round(float(v), 5) for v in timing.raw],
        }
        return Measurement(
            value=timing.value,
            spread=(timing.high - timing.low) / 2,
            low=timing.low,
            high=timing.high,
            repeats=len(timing.runs),
            details=details,
            **latency,
        )

    def _latency(self, arch_id: str) -> dict[str, Any]:
        payload = payload_of(self.job)
        return {
            "arch_id": arch_id,
            "metric": "latency_ms",
            "unit": "ms",
            "subject": self.job.device,
            "protocol": payload["protocol_key"],
            "purpose": payload["purpose"],
            "supernet": self.weights,
        }
