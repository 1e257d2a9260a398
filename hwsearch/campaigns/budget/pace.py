"""The pace of a campaign on its hosts: what one subnet costs, as it was when it was last seen."""

from __future__ import annotations

import time
from collections.abc import Callable

from hwsearch._json import JsonObject

#: name of the document in the store
PACE = "pace"
#: seconds of the loop that looks how much of a core this process gets
LOOK_S = 0.2


class Pace:
    """Seconds a unit of work by kind, kept in a document.

    Parameters
    ----------
    known : dict, optional
        As it was kept.
    keep : callable, optional
        Told the document after each change.

    Examples
    --------
    >>> pace = Pace()
    >>> pace.note("evaluate", 2000, 4.0)
    >>> pace.seconds("evaluate", 1000, default=1.0)
    2.0
    >>> pace.seconds("propose", 3, default=1.5)
    4.5
    """

    def __init__(self, known: JsonObject | None = None, keep: Callable[[JsonObject], object] | None = None) -> None:
        self._each: JsonObject = dict(known or {})
        self._keep = keep

    def note(self, kind: str, amount: float, seconds: float) -> None:
        """Remember what some work took; it replaces what was known of its kind.

        Parameters
        ----------
        kind : str
            Of the work.
        amount : float
            How much of it; none tells nothing.
        seconds : float
            What it took.
        """
        if amount > 0 and seconds > 0:
            self._each[kind] = seconds / amount
            if self._keep is not None:
                self._keep(dict(self._each))

    def seconds(self, kind: str, amount: float = 1.0, *, default: float) -> float:
        """Estimate what work takes.

        Parameters
        ----------
        kind : str
            Of the work.
        amount : float
            How much of it.
        default : float
            Seconds a unit where nothing is known.

        Returns
        -------
        float
            Seconds.
        """
        return amount * float(self._each.get(kind, default))


def contention() -> float:
    """Look how much longer this process takes than it would alone.

    Returns
    -------
    float
        At least 1: time passed over processor time of a short loop.
    """
    wall, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < LOOK_S:
        pass
    return max(1.0, (time.perf_counter() - wall) / (time.process_time() - used))
