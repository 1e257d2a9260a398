"""Rounds of a step, kept in the store before they are carried out, so that a stopped run is taken up with the same ones."""

from __future__ import annotations

from collections.abc import Callable

from hwsearch._json import JsonObject
from hwsearch.store import Store


class KeptRounds:
    """The rounds of a step in one document of the store.

    What a round measures changes what is known, so the same command run again would plan other rounds. A step therefore
    keeps the plan of a round before it measures, and asks here for that of a round that was begun.

    Parameters
    ----------
    store : Store
        Where the document is, or will be.
    name : str
        Of the document, by all that the rounds depend on besides what is measured.
    head : dict, optional
        Further entries of a new document.

    Attributes
    ----------
    rounds : list of dict
        From the first; to be changed in place and kept with `keep`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Store.open(f"{folder}/store.sqlite") as store:
    ...     first = KeptRounds(store, "rounds").begin(0, lambda: {"ids": ["a", "b"]})
    ...     again = KeptRounds(store, "rounds").begin(0, lambda: {"ids": ["c"]})
    >>> again == first == {"ids": ["a", "b"]}
    True
    """

    def __init__(self, store: Store, name: str, head: JsonObject | None = None) -> None:
        self._store, self._name = store, name
        self._document: JsonObject = store.get_state(name) or {**(head or {}), "rounds": []}
        self.rounds: list[JsonObject] = self._document["rounds"]

    def begin(self, number: int, plan: Callable[[], JsonObject | None]) -> JsonObject | None:
        """Return a round as it was kept; plan and keep it if it is new.

        Parameters
        ----------
        number : int
            Of the round, from 0; at most one past the last.
        plan : callable
            Makes a new round; None ends the rounds, and is not kept.

        Returns
        -------
        dict or None
            The round.
        """
        if number >= len(self.rounds):
            new = plan()
            if new is None:
                return None
            self.rounds.append(new)
            self.keep()
        return self.rounds[number]

    def keep(self) -> None:
        """Store the document with all rounds as they are now."""
        self._store.put_state(self._name, self._document)
