"""Warnings that say the same again are counted."""

from __future__ import annotations

import re
from collections import Counter

#: what differs between warnings of one kind: ids of subnets, and numbers
_DIFFERS = re.compile(r"\b[0-9a-f]{12}\b|\d+(?:[.,]\d+)*")
#: warnings of a kind that are shown as they are
SHOWN = 2
#: characters by which a kind is told
HEAD = 90


class Repeats:
    """Counts warnings by kind: by their words, without ids and numbers.

    Examples
    --------
    >>> repeats = Repeats()
    >>> [repeats.is_new(f"subnet 00000000000{i} on cpu: no answer") for i in range(5)]
    [True, True, False, False, False]
    >>> repeats.summaries()
    ['3 more like this: subnet 000000000004 on cpu: no answer']
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._held: dict[str, tuple[int, str]] = {}

    def is_new(self, text: str) -> bool:
        """Tell whether a warning is to be shown now.

        Parameters
        ----------
        text : str
            The warning.

        Returns
        -------
        bool
            False where enough of its kind were shown; it is counted then.
        """
        kind = _DIFFERS.sub("#", text)
        self._seen[kind] += 1
        if self._seen[kind] <= SHOWN:
            return True
        self._held[kind] = (self._held.get(kind, (0, ""))[0] + 1, text)
        return False

    def summaries(self) -> list[str]:
        """Return a sentence a kind on what was only counted since the last call.

        Returns
        -------
        list of str
            With the last warning of each kind, cut to its head.
        """
        held, self._held = self._held, {}
        return [f"{n} more like this: {last[:HEAD]}{'…' * (len(last) > HEAD)}" for n, last in held.values()]
