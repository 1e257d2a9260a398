"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

from collections.abc import Sequence

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import FINAL, is_final, pool
from hwsearch.campaigns.target import Target
from hwsearch.store import Measurement

#: a subnet whose measurement failed this often is left alone
MAX_FAILURES = 2


def accuracy_protocol(campaign: Campaign) -> str:
    """How a subnet is made ready before it is judged."""
    batch = campaign.config.data.batch
    return f"bn-recalibration batch {batch}" if "calibration" in campaign.data else f"inherited weights batch {batch}"


def find_accuracy(campaign: Campaign, split: str, purpose: str) -> dict[str, Measurement]:
    """Accuracy measurements by architecture id; failed ones are left out."""
    rows = campaign.store.find(
        metric="accuracy",
        subject=campaign.example_subject(split),
        protocol=accuracy_protocol(campaign),
        purpose=purpose,
        supernet=campaign.loaded.digest,
    )
    return {m.arch_id: m for m in rows if m.value is not None}


def find_latency(campaign: Campaign, target: Target, purpose: str) -> dict[str, Measurement]:
    """Latency measurements by architecture id; failed ones are left out."""
    return find_metric(campaign, target, "latency_ms", purpose)


def find_metric(campaign: Campaign, target: Target, metric: str, purpose: str) -> dict[str, Measurement]:
    """Measurements of one metric on one device by architecture id; failed ones are left out.

    purpose : ``search``; ``validate``: all final measurements, pooled; ``validate:2``, …: of that further round alone
    """
    protocol = campaign.final_protocol if is_final(purpose) else campaign.protocol
    rows = campaign.store.find(
        metric=metric,
        subject=target.fingerprint,
        protocol=protocol.key,
        purpose=None if purpose == FINAL else purpose,
        supernet=campaign.loaded.digest,
    )
    if purpose != FINAL:
        return {m.arch_id: m for m in rows if m.value is not None}
    same: dict[str, list[Measurement]] = {}
    for m in rows:
        if is_final(m.purpose) and m.value is not None:
            same.setdefault(m.arch_id, []).append(m)
    return {k: pool(found, protocol.confidence) for k, found in same.items()}


def failed_too_often(campaign: Campaign, metric: str, subject: str) -> set[str]:
    """Ids of the subnets that are left alone."""
    counts: dict[str, int] = {}
    for m in campaign.store.failures(metric=metric, subject=subject, supernet=campaign.loaded.digest):
        counts[m.arch_id] = counts.get(m.arch_id, 0) + 1
    return {k for k, n in counts.items() if n >= MAX_FAILURES}


def _settled(campaign: Campaign, target: Target, protocol: str, purpose: str, metrics: Sequence[str]) -> set[str]:
    """Ids of what needs no measuring: it has a latency, and a value or a failure of each further metric."""
    settled: set[str] | None = None
    for metric in metrics:
        frame = campaign.store.frame(
            failed=metric != "latency_ms",
            metric=metric,
            subject=target.fingerprint,
            protocol=protocol,
            purpose=purpose,
            supernet=campaign.loaded.digest,
        )
        ids = set(frame["arch_id"])
        settled = ids if settled is None else settled & ids
    return settled or set()
