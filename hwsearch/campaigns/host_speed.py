"""The speed of a device's host along a campaign, from the reference that every group of measurements holds."""

from __future__ import annotations

from hwsearch.campaigns.known import Known
from hwsearch.devices.timing.level import HostLevel


def host_speed(known: Known, device: str, confidence: float) -> HostLevel | None:
    """Estimate the typical level of a device's host over the campaign, and where another campaign would find it.

    Parameters
    ----------
    known : Known
        What the store holds.
    device : str
        The device's name.
    confidence : float
        Of the interval.

    Returns
    -------
    HostLevel or None
        None where nothing has been timed.
    """
    host = known.hosts.get(device)
    return host.level(confidence) if host is not None else None
