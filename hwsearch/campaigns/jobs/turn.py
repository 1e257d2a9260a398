"""A campaign's turn at timing on this host, and what it says while it waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.host_lock import Holder, host_lock

#: seconds that nobody needs to be told about
SHORT_S = 2.0


@contextmanager
def turn(campaign: Campaign, target: Target) -> Iterator[None]:
    """Wait until no other campaign or worker of this user times on this host, and keep it so.

    Who is waited for goes to the campaign's progress. Devices that share nothing with others of this host do not wait.

    Parameters
    ----------
    campaign : Campaign
        Which is to time.
    target : Target
        On this device.

    Yields
    ------
    None
        When it may.

    Raises
    ------
    DeviceError
        If the lock's file cannot be opened.
    """
    said, waited = False, 0.0

    def waiting(holder: Holder | None, seconds: float) -> None:
        nonlocal said, waited
        waited = seconds
        if seconds >= SHORT_S:
            said = True
            campaign.progress.wait(f"{holder or 'another campaign'}, which measures on this host")

    with host_lock(target.exclusive, campaign=str(campaign.folder), waiting=waiting):
        campaign.waited_s += waited
        if said:
            campaign.progress.wait("")
        yield
