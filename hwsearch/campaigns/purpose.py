"""Purposes of measurements, and the texts under which the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass

_VALIDATE = "validate"


@dataclass(frozen=True)
class Purpose:
    """Purpose of a measurement; the same subnet measured for another purpose is another measurement.

    Parameters
    ----------
    name : str
        ``search``, ``validate`` (the final measurement of a candidate for a front), ``finetuned`` or ``profile``.
    round : int
        Number of the final measurement of the same subnet, from 1; other purposes have only the first.

    Examples
    --------
    >>> str(Purpose.final(2)), Purpose.parse("validate:2") == Purpose.final(2), str(SEARCH)
    ('validate:2', True, 'search')
    >>> Purpose.parse("validate:3").is_final, SEARCH.is_final
    (True, False)
    """

    name: str
    round: int = 1

    @classmethod
    def parse(cls, text: str) -> Purpose:
        """Read the text that the store keeps; the inverse of `str`.

        Parameters
        ----------
        text : str
            Such as ``search``, ``validate`` or ``validate:2``.

        Returns
        -------
        Purpose
            The purpose of that text.
        """
        name, _, number = text.partition(":")
        return cls(name, int(number)) if number else cls(name)

    @classmethod
    def final(cls, number: int = 1) -> Purpose:
        """Return the purpose of a subnet's final measurement.

        Parameters
        ----------
        number : int
            Which one, from 1.

        Returns
        -------
        Purpose
            ``validate`` for the first, ``validate:2`` for the second, and so on.
        """
        return cls(_VALIDATE, number)

    @property
    def is_final(self) -> bool:
        """Whether this is a final measurement, of the first or of a further round."""
        return self.name == _VALIDATE

    def __str__(self) -> str:
        return self.name if self.round == 1 else f"{self.name}:{self.round}"


#: measured before or during the search
SEARCH = Purpose("search")
#: measured afresh for a front: as a filter, all final measurements of a subnet pooled
VALIDATE = Purpose.final()
#: scored after fine-tuning
FINETUNED = Purpose("finetuned")
#: operators timed alone
PROFILE = Purpose("profile")
