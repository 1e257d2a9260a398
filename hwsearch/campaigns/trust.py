"""Whose a campaign is: what another user's configuration names is executed only where this user trusts it."""

from __future__ import annotations

import os
from pathlib import Path

from hwsearch.errors import TrustError


def current_user() -> int | None:
    """Return the user id that this process acts with.

    Returns
    -------
    int or None
        None on systems without user ids, such as Windows: there files count as one's own.
    """
    return os.geteuid() if hasattr(os, "geteuid") else None


def foreign_part(*places: Path) -> Path | None:
    """Find the first of some files and folders that is not this user's own.

    Parameters
    ----------
    *places : pathlib.Path
        Existing files and folders; of a link, what it leads to counts.

    Returns
    -------
    pathlib.Path or None
        None where all are owned by this user, or ownership cannot be told. The superuser owns its own files only.
    """
    user = current_user()
    return next((p for p in places if user is not None and p.stat().st_uid != user), None)


def require_trust(foreign: Path | None, what: str, *, trusted: bool) -> None:
    """Refuse to execute what the configuration of another user names.

    Parameters
    ----------
    foreign : pathlib.Path or None
        What of the campaign belongs to another user.
    what : str
        What would be executed, as the rest of "would …".
    trusted : bool
        Whether this user has said that it may.

    Raises
    ------
    TrustError
        If something is another user's and not trusted.
    """
    if foreign is not None and not trusted:
        raise TrustError(
            f"{str(foreign)!r} belongs to another user, and this would {what}.",
            hint="Look at the configuration first; to execute what it names, give --trust (in Python trust=True).",
        )
