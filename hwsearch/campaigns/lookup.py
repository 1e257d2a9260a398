"""Look up single kinds of measurement in the store, as it is now.

While subnets are measured, other workers add results: whoever measures asks the store each time. Steps that only evaluate
what is there take a `hwsearch.campaigns.known.Known` instead, which is read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.estimates import latency_estimates
from hwsearch.campaigns.intervals import pool
from hwsearch.campaigns.purpose import SEARCH, VALIDATE, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.store import Measurement, Store, measurement_key
from hwsearch.store.measurement_table import Filters

#: a subnet whose measurement failed this often is not tried again
MAX_FAILURES = 2


def accuracy_protocol(campaign: Campaign) -> str:
    """Return the key under which accuracies are stored.

    Parameters
    ----------
    campaign : Campaign
        Whose scores.

    Returns
    -------
    str
        BN recalibration or inherited statistics, and the batch size.
    """
    batch = campaign.config.data.batch
    recalibrated = Split.CALIBRATION in campaign.data
    return f"bn-recalibration batch {batch}" if recalibrated else f"inherited weights batch {batch}"


def score_protocol(campaign: Campaign, metric: str) -> str:
    """Return the key under which a score is stored: that of accuracies, and what a verified accuracy proves of how many images.

    Parameters
    ----------
    campaign : Campaign
        Whose scores.
    metric : str
        ``accuracy`` or ``verified_accuracy``.

    Returns
    -------
    str
        Of an accuracy `accuracy_protocol`.
    """
    protocol = accuracy_protocol(campaign)
    if metric == "accuracy":
        return protocol
    c = campaign.config.certified
    return f"interval bounds epsilon {c.epsilon:.9g} of {c.images or 'all'} images, {protocol}"


def by_architecture(rows: Iterable[Measurement], purpose: Purpose, confidence: float) -> dict[str, Measurement]:
    """Index measurements of one metric, other than latency, by architecture.

    Parameters
    ----------
    rows : iterable of Measurement
        Of one metric, subject and protocol, oldest first.
    purpose : Purpose
        `VALIDATE` pools all final measurements of a subnet; any other purpose takes that one alone.
    confidence : float
        Of the measurements' intervals.

    Returns
    -------
    dict of str to Measurement
        By architecture id, oldest first; failed measurements are left out.
    """
    if purpose != VALIDATE:
        wanted = str(purpose)
        return {m.arch_id: m for m in rows if m.purpose == wanted and m.value is not None}
    same: dict[str, list[Measurement]] = {}
    for m in rows:
        if Purpose.parse(m.purpose).is_final and m.value is not None:
            same.setdefault(m.arch_id, []).append(m)
    return {k: pool(found, confidence) for k, found in same.items()}


def find_accuracy(
    campaign: Campaign,
    split: str,
    purpose: Purpose,
    ids: Iterable[str] | None = None,
    metric: str = "accuracy",
) -> dict[str, Measurement]:
    """Find the scores of subnets on one data split.

    Parameters
    ----------
    campaign : Campaign
        Whose store is asked.
    split : str
        The data that subnets were scored on: a `Split`, or `first_examples`.
    purpose : Purpose
        What they were scored for.
    ids : iterable of str, optional
        Of which subnets; by default of all.
    metric : str
        ``accuracy`` or ``verified_accuracy``.

    Returns
    -------
    dict of str to Measurement
        By architecture id; failed measurements are left out.
    """
    where = _accuracies(campaign, split, purpose, metric)
    rows = campaign.store.find(**(where | _only(ids, where)))
    return {m.arch_id: m for m in rows if m.value is not None}


def any_accuracy(campaign: Campaign, split: Split, purpose: Purpose) -> bool:
    """Tell whether any subnet has been scored on a data split.

    Parameters
    ----------
    campaign : Campaign
        Whose store is asked.
    split : Split
        The data.
    purpose : Purpose
        What it was scored for.

    Returns
    -------
    bool
        Without reading the scores.
    """
    return campaign.store.count(**_accuracies(campaign, split, purpose)) > 0


def _accuracies(campaign: Campaign, split: str, purpose: Purpose, metric: str = "accuracy") -> Filters:
    return {
        "metric": metric,
        "subject": campaign.example_subject(split),
        "protocol": score_protocol(campaign, metric),
        "purpose": str(purpose),
        "supernet": campaign.loaded.digest,
    }


def _only(ids: Iterable[str] | None, where: Filters) -> Filters:
    """Return the filter for some subnets: by keys, which a database finds among any number of rows."""
    if ids is None:
        return {}
    parts = [str(where.get(k) or "") for k in ("metric", "subject", "protocol", "purpose", "supernet")]
    return {"keys": [measurement_key(i, *parts) for i in ids]}


def latency_rows(
    store: Store,
    fingerprint: str,
    weights: str,
    *,
    protocol: str | None = None,
    purpose: Purpose | None = None,
    ids: Iterable[str] | None = None,
) -> list[Measurement]:
    """Read the latencies of whole subnets on one device as they were stored.

    Parameters
    ----------
    store : Store
        Of a campaign.
    fingerprint : str
        Of the device.
    weights : str
        Digest of the supernet.
    protocol : str, optional
        Key of the protocol that they were measured by; by default any.
    purpose : Purpose, optional
        What they were measured for, of that round alone; by default anything.
    ids : iterable of str, optional
        Of which subnets, with `protocol` and `purpose`; by default of all.

    Returns
    -------
    list of Measurement
        Oldest first, those that failed left out; what `latency_estimates` takes.
    """
    where: Filters = {"metric": "latency_ms", "subject": fingerprint, "protocol": protocol, "supernet": weights}
    where["purpose"] = None if purpose is None else str(purpose)
    return store.find(**(where | _only(ids, where)))


def find_latency(campaign: Campaign, target: Target, purpose: Purpose) -> dict[str, Measurement]:
    """Find the latencies of subnets on one device, estimated from all that was measured there.

    Parameters
    ----------
    campaign : Campaign
        Whose store is asked.
    target : Target
        The device.
    purpose : Purpose
        `SEARCH`, or `VALIDATE` for all final measurements.

    Returns
    -------
    dict of str to Measurement
        In ms, by architecture id, see `latency_estimates`; failed measurements are left out.
    """
    rows = latency_rows(campaign.store, target.fingerprint, campaign.loaded.digest)
    return latency_estimates(rows, timing_protocols(campaign))[purpose]


def timing_protocols(campaign: Campaign) -> dict[Purpose, TimingProtocol]:
    """Return how latencies are measured for each purpose.

    Parameters
    ----------
    campaign : Campaign
        Whose configuration.

    Returns
    -------
    dict of Purpose to TimingProtocol
        By `SEARCH` and `VALIDATE`.
    """
    return {SEARCH: campaign.protocol, VALIDATE: campaign.final_protocol}


def find_metric(campaign: Campaign, target: Target, metric: str, purpose: Purpose) -> dict[str, Measurement]:
    """Find the values of one metric on one device.

    Parameters
    ----------
    campaign : Campaign
        Whose store is asked.
    target : Target
        The device.
    metric : str
        Such as ``latency_ms`` or ``energy_mj``.
    purpose : Purpose
        `SEARCH`, or `VALIDATE` for all final measurements, pooled.

    Returns
    -------
    dict of str to Measurement
        By architecture id; failed measurements are left out.
    """
    if metric == "latency_ms":
        return find_latency(campaign, target, purpose)
    protocol = timing_protocols(campaign)[purpose]
    rows = campaign.store.find(
        metric=metric,
        subject=target.fingerprint,
        protocol=protocol.key,
        purpose=None if purpose == VALIDATE else str(purpose),
        supernet=campaign.loaded.digest,
    )
    return by_architecture(rows, purpose, protocol.confidence)


def failed_too_often(failures: Iterable[Measurement]) -> set[str]:
    """Return the ids of subnets that failed `MAX_FAILURES` times and are not tried again.

    Parameters
    ----------
    failures : iterable of Measurement
        Failed attempts at one metric on one device or data set.

    Returns
    -------
    set of str
        Architecture ids.
    """
    return {k for k, n in Counter(m.arch_id for m in failures).items() if n >= MAX_FAILURES}


def find_failed_too_often(campaign: Campaign, metric: str, subject: str) -> set[str]:
    """Find the subnets that failed `MAX_FAILURES` times on a device or data set and are not tried again.

    Parameters
    ----------
    campaign : Campaign
        Whose store is asked.
    metric : str
        The metric that could not be measured.
    subject : str
        A device's fingerprint, or what a score depends on.

    Returns
    -------
    set of str
        Architecture ids.
    """
    return failed_too_often(campaign.store.failures(metric=metric, subject=subject, supernet=campaign.loaded.digest))


def find_settled(
    campaign: Campaign,
    target: Target,
    protocol: str,
    purpose: Purpose,
    metrics: Sequence[str],
    ids: Iterable[str] | None = None,
) -> set[str]:
    """Find the subnets that need no measuring on a device.

    Parameters
    ----------
    campaign : Campaign
        Whose store is asked.
    target : Target
        The device.
    protocol : str
        Key of the protocol.
    purpose : Purpose
        What is measured for.
    metrics : sequence of str
        ``latency_ms`` and further ones.
    ids : iterable of str, optional
        Which subnets are asked for; by default all.

    Returns
    -------
    set of str
        Ids of the subnets that have a latency, and a value or a failure of each further metric.
    """
    settled: set[str] | None = None
    wanted = None if ids is None else list(ids)
    for metric in metrics:
        where: Filters = {"metric": metric, "subject": target.fingerprint, "protocol": protocol}
        where |= {"purpose": str(purpose), "supernet": campaign.loaded.digest}
        frame = campaign.store.frame(failed=metric != "latency_ms", **(where | _only(wanted, where)))
        found = set(frame["arch_id"])
        settled = found if settled is None else settled & found
    return settled or set()
