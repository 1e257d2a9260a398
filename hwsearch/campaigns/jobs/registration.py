"""Enter a device in the store, and say when a name stands for another device than before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.target import Target

#: facts that are named in a warning at most
NAMED = 3


def enter_device(campaign: Campaign, target: Target) -> None:
    """Keep what a device is; warn if the store has another one of that name.

    A virtual machine that has moved to another processor, a new driver or another version of the runtime make another
    device: what was measured on the former is kept, and not mixed with what is measured now.

    Parameters
    ----------
    campaign : Campaign
        Whose store.
    target : Target
        The device.
    """
    before = campaign.store.devices()
    if not campaign.store.add_device(target.fingerprint, target.name, target.facts):
        return
    former = next((facts for name, facts in reversed(before.values()) if name == target.name), None)
    if former is not None:
        changes = [f"{name} was {old!r} and is {new!r}" for name, old, new in fact_changes(former, target.facts)]
        some = "; ".join(changes[:NAMED]) + (f"; and {len(changes) - NAMED} more" if len(changes) > NAMED else "")
        campaign.progress.warn(
            f"{target.name} is another device than before: {some}. What was measured on the former is kept and not mixed in; "
            "everything is measured anew."
        )


def fact_changes(old: JsonObject, new: JsonObject, under: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Compare the facts of two devices.

    Parameters
    ----------
    old, new : dict
        Facts; what is nested is named with dots.
    under : str
        Where the facts are nested.

    Yields
    ------
    name, old, new
        What differs; None where it is missing.

    Examples
    --------
    >>> list(fact_changes({"batch": 1, "host": {"cpu": "a"}}, {"batch": 1, "host": {"cpu": "b"}}))
    [('host.cpu', 'a', 'b')]
    """
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from fact_changes(a, b, f"{under}{key}.")
        elif a != b:
            yield f"{under}{key}", a, b
